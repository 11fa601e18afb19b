/*
 * Purpose: coroutines that run on a shared stack: a task type of its own, so that the others pay
 *          nothing for it.
 * Owner:   async. Threads: the runner.
 * Design:  [async.proto.run-slots]
 * Cost:    a resume whose home holds it is a compare-and-swap and two switches; see run_slots.c.
 */
#include "async/coroutine.h"
#include "async/coroutine_core.h"
#include "async/coroutine_switch.h"
#include "async/run_slots.h"
#include "base/check.h"
#include "sync/run_slot.h"

/* The first run: any slot that can be had is the home from now on. False: not now. */
static EMP_NOINLINE bool shared_start(struct emp_coroutine *coroutine)
{
    const struct emp_run_slot *const slot = emp_run_slots_take(coroutine);

    if (slot == NULL) {
        return false;
    }
    emp_coroutine_begin(coroutine, slot->slot);
    coroutine->home = slot->index;
    return true;
}

static enum emp_poll shared_poll(struct emp_task *task, void *body)
{
    struct emp_coroutine *const coroutine = body;
    const bool is_on_stack = emp_likely(coroutine->state == EMP_COROUTINE_STARTED)
                                 ? emp_run_slots_enter(coroutine)
                                 : shared_start(coroutine);

    (void)task;
    if (emp_unlikely(!is_on_stack)) {
        return EMP_POLL_YIELD; /* behind the others, whoever has the slot among them */
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
    emp_run_slot_put(&emp_run_slots_home(coroutine)->word, (uint64_t)(uintptr_t)coroutine);
    return yields ? EMP_POLL_YIELD : EMP_POLL_PENDING;
}

static void shared_drop(void *body)
{
    struct emp_coroutine *const coroutine = body;

    if (coroutine->state == EMP_COROUTINE_UNSTARTED) {
        emp_coroutine_drop_unstarted(coroutine);
        return;
    }
    /* As all coroutines it ends by itself, so nothing of it is on the stack or saved. */
    emp_check(coroutine->state == EMP_COROUTINE_RETURNED);
    emp_run_slot_put(&emp_run_slots_home(coroutine)->word, 0);
}

const struct emp_task_type emp_coroutine_shared_type = {
    .name = "coroutine",
    .body_bytes = sizeof(struct emp_coroutine),
    .body_align = 64,
    .poll = shared_poll,
    .drop = shared_drop,
};
