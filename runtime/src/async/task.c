/*
 * Purpose: tasks in motion: run, wake, abort, and the end of body, result and object.
 * Owner:   async. Design: [async.proto.task]
 */
#include "async/task.h"

#include "async/future_object.h"
#include "async/object.h"
#include "async/task_core.h"
#include "async/task_id.h"
#include "base/compiler.h"
#include "monitor/report.h"

static EMP_TLS struct emp_task *task_running; /* what emp_task_run polls on this thread */

static EMP_COLD void task_report(enum emp_report_code code, const struct emp_task *task,
                                 const char *call)
{
    const struct emp_report report = {
        .code = code, .pointer = task, .block = task, .block_bytes = 0, .call = call};

    emp_report_misuse(&report);
}

static inline void task_submit(struct emp_task *task, enum emp_submit_reason why)
{
    task->scheduler->submit(task->scheduler, task, why);
}

struct emp_task *emp_task_current(void)
{
    /* A coroutine may be on another thread since its last call: nothing is kept over this one. */
    __asm__ __volatile__("" ::: "memory");
    return task_running;
}

/* Completes the join side: with the value that was set, with nothing, or as cancelled. */
static EMP_NOINLINE void join_end(struct emp_task *task, bool is_ready)
{
    struct emp_future *future = task->result;

    task->result = NULL;
    if ((task->kind & EMP_TASK_KIND_PREPARED) != 0) {
        emp_future_announce(future, !is_ready);
    } else if (is_ready) {
        (void)emp_future_resolve(future, NULL, 0);
    } else {
        (void)emp_future_cancel(future);
    }
    emp_promise_drop(future);
}

/* Ends body, join side and the runner's reference. */
static inline enum emp_run task_end(struct emp_task *task, bool is_ready)
{
    const uint64_t seen = emp_task_word_decide(&task->state);

    /* An id owns a reference, and who asks for one holds one: alone there is none. */
    if (emp_task_refs(seen) != 1) {
        emp_task_id_close(task);
    }
    if (task->type->drop != NULL) {
        task->type->drop(task->body);
    }
    if (emp_unlikely((seen & EMP_TASK_BODY_SPLIT) != 0)) {
        emp_object_hooks.memory_give(task->body);
        task->body = NULL;
    }
    if (task->result != NULL) {
        join_end(task, is_ready && (seen & EMP_TASK_CANCELLED) == 0);
    }
    if (emp_task_word_finish(&task->state)) {
        emp_object_give(task);
    }
    return EMP_RUN_DONE;
}

enum emp_run emp_task_run(struct emp_task *task)
{
    const uint64_t seen = emp_task_word_run(&task->state);

    if (emp_unlikely(!emp_task_word_may_run(seen))) {
        task_report(EMP_REPORT_TASK_NOT_SUBMITTED, task, "emp_task_run");
        return EMP_RUN_PENDING;
    }
    if (emp_unlikely((seen & (EMP_TASK_CANCELLED | EMP_TASK_STACKFUL)) == EMP_TASK_CANCELLED)) {
        return task_end(task, false);
    }
    struct emp_task *outer = task_running;

    task_running = task;
    const enum emp_poll poll = task->type->poll(task, task->body);

    task_running = outer;
    if (poll == EMP_POLL_READY) {
        return task_end(task, true);
    }
    switch (emp_task_word_pend(&task->state, poll == EMP_POLL_YIELD)) {
    case EMP_TASK_NOTHING:
        return EMP_RUN_PENDING;
    case EMP_TASK_SUBMIT:
        task_submit(task, EMP_SUBMIT_YIELD);
        return EMP_RUN_AGAIN;
    default:
        return task_end(task, false);
    }
}

/* What a step of wake, abort or release asks for. */
static inline void task_follow(struct emp_task *task, enum emp_task_step step, const char *call)
{
    if (step == EMP_TASK_SUBMIT) {
        task_submit(task, EMP_SUBMIT_WAKE);
    } else if (emp_unlikely(step == EMP_TASK_FREE)) {
        emp_object_give(task);
    } else if (emp_unlikely(step == EMP_TASK_BROKEN)) {
        task_report(EMP_REPORT_TASK_DEAD, task, call);
    }
}

bool emp_task_abort(struct emp_task *task)
{
    const enum emp_task_step step = emp_task_word_abort(&task->state);

    task_follow(task, step, "emp_task_abort");
    return step == EMP_TASK_SUBMIT || step == EMP_TASK_END;
}

bool emp_task_is_cancelled(const struct emp_task *task)
{
    return (emp_task_word_look(&task->state) & EMP_TASK_CANCELLED) != 0;
}

bool emp_task_is_complete(const struct emp_task *task)
{
    return emp_task_word_is_over(emp_task_word_look(&task->state));
}

struct emp_task *emp_task_retain(struct emp_task *task)
{
    if (emp_unlikely(!emp_task_word_retain(&task->state))) {
        task_report(EMP_REPORT_TASK_REFERENCES, task, "emp_task_retain");
    }
    return task;
}

void emp_task_release(struct emp_task *task)
{
    if (task != NULL) {
        task_follow(task, emp_task_word_drop(&task->state), "emp_task_release");
    }
}

static void *waker_clone(void *data)
{
    return emp_task_retain(data);
}

static void waker_wake(void *data)
{
    struct emp_task *task = data;

    task_follow(task, emp_task_word_wake(&task->state, true), "emp_waker_wake");
}

static void waker_wake_by_ref(void *data)
{
    struct emp_task *task = data;

    task_follow(task, emp_task_word_wake(&task->state, false), "emp_waker_wake_by_ref");
}

static void waker_drop(void *data)
{
    struct emp_task *task = data;

    task_follow(task, emp_task_word_drop(&task->state), "emp_waker_drop");
}

static const struct emp_waker_vtable task_waker = {waker_clone, waker_wake, waker_wake_by_ref,
                                                   waker_drop};

struct emp_waker emp_task_waker(struct emp_task *task)
{
    return (struct emp_waker){&task_waker, task};
}

enum emp_status emp_task_set_result(struct emp_task *task, const void *value, size_t bytes)
{
    if ((task->kind & EMP_TASK_KIND_RESULT) != 0) {
        return EMP_ERR_STATE;
    }
    const enum emp_status status =
        task->result != NULL ? emp_future_prepare(task->result, value, bytes) : EMP_ERR_DONE;

    if (status == EMP_OK) {
        task->kind |= EMP_TASK_KIND_RESULT | EMP_TASK_KIND_PREPARED;
    } else if (status == EMP_ERR_DONE) {
        task->kind |= EMP_TASK_KIND_RESULT; /* nobody wants it, or the future was cancelled */
    } else {
        return status;
    }
    return EMP_OK;
}
