/*
 * Purpose: a bounded queue of many producers and many consumers with a number per cell, that can be
 *          closed; where the cells lie, and how large they are, is the owner's.
 * Owner:   sync. Roles: producers claim and publish, consumers claim and free, anybody closes.
 *
 *   position p is even; bit 0 of tail: closed; the cell of p is number p/2 modulo cells
 *   cell:  seq == p: free --claim: cas tail p, p+2--> written --publish: seq = p+1--> full
 *          seq == p+1: full --claim: cas head p, p+2--> read --free: seq = p+2*cells--> free
 *
 * Invariants: I1 an item published is taken once. I2 who holds a ticket is the only one to change
 *   the number of its cell, so cells that were seen free stay so for whoever then gets their
 *   tickets: a batch looks at its cells first and takes all tickets by one swap. I3 after closing
 *   no producer gets a ticket.
 * Linearisation: the successful compare-and-swap of tail or head; the or of the closed bit.
 * Order table: mpmc-seq: release and acquire carry the item, and the cell back. mpmc-pos: relaxed;
 *   the positions arbitrate; closing releases, who finds the queue closed and empty acquires.
 * Progress: lock-free; a stalled producer or consumer blocks its own cells only: others find "full"
 *   or "empty" there. ABA: positions have 63 bits and only grow.
 * Does not promise: that a pop finds an item while a push before it is in progress.
 * Source: D. Vyukov, "Bounded MPMC queue", 1024cores.net. Threads: any. Design: [sync.proto.mpmc]
 */
#ifndef EMP_SYNC_MPMC_H
#define EMP_SYNC_MPMC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/atomic.h"

#define EMP_MPMC_CLOSED 1u
#define EMP_MPMC_STEP   2u

struct emp_mpmc_cell {
    uint64_t seq; /* atomic: mpmc-seq. whose turn it is, see above */
    char item[];  /* written and read by who holds the ticket */
};

/* The owner puts these three on lines of their own. */
struct emp_mpmc {
    uint64_t *tail; /* to an atomic: mpmc-pos. next position to push, and the closed bit */
    uint64_t *head; /* to an atomic: mpmc-pos. next position to pop */
    char *cells;
    uint32_t mask;   /* cells - 1 */
    uint32_t stride; /* bytes of a cell */
};

/* The cell of a position. */
static inline struct emp_mpmc_cell *emp_mpmc_cell(const struct emp_mpmc *queue, uint64_t position)
{
    return (struct emp_mpmc_cell *)(queue->cells +
                                    (size_t)(position / EMP_MPMC_STEP & queue->mask) *
                                        queue->stride);
}

/* Before it is shared: an empty queue at an even position. */
static inline void emp_mpmc_init(struct emp_mpmc *queue, uint64_t position)
{
    *queue->tail = position;
    *queue->head = position;
    for (uint32_t i = 0; i <= queue->mask; i++) {
        uint64_t at = position + (uint64_t)i * EMP_MPMC_STEP;

        emp_mpmc_cell(queue, at)->seq = at;
    }
}

/* How many cells from a position on have the number that lies `turn` behind it, at most `wanted`.
 * */
static inline uint32_t emp_mpmc_run(const struct emp_mpmc *queue, uint64_t position, uint32_t turn,
                                    uint32_t wanted, int64_t *off)
{
    uint32_t count = 0;

    *off = 0;
    while (count < wanted) {
        uint64_t at = position + (uint64_t)count * EMP_MPMC_STEP;

        /* order(mpmc-seq): acquire; the item, or that its cell has been read */
        *off = (int64_t)(emp_load_acquire(&emp_mpmc_cell(queue, at)->seq) - (at + turn));
        if (*off != 0) {
            break;
        }
        count++;
    }
    return count;
}

/* Tickets for up to `wanted` items; 0: full. Closed: 0 as well, and *closed. */
static inline uint32_t emp_mpmc_claim_push(const struct emp_mpmc *queue, uint32_t wanted,
                                           uint64_t *position, bool *closed)
{
    /* order(mpmc-pos): relaxed; only arbitrates between producers */
    uint64_t tail = emp_load_relaxed(queue->tail);

    for (;;) {
        int64_t off = 0;

        *closed = (tail & EMP_MPMC_CLOSED) != 0;
        if (*closed) {
            return 0;
        }
        uint32_t count = emp_mpmc_run(queue, tail, 0, wanted, &off);

        if (count == 0 && off < 0) {
            return 0;
        }
        *position = tail;
        if (count == 0) {
            /* order(mpmc-pos): relaxed; another producer was faster, look again */
            tail = emp_load_relaxed(queue->tail);
            /* order(mpmc-pos): relaxed; the winner publishes through seq */
        } else if (emp_cas_relaxed(queue->tail, &tail, tail + (uint64_t)count * EMP_MPMC_STEP)) {
            return count;
        }
    }
}

/* The item of a ticket has been written. */
static inline void emp_mpmc_publish(const struct emp_mpmc *queue, uint64_t position)
{
    /* order(mpmc-seq): release; the item is visible to the consumer */
    emp_store_release(&emp_mpmc_cell(queue, position)->seq, position + 1);
}

/* Tickets of up to `wanted` items that are there; 0: none. */
static inline uint32_t emp_mpmc_claim_pop(const struct emp_mpmc *queue, uint32_t wanted,
                                          uint64_t *position)
{
    /* order(mpmc-pos): relaxed; only arbitrates between consumers */
    uint64_t head = emp_load_relaxed(queue->head);

    for (;;) {
        int64_t off = 0;
        uint32_t count = emp_mpmc_run(queue, head, 1, wanted, &off);

        if (count == 0 && off < 0) {
            return 0;
        }
        *position = head;
        if (count == 0) {
            /* order(mpmc-pos): relaxed; another consumer was faster, look again */
            head = emp_load_relaxed(queue->head);
            /* order(mpmc-pos): relaxed; the winner frees the cell through seq */
        } else if (emp_cas_relaxed(queue->head, &head, head + (uint64_t)count * EMP_MPMC_STEP)) {
            return count;
        }
    }
}

/* The item of a ticket has been read. */
static inline void emp_mpmc_free(const struct emp_mpmc *queue, uint64_t position)
{
    /* order(mpmc-seq): release; our read of the item is over */
    emp_store_release(&emp_mpmc_cell(queue, position)->seq,
                      position + ((uint64_t)queue->mask + 1) * EMP_MPMC_STEP);
}

/* Whether the oldest cell is free, a moment ago. */
static inline bool emp_mpmc_has_room(const struct emp_mpmc *queue)
{
    int64_t off = 0;

    /* order(mpmc-pos): relaxed; a hint, the claim decides */
    uint64_t tail = emp_load_relaxed(queue->tail) & ~(uint64_t)EMP_MPMC_CLOSED;
    return emp_mpmc_run(queue, tail, 0, 1, &off) != 0 || off > 0;
}

/* Whether the oldest cell is full, a moment ago. */
static inline bool emp_mpmc_has_item(const struct emp_mpmc *queue)
{
    int64_t off = 0;

    /* order(mpmc-pos): relaxed; a hint, the claim decides */
    return emp_mpmc_run(queue, emp_load_relaxed(queue->head), 1, 1, &off) != 0 || off > 0;
}

/* From now on nobody gets a ticket to push. */
static inline void emp_mpmc_close(const struct emp_mpmc *queue)
{
    /* order(mpmc-pos): release; what the closer did is visible to who finds it closed */
    (void)emp_fetch_or_release(queue->tail, (uint64_t)EMP_MPMC_CLOSED);
}

/* True when nothing will ever come out again: closed, and every ticket is taken. */
static inline bool emp_mpmc_is_drained(const struct emp_mpmc *queue)
{
    /* order(mpmc-pos): acquire; pairs with emp_mpmc_close */
    uint64_t tail = emp_load_acquire(queue->tail);

    /* order(mpmc-pos): relaxed; it has passed the closed tail or not */
    return (tail & EMP_MPMC_CLOSED) != 0 &&
           emp_load_relaxed(queue->head) == (tail & ~(uint64_t)EMP_MPMC_CLOSED);
}

#endif
