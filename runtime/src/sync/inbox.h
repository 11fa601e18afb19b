/*
 * Purpose: tells a shard which of its slabs have remote blocks: a stack of slab numbers that many
 *          push and the shard's holder takes whole; every slab is in at most one inbox.
 * Owner:   sync. Roles: notifiers (any thread that has just published remote bits), one taker.
 *
 *   slab:  idle --notify: exchange(queued, 1) was 0, push--> queued
 *          queued --taker: take all, then exchange(queued, 0), then drain the words--> idle
 *
 * Invariants: I1 a slab is on at most one stack: only who turned queued from 0 to 1 pushes it.
 *   I2 no publication is missed: both sides do a read-modify-write on queued. If the notifier's
 *   comes first, the taker's exchange reads from it and sees the bits; if the taker's comes first,
 *   the notifier finds 0 and pushes again.
 * Linearisation: the exchange of queued; the compare-and-swap of head; the exchange of head.
 * Order table: inbox-queued: acq_rel on both sides, bits published before are visible to the taker.
 *   inbox-head: push releases the link, take acquires it.
 * Progress: push lock-free, take wait-free. ABA: none, the taker removes all nodes at once.
 * Does not promise: order; that the slab still belongs to the shard (the taker checks).
 * Threads: any. Design: [sync.proto.inbox]
 */
#ifndef EMP_SYNC_INBOX_H
#define EMP_SYNC_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

/* The link of one item; lives as long as the process. */
struct emp_inbox_link {
    uint32_t queued; /* atomic: inbox-queued. 1 while on a stack */
    uint32_t next;   /* atomic: inbox-head. item below, 0: none */
};

/* Marks the item; true when the caller must push it. */
static inline bool emp_inbox_mark(struct emp_inbox_link *link)
{
    /* order(inbox-queued): acq_rel; releases the bits published before, see I2 */
    return emp_exchange_acq_rel(&link->queued, 1) == 0;
}

/* Pushes a marked item; item numbers are never 0. */
static inline void emp_inbox_push(uint32_t *head, struct emp_inbox_link *link, uint32_t item)
{
    /* order(inbox-head): relaxed; the value is only compared and stored as a link */
    uint32_t below = emp_load_relaxed(head);

    do {
        /* order(inbox-head): relaxed; the release of the swap below publishes the link */
        emp_store_relaxed(&link->next, below);
        /* order(inbox-head): release; the link becomes visible with the item */
    } while (!emp_cas_release(head, &below, item));
}

/* Takes the whole stack; returns its top item or 0. */
static inline uint32_t emp_inbox_take(uint32_t *head)
{
    /* order(inbox-head): relaxed look; an empty inbox is looked at again at the next refill */
    if (emp_load_relaxed(head) == 0) {
        return 0;
    }
    /* order(inbox-head): acquire; the links of all items taken */
    return emp_exchange_acquire(head, 0);
}

/* The item below one that was taken; to be read before the item is unmarked. */
static inline uint32_t emp_inbox_next(const struct emp_inbox_link *link)
{
    /* order(inbox-head): relaxed; the acquire of emp_inbox_take made the link visible */
    return emp_load_relaxed(&link->next);
}

/* Unmarks an item that was taken, before its words are drained. */
static inline void emp_inbox_unmark(struct emp_inbox_link *link)
{
    /* order(inbox-queued): acq_rel; acquires the bits of everybody who found the mark set, see
       I2 */
    (void)emp_exchange_acq_rel(&link->queued, 0);
}

#endif
