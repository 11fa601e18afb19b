/*
 * Purpose: the alarm of a coroutine that waits until a moment at most: a timer that wakes it.
 * Owner:   async. A pooled object; never on the stack, which may be parked while the timer runs.
 *          The last of timer and coroutine ends it.
 * Threads: a coroutine; the timer fires on the scheduler's thread.
 * Design:  [async.proto.alarm]
 */
#ifndef EMP_ASYNC_ALARM_H
#define EMP_ASYNC_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "async/scheduler.h"
#include "async/task.h"
#include "async/waker.h"
#include "base/compiler.h"
#include "base/status_code.h"
#include "sync/parting.h"

/* A timer that wakes its coroutine. */
struct emp_alarm {
    struct emp_timer timer;
    struct emp_waker waker; /* the teller's, who wakes or drops it */
    uint32_t parting;       /* atomic: parting. the timer tells, the coroutine listens */
};

_Static_assert(sizeof(struct emp_alarm) <= 64, "an alarm is an object of the kind waker");

/*
 * Starts an alarm for the coroutine that runs. Not inlined: nothing of the thread's cache is kept
 * in a caller's frame. EMP_OK, EMP_ERR_UNSUPPORTED, EMP_ERR_NOMEM, or what the scheduler says.
 */
EMP_NOINLINE enum emp_status emp_alarm_start(struct emp_task *task, uint64_t deadline_ns,
                                             struct emp_alarm **out);

/* Ends the coroutine's part of an alarm. */
EMP_NOINLINE void emp_alarm_end(struct emp_task *task, struct emp_alarm *alarm);

/* Whether it has gone off. */
static inline bool emp_alarm_is_over(const struct emp_alarm *alarm)
{
    return emp_parting_is_told(&alarm->parting);
}

#endif
