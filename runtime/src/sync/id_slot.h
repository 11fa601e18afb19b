/*
 * Purpose: one slot of an id table: which generation it is in, whether the object behind it may be
 *          had, and how many are on their way to it.
 * Owner:   sync. Roles: the owner of the id (begin, end), finders (any thread, with a number that
 *          claims to be an id). The slot has one reference of the object from begin on.
 *
 *   63-32: generation | 31-1: finders | 0: LIVE
 *
 *   free g --begin (who took the slot)--> LIVE g --pin (finder)--> LIVE g, n + 1 finders
 *   LIVE g --end (owner)--> no finders: "last", else dead with finders
 *   n finders --unpin--> n - 1; dead and 0: "last"
 *   "last" gives the slot's reference back, then renew --> free g + 1, or retired
 *
 * Invariants: I1 of the owner and the finders exactly one is last, after everybody else's use of
 *   the slot; so the reference is given back once, and the slot changes hands with nobody in it.
 *   I2 a finder pins the generation it asked for, and only while it is LIVE: a stale number finds
 *   nothing. I3 who has pinned may take a reference of the object: the slot's own is still there.
 * Linearisation: the swap of pin; the subtraction of end and unpin.
 * Order table: id-slot: begin releases the object's address, pin acquires it; end and unpin
 *   release what their caller did, the last acquires it.
 * Progress: begin, end, unpin wait-free; pin lock-free. ABA: generations; see emp_id_slot_renew.
 * Does not promise: that a number of fewer generation bits is never found again: then it names
 *   the object that came 2^bits generations later.
 * Threads: any. Design: [sync.proto.id-slot]
 */
#ifndef EMP_SYNC_ID_SLOT_H
#define EMP_SYNC_ID_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "sync/atomic.h"

#define EMP_ID_LIVE             ((uint64_t)1)
#define EMP_ID_FINDER           ((uint64_t)2)
#define EMP_ID_FINDERS          ((uint64_t)0xfffffffe)
#define EMP_ID_GENERATION_SHIFT 32u

/* A slot; never moves, and its memory lives as long as the table. Starts as zeroes. */
struct emp_id_slot {
    uint64_t word; /* atomic: id-slot */
    void *object;  /* written by who begins, const while LIVE or pinned */
    uint32_t next; /* atomic: id-list. the slot below in a list of free ones, 0: none */
};

/* The generation that a free slot will have, or a live one has; the caller took or holds it. */
static inline uint32_t emp_id_slot_generation(const struct emp_id_slot *slot)
{
    /* order(id-slot): relaxed; the caller took the slot, or keeps its id alive */
    return (uint32_t)(emp_load_relaxed(&slot->word) >> EMP_ID_GENERATION_SHIFT);
}

/* The caller took the slot and gives it an object, with a reference of it; generation is not 0. */
static inline void emp_id_slot_begin(struct emp_id_slot *slot, void *object, uint32_t generation)
{
    slot->object = object;
    /* order(id-slot): release; the object's address, and the object */
    emp_store_release(&slot->word, (uint64_t)generation << EMP_ID_GENERATION_SHIFT | EMP_ID_LIVE);
}

/*
 * Goes to the object of a generation; mask says which of its bits are known. NULL: there is none.
 * Else emp_id_slot_unpin must follow.
 */
static inline void *emp_id_slot_pin(struct emp_id_slot *slot, uint32_t generation, uint32_t mask)
{
    /* order(id-slot): relaxed; the swap decides */
    uint64_t seen = emp_load_relaxed(&slot->word);

    do {
        uint32_t current = (uint32_t)(seen >> EMP_ID_GENERATION_SHIFT);

        if (((current ^ generation) & mask) != 0 || (seen & EMP_ID_LIVE) == 0) {
            return NULL;
        }
        /* order(id-slot): acquire; the object */
    } while (!emp_cas_acquire(&slot->word, &seen, seen + EMP_ID_FINDER));
    emp_check((seen & EMP_ID_FINDERS) != EMP_ID_FINDERS);
    return slot->object;
}

/* True: the caller is the last, and the id has ended. */
static inline bool emp_id_slot_unpin(struct emp_id_slot *slot)
{
    /* order(id-slot): acq_rel; what this finder did is shown; the last sees what the others did */
    uint64_t old = emp_fetch_sub_acq_rel(&slot->word, EMP_ID_FINDER);

    return (old & (EMP_ID_FINDERS | EMP_ID_LIVE)) == EMP_ID_FINDER;
}

/* The owner ends the id. True: the caller is the last. */
static inline bool emp_id_slot_end(struct emp_id_slot *slot)
{
    /* order(id-slot): acq_rel; as for unpin */
    uint64_t old = emp_fetch_sub_acq_rel(&slot->word, EMP_ID_LIVE);

    emp_check((old & EMP_ID_LIVE) != 0);
    return (old & EMP_ID_FINDERS) == 0;
}

/* The last makes the slot ready for its next object. False: every generation was used, retired. */
static inline bool emp_id_slot_renew(struct emp_id_slot *slot)
{
    uint64_t generation = (uint64_t)emp_id_slot_generation(slot) + 1;

    slot->object = NULL;
    /* order(id-slot): relaxed; the list of free slots hands it over */
    emp_store_relaxed(&slot->word, generation << EMP_ID_GENERATION_SHIFT);
    return generation <= UINT32_MAX;
}

#endif
