/*
 * What it is for: types that own their cache line, bitmaps over words, memory barriers by name, and
 *   questions about memory nodes (NUMA): what runtimes need beside an allocator.
 * When not to use it: C11 <stdatomic.h> is the better tool wherever it says what you mean.
 * Life cycle: nothing to start. A bitmap is a view: its words belong to the caller and outlive it.
 * Threads: bitmaps are for one thread at a time; barriers and NUMA queries may be called by any.
 * Errors: enum emp_status where a query can have no answer; bitmap calls refuse an index out of
 *   range by their result.
 */
#ifndef EMP_CORE_CACHE_UTILS_H
#define EMP_CORE_CACHE_UTILS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/export.h"
#include "core/pool_types.h"

#if defined(__SANITIZE_THREAD__)
/* ThreadSanitizer does not model fences and gcc says so; the barriers here are meant as fences. */
#pragma GCC diagnostic ignored "-Wtsan"
#endif

/* Bytes that processors keep coherent as one; what different threads write must not share them. */
#define EMP_CACHE_LINE_BYTES 64

/* On a type or variable: starts on a line of its own. On a struct also: fills whole lines. */
#define EMP_CACHE_ALIGNED __attribute__((aligned(EMP_CACHE_LINE_BYTES)))

EMP_EXTERN_C_BEGIN

/* One line of bytes, for arrays of per-thread slots and as padding. */
struct emp_cache_line {
    unsigned char bytes[EMP_CACHE_LINE_BYTES];
} EMP_CACHE_ALIGNED;

/*
 * ProducerCacheLine of the model: what the producer of a ring writes. The other side reads head
 * only; tail_seen saves the producer from reading the consumer's line at every push.
 */
struct emp_producer_cache_line {
    uint64_t head;      /* items ever pushed; producer publishes, consumer observes */
    uint64_t tail_seen; /* producer only: the consumer's tail when last observed */
    uint64_t pushed;    /* producer only: statistics */
    uint64_t refused;   /* producer only: pushes that found the ring full */
    unsigned char rest[EMP_CACHE_LINE_BYTES - 4 * sizeof(uint64_t)];
} EMP_CACHE_ALIGNED;

/* ConsumerCacheLine of the model: what the consumer of a ring writes, mirrored. */
struct emp_consumer_cache_line {
    uint64_t tail;      /* items ever popped; consumer publishes, producer observes */
    uint64_t head_seen; /* consumer only: the producer's head when last observed */
    uint64_t popped;    /* consumer only: statistics */
    uint64_t starved;   /* consumer only: pops that found the ring empty */
    unsigned char rest[EMP_CACHE_LINE_BYTES - 4 * sizeof(uint64_t)];
} EMP_CACHE_ALIGNED;

/**
 * Publishes an index of a line: everything this thread wrote before is visible to who observes it.
 * @param index a field of a line that only this thread writes. @param value the new value.
 * Errors: none. Threads: the owner of the line. Cost: one store. Since: 0.1. Source: row B11.
 */
EMP_INLINE void emp_cache_line_publish(uint64_t *index, uint64_t value)
{
    EMP_PUBLIC_STORE_RELEASE(index, value);
}

/**
 * Observes an index that another thread publishes.
 * @param index a field of a line.
 * @returns its value; what the publisher wrote before is visible now.
 * Errors: none. Threads: any. Cost: one load. Since: 0.1. Source: row B11.
 */
EMP_INLINE uint64_t emp_cache_line_observe(const uint64_t *index)
{
    return EMP_PUBLIC_LOAD_ACQUIRE(index);
}

/**
 * Acquire barrier: no read or write after it moves before a read that precedes it. After a relaxed
 * read of a flag it makes visible what the writer of the flag wrote before its release barrier.
 * Errors: none. Threads: any; signal-safe. Cost: compiler only on x86-64, one dmb on aarch64.
 * Since: 0.1. Source: row B11.
 */
EMP_INLINE void emp_barrier_acquire(void)
{
    EMP_PUBLIC_FENCE_ACQUIRE();
}

/**
 * Release barrier: no read or write before it moves after a write that follows it. Before a relaxed
 * write of a flag it makes what was written earlier visible to who acquires the flag.
 * Errors: none. Threads: any; signal-safe. Cost: compiler only on x86-64, one dmb on aarch64.
 * Since: 0.1. Source: row B11.
 */
EMP_INLINE void emp_barrier_release(void)
{
    EMP_PUBLIC_FENCE_RELEASE();
}

/**
 * Full barrier: orders also an earlier write before a later read. Of two threads that each write a
 * flag, pass this barrier and read the other's flag, at least one sees the other's write.
 * Errors: none. Threads: any; signal-safe. Cost: 2 to 20 ns. Since: 0.1. Source: row B11.
 */
EMP_INLINE void emp_barrier_full(void)
{
    EMP_PUBLIC_FENCE_FULL();
}

/* A view of bits over words of the caller: bit i is bit i % 64 of words[i / 64]. */
struct emp_bitmap {
    uint64_t *words; /* emp_bitmap_words(bits) words, owned by the caller */
    size_t bits;     /* 0 .. 2^37; what lies behind them in the last word is never looked at */
};

/**
 * Words that a bitmap needs.
 * @param bits number of bits.
 * @returns words of 64 bits. Errors: none. Threads: any. Cost: O(1). Since: 0.1. Source: row B11.
 */
EMP_INLINE size_t emp_bitmap_words(size_t bits)
{
    return bits / 64 + (bits % 64 != 0);
}

/**
 * Reads a bit.
 * @param map the view. @param index 0 .. bits - 1.
 * @returns true when the bit is set; false when it is not or index is out of range.
 * Errors: as said. Threads: one at a time. Cost: O(1). Since: 0.1. Source: row B11.
 */
EMP_INLINE bool emp_bitmap_test(const struct emp_bitmap *map, size_t index)
{
    return index < map->bits && (map->words[index / 64] >> (index % 64) & 1u) != 0;
}

/**
 * Sets a bit.
 * @param map the view. @param index 0 .. bits - 1.
 * @returns true when that changed it; false when it was set already or index is out of range.
 * Errors: as said. Threads: one at a time. Cost: O(1). Since: 0.1. Source: row B11.
 */
EMP_INLINE bool emp_bitmap_set(const struct emp_bitmap *map, size_t index)
{
    if (index >= map->bits || emp_bitmap_test(map, index)) {
        return false;
    }
    map->words[index / 64] |= (uint64_t)1 << (index % 64);
    return true;
}

/**
 * Clears a bit.
 * @param map the view. @param index 0 .. bits - 1.
 * @returns true when that changed it; false when it was clear already or index is out of range.
 * Errors: as said. Threads: one at a time. Cost: O(1). Since: 0.1. Source: row B11.
 */
EMP_INLINE bool emp_bitmap_clear(const struct emp_bitmap *map, size_t index)
{
    if (!emp_bitmap_test(map, index)) {
        return false;
    }
    map->words[index / 64] &= ~((uint64_t)1 << (index % 64));
    return true;
}

/**
 * Sets or clears all bits; those behind the last one in its word become clear.
 * @param map the view. @param value what every bit becomes.
 * Errors: none. Threads: one at a time. Cost: O(bits / 64). Since: 0.1. Source: row B11.
 */
EMP_API void emp_bitmap_fill(const struct emp_bitmap *map, bool value);

/**
 * Finds the first set bit.
 * @param map the view. @param from first index to look at.
 * @returns its index, or bits when there is none from there on.
 * Errors: none. Threads: one at a time. Cost: O(bits / 256) with AVX2. Since: 0.1.
 * Source: rows B2, B11.
 */
EMP_API size_t emp_bitmap_find_set(const struct emp_bitmap *map, size_t from);

/**
 * Finds the first clear bit.
 * @param map the view. @param from first index to look at.
 * @returns its index, or bits when there is none from there on.
 * Errors: none. Threads: one at a time. Cost: O(bits / 64). Since: 0.1. Source: row B11.
 */
EMP_API size_t emp_bitmap_find_clear(const struct emp_bitmap *map, size_t from);

/**
 * Counts the set bits.
 * @param map the view.
 * @returns their number. Errors: none. Threads: one at a time. Cost: O(bits / 64). Since: 0.1.
 * Source: row B11.
 */
EMP_API size_t emp_bitmap_count(const struct emp_bitmap *map);

/**
 * Number of memory nodes that are online; their numbers may have gaps.
 * @returns nodes, at least 1 (also where the system knows of none). Errors: none. Threads: any.
 * Cost: reads a system file, microseconds: keep the answer. Since: 0.1. Source: rows B11, C8.
 */
EMP_API unsigned emp_numa_node_count(void);

/**
 * One above the highest node number: the length of an array indexed by node.
 * @returns 1 .. 1024. Errors: none. Threads: any. Cost: reads a system file. Since: 0.1.
 * Source: row B11.
 */
EMP_API unsigned emp_numa_node_limit(void);

/**
 * Node of the processor that runs the caller; it may have moved when the call returns.
 * @returns a node. Errors: none. Threads: any. Cost: about 10 ns. Since: 0.1. Source: row B11.
 */
EMP_API unsigned emp_numa_current_node(void);

/**
 * Node of a processor.
 * @param cpu number of the processor. @param node receives its node.
 * @returns EMP_OK or an error, *node then untouched. Errors: EMP_ERR_INVALID (node is NULL),
 *   EMP_ERR_NOT_FOUND (no such processor). Threads: any. Cost: reads one system file per node.
 * Since: 0.1. Source: row B11.
 */
EMP_API enum emp_status emp_numa_node_of_cpu(unsigned cpu, unsigned *node);

/**
 * Node of the page that an address lies in.
 * @param address any address. @param node receives the node.
 * @returns EMP_OK or an error, *node then untouched. Errors: EMP_ERR_INVALID (node is NULL),
 *   EMP_ERR_NOT_FOUND (no page there yet, nothing mapped, or the system does not tell).
 * Threads: any. Cost: one system call. Since: 0.1. Source: row B11.
 */
EMP_API enum emp_status emp_numa_node_of_address(const void *address, unsigned *node);

/**
 * Asks that pages of a range that are not there yet come from a node while it has free ones.
 * @param base start, a multiple of the system's page, bytes. @param bytes length, > 0.
 * @param node an online node.
 * @returns EMP_OK or an error, nothing changed then. Errors: EMP_ERR_INVALID (base NULL or not on a
 *   page, bytes 0), EMP_ERR_UNSUPPORTED (no such node, range not mapped, refused by the system).
 * Threads: any. Cost: one system call. Since: 0.1. Source: row B11.
 */
EMP_API enum emp_status emp_numa_prefer(void *base, size_t bytes, unsigned node);

EMP_EXTERN_C_END

#endif
