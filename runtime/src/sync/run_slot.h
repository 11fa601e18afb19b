/*
 * Purpose: who has a stack that many coroutines share by copying in and out: one word says whose
 *          live part lies on it, and whether a thread has it now.
 * Owner:   sync. Roles: takers (runners of coroutines whose home the slot is, and collectors; any
 *          thread), of which one at a time has the slot.
 *
 *   vacant --take--> taken --put(owner)--> kept --take (owner: as it was left)--> taken
 *     ^                |  ^                 |
 *     +----put(0)------+  +---take (another: the owner's live part goes elsewhere first)
 *
 * Invariants: I1 the stack, and what lies saved beside it for any coroutine of this home, is
 *   touched by the taker alone. I2 what a coroutine left is on the stack, if the word names it, or
 *   in its copy, which whoever brought another in has made. I3 nobody waits: a slot that is taken
 *   is an answer.
 * Linearisation: take: the compare-and-swap; put: the store.
 * Order table: run-slot: put releases the stack, the copies and what a collector has read, take
 *   acquires them. All puts are by the last taker, so each taker has seen all that went before.
 * Progress: wait-free; a compare-and-swap that fails says "taken", also when that is over by now.
 * Does not promise: fairness; that one of two takers gets the slot at the first try.
 * Threads: any. Design: [sync.proto.run-slot]
 */
#ifndef EMP_SYNC_RUN_SLOT_H
#define EMP_SYNC_RUN_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/atomic.h"

/* 63-6: while kept whose live part it is, while taken the taker; addresses of 64-byte alignment
   0: taken; all zero: vacant */
#define EMP_RUN_SLOT_TAKEN 0x01u
#define EMP_RUN_SLOT_OWNER (~(uint64_t)0x3f)

/* The word as it was a moment ago. */
static inline uint64_t emp_run_slot_look(const uint64_t *word)
{
    /* order(run-slot): relaxed; a hint: who acts on it takes, or has the slot */
    return emp_load_relaxed(word);
}

/* Takes the slot; *kept receives whose live part lies on it, 0: nobody's. False: somebody has it.
   */
static inline bool emp_run_slot_take(uint64_t *word, uint64_t taker, uint64_t *kept)
{
    /* order(run-slot): relaxed; the compare-and-swap decides */
    uint64_t found = emp_load_relaxed(word);

    *kept = found;
    if (emp_unlikely((found & EMP_RUN_SLOT_TAKEN) != 0)) {
        return false;
    }
    /* order(run-slot): acquire; the stack and all copies as the last taker left them */
    return emp_likely(emp_cas_acquire(word, &found, taker | EMP_RUN_SLOT_TAKEN));
}

/* Gives the slot back with the live part of owner on it; 0: nobody's. */
static inline void emp_run_slot_put(uint64_t *word, uint64_t owner)
{
    /* order(run-slot): release; what the taker wrote to stack and copies, what it read is over */
    emp_store_release(word, owner);
}

/* In a forked child: the slot is vacant whoever had it. */
static inline void emp_run_slot_reset_in_child(uint64_t *word)
{
    /* order(run-slot): relaxed; the child has one thread */
    emp_store_relaxed(word, (uint64_t)0);
}

#endif
