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
 * Does not promise: that a clone made by who holds none counts; the end leaves 0, which a use or a
 *   release too many finds as long as the object is not used again, and says so. More than 2^31
 *   clones end the process.
 * Threads: any. Design: [sync.proto.waker-refs]
 */
#ifndef EMP_SYNC_WAKER_REFS_H
#define EMP_SYNC_WAKER_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/compiler.h"
#include "sync/atomic.h"

#define EMP_WAKER_CLONES_MAX 0x80000000u

/* What a holder was when it gave its clone back. */
enum emp_waker_leave {
    EMP_WAKER_LEFT,
    EMP_WAKER_LAST,    /* the caller ends the waker */
    EMP_WAKER_NOT_HELD /* there is no clone; nothing was done */
};

/* One clone; nobody else knows the waker yet. */
static inline void emp_waker_refs_start(uint32_t *refs, uint32_t *fired)
{
    /* order(waker-refs): relaxed; the waker is handed over by other means */
    emp_store_relaxed(refs, 1);
    /* order(waker-fired): relaxed; as above */
    emp_store_relaxed(fired, 0);
}

/* Whether there is no clone: who asks holds none. */
static inline bool emp_waker_refs_is_dead(const uint32_t *refs)
{
    /* order(waker-refs): relaxed; a holder finds its own clone counted */
    return emp_load_relaxed(refs) == 0;
}

/* Another clone, beside the caller's. False: there is none, nothing was done. */
static inline bool emp_waker_refs_retain(uint32_t *refs)
{
    /* order(waker-refs): relaxed; the caller's own clone keeps the waker */
    uint32_t old = emp_fetch_add_relaxed(refs, 1);

    if (emp_unlikely(old == 0)) {
        /* order(waker-refs): relaxed; takes back what it added, and shows nothing */
        emp_fetch_sub_relaxed(refs, 1);
        return false;
    }
    emp_check(old < EMP_WAKER_CLONES_MAX);
    return true;
}

/* Gives a clone back. */
static inline enum emp_waker_leave emp_waker_refs_release(uint32_t *refs)
{
    /* order(waker-refs): acquire; 1: what those who left did; nobody else can add */
    uint32_t old = emp_load_acquire(refs);

    if (old == 1) {
        /* order(waker-refs): relaxed; nobody else holds it; a stale holder finds it dead */
        emp_store_relaxed(refs, 0);
        return EMP_WAKER_LAST;
    }
    if (emp_unlikely(old == 0)) {
        return EMP_WAKER_NOT_HELD;
    }
    /* order(waker-refs): acq_rel; what this holder did is shown, what the others did is seen */
    old = emp_fetch_sub_acq_rel(refs, 1);
    emp_check(old != 0);
    return old == 1 ? EMP_WAKER_LAST : EMP_WAKER_LEFT;
}

/* True for the first. */
static inline bool emp_waker_refs_fire(uint32_t *fired)
{
    /* order(waker-fired): relaxed; decides who is first, shows nothing */
    return emp_exchange_relaxed(fired, 1) == 0;
}

#endif
