/*
 * Purpose: to the stack of a coroutine and back, with the notes that the tools want.
 * Owner:   async. Threads: the runner, and the coroutine; inline, as thread/fiber.h asks.
 * Design:  [async.proto.coroutine] [thread.req.fiber]
 */
#ifndef EMP_ASYNC_COROUTINE_SWITCH_H
#define EMP_ASYNC_COROUTINE_SWITCH_H

#include "async/coroutine_core.h"
#include "base/check.h"
#include "base/compiler.h"
#include "base/config.h"
#include "thread/fault.h"
#include "thread/fiber.h"
#include "thread/switch.h"

/* Which of the two switches: the tools and the debug builds want frames that they can follow. */
static EMP_ALWAYS_INLINE void emp_coroutine_switch(struct emp_coroutine *coroutine)
{
    if (EMP_DEBUG || EMP_ASAN || EMP_TSAN) {
        emp_switch_call(&coroutine->sp);
    } else {
        emp_switch(&coroutine->sp);
    }
}

static inline struct emp_fiber *emp_coroutine_fiber(const struct emp_coroutine *coroutine)
{
    return emp_stack_fiber(coroutine->stacks, coroutine->size, coroutine->slot);
}

/* The runner's side of a run: to the stack, and back. */
static EMP_ALWAYS_INLINE void emp_coroutine_enter(struct emp_coroutine *coroutine)
{
    const uint64_t before = EMP_DEBUG ? emp_switch_float_control() : 0;

    emp_fault_prepare_thread();
    if (EMP_ASAN || EMP_TSAN) {
        struct emp_fiber *const fiber = emp_coroutine_fiber(coroutine);

        emp_fiber_enter(fiber);
        emp_coroutine_switch(coroutine);
        emp_fiber_left(fiber);
    } else {
        emp_coroutine_switch(coroutine);
    }
    /* Who changes rounding or masks changes them back before it waits: a switch keeps neither. */
    emp_assert(before == emp_switch_float_control());
}

#endif
