/*
 * Purpose: the waits of a coroutine that end at a moment: sleep, and await with a deadline.
 * Owner:   async. An alarm is a pooled object of timer and coroutine: it is never on the stack,
 *          which may be parked while the timer runs; the last of the two ends it.
 * Threads: a coroutine; the timer fires on the scheduler's thread.
 * Design:  [async.proto.alarm]
 * Cost:    one object, one start and one stop of a timer.
 */
#include "async/coroutine.h"

#include "async/alarm.h"
#include "async/coroutine_core.h"
#include "async/object.h"
#include "async/waker.h"
#include "base/compiler.h"
#include "sync/parting.h"

static void alarm_fire(struct emp_timer *timer)
{
    struct emp_alarm *const alarm = (struct emp_alarm *)timer;
    struct emp_waker waker = alarm->waker;

    if (emp_parting_tell(&alarm->parting)) {
        emp_waker_drop(&waker);
        emp_object_give(alarm);
    } else {
        emp_waker_wake(&waker);
    }
}

EMP_NOINLINE enum emp_status emp_alarm_start(struct emp_task *task, uint64_t deadline_ns,
                                             struct emp_alarm **out)
{
    struct emp_scheduler *const scheduler = task->scheduler;
    const struct emp_coroutine *const coroutine = task->body;
    const struct emp_waker waker = emp_task_waker(task);

    if (scheduler->timer_start == NULL) {
        return EMP_ERR_UNSUPPORTED;
    }
    struct emp_alarm *const alarm = emp_object_take(coroutine->stacks->pool, EMP_OBJECT_WAKER);

    if (alarm == NULL) {
        return EMP_ERR_NOMEM;
    }
    alarm->timer = (struct emp_timer){.deadline_ns = deadline_ns, .fire = alarm_fire};
    alarm->parting = EMP_PARTING_BOTH;
    alarm->waker = emp_waker_clone(&waker);
    const enum emp_status status = scheduler->timer_start(scheduler, &alarm->timer);

    if (status != EMP_OK) {
        emp_waker_drop(&alarm->waker);
        emp_object_give(alarm);
        return status;
    }
    *out = alarm;
    return EMP_OK;
}

EMP_NOINLINE void emp_alarm_end(struct emp_task *task, struct emp_alarm *alarm)
{
    struct emp_scheduler *const scheduler = task->scheduler;

    if (!emp_parting_is_told(&alarm->parting) && scheduler->timer_stop(scheduler, &alarm->timer)) {
        emp_waker_drop(&alarm->waker);
        emp_object_give(alarm);
    } else if (emp_parting_leave(&alarm->parting)) {
        emp_object_give(alarm);
    }
}

enum emp_status emp_sleep_until(uint64_t deadline_ns)
{
    struct emp_task *const task = emp_task_current();
    struct emp_alarm *alarm = NULL;
    enum emp_status status = emp_in_coroutine() ? EMP_OK : EMP_ERR_STATE;

    if (status == EMP_OK && emp_task_is_cancelled(task)) {
        status = EMP_ERR_CANCELLED;
    }
    if (status == EMP_OK) {
        status = emp_alarm_start(task, deadline_ns, &alarm);
    }
    if (status != EMP_OK) {
        return status;
    }
    while (status == EMP_OK && !emp_parting_is_told(&alarm->parting)) {
        status = emp_coroutine_suspend();
    }
    emp_alarm_end(task, alarm);
    return status;
}

/* Polls until the future is complete, the alarm has gone off, or the coroutine is cancelled. */
static enum emp_status await_alarm(struct emp_future *future, const struct emp_alarm *alarm,
                                   void *value, size_t capacity, size_t *bytes)
{
    struct emp_task *const task = emp_task_current();
    enum emp_status status = EMP_OK;

    while (status == EMP_OK) {
        const struct emp_waker waker = emp_task_waker(task);
        const bool is_late = emp_parting_is_told(&alarm->parting);
        const enum emp_status found =
            emp_future_poll(future, is_late ? NULL : &waker, value, capacity, bytes);

        if (found != EMP_ERR_AGAIN) {
            return found;
        }
        status = is_late ? EMP_ERR_TIMED_OUT : emp_coroutine_suspend();
    }
    /* The future may live on: nothing of who waits no longer stays with it. */
    const struct emp_waker waker = emp_task_waker(task);

    (void)emp_future_forget(future, &waker);
    return status;
}

enum emp_status emp_await_until(struct emp_future *future, void *value, size_t capacity,
                                size_t *bytes, uint64_t deadline_ns)
{
    struct emp_task *const task = emp_task_current();
    struct emp_alarm *alarm = NULL;

    if (!emp_in_coroutine()) {
        return EMP_ERR_STATE;
    }
    if (emp_task_is_cancelled(task)) {
        return EMP_ERR_CANCELLED;
    }
    enum emp_status status = emp_future_poll(future, NULL, value, capacity, bytes);

    if (status != EMP_ERR_AGAIN) {
        return status;
    }
    status = emp_alarm_start(task, deadline_ns, &alarm);
    if (status != EMP_OK) {
        return status;
    }
    status = await_alarm(future, alarm, value, capacity, bytes);
    emp_alarm_end(task, alarm);
    return status;
}
