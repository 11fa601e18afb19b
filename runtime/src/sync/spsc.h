/*
 * Purpose: the two positions of a bounded ring with one producer and one consumer; where the items
 *          lie, and how large they are, is the owner's.
 * Owner:   sync. Roles: one producer asks for room, writes, publishes; one consumer asks what is
 *          ready, reads, consumes. Each role is one thread at a time, handed over with an acquire.
 *
 *   cell i:  free --publish (producer): tail = i+1--> full --consume (consumer): head = i+1--> free
 *
 * Invariants: I1 head <= tail <= head + cells, in 32-bit arithmetic that wraps. I2 cells in
 *   [head, tail) are the consumer's, all others the producer's. I3 what a side remembers of the
 *   other's position is never ahead of it.
 * Linearisation: the store of tail (send), of head (receive).
 * Order table: spsc: tail releases the items, its load acquires them; head releases the cells that
 *   have been read, its load acquires them. A side reads its own position without order.
 * Progress: wait-free; a look may begin with a short pause (sync/pace.h). ABA: none, nothing is
 *   compared but distances below 2^31.
 * Does not promise: that room or readiness is told at once: a side looks at the other's position
 *   only when what it remembers does not do.
 * Source: the cached opposite position is E. Rigtorp's SPSCQueue; L. Lamport, 1983.
 * Threads: see the roles. Design: [sync.proto.spsc]
 */
#ifndef EMP_SYNC_SPSC_H
#define EMP_SYNC_SPSC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/atomic.h"
#include "sync/pace.h"

/* The owner puts the two halves on lines of their own, 128 bytes apart: lines come in pairs. */
struct emp_spsc_producer {
    uint32_t tail;        /* atomic: spsc. cells ever published */
    uint32_t head_seen;   /* the producer's */
    struct emp_pace pace; /* the producer's */
};

struct emp_spsc_consumer {
    uint32_t head;        /* atomic: spsc. cells ever consumed */
    uint32_t tail_seen;   /* the consumer's */
    struct emp_pace pace; /* the consumer's */
};

/* Producer: the position of its next cell. */
static inline uint32_t emp_spsc_tail(const struct emp_spsc_producer *own)
{
    /* order(spsc): relaxed; only this thread writes it */
    return emp_load_relaxed(&own->tail);
}

/* Producer: looks where the consumer is. */
static inline void emp_spsc_see_head(struct emp_spsc_producer *own,
                                     const struct emp_spsc_consumer *other)
{
    emp_pace_wait(&own->pace);
    /* order(spsc): acquire; the consumer's reads of these cells are over */
    const uint32_t head = emp_load_acquire(&other->head);

    emp_pace_learn(&own->pace, head - own->head_seen);
    own->head_seen = head;
}

/* Producer: how many cells are free for all that it has seen. */
static inline uint32_t emp_spsc_room_seen(const struct emp_spsc_producer *own, uint32_t cells)
{
    return cells - (emp_spsc_tail(own) - own->head_seen);
}

/* Producer: how many of the wanted cells are free. */
static inline uint32_t emp_spsc_room(struct emp_spsc_producer *own,
                                     const struct emp_spsc_consumer *other, uint32_t cells,
                                     uint32_t wanted)
{
    uint32_t room = emp_spsc_room_seen(own, cells);

    if (emp_unlikely(room < wanted)) {
        emp_spsc_see_head(own, other);
        room = emp_spsc_room_seen(own, cells);
    }
    return room < wanted ? room : wanted;
}

/* Producer: the cells before this position have been written. */
static inline void emp_spsc_publish_to(struct emp_spsc_producer *own, uint32_t tail)
{
    /* order(spsc): release; the items are visible to the consumer */
    emp_store_release(&own->tail, tail);
}

/* Producer: the next `count` cells have been written. */
static inline void emp_spsc_publish(struct emp_spsc_producer *own, uint32_t count)
{
    emp_spsc_publish_to(own, emp_spsc_tail(own) + count);
}

/* Consumer: the position of its next cell. */
static inline uint32_t emp_spsc_head(const struct emp_spsc_consumer *own)
{
    /* order(spsc): relaxed; only this thread writes it */
    return emp_load_relaxed(&own->head);
}

/* Consumer: looks where the producer is. */
static inline void emp_spsc_see_tail(struct emp_spsc_consumer *own,
                                     const struct emp_spsc_producer *other)
{
    emp_pace_wait(&own->pace);
    /* order(spsc): acquire; the items that the producer published */
    const uint32_t tail = emp_load_acquire(&other->tail);

    emp_pace_learn(&own->pace, tail - own->tail_seen);
    own->tail_seen = tail;
}

/* Consumer: how many cells are full for all that it has seen. */
static inline uint32_t emp_spsc_ready_seen(const struct emp_spsc_consumer *own)
{
    return own->tail_seen - emp_spsc_head(own);
}

/* Consumer: how many of the wanted cells are full. */
static inline uint32_t emp_spsc_ready(struct emp_spsc_consumer *own,
                                      const struct emp_spsc_producer *other, uint32_t wanted)
{
    uint32_t ready = emp_spsc_ready_seen(own);

    if (emp_unlikely(ready < wanted)) {
        emp_spsc_see_tail(own, other);
        ready = emp_spsc_ready_seen(own);
    }
    return ready < wanted ? ready : wanted;
}

/* Consumer: the cells before this position have been read. */
static inline void emp_spsc_consume_to(struct emp_spsc_consumer *own, uint32_t head)
{
    /* order(spsc): release; our reads are over before the producer writes again */
    emp_store_release(&own->head, head);
}

/* Consumer: the next `count` cells have been read. */
static inline void emp_spsc_consume(struct emp_spsc_consumer *own, uint32_t count)
{
    emp_spsc_consume_to(own, emp_spsc_head(own) + count);
}

/* Whether there is room, a moment ago; changes nothing. */
static inline bool emp_spsc_has_room(const struct emp_spsc_producer *own,
                                     const struct emp_spsc_consumer *other, uint32_t cells)
{
    /* order(spsc): relaxed; a hint, who sends acquires it */
    return emp_spsc_tail(own) - emp_load_relaxed(&other->head) < cells;
}

/* Whether there is something to receive, a moment ago; changes nothing. */
static inline bool emp_spsc_has_item(const struct emp_spsc_consumer *own,
                                     const struct emp_spsc_producer *other)
{
    /* order(spsc): relaxed; a hint, who receives acquires it */
    return emp_load_relaxed(&other->tail) != emp_spsc_head(own);
}

#endif
