/*
 * Purpose: hands batches of pointers from one thread to one other.
 * Roles:   one producer thread calls push, one consumer thread calls pop.
 * Invariants: 0 <= head - tail <= BENCH_RING_SLOTS; slots in [tail, head) belong to the consumer.
 * Order:   bench.ring: release of head by push before acquire by pop publishes slots and the
 *          blocks' content; release of tail by pop before acquire by push gives the slots back.
 * Progress: wait-free, both sides may decline.
 * Source:  Lamport's ring with cached far indices.
 */
#ifndef BENCH_SUPPORT_SPSC_RING_H
#define BENCH_SUPPORT_SPSC_RING_H

#include <stddef.h>
#include <stdint.h>

#include "support/atomic.h"

#define BENCH_RING_SLOTS 4096u
#define BENCH_RING_BATCH 64u

struct bench_ring {
    size_t head __attribute__((aligned(64))); /* written by the producer */
    size_t tail_seen;                         /* producer only */
    size_t tail __attribute__((aligned(64))); /* written by the consumer */
    size_t head_seen;                         /* consumer only */
    void *slots[BENCH_RING_SLOTS] __attribute__((aligned(64)));
};

/* Appends a whole batch and returns 1, or returns 0 when there is no room for all of it. */
static inline int bench_ring_push(struct bench_ring *ring, void *const *blocks)
{
    size_t head = ring->head;

    if (head + BENCH_RING_BATCH - ring->tail_seen > BENCH_RING_SLOTS) {
        /* order(bench.ring): acquire, the consumer is done with the slots. */
        ring->tail_seen = bench_load_acquire(&ring->tail);
        if (head + BENCH_RING_BATCH - ring->tail_seen > BENCH_RING_SLOTS) {
            return 0;
        }
    }
    for (size_t i = 0; i < BENCH_RING_BATCH; i++) {
        ring->slots[(head + i) % BENCH_RING_SLOTS] = blocks[i];
    }
    /* order(bench.ring): release, slots and blocks are written. */
    bench_store_release(&ring->head, head + BENCH_RING_BATCH);
    return 1;
}

/* Takes a whole batch out and returns 1, or returns 0 when there is none. */
static inline int bench_ring_pop(struct bench_ring *ring, void **blocks)
{
    size_t tail = ring->tail;

    if (tail == ring->head_seen) {
        /* order(bench.ring): acquire, slots and blocks are written. */
        ring->head_seen = bench_load_acquire(&ring->head);
        if (tail == ring->head_seen) {
            return 0;
        }
    }
    for (size_t i = 0; i < BENCH_RING_BATCH; i++) {
        blocks[i] = ring->slots[(tail + i) % BENCH_RING_SLOTS];
    }
    /* order(bench.ring): release, the slots are read. */
    bench_store_release(&ring->tail, tail + BENCH_RING_BATCH);
    return 1;
}

#endif
