/*
 * Purpose: one word of the remote[] bitmap: blocks freed by threads that do not hold the slab's
 *          shard.
 * Owner:   sync. Roles: publishers (any thread, each holds the blocks it publishes) and one drainer
 *          (the thread that holds the lock of the shard that owns the slab).
 *
 *   States of a bit:  0 --publish (any thread that holds the block)--> 1 --drain (shard holder)-->
 *     0
 *
 * Invariants: I1 a bit is set by at most one legitimate publisher between two drains, so an old
 *   value that shows the bit is a double free. I2 no publication is lost: exchange takes every bit
 *   at once.
 * Linearisation: the fetch_or; the exchange.
 * Order table: remote-word: publish releases the block's content; drain acquires it, so that the
 *   next owner of the block cannot be overtaken by the last writes of the previous one.
 * Progress: wait-free. ABA: none, bits carry no pointers.
 * Does not promise: that the drainer learns of the publication; that is the inbox's task.
 * Threads: any. Design: [sync.proto.remote-word]
 */
#ifndef EMP_SYNC_REMOTE_WORD_H
#define EMP_SYNC_REMOTE_WORD_H

#include <stdint.h>

#include "sync/atomic.h"

/* Publishes the blocks in mask; returns the bits that were set before. */
static inline uint64_t emp_remote_publish(uint64_t *word, uint64_t mask)
{
    /* order(remote-word): release; the freeing thread's last writes to the blocks */
    return emp_fetch_or_release(word, mask);
}

/* Takes every published block of the word. */
static inline uint64_t emp_remote_drain(uint64_t *word)
{
    /* order(remote-word): relaxed look; an empty word is met again at the next notification */
    if (emp_load_relaxed(word) == 0) {
        return 0;
    }
    /* order(remote-word): acquire; pairs with the release of every publisher of this word */
    return emp_exchange_acquire(word, 0);
}

#endif
