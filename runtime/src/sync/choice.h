/*
 * Purpose: one winner among several that may serve the same waiter: the word of a select.
 * Owner:   sync. Roles: those who serve claim, each under the lock of its channel; the waiter
 *          opens, claims for itself, looks.
 *
 *   open 0 --claim (who serves case i, or the waiter itself)--> 1 + i --open (waiter)--> open 0
 *
 * Invariants: I1 between two opens one claim succeeds. I2 who claimed case i holds the lock of its
 *   channel until the node of that case tells what was done: a waiter that sees 1 + i takes the
 *   lock and then reads the node.
 * Linearisation: the compare-and-swap.
 * Order table: choice: relaxed; the word arbitrates, the lock publishes.
 * Progress: wait-free. ABA: the waiter opens only while none of its nodes is linked.
 * Does not promise: which of several wins. Threads: any. Design: [sync.proto.choice]
 */
#ifndef EMP_SYNC_CHOICE_H
#define EMP_SYNC_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

/* True: the caller serves case `index`, nobody else does anything. */
static inline bool emp_choice_claim(uint32_t *word, uint32_t index)
{
    uint32_t expected = 0;

    /* order(choice): relaxed; the lock of the channel publishes what the winner does */
    return emp_cas_relaxed(word, &expected, index + 1);
}

/* 0: nobody yet; else 1 + the index of the case that won. */
static inline uint32_t emp_choice_look(const uint32_t *word)
{
    /* order(choice): relaxed; the waiter takes the lock of the winner's channel next */
    return emp_load_relaxed(word);
}

/* The waiter, with no node linked: a new round. */
static inline void emp_choice_open(uint32_t *word)
{
    /* order(choice): relaxed; the nodes are linked under locks afterwards */
    emp_store_relaxed(word, 0u);
}

#endif
