/*
 * Purpose: tells a shard which of its slabs have blocks again: a stack of slab numbers that many
 *          push and the shard's holder takes whole; every slab is in at most one inbox.
 * Owner:   sync. Roles: notifiers (any thread that has just released a slot), one taker.
 *
 *   slab:  told (listed, or on its way) --taker finds nothing in it: quiet--> quiet
 *          quiet --notify: exchange(told, 1) was 0, push--> told (in the inbox) --take--> listed
 *
 * Invariants: I1 a slab is on at most one stack: only who turned told from 0 to 1 pushes it, and
 *   while it is 1 nobody pushes. I2 who releases a slot looks at told after it; the taker looks at
 *   the slots once more after it turned told to 0.
 * Linearisation: the exchange of told; the compare-and-swap of head; the exchange of head.
 * Order table: inbox-told: quiet releases the owner and the link, mark acquires them; the taker's
 *   store and its second look are ordered by a full fence. inbox-head: push releases the link, take
 *   acquires it.
 * Progress: push lock-free, take wait-free. ABA: none, the taker removes all nodes at once.
 * Does not promise: that every release is announced. A releaser pays for no fence, so its look at
 *   told may come before its slot is seen; that slab waits for its next release, for a count by
 *   maintenance, or for a taker that is about to fail and counts first. Nor order.
 * Threads: any. Design: [sync.proto.inbox]
 */
#ifndef EMP_SYNC_INBOX_H
#define EMP_SYNC_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

/* The link of one item; lives as long as the process. */
struct emp_inbox_link {
    uint32_t told; /* atomic: inbox-told. 0: whoever has news must push the item */
    uint32_t next; /* atomic: inbox-head. item below, 0: none */
};

/* True when nobody has told the taker of this item yet. */
static inline bool emp_inbox_is_quiet(const struct emp_inbox_link *link)
{
    /* order(inbox-told): relaxed; a hint on the way of every release, the exchange decides */
    return emp_load_relaxed(&link->told) == 0;
}

/* Marks the item; true when the caller must push it, or list it if it is the taker. */
static inline bool emp_inbox_mark(struct emp_inbox_link *link)
{
    /* order(inbox-told): acquire; pairs with emp_inbox_quiet; what is to be seen is the push's */
    return emp_exchange_acquire(&link->told, 1) == 0;
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

/* True when nothing is there, as far as can be seen. */
static inline bool emp_inbox_is_empty(const uint32_t *head)
{
    /* order(inbox-head): relaxed look; an empty inbox is looked at again at the next refill */
    return emp_load_relaxed(head) == 0;
}

/* Takes the whole stack; returns its top item or 0. */
static inline uint32_t emp_inbox_take(uint32_t *head)
{
    if (emp_inbox_is_empty(head)) {
        return 0;
    }
    /* order(inbox-head): acquire; the links of all items taken */
    return emp_exchange_acquire(head, 0);
}

/* The item below one that was taken; to be read before the item is quiet again. */
static inline uint32_t emp_inbox_next(const struct emp_inbox_link *link)
{
    /* order(inbox-head): relaxed; the acquire of emp_inbox_take made the link visible */
    return emp_load_relaxed(&link->next);
}

/* The taker found nothing in the item: from now on releases are told. It must look once more. */
static inline void emp_inbox_quiet(struct emp_inbox_link *link)
{
    /* order(inbox-told): release; who marks it next sees the owner, and the link that was taken */
    emp_store_release(&link->told, 0);
    /* order(inbox-told): seq_cst; a release before a look that found told set is seen from here */
    emp_fence_seq_cst();
}

/* A new item, not shared yet: listed by its maker, so nobody needs to push it. */
static inline void emp_inbox_start(struct emp_inbox_link *link)
{
    /* order(inbox-told): relaxed; the item becomes known through the slab's magic */
    emp_store_relaxed(&link->told, 1);
}

#endif
