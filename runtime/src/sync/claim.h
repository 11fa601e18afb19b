/*
 * Purpose: a slot that one thread at a time may claim and another may give back: a try-lock whose
 *          holder passes what it wrote on to the next one.
 * Owner:   sync. Roles: claimers (any thread; exactly one succeeds), one holder, who gives it back;
 *          the holder may be another thread that was handed the slot.
 *
 *   free --emp_claim_take (any thread)--> taken --emp_claim_give_back (holder)--> free
 *
 * Invariants: I1 at most one holder. I2 a holder sees everything that earlier holders wrote.
 * Linearisation: the successful compare-and-swap; the store.
 * Order table: claim: give-back releases what the holder read and wrote, take acquires it.
 * Progress: wait-free; a claim that fails tells that the slot is taken, nobody waits.
 * Does not promise: fairness; memory of who held it.
 * Threads: any. Design: [sync.proto.claim]
 */
#ifndef EMP_SYNC_CLAIM_H
#define EMP_SYNC_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

/* Claims the slot; false when it is taken. */
static inline bool emp_claim_take(uint32_t *taken)
{
    uint32_t expected = 0;

    /* order(claim): acquire; the last holder has finished reading and writing */
    return emp_cas_acquire(taken, &expected, 1u);
}

/* Gives the slot back; the caller holds it, or was handed it. */
static inline void emp_claim_give_back(uint32_t *taken)
{
    /* order(claim): release; the holder's accesses are over before the next one's begin */
    emp_store_release(taken, 0u);
}

/* In a forked child: the slot is free whoever held it. */
static inline void emp_claim_reset_in_child(uint32_t *taken)
{
    /* order(claim): relaxed; the child has one thread */
    emp_store_relaxed(taken, 0u);
}

#endif
