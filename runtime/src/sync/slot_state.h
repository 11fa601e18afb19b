/*
 * Purpose: the state of one slot of a slab, a byte out of band: who may hand it out.
 * Owner:   sync. Roles: releasers (any thread, each holds the block it releases), one taker (the
 *          thread that holds the lock of the shard that owns the slab).
 *
 *   USED --release (who holds the block)--> FREE --take (holder of the shard)--> USED
 *   FREE --claim (holder, its page is given back meanwhile)--> HELD --restore (holder)--> FREE
 *   NONE: no slot; never changes
 *   secure build: USED --malloc--> LIVE + n --free--> USED, see slab/block_guard.h
 *
 * Invariants: I1 only who holds a block turns its byte from USED, so a byte that is not USED says
 *   that the block is freed twice, or never was handed out. I2 a byte is written alone: stores to
 *   neighbours never undo each other; the taker writes several bytes at once only where all of them
 *   are FREE, and those nobody else may touch.
 * Linearisation: the store of FREE; the taker's load of FREE.
 * Order table: slot-state: release publishes the block's last writes; the taker acquires them, so
 *   that the next owner of the block cannot be overtaken by them.
 * Progress: wait-free, no read-modify-write. ABA: a byte carries no address.
 * Does not promise: that the taker learns of it; that is the inbox's task. Two threads that free
 *   the same block at the same instant may both pass the look; the byte is FREE once all the same.
 * Threads: any. Design: [sync.proto.slot-state]
 */
#ifndef EMP_SYNC_SLOT_STATE_H
#define EMP_SYNC_SLOT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

enum emp_slot_state {
    EMP_SLOT_USED = 0, /* with the program, or in the cache of a thread */
    EMP_SLOT_FREE = 1,
    EMP_SLOT_HELD = 2, /* free, kept back while its page is given to the system */
    EMP_SLOT_NONE = 3, /* behind the last slot */
    EMP_SLOT_LIVE = 4  /* and above, secure build only: with the program; USED is then "cached" */
};

/* Frees the block of a slot; false: it was not in use, nothing is changed. */
static inline bool emp_slot_release(uint8_t *state)
{
    /* order(slot-state): relaxed; whoever holds the block has the taker's store behind him */
    if (emp_load_relaxed(state) != EMP_SLOT_USED) {
        return false;
    }
    /* order(slot-state): release; the freeing thread's last writes to the block */
    emp_store_release(state, (uint8_t)EMP_SLOT_FREE);
    return true;
}

/* True when the slot is free; what its last user wrote is visible then. */
static inline bool emp_slot_is_free(const uint8_t *state)
{
    /* order(slot-state): acquire; pairs with emp_slot_release */
    return emp_load_acquire(state) == EMP_SLOT_FREE;
}

/* Sets the state of a slot that only the holder may touch: one it takes, claims or restores. */
static inline void emp_slot_set(uint8_t *state, enum emp_slot_state value)
{
    /* order(slot-state): relaxed; whoever gets the block next gets it through this thread */
    emp_store_relaxed(state, (uint8_t)value);
}

#endif
