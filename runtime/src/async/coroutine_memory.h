/*
 * What it is for: the memory of coroutines: when a sleeping stack is parked, how much free ones may
 *   hold, what they hold now, and where a collector finds what lies on them.
 * When not to use it: the defaults serve most programs; an executor calls emp_coroutine_tick.
 * Life cycle: with the emp_async_pool.
 * Threads: as said at each call.
 * Errors: enum emp_status.
 */
#ifndef EMP_ASYNC_COROUTINE_MEMORY_H
#define EMP_ASYNC_COROUTINE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/export.h"
#include "base/status_code.h"

struct emp_async_pool;

/*
 * When stacks give their pages back. Parking copies the live part of a stack to a block of that
 * size and gives its pages back; the resume copies it to the same address.
 */
struct emp_coroutine_policy {
    uint64_t idle_ns;         /* asleep about so long: parked; 0: never; default 1 s */
    uint32_t park_bytes_max;  /* larger live parts stay where they are; default 2048 */
    uint32_t parks_per_tick;  /* stacks that one tick looks after; default 2048 */
    size_t resident_max;      /* pages of sleeping and free stacks; default 1 GiB */
    size_t free_resident_max; /* pages of free stacks alone; default 64 MiB */
    /* stacks of 256 KiB for shared coroutines, up to 4096; 0: they get their own; default 64 */
    uint32_t run_slots;
};

/* A snapshot. Counts of stacks unless said otherwise. */
struct emp_coroutine_stats {
    uint64_t slots_used;      /* addresses in use or used before */
    uint64_t parked;          /* of them parked now */
    uint64_t free_warm;       /* free, with pages; those near processors included */
    uint64_t free_cold;       /* free, without pages */
    uint64_t parks;           /* total */
    uint64_t unparks;         /* total */
    uint64_t park_refusals;   /* parks for which memory was missing, total */
    uint64_t reserved_bytes;  /* address space */
    uint64_t run_slots;       /* of slots_used those that shared coroutines run on */
    uint64_t shared_saved;    /* shared coroutines whose live part is off its run slot now */
    uint64_t shared_saves;    /* live parts that made way for another, total */
    uint64_t shared_waits;    /* runs put off because the slot was taken, or for memory, total */
    uint64_t shared_refusals; /* of them for memory, total */
};

/* A range that a collector scans. */
struct emp_stack_range {
    const void *low;
    const void *limit;
    const void *home; /* where low stands while the coroutine runs: differs when it is parked */
    bool is_running;  /* the whole stack: what of it is live, its thread knows */
};

EMP_EXTERN_C_BEGIN

/**
 * Parks what has slept long and gives pages of free stacks back. Executors call it now and then,
 * also when they have nothing else to do.
 * @param pool the pool. @param now_ns CLOCK_MONOTONIC.
 * @returns true when there is more to do at once. Errors: none. Threads: any; of several at the
 * same time one works. Cost: a load of eight bytes per stack ever used and sweep; per parked stack
 * a copy and a share of a system call. Since: 0.2. Source: row E6.
 */
EMP_API bool emp_coroutine_tick(struct emp_async_pool *pool, uint64_t now_ns);

/**
 * Sets when stacks give pages back.
 * @param pool the pool. @param policy copied. @returns EMP_OK or EMP_ERR_INVALID.
 * Errors: as returned. Threads: one, before the first coroutine. Cost: O(1). Since: 0.2.
 * Source: row E6.
 */
EMP_API enum emp_status emp_coroutine_set_policy(struct emp_async_pool *pool,
                                                 const struct emp_coroutine_policy *policy);

/**
 * The policy in force. @param pool the pool. @returns it. Errors: none. Threads: any. Cost: O(1).
 * Since: 0.2. Source: row E6.
 */
EMP_API struct emp_coroutine_policy emp_coroutine_get_policy(const struct emp_async_pool *pool);

/**
 * A snapshot. @param pool the pool. @param out receives it. @returns EMP_OK or EMP_ERR_INVALID.
 * Errors: as returned. Threads: any. Cost: O(processors). Since: 0.2. Source: rows E6, F1.
 */
EMP_API enum emp_status emp_coroutine_get_stats(struct emp_async_pool *pool,
                                                struct emp_coroutine_stats *out);

/**
 * Calls visit for the live part of every stack, parked, saved or not, for a collector that looks
 * for roots.
 * @param pool the pool. @param visit called with the range held still; must not resume, spawn,
 * tick or walk. @param arg handed to visit. Errors: none. Threads: one; waits for a tick that goes
 * on. Coroutines that are resumed meanwhile may be missed, so a collector stops the runners first.
 * Cost: O(stacks ever used).
 * Since: 0.2.
 * Source: row E6.
 */
EMP_API void emp_stack_each(struct emp_async_pool *pool,
                            void (*visit)(const struct emp_stack_range *range, void *arg),
                            void *arg);

EMP_EXTERN_C_END

#endif
