/*
 * Purpose: the machine's floor: an inlined, thread-local pointer stack per size, without any
 *          metadata. Not an allocator (it needs the size at free, never returns memory, knows no
 *          other thread); it bounds what an inlined pool could reach in the same workload.
 * Owner:   each thread its own stacks; bench_floor_begin comes before its first call.
 * Cost:    3-4 instructions per call.
 */
#ifndef BENCH_SUPPORT_FLOOR_H
#define BENCH_SUPPORT_FLOOR_H

#include <stddef.h>

#define BENCH_FLOOR_STEP    16u
#define BENCH_FLOOR_MAX     1024u
#define BENCH_FLOOR_CLASSES (BENCH_FLOOR_MAX / BENCH_FLOOR_STEP + 1)

/* Per class, one past the newest free block; below the oldest lies NULL. */
extern __thread void **bench_floor_tops[BENCH_FLOOR_CLASSES];

/* Reserves the calling thread's stacks. */
void bench_floor_begin(void);

/* Cuts fresh blocks of a class and returns one. */
void *bench_floor_refill(size_t class_index);

static inline __attribute__((always_inline)) void *bench_floor_alloc(size_t size)
{
    size_t class_index = (size + BENCH_FLOOR_STEP - 1) / BENCH_FLOOR_STEP;
    void **top = bench_floor_tops[class_index];
    void *block = top[-1];

    if (__builtin_expect(block == NULL, 0)) {
        return bench_floor_refill(class_index);
    }
    bench_floor_tops[class_index] = top - 1;
    return block;
}

static inline __attribute__((always_inline)) void bench_floor_free(void *block, size_t size)
{
    size_t class_index = (size + BENCH_FLOOR_STEP - 1) / BENCH_FLOOR_STEP;
    void **top = bench_floor_tops[class_index];

    *top = block;
    bench_floor_tops[class_index] = top + 1;
}

#endif
