/*
 * Purpose: a thing of two holders who leave it in any order, one of them with news: the last one
 *          ends it, and the other can see that the news is there.
 * Owner:   sync. Roles: the teller (tells and leaves in one step), the listener (may look, leaves).
 *
 *   both --tell (teller)--> told --leave (listener): ends it
 *   both --leave (listener)--> left --tell (teller): ends it
 *
 * Invariants: I1 exactly one of tell and leave answers true, the later one. I2 who sees told, or
 *   ends the thing, sees all that the other did with it.
 * Linearisation: the exchange. Order table: parting: both exchanges release what their holder did
 *   and acquire what the other did; the look acquires it too.
 * Progress: wait-free. Does not promise: anything about a second tell or leave.
 * Threads: one teller, one listener. Design: [sync.proto.parting]
 */
#ifndef EMP_SYNC_PARTING_H
#define EMP_SYNC_PARTING_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

enum emp_parting { EMP_PARTING_BOTH = 0, EMP_PARTING_TOLD, EMP_PARTING_LEFT };

/* Teller: the last access. True: the listener has left, the thing is the teller's to end. */
static inline bool emp_parting_tell(uint32_t *word)
{
    /* order(parting): acq_rel; the news for the listener; what the listener did, before the end */
    return emp_exchange_acq_rel(word, (uint32_t)EMP_PARTING_TOLD) == EMP_PARTING_LEFT;
}

/* Listener: whether the teller has told. */
static inline bool emp_parting_is_told(const uint32_t *word)
{
    /* order(parting): acquire; what the teller did */
    return emp_load_acquire(word) == EMP_PARTING_TOLD;
}

/* Listener: the last access. True: the teller has told, the thing is the listener's to end. */
static inline bool emp_parting_leave(uint32_t *word)
{
    /* order(parting): acq_rel; what the teller did, before the end; the listener's for the teller
       */
    return emp_exchange_acq_rel(word, (uint32_t)EMP_PARTING_LEFT) == EMP_PARTING_TOLD;
}

#endif
