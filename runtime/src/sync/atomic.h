/*
 * Purpose: the one layer through which every atomic access goes; the order is part of the name.
 * Owner:   sync; no state. The model checker replaces this header, so nothing else may touch
 *          atomics.
 * Threads: any.
 * Design:  [sync.req.one-layer]
 * Source:  C11 7.17, GCC "Built-in Functions for Memory Model Aware Atomic Operations".
 */
#ifndef EMP_SYNC_ATOMIC_H
#define EMP_SYNC_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define emp_load_relaxed(p)         __atomic_load_n((p), __ATOMIC_RELAXED)
#define emp_load_acquire(p)         __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define emp_store_relaxed(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define emp_store_release(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define emp_exchange_relaxed(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define emp_exchange_acquire(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define emp_exchange_release(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define emp_exchange_acq_rel(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define emp_fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define emp_fetch_sub_relaxed(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define emp_fetch_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define emp_fetch_sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define emp_fetch_or_relaxed(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define emp_fetch_or_release(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_RELEASE)
#define emp_fetch_or_acq_rel(p, v)  __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define emp_fetch_and_acq_rel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)

/* Compare-and-swap, strong; *e receives the value found. Failure order is relaxed unless named. */
#define emp_cas_relaxed(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define emp_cas_acquire(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define emp_cas_release(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define emp_cas_acq_rel(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
/* As emp_cas_acq_rel, for loops that use the value found only to try again. */
#define emp_cas_acq_rel_relaxed(p, e, v) \
    __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)

#define emp_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define emp_fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/*
 * The cheap half of a pair whose dear half is emp_fence_heavy (thread/heavy_fence.h): against that
 * one it orders as a seq_cst fence does, against anything else not at all. No instruction.
 */
#define emp_fence_light() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
