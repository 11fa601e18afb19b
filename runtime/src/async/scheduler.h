/*
 * What it is for: the small interface between the async objects and whoever runs them: an event
 *   loop, a thread pool, a language's runtime. It submits tasks and starts timers; nothing else.
 * When not to use it: applications use an executor that exists (adapter/executor.h, uv_adapter.h).
 * Life cycle: the scheduler outlives every task and timer that was given to it.
 * Threads: submit is called by any thread, with no lock held; timers as said below.
 * Errors: submit cannot fail: a task carries its own queue link.
 */
#ifndef EMP_ASYNC_SCHEDULER_H
#define EMP_ASYNC_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/export.h"
#include "base/status_code.h"

struct emp_task;
struct emp_scheduler;

/* Why a task is submitted; a hint for its place in the queue. */
enum emp_submit_reason {
    EMP_SUBMIT_SPAWN = 0, /* new */
    EMP_SUBMIT_WAKE,      /* woken */
    EMP_SUBMIT_YIELD      /* gave up its turn: belongs at the end */
};

/*
 * A timer, part of a larger object of its owner. After timer_start the scheduler owns the fields
 * until it called fire or timer_stop returned true. The scheduler does not touch it after fire
 * began. It is never early; how late, and in which order timers of about the same deadline fire, is
 * the scheduler's. Links are NULL before the first start.
 */
struct emp_timer {
    uint64_t deadline_ns;                  /* CLOCK_MONOTONIC; set by the owner before start */
    void (*fire)(struct emp_timer *timer); /* called once on the scheduler's thread, no lock held */
    void *link[3];                         /* the scheduler's */
};

/* What a scheduler offers. Its own state usually lies behind this struct. */
struct emp_scheduler {
    /* Takes the task over; emp_task_run must be called for it once. Any thread. */
    void (*submit)(struct emp_scheduler *self, struct emp_task *task, enum emp_submit_reason why);
    /* Starts a timer; any thread that runs tasks of this scheduler. EMP_OK or EMP_ERR_NOMEM. */
    enum emp_status (*timer_start)(struct emp_scheduler *self, struct emp_timer *timer);
    /* True: fire will not be called. False: it was called, or is being called right now. */
    bool (*timer_stop)(struct emp_scheduler *self, struct emp_timer *timer);
};

#endif
