/*
 * Purpose: the references of a future: two counts in one word, of consumers and of producers. Who
 *          is the last of a side knows it before it leaves, so that it can end what the side had.
 * Owner:   sync. Roles: holders of either side, any thread.
 *
 *   31-20: producers | 19-0: consumers
 *
 *   n of a side --retain (a holder of it)--> n + 1          n > 1 --leave--> n - 1
 *   1 of a side --leave: "last of the side", ends it--> leave_last --> 0; the word 0: the end
 *
 * Invariants: I1 only a holder of a side adds to it, so who sees 1 and holds it is alone there, and
 *   stays so. I2 the last of a side ends it before its count falls; the last of all frees.
 * Linearisation: the swap or the subtraction.
 * Order table: future-refs: leaving releases what the holder did; the last of a side, and the last
 *   of all, acquires it.
 * Progress: retain and leave_last wait-free, leave lock-free. ABA: a count has no identity.
 * Does not promise: use without a reference; the end leaves 0, which a retain or leave too many
 *   finds as long as the object is not used again, and says so. 2^19 consumers and 2^11 producers
 *   are the most; more end the process.
 * Threads: any. Design: [sync.proto.future-refs]
 */
#ifndef EMP_SYNC_FUTURE_REFS_H
#define EMP_SYNC_FUTURE_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/compiler.h"
#include "sync/atomic.h"

/* One reference of a side: the lowest bit of its count. */
#define EMP_FUTURE_CONSUMER ((uint32_t)1)
#define EMP_FUTURE_PRODUCER ((uint32_t)1 << 20)

#define EMP_FUTURE_CONSUMERS (EMP_FUTURE_PRODUCER - 1)
#define EMP_FUTURE_PRODUCERS (~EMP_FUTURE_CONSUMERS)

/* What a holder is when it wants to leave. */
enum emp_future_leave {
    EMP_FUTURE_LEFT,         /* it has left */
    EMP_FUTURE_LAST_OF_SIDE, /* still there, alone on its side: ends the side, then leave_last */
    EMP_FUTURE_LAST_OF_ALL,  /* it has left, and nobody is there: ends everything */
    EMP_FUTURE_NOT_HELD      /* there is no such reference; nothing was done */
};

/* The bits of a side's count. */
static inline uint32_t emp_future_refs_mask(uint32_t side)
{
    return side == EMP_FUTURE_CONSUMER ? EMP_FUTURE_CONSUMERS : EMP_FUTURE_PRODUCERS;
}

/* One reference of each side; nobody else knows the future yet. */
static inline void emp_future_refs_start(uint32_t *refs)
{
    /* order(future-refs): relaxed; the future is handed over by other means */
    emp_store_relaxed(refs, EMP_FUTURE_CONSUMER + EMP_FUTURE_PRODUCER);
}

/*
 * Another reference of a side that the caller holds one of. Too many end the process. False: the
 * side has none, nothing was done.
 */
static inline bool emp_future_refs_retain(uint32_t *refs, uint32_t side)
{
    /* order(future-refs): relaxed; the caller's own reference keeps the future */
    uint32_t old = emp_fetch_add_relaxed(refs, side) & emp_future_refs_mask(side);

    if (emp_unlikely(old == 0)) {
        /* order(future-refs): relaxed; takes back what it added, and shows nothing */
        emp_fetch_sub_relaxed(refs, side);
        return false;
    }
    emp_check(old < (emp_future_refs_mask(side) >> 1) + 1);
    return true;
}

/* Gives a reference back unless the caller is the last of the side. */
static inline enum emp_future_leave emp_future_refs_leave(uint32_t *refs, uint32_t side)
{
    for (;;) {
        /* order(future-refs): acquire; what those who left did */
        uint32_t seen = emp_load_acquire(refs);
        uint32_t count = seen & emp_future_refs_mask(side);

        if (emp_unlikely(count == 0)) {
            return EMP_FUTURE_NOT_HELD;
        }
        if (seen == side) {
            /* order(future-refs): relaxed; nobody else holds it; a stale holder finds it dead */
            emp_store_relaxed(refs, 0);
            return EMP_FUTURE_LAST_OF_ALL;
        }
        if (count == side) {
            return EMP_FUTURE_LAST_OF_SIDE;
        }
        /* order(future-refs): release; what the caller did with the future */
        if (emp_cas_release(refs, &seen, seen - side)) {
            return EMP_FUTURE_LEFT;
        }
    }
}

/* The last of a side has ended it; true: nobody is left on either, the caller frees. */
static inline bool emp_future_refs_leave_last(uint32_t *refs, uint32_t side)
{
    /* order(future-refs): acq_rel; what this side did is shown, what the other did is seen */
    return emp_fetch_sub_acq_rel(refs, side) == side;
}

/* Whether the caller, who holds a reference of the side, is alone on it. */
static inline bool emp_future_refs_is_alone(const uint32_t *refs, uint32_t side)
{
    /* order(future-refs): acquire; what those who left did */
    return (emp_load_acquire(refs) & emp_future_refs_mask(side)) == side;
}

#endif
