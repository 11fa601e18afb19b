/*
 * Purpose: see left_over.h.
 * Owner:   async. Threads: one. Design: [core.proto.async-pool]
 */
#include "async/left_over.h"

#include "async/coroutine_core.h"
#include "async/future_object.h"
#include "async/task_core.h"
#include "sync/future_word.h"

static void chain_push(void **chain, void *block)
{
    if (block != NULL) {
        *(void **)block = *chain;
        *chain = block;
    }
}

/* A task that has ended holds nothing, whoever has its handle. */
static void gather_task(const struct emp_task *task, void **chain)
{
    const bool is_shared = task->type == &emp_coroutine_shared_type;

    if (emp_task_is_complete(task) || (task->type != &emp_coroutine_type && !is_shared)) {
        return;
    }
    const struct emp_coroutine *const coroutine = task->body;

    if (coroutine->state == EMP_COROUTINE_UNSTARTED) {
        chain_push(chain, coroutine->args_block);
    } else if (coroutine->state == EMP_COROUTINE_STARTED && !is_shared) {
        chain_push(chain, coroutine->saved); /* those of run slots end with the slots */
    }
}

static void gather_future(struct emp_future *future, void **chain)
{
    if ((emp_future_word_look(&future->word) & EMP_FUTURE_CLAIMED) != 0 &&
        future->length == EMP_FUTURE_BOXED) {
        chain_push(chain, future->value.boxed.box);
    }
}

void emp_left_over_gather(enum emp_object_kind kind, const void *object, void **chain)
{
    switch (kind) {
    case EMP_OBJECT_HEADER:
        chain_push(chain, ((const struct emp_task *)object)->body); /* NULL once it has ended */
        break;
    case EMP_OBJECT_TASK:
        gather_task(object, chain);
        break;
    case EMP_OBJECT_FUTURE:
        gather_future((struct emp_future *)(uintptr_t)object, chain);
        break;
    case EMP_OBJECT_CHANNEL:
        chain_push(chain, emp_left_over_of_channel(object));
        break;
    default:
        break;
    }
}

void emp_left_over_give(void *chain)
{
    while (chain != NULL) {
        void *const block = chain;

        chain = *(void **)block;
        emp_object_hooks.memory_give(block);
    }
}
