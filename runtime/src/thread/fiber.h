/*
 * Purpose: tells AddressSanitizer, ThreadSanitizer and valgrind about stacks and the switches
 *          between them; nothing in other builds and runs.
 * Owner:   thread. A note lies in memory of the stack's owner, zeroed before emp_fiber_make, and is
 *          used again by the next coroutine on that stack: the tools keep their part until unmake.
 *
 *   runner: emp_fiber_enter, switch ... emp_fiber_left      stack: emp_fiber_entered ... leave,
 *   switch
 *
 * Threads: whoever runs or makes the stack. All four of a switch are inline: ThreadSanitizer counts
 *          calls per stack, and none may begin on one and end on another.
 * Design:  [thread.req.fiber]
 * Source:  sanitizer/common_interface_defs.h, sanitizer/tsan_interface.h; valgrind manual 3.1.
 */
#ifndef EMP_THREAD_FIBER_H
#define EMP_THREAD_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

#if EMP_ASAN
#include <sanitizer/common_interface_defs.h>
#define EMP_FIBER_ASAN_START(fake, low, bytes)  __sanitizer_start_switch_fiber(fake, low, bytes)
#define EMP_FIBER_ASAN_FINISH(fake, low, bytes) __sanitizer_finish_switch_fiber(fake, low, bytes)
#else
#define EMP_FIBER_ASAN_START(fake, low, bytes)  ((void)(fake))
#define EMP_FIBER_ASAN_FINISH(fake, low, bytes) ((void)(fake))
#endif

#if EMP_TSAN
#include <sanitizer/tsan_interface.h>
#define EMP_FIBER_TSAN_CURRENT()     __tsan_get_current_fiber()
#define EMP_FIBER_TSAN_SWITCH(fiber) __tsan_switch_to_fiber(fiber, 0)
#else
#define EMP_FIBER_TSAN_CURRENT()     NULL
#define EMP_FIBER_TSAN_SWITCH(fiber) ((void)(fiber))
#endif

/* What the tools want kept with a stack. */
struct emp_fiber {
    void *own;         /* ThreadSanitizer's handle */
    void *runner;      /* and that of who runs it now */
    void *own_fake;    /* AddressSanitizer's second stack, while this one sleeps */
    void *runner_fake; /* and that of the runner */
    const void *low;
    size_t bytes;
    const void *runner_low; /* bounds of the runner's stack */
    size_t runner_bytes;
};

/* True in a run that needs the notes. Const after emp_fiber_init. */
extern bool emp_fiber_watched;

/* Finds out whether this run is watched. */
void emp_fiber_init(void);

/* Tells of a stack, once. */
void emp_fiber_make(struct emp_fiber *fiber, void *low, size_t bytes);

/* Tells that the stack is gone. */
void emp_fiber_unmake(struct emp_fiber *fiber);

/* Tells that nothing of an earlier use of the stack counts. */
void emp_fiber_renew(struct emp_fiber *fiber);

/* Runner: the switch to the stack follows. */
static EMP_ALWAYS_INLINE void emp_fiber_enter(struct emp_fiber *fiber)
{
    if (EMP_ASAN || EMP_TSAN) {
        fiber->runner = EMP_FIBER_TSAN_CURRENT();
        EMP_FIBER_ASAN_START(&fiber->runner_fake, fiber->low, fiber->bytes);
        EMP_FIBER_TSAN_SWITCH(fiber->own);
    }
}

/* Stack: a switch to it has just happened. */
static EMP_ALWAYS_INLINE void emp_fiber_entered(struct emp_fiber *fiber)
{
    if (EMP_ASAN) {
        EMP_FIBER_ASAN_FINISH(fiber->own_fake, &fiber->runner_low, &fiber->runner_bytes);
    }
}

/* Stack: the switch to the runner follows, for the last time or not. */
static EMP_ALWAYS_INLINE void emp_fiber_leave(struct emp_fiber *fiber, bool is_last)
{
    if (EMP_ASAN || EMP_TSAN) {
        void **const kept = is_last ? NULL : &fiber->own_fake;

        EMP_FIBER_ASAN_START(kept, fiber->runner_low, fiber->runner_bytes);
        EMP_FIBER_TSAN_SWITCH(fiber->runner);
    }
}

/* Runner: the switch back has just happened. */
static EMP_ALWAYS_INLINE void emp_fiber_left(struct emp_fiber *fiber)
{
    if (EMP_ASAN) {
        EMP_FIBER_ASAN_FINISH(fiber->runner_fake, NULL, NULL);
    }
}

#endif
