/*
 * Purpose: coroutines as tasks: how one is made, gets its stack at the first run, and gives it
 *          back.
 * Owner:   async. Threads: spawn by any; the rest by the runner.
 * Design:  [async.proto.coroutine]
 * Cost:    a spawn is one task; a start takes a stack and writes some 100 bytes to it.
 */
#include "async/coroutine.h"

#include <string.h>

#include "async/coroutine_core.h"
#include "async/object.h"
#include "async/run_slots.h"
#include "async/stack_site.h"
#include "base/check.h"
#include "base/compiler.h"
#include "thread/switch.h"

/* Arguments that have a block of their own. */
struct emp_coroutine_args_block {
    void (*abandon)(void *args);
    uint64_t rest; /* keeps the arguments 16-aligned */
    unsigned char args[];
};

void emp_coroutine_begin(struct emp_coroutine *coroutine, uint32_t slot)
{
    unsigned char args[EMP_COROUTINE_INLINE_ARGS];
    const void *from = args;

    if (coroutine->args_block != NULL) {
        from = coroutine->args_block->args;
    } else {
        memcpy(args, coroutine->args, sizeof(args));
    }
    coroutine->slot = slot;
    coroutine->word = NULL;
    coroutine->checks_low = emp_stack_map_is_weak(&coroutine->stacks->sizes[coroutine->size].map);
    if (emp_unlikely(coroutine->checks_low)) {
        emp_stack_clear_word(coroutine->stacks, coroutine->size, slot);
    }
    coroutine->saved = NULL;
    coroutine->saved_bytes = 0;
    if ((coroutine->flags & EMP_COROUTINE_MEASURED) != 0) {
        emp_stack_site_prepare(coroutine->stacks, coroutine->size, slot);
    }
    char *const begin = emp_coroutine_args(coroutine);

    if (coroutine->args_bytes != 0) {
        memcpy(begin, from, coroutine->args_bytes);
    }
    if (coroutine->args_block != NULL) {
        emp_object_hooks.memory_give(coroutine->args_block);
        coroutine->args_block = NULL;
    }
    coroutine->sp = emp_switch_prepare(begin, emp_coroutine_main, coroutine);
    coroutine->state = EMP_COROUTINE_STARTED;
}

/* Gives it a stack of its own with its first frame. False: there is no stack. */
bool emp_coroutine_start(struct emp_coroutine *coroutine)
{
    uint32_t slot = 0;

    if (emp_stack_is_pressed(coroutine->stacks)) {
        emp_stack_press(coroutine->stacks);
    }
    if (!emp_stack_take(coroutine->stacks, coroutine->size, &slot)) {
        return false;
    }
    emp_coroutine_begin(coroutine, slot);
    coroutine->word = emp_stack_word(coroutine->stacks, coroutine->size, slot);
    emp_stack_word_begin(coroutine->word, (uint64_t)(uintptr_t)coroutine);
    return true;
}

void emp_coroutine_abandon(struct emp_coroutine *coroutine)
{
    struct emp_coroutine_args_block *const block = coroutine->args_block;

    if (block != NULL && block->abandon != NULL) {
        block->abandon(block->args);
    }
}

/* Gives the stack of one that is over back. */
static EMP_NOINLINE void coroutine_end_stack(struct emp_coroutine *coroutine)
{
    const struct emp_task *const task = (const struct emp_task *)(const void *)coroutine - 1;

    if ((coroutine->flags & EMP_COROUTINE_MEASURED) != 0) {
        emp_stack_site_measure(coroutine->stacks, coroutine->size, coroutine->slot, task->site);
    }
    emp_stack_give(coroutine->stacks, coroutine->size, coroutine->slot);
}

void emp_coroutine_drop_unstarted(struct emp_coroutine *coroutine)
{
    if (coroutine->args_block != NULL) {
        emp_object_hooks.memory_give(coroutine->args_block);
    }
}

static void coroutine_drop(void *body)
{
    struct emp_coroutine *const coroutine = body;

    if (coroutine->state == EMP_COROUTINE_UNSTARTED) {
        emp_coroutine_drop_unstarted(coroutine);
        return;
    }
    /* A stack that sleeps is never dropped: the task tells it to end, and runs it until it does. */
    emp_check(coroutine->state == EMP_COROUTINE_RETURNED);
    coroutine_end_stack(coroutine);
}

const struct emp_task_type emp_coroutine_type = {
    .name = "coroutine",
    .body_bytes = sizeof(struct emp_coroutine),
    .body_align = 64,
    .poll = emp_coroutine_poll,
    .drop = coroutine_drop,
};

/* Bytes of stack that a spawn asks for, arguments included; 0: as its site needed. */
static size_t stack_wanted(const struct emp_coroutine_spawn *spawn)
{
    return spawn->stack_bytes == 0
               ? 0
               : spawn->stack_bytes + emp_align_up(spawn->args_bytes, 16) + EMP_STACK_OVERHEAD;
}

/* The first content of the control block; false: no memory for the arguments. */
static bool coroutine_fill(struct emp_coroutine *coroutine, const struct emp_coroutine_spawn *spawn)
{
    *coroutine = (struct emp_coroutine){
        .stacks = spawn->pool->stacks,
        .entry = spawn->entry,
        .args_bytes = (uint16_t)spawn->args_bytes,
        .pins = (spawn->flags & EMP_COROUTINE_PINNED) != 0,
        .size = (uint8_t)((spawn->flags & EMP_COROUTINE_SHARED) != 0
                              ? EMP_RUN_SLOT_SIZE
                              : emp_stack_site_size(spawn->site, stack_wanted(spawn))),
        .flags = (spawn->flags & EMP_COROUTINE_SHARED) != 0 ? EMP_COROUTINE_UNPINNABLE : 0,
    };
    if (spawn->args_bytes > EMP_COROUTINE_INLINE_ARGS || spawn->abandon != NULL) {
        struct emp_coroutine_args_block *block =
            emp_object_hooks.memory_take(sizeof(*block) + spawn->args_bytes);

        if (block == NULL) {
            return false;
        }
        block->abandon = spawn->abandon;
        if (spawn->args_bytes != 0) {
            memcpy(block->args, spawn->args, spawn->args_bytes);
        }
        coroutine->args_block = block;
    } else if (spawn->args_bytes != 0) {
        memcpy(coroutine->args, spawn->args, spawn->args_bytes);
    }
    return true;
}

/* What is wrong with a spawn; EMP_OK: nothing. */
static enum emp_status spawn_check(const struct emp_coroutine_spawn *spawn)
{
    const bool is_shared = (spawn->flags & EMP_COROUTINE_SHARED) != 0;
    const size_t bytes_max = is_shared ? EMP_RUN_SLOT_BYTES_MAX : EMP_STACK_BYTES_MAX;

    if (spawn->pool == NULL || spawn->scheduler == NULL || spawn->entry == NULL ||
        (spawn->args == NULL && spawn->args_bytes != 0) ||
        (spawn->flags & ~(uint32_t)(EMP_COROUTINE_PINNED | EMP_COROUTINE_SHARED)) != 0) {
        return EMP_ERR_INVALID;
    }
    if (spawn->args_bytes > EMP_COROUTINE_ARGS_MAX || spawn->stack_bytes > bytes_max ||
        stack_wanted(spawn) > bytes_max + EMP_STACK_OVERHEAD) {
        return EMP_ERR_TOO_BIG;
    }
    if (spawn->pool->stacks == NULL || (is_shared && (spawn->flags & EMP_COROUTINE_PINNED) != 0)) {
        return EMP_ERR_UNSUPPORTED;
    }
    return EMP_OK;
}

/* Whether it runs on a slot that others use too: asked for, and the tools can follow. */
static bool spawn_is_shared(const struct emp_coroutine_spawn *spawn)
{
    return (spawn->flags & EMP_COROUTINE_SHARED) != 0 && !emp_fiber_watched &&
           spawn->pool->stacks->policy.run_slots != 0;
}

enum emp_status emp_coroutine_spawn(const struct emp_coroutine_spawn *spawn,
                                    struct emp_future **join, struct emp_task **task)
{
    struct emp_coroutine first;
    enum emp_status status = spawn_check(spawn);

    if (status != EMP_OK) {
        return status;
    }
    const bool is_shared = spawn_is_shared(spawn);

    if (emp_unlikely(is_shared) && emp_run_slots_open(spawn->pool->stacks) == NULL) {
        return EMP_ERR_NOMEM;
    }
    if (!coroutine_fill(&first, spawn)) {
        return EMP_ERR_NOMEM;
    }
    const struct emp_spawn how = {
        .pool = spawn->pool,
        .scheduler = spawn->scheduler,
        .type = is_shared ? &emp_coroutine_shared_type : &emp_coroutine_type,
        .args = &first,
        .args_bytes = sizeof(first),
        .site = spawn->site,
    };
    struct emp_task *made = NULL;

    status = emp_task_make(&how, EMP_TASK_STACKFUL, join, task, &made);
    if (status != EMP_OK) {
        if (first.args_block != NULL) {
            emp_object_hooks.memory_give(first.args_block);
        }
        return status;
    }
    struct emp_coroutine *const coroutine = made->body;

    if (!is_shared && emp_stack_site_is_sampled(made->site)) {
        coroutine->flags |= EMP_COROUTINE_MEASURED;
    }
    made->scheduler->submit(made->scheduler, made, EMP_SUBMIT_SPAWN);
    return EMP_OK;
}
