/*
 * Purpose: the state of one thing that can be set aside by whoever frees it and picked up again
 *          without a lock: a number that says what it is, and whether it is parked.
 * Owner:   sync. Roles: a keeper (any thread, it holds the thing) parks; a taker (any thread that
 *          was told of it) picks it up; a collector (one at a time, it holds the lock that guards
 *          the memory behind) ages and reclaims; the lock's holder begins, changes and ends.
 *
 *   none 0 --begin (lock)--> in use n --park (keeper)--> parked --age (collector)--> parked, aged
 *   parked or aged --pick (taker)--> in use n        parked or aged --reclaim (collector)--> none 0
 *   in use n --change (lock)--> in use m             in use n --end (lock)--> none 0
 *
 * Invariants: I1 every arrow but `begin` is one compare-and-swap from the value seen, so of two
 *   threads that want to move the same thing one is refused: it is parked once per use, which is
 *   what makes a second free visible in the call, and handed out once per parking. I2 whoever is
 *   told of a parked thing holds only a hint: what it says is true when the pick succeeds.
 * Linearisation: the compare-and-swap.
 * Order table: parked-word: park releases the content; pick and reclaim acquire it, so that the
 *   last writes of one user cannot overtake the first of the next. In a process of one thread
 *   (`alone`) a load and a store do.
 * Progress: wait-free. ABA: a thing that was picked and parked again in between is parked: the pick
 *   of an old hint is as good as that of a new one.
 * Does not promise: that anybody is told of a parked thing; the collector finds those by itself.
 * Threads: any. Design: [sync.proto.parked-word]
 */
#ifndef EMP_SYNC_PARKED_WORD_H
#define EMP_SYNC_PARKED_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

/* 15: parked | 14: aged | 13-0: the number, 0: there is no thing */
#define EMP_PARKED        0x8000u
#define EMP_PARKED_AGED   0x4000u
#define EMP_PARKED_NUMBER 0x3fffu

/* The state as it is or was a moment ago. */
static inline uint32_t emp_parked_look(const uint16_t *word)
{
    /* order(parked-word): relaxed; whoever acts on it does a compare-and-swap */
    return emp_load_relaxed(word);
}

/* The number of a thing in use; 0: none, or it is parked. */
static inline uint32_t emp_parked_in_use(uint32_t seen)
{
    return (seen & EMP_PARKED) != 0 ? 0 : seen;
}

/* The holder of the lock: a thing begins where none is. */
static inline void emp_parked_begin(uint16_t *word, uint32_t number)
{
    /* order(parked-word): relaxed; the thing is handed over by other means */
    emp_store_relaxed(word, (uint16_t)number);
}

/* From what was seen to another state; false: it has changed meanwhile. */
static inline bool emp_parked_change(uint16_t *word, uint32_t seen, uint32_t to)
{
    uint16_t expected = (uint16_t)seen;

    /* order(parked-word): acquire; what the user before wrote; an aged word passes it on to a pick */
    return emp_cas_acquire(word, &expected, (uint16_t)to);
}

/* Sets a thing in use aside; false: somebody else did, or it is not in use. */
static inline bool emp_parked_park(uint16_t *word, uint32_t seen, bool alone)
{
    uint16_t expected = (uint16_t)seen;

    if (alone) {
        /* order(parked-word): relaxed; there is no other thread */
        emp_store_relaxed(word, (uint16_t)(seen | EMP_PARKED));
        return true;
    }
    /* order(parked-word): release; the last writes of the user before */
    return emp_cas_release(word, &expected, (uint16_t)(seen | EMP_PARKED));
}

/* Picks up a parked thing of this number; false: it is not there any more. */
static inline bool emp_parked_pick(uint16_t *word, uint32_t number, bool alone)
{
    uint16_t seen = (uint16_t)emp_parked_look(word);

    if ((seen & ~EMP_PARKED_AGED) != (number | EMP_PARKED)) {
        return false;
    }
    if (alone) {
        /* order(parked-word): relaxed; there is no other thread */
        emp_store_relaxed(word, (uint16_t)number);
        return true;
    }
    /* order(parked-word): acquire; pairs with the release of who parked it */
    return emp_cas_acquire(word, &seen, (uint16_t)number);
}

#endif
