/*
 * Purpose: the slow part of the floor: reserving stacks and cutting blocks.
 * Owner:   each thread its own stacks.
 */
#include "support/floor.h"

#include "support/pages.h"

#define STACK_POINTERS ((size_t)1 << 20) /* per class; address space only until used */
#define CUT_BYTES      ((size_t)64 << 10)

__thread void **bench_floor_tops[BENCH_FLOOR_CLASSES];

void bench_floor_begin(void)
{
    void **stacks = bench_pages_map(BENCH_FLOOR_CLASSES * STACK_POINTERS * sizeof(void *));

    for (size_t i = 0; i < BENCH_FLOOR_CLASSES; i++) {
        bench_floor_tops[i] = stacks + i * STACK_POINTERS + 1;
    }
}

void *bench_floor_refill(size_t class_index)
{
    size_t block_bytes = class_index * BENCH_FLOOR_STEP;
    char *blocks = bench_pages_map(CUT_BYTES);
    size_t count = CUT_BYTES / block_bytes;

    for (size_t i = count - 1; i > 0; i--) {
        bench_floor_free(blocks + i * block_bytes, block_bytes);
    }
    return blocks;
}
