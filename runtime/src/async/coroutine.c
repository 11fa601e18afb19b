/*
 * Purpose: coroutines in motion: resume, suspend, and the waits that have no deadline.
 * Owner:   async. Threads: see async/coroutine.h.
 * Design:  [async.proto.coroutine] [async.inv.coroutine-line] [async.inv.no-thread-kept]
 * Cost:    a resume is a compare-and-swap on the word of the stack and two switches.
 */
#include "async/coroutine.h"

#include "async/coroutine_core.h"
#include "async/coroutine_switch.h"
#include "base/check.h"
#include "monitor/report.h"

static EMP_COLD void report_resume(const struct emp_coroutine *coroutine)
{
    const struct emp_report report = {
        .code = EMP_REPORT_STACK_RESUME,
        .pointer = coroutine,
        .call = "emp_task_run",
    };

    emp_report_misuse(&report);
}

/* The first frame of every coroutine. Never returns: the last switch goes to the runner for good.
   */
void emp_coroutine_main(void *arg)
{
    struct emp_coroutine *const coroutine = arg;

    if (EMP_ASAN) {
        emp_fiber_entered(emp_coroutine_fiber(coroutine));
    }
    coroutine->entry(emp_coroutine_args(coroutine));
    coroutine->state = EMP_COROUTINE_RETURNED;
    if (EMP_ASAN || EMP_TSAN) {
        emp_fiber_leave(emp_coroutine_fiber(coroutine), true);
    }
    /* A call: inlined, the switch would have this frame save every register for good. */
    emp_switch_call(&coroutine->sp);
    emp_check(false);
}

/* What a wake found but a stack as it was left. False: a misuse, nothing was done. */
static EMP_NOINLINE bool coroutine_unpark(struct emp_coroutine *coroutine,
                                          enum emp_stack_wake found, uint64_t seen)
{
    if (found == EMP_STACK_WRONG) {
        report_resume(coroutine);
        return false;
    }
    if ((seen & EMP_STACK_BARE) != 0 &&
        emp_stack_map_guard(&coroutine->stacks->sizes[coroutine->size].map, coroutine->slot) ==
            EMP_STACK_GUARD_WORD) {
        coroutine->checks_low = true;
    }
    emp_coroutine_restore(coroutine);
    return true;
}

enum emp_poll emp_coroutine_poll(struct emp_task *task, void *body)
{
    struct emp_coroutine *const coroutine = body;

    if (emp_unlikely(coroutine->state == EMP_COROUTINE_UNSTARTED)) {
        if (emp_unlikely(!emp_coroutine_start(coroutine))) {
            emp_coroutine_abandon(coroutine);
            (void)emp_task_abort(task);
            return EMP_POLL_READY;
        }
    } else {
        uint64_t seen = 0;
        const enum emp_stack_wake found = emp_stack_word_wake(coroutine->word, &seen);

        if (emp_unlikely(found == EMP_STACK_TRY_AGAIN)) {
            /* A parker has it for some microseconds; the turn comes again behind the others. */
            return EMP_POLL_YIELD;
        }
        if (emp_unlikely(found != EMP_STACK_WOKE) && !coroutine_unpark(coroutine, found, seen)) {
            return EMP_POLL_PENDING;
        }
    }
    emp_coroutine_enter(coroutine);
    if (emp_unlikely(coroutine->state == EMP_COROUTINE_RETURNED)) {
        return EMP_POLL_READY;
    }
    if (emp_unlikely(coroutine->checks_low)) {
        emp_stack_check_word(coroutine->stacks, coroutine->size, coroutine->slot, coroutine->sp);
    }
    const bool yields = (coroutine->flags & EMP_COROUTINE_YIELDS) != 0;

    coroutine->flags &= (uint8_t)~EMP_COROUTINE_YIELDS;
    /* One that yields sleeps too: who looks at the stacks finds what of it is live. */
    emp_stack_word_sleep(coroutine->word, (uint64_t)(uintptr_t)coroutine);
    return yields ? EMP_POLL_YIELD : EMP_POLL_PENDING;
}

/* The task of the coroutine that calls; NULL: the caller is none. */
static struct emp_task *task_of_caller(void)
{
    struct emp_task *const task = emp_task_current();

    if (task == NULL ||
        (task->type != &emp_coroutine_type && task->type != &emp_coroutine_shared_type)) {
        return NULL;
    }
    return task;
}

bool emp_in_coroutine(void)
{
    return task_of_caller() != NULL;
}

/* To the runner, and back when somebody wakes. EMP_OK or EMP_ERR_CANCELLED. */
static EMP_ALWAYS_INLINE enum emp_status suspend(struct emp_task *task)
{
    struct emp_coroutine *const coroutine = task->body;

    if (EMP_ASAN || EMP_TSAN) {
        emp_fiber_leave(emp_coroutine_fiber(coroutine), false);
        emp_coroutine_switch(coroutine);
        emp_fiber_entered(emp_coroutine_fiber(coroutine));
    } else {
        emp_coroutine_switch(coroutine);
    }
    return emp_task_is_cancelled(task) ? EMP_ERR_CANCELLED : EMP_OK;
}

enum emp_status emp_coroutine_suspend(void)
{
    struct emp_task *const task = task_of_caller();

    if (task == NULL) {
        return EMP_ERR_STATE;
    }
    return emp_task_is_cancelled(task) ? EMP_ERR_CANCELLED : suspend(task);
}

enum emp_status emp_yield(void)
{
    struct emp_task *const task = task_of_caller();

    if (task == NULL) {
        return EMP_ERR_STATE;
    }
    struct emp_coroutine *const coroutine = task->body;

    coroutine->flags |= EMP_COROUTINE_YIELDS;
    return suspend(task);
}

enum emp_status emp_await(struct emp_future *future, void *value, size_t capacity, size_t *bytes)
{
    struct emp_task *const task = task_of_caller();

    if (task == NULL) {
        return EMP_ERR_STATE;
    }
    while (!emp_task_is_cancelled(task)) {
        const struct emp_waker waker = emp_task_waker(task);
        const enum emp_status status = emp_future_poll(future, &waker, value, capacity, bytes);

        if (status != EMP_ERR_AGAIN) {
            return status;
        }
        (void)suspend(task);
    }
    /* The future may live on: nothing of who waits no longer stays with it. */
    const struct emp_waker waker = emp_task_waker(task);

    (void)emp_future_forget(future, &waker);
    return EMP_ERR_CANCELLED;
}

enum emp_status emp_coroutine_pin(void)
{
    struct emp_task *const task = task_of_caller();

    if (task == NULL) {
        return EMP_ERR_STATE;
    }
    struct emp_coroutine *const coroutine = task->body;

    if ((coroutine->flags & EMP_COROUTINE_UNPINNABLE) != 0) {
        return EMP_ERR_UNSUPPORTED;
    }
    if (coroutine->pins == UINT16_MAX) {
        return EMP_ERR_LIMIT;
    }
    coroutine->pins++;
    return EMP_OK;
}

enum emp_status emp_coroutine_unpin(void)
{
    struct emp_task *const task = task_of_caller();
    struct emp_coroutine *const coroutine = task == NULL ? NULL : task->body;

    if (task == NULL || (coroutine->flags & EMP_COROUTINE_UNPINNABLE) != 0 ||
        coroutine->pins == 0) {
        return EMP_ERR_STATE;
    }
    coroutine->pins--;
    return EMP_OK;
}
