/*
 * Purpose: the clones of a waker: a count, and a flag for those that call back once.
 * Owner:   sync. Roles: holders of a clone, any thread.
 *
 *   n --retain (a holder)--> n + 1      n --release (a holder)--> n - 1      0: the end
 *   not fired --fire (the first)--> fired
 *
 * Invariants: I1 the one whose release gives 0 ends the object, after everything that others did
 *   with it. I2 one fire succeeds.
 * Linearisation: each one read-modify-write.
 * Order table: waker-refs: release shows what the holder did, and sees what the others did. A
 *   single holder is found by a load: nobody else could add. waker-fired: decides who is first,
 *   and shows nothing.
 * Progress: wait-free. ABA: a count has no identity.
 * Does not promise: that a clone made by who holds none counts; the end leaves 0, which a release
 *   too many finds as long as the object is not used again, and then the process ends. More than
 *   2^31 clones end the process.
 * Threads: any. Design: [sync.proto.waker-refs]
 */
#ifndef EMP_SYNC_WAKER_REFS_H
#define EMP_SYNC_WAKER_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "sync/atomic.h"

#define EMP_WAKER_CLONES_MAX 0x80000000u

/* One clone; nobody else knows the waker yet. */
static inline void emp_waker_refs_start(uint32_t *refs, uint32_t *fired)
{
    /* order(waker-refs): relaxed; the waker is handed over by other means */
    emp_store_relaxed(refs, 1);
    /* order(waker-fired): relaxed; as above */
    emp_store_relaxed(fired, 0);
}

/* Another clone, beside the caller's. */
static inline void emp_waker_refs_retain(uint32_t *refs)
{
    /* order(waker-refs): relaxed; the caller's own clone keeps the waker */
    uint32_t old = emp_fetch_add_relaxed(refs, 1);

    emp_check(old != 0 && old < EMP_WAKER_CLONES_MAX);
}

/* Gives a clone back; true: it was the last, the caller ends the waker. */
static inline bool emp_waker_refs_release(uint32_t *refs)
{
    /* order(waker-refs): acquire; 1: what those who left did; nobody else can add */
    if (emp_load_acquire(refs) == 1) {
        /* order(waker-refs): relaxed; nobody else holds it; a stale holder finds it dead */
        emp_store_relaxed(refs, 0);
        return true;
    }
    /* order(waker-refs): acq_rel; what this holder did is shown, what the others did is seen */
    uint32_t old = emp_fetch_sub_acq_rel(refs, 1);

    emp_check(old != 0);
    return old == 1;
}

/* True for the first. */
static inline bool emp_waker_refs_fire(uint32_t *fired)
{
    /* order(waker-fired): relaxed; decides who is first, shows nothing */
    return emp_exchange_relaxed(fired, 1) == 0;
}

#endif
