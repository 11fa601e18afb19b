/*
 * Purpose: when maintenance runs: from emp_tick, and from a thread of our own that exists only
 *          while there is memory to give back.
 * Owner:   core; not installed. Design: [core.proto.maintenance]
 */
#ifndef EMP_CORE_MAINTENANCE_H
#define EMP_CORE_MAINTENANCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "span/arena.h"
#include "sync/atomic.h"

/*
 * Who asked for the free in progress, by an address of his code. The thread is not started for the
 * C library itself: it frees with locks held that starting a thread needs.
 */
#define EMP_CALLER_PROGRAM ((uintptr_t)0) /* a call of ours that the C library does not know */
#define EMP_CALLER_NOBODY  ((uintptr_t)1) /* the thread is not started, whoever asks */

#define EMP_THREAD_MIN_BYTES ((size_t)8 << 20) /* smaller heaps are not worth a thread */

extern EMP_TLS uintptr_t emp_maintenance_caller;

/*
 * Declares [first, limit) code of the C library or its loader; before threads start, a few times.
 * As long as there is none, every caller known by address counts as the C library.
 */
void emp_maintenance_add_libc(uintptr_t first, uintptr_t limit);

/* atomic: maintenance-wanted. 1: the thread may be started and is not running */
extern uint32_t emp_maintenance_wanted;

/* Starts the thread if there is enough memory to be worth one; no lock held, errno is kept. */
void emp_maintenance_start(void);

/* The same on the free side, where it is mostly running or not worth it. */
static inline void emp_maintenance_offer(void)
{
    /* order(maintenance-wanted): relaxed; starting decides again */
    if (emp_load_relaxed(&emp_maintenance_wanted) != 0) {
        emp_maintenance_start();
    }
}

/* The same for a free of a caller known by an address of his code, or EMP_CALLER_*. */
static inline void emp_maintenance_offer_for(uintptr_t caller)
{
    /* order(maintenance-wanted): relaxed; starting decides again */
    if (emp_load_relaxed(&emp_maintenance_wanted) != 0 &&
        emp_arena_mapped() >= EMP_THREAD_MIN_BYTES) {
        emp_maintenance_caller = caller;
        emp_maintenance_start();
    }
}

/* The same for coroutine stacks, which the round parks; called by the program, no lock held. */
void emp_maintenance_offer_for_stacks(void);

/* Registers the free hook; after the thread room is ready. */
void emp_maintenance_init(void);

/* Waits for the round in progress and keeps the next one away; a class may be ended in between. */
void emp_maintenance_pause(void);
void emp_maintenance_resume(void);

/* Fork. */
void emp_maintenance_fork_prepare(void);
void emp_maintenance_fork_parent(void);
void emp_maintenance_fork_child(void);

#endif
