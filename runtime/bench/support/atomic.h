/*
 * Purpose: the atomic accesses of the bench; the order is part of the name. The bench sees the
 *          public headers only, so it has its own five.
 * Owner:   bench/support; no state; any thread.
 */
#ifndef BENCH_SUPPORT_ATOMIC_H
#define BENCH_SUPPORT_ATOMIC_H

#define bench_load_relaxed(p)         __atomic_load_n((p), __ATOMIC_RELAXED)
#define bench_load_acquire(p)         __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define bench_store_relaxed(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define bench_store_release(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define bench_exchange_acq_rel(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define bench_fetch_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)

#endif
