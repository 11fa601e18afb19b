/*
 * Purpose: the free slots of an id table in two stacks: ready ones, which are taken one by one, and
 *          returned ones, which wait until the ready ones are used up. So a slot is taken once per
 *          turn of all that were returned, and a short generation lasts longer.
 * Owner:   sync. Roles: takers and returners, any thread.
 *
 *   ready --take--> with the caller --return--> returned --take_returned, put (one who found no
 *   ready one)--> ready
 *
 * Invariants: I1 a slot is in one stack or with one caller. I2 the tag of `ready` changes with each
 *   take, so a taker that saw an old top and its next fails.
 * Linearisation: the swap of the head; the exchange of `returned`.
 * Order table: id-list: who puts or returns a slot releases it and its link; who looks at the
 *   top, or takes all, acquires.
 * Progress: take, put and return lock-free, take_returned wait-free.
 * ABA: a tag of 32 bits beside the top; a taker would have to sleep through 2^32 takes.
 * Does not promise: order; that a count is exact while others move.
 * Threads: any. Design: [sync.proto.id-list]
 */
#ifndef EMP_SYNC_ID_LIST_H
#define EMP_SYNC_ID_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"
#include "sync/id_slot.h"

#define EMP_ID_TAG ((uint64_t)1 << 32)

/* Starts as zeroes; slots have numbers from 1. */
struct emp_id_list {
    uint64_t ready;    /* atomic: id-list. tag of 32 bits, top slot */
    uint32_t returned; /* atomic: id-list. top slot, 0: none */
    uint32_t count;    /* atomic: id-count. about how many were returned */
};

/* The slot at the top of the ready ones; 0: none. */
static inline uint32_t emp_id_list_top(const struct emp_id_list *list, uint64_t *seen)
{
    /* order(id-list): acquire; the top slot as it was put, and its link */
    *seen = emp_load_acquire(&list->ready);
    return (uint32_t)*seen;
}

/* Takes the top slot that was seen; false: somebody else was faster. */
static inline bool emp_id_list_take(struct emp_id_list *list, uint64_t seen,
                                    const struct emp_id_slot *top)
{
    /* order(id-list): relaxed; if the slot was taken meanwhile the swap fails on the tag */
    uint32_t below = emp_load_relaxed(&top->next);
    uint64_t tag = (seen & ~(EMP_ID_TAG - 1)) + EMP_ID_TAG;

    /* order(id-list): relaxed; the same tag and top: it is what was acquired with the look */
    return emp_cas_relaxed(&list->ready, &seen, tag | below);
}

/* Puts a chain of slots on the ready ones; the caller linked them, from first to last. */
static inline void emp_id_list_put(struct emp_id_list *list, uint32_t first,
                                   struct emp_id_slot *last)
{
    /* order(id-list): relaxed; the swap decides */
    uint64_t seen = emp_load_relaxed(&list->ready);

    do {
        /* order(id-list): relaxed; the swap shows it */
        emp_store_relaxed(&last->next, (uint32_t)seen);
        /* order(id-list): release; the slots and their links */
    } while (!emp_cas_release(&list->ready, &seen, (seen & ~(EMP_ID_TAG - 1)) | first));
}

/* Returns a slot that was renewed. */
static inline void emp_id_list_return(struct emp_id_list *list, uint32_t number,
                                      struct emp_id_slot *slot)
{
    /* order(id-count): relaxed; a hint when to turn */
    (void)emp_fetch_add_relaxed(&list->count, 1);
    /* order(id-list): relaxed; the swap decides */
    uint32_t seen = emp_load_relaxed(&list->returned);

    do {
        /* order(id-list): relaxed; the swap shows it */
        emp_store_relaxed(&slot->next, seen);
        /* order(id-list): release; the slot and its link */
    } while (!emp_cas_release(&list->returned, &seen, number));
}

/* Takes all that were returned, a chain; 0: none. */
static inline uint32_t emp_id_list_take_returned(struct emp_id_list *list)
{
    /* order(id-list): acquire; the slots and their links */
    return emp_exchange_acquire(&list->returned, 0);
}

/* The slot below one of a chain that the caller took. */
static inline uint32_t emp_id_list_below(const struct emp_id_slot *slot)
{
    /* order(id-list): relaxed; the caller took the chain */
    return emp_load_relaxed(&slot->next);
}

/* Says that so many were taken back. */
static inline void emp_id_list_counted(struct emp_id_list *list, uint32_t count)
{
    /* order(id-count): relaxed; a hint when to turn */
    (void)emp_fetch_sub_relaxed(&list->count, count);
}

/* About how many wait in `returned`. */
static inline uint32_t emp_id_list_count(const struct emp_id_list *list)
{
    /* order(id-count): relaxed; a hint when to turn */
    return emp_load_relaxed(&list->count);
}

#endif
