/*
 * Purpose: a bounded ring of 32-bit items, many producers and many consumers; carries surplus slabs
 *          from rich shards to poor ones, one per class and memory node.
 * Owner:   sync. Roles: producers push, consumers pop; any thread may be both.
 *
 *   cell i:  seq == pos: free for push pos --push: cas tail, write, seq = pos+1--> full
 *            seq == pos+1: full for pop pos --pop: cas head, read, seq = pos+cells--> free
 *
 * Invariants: I1 an item pushed is popped exactly once. I2 at most `cells` items are inside.
 * Linearisation: the successful compare-and-swap of tail (push) or head (pop).
 * Order table: ring-seq: the store of seq releases the item (push) or the free cell (pop), the load
 *   of seq acquires it. ring-pos: relaxed, the positions only arbitrate, they publish nothing.
 * Progress: a stalled producer or consumer blocks its one cell; others then see "full" or "empty"
 *   and go on with the next tier, so nobody waits. ABA: positions are 32 bits and only grow.
 * Does not promise: that pop finds an item while a push is in progress.
 * Source: D. Vyukov, "Bounded MPMC queue", 1024cores.net. Threads: any. Design: [sync.proto.ring]
 */
#ifndef EMP_SYNC_RING_H
#define EMP_SYNC_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

#define EMP_RING_CELLS 16u /* power of two */

/*
 * Sequence numbers are kept less the index of their cell, so that zeroed memory is an empty ring.
 */
struct emp_ring_cell {
    uint32_t seq;  /* atomic: ring-seq. number - index */
    uint32_t item; /* written by the pusher that won the cell, read by the popper that won it */
};

/* Positions on lines of their own: pushers and poppers are often on different processors. */
struct emp_ring {
    uint32_t tail; /* atomic: ring-pos. next position to push */
    uint32_t pad_tail[15];
    uint32_t head; /* atomic: ring-pos. next position to pop */
    uint32_t pad_head[15];
    struct emp_ring_cell cells[EMP_RING_CELLS];
};

/* Pushes an item; false when the ring is full. */
static inline bool emp_ring_push(struct emp_ring *ring, uint32_t item)
{
    /* order(ring-pos): relaxed; only arbitrates between pushers */
    uint32_t pos = emp_load_relaxed(&ring->tail);

    for (;;) {
        uint32_t index = pos & (EMP_RING_CELLS - 1);
        struct emp_ring_cell *cell = &ring->cells[index];
        /* order(ring-seq): acquire; the popper's read of the old item is over */
        uint32_t seq = emp_load_acquire(&cell->seq) + index;

        if (seq == pos) {
            /* order(ring-pos): relaxed; the winner publishes through seq */
            if (emp_cas_relaxed(&ring->tail, &pos, pos + 1)) {
                cell->item = item;
                /* order(ring-seq): release; the item is visible to the popper */
                emp_store_release(&cell->seq, pos + 1 - index);
                return true;
            }
        } else if ((int32_t)(seq - pos) < 0) {
            return false;
        } else {
            /* order(ring-pos): relaxed; another pusher was faster, look again */
            pos = emp_load_relaxed(&ring->tail);
        }
    }
}

/* Pops an item into *item; false when the ring is empty. */
static inline bool emp_ring_pop(struct emp_ring *ring, uint32_t *item)
{
    /* order(ring-pos): relaxed; only arbitrates between poppers */
    uint32_t pos = emp_load_relaxed(&ring->head);

    for (;;) {
        uint32_t index = pos & (EMP_RING_CELLS - 1);
        struct emp_ring_cell *cell = &ring->cells[index];
        /* order(ring-seq): acquire; the item that the pusher released */
        uint32_t seq = emp_load_acquire(&cell->seq) + index;

        if (seq == pos + 1) {
            /* order(ring-pos): relaxed; the winner frees the cell through seq */
            if (emp_cas_relaxed(&ring->head, &pos, pos + 1)) {
                *item = cell->item;
                /* order(ring-seq): release; our read of the item is over */
                emp_store_release(&cell->seq, pos + EMP_RING_CELLS - index);
                return true;
            }
        } else if ((int32_t)(seq - (pos + 1)) < 0) {
            return false;
        } else {
            /* order(ring-pos): relaxed; another popper was faster, look again */
            pos = emp_load_relaxed(&ring->head);
        }
    }
}

#endif
