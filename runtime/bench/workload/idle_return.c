/*
 * Purpose: memory of an idle program: 64 MiB of live blocks, then 256 MiB more allocated and freed
 *          at random, then the program sleeps for 2 s. No call asks for memory to be given back.
 * Threads: one. Blocks of 16-512 B, log-uniform.
 * Reports: resident bytes (the program's own at its start subtracted) over the live 64 MiB, at the
 *          peak, right after freeing, and after the sleep.
 */
#include "support/clock.h"
#include "support/pages.h"
#include "support/rng.h"
#include "workload/groups.h"

#include <stdlib.h>

#define BASE_BYTES  ((size_t)64 << 20)
#define SURGE_BYTES ((size_t)256 << 20)
#define BLOCKS_MAX  ((size_t)4 << 20)
#define SIZES_DRAWN 65536u
#define SLEEP_NS    2000000000u

/* Allocates bytes in mixed blocks; returns how many blocks. */
static size_t idle_fill(void **blocks, const uint32_t *sizes, size_t bytes)
{
    size_t count = 0;

    for (size_t filled = 0; filled < bytes && count < BLOCKS_MAX; count++) {
        uint32_t size = sizes[count % SIZES_DRAWN];

        blocks[count] = malloc(size);
        bench_touch(blocks[count], count);
        filled += size;
    }
    return count;
}

static void idle_free_at_random(void **blocks, size_t count, struct bench_rng *rng)
{
    for (size_t left = count; left > 0; left--) {
        size_t chosen = bench_rng_below(rng, left);

        free(blocks[chosen]);
        blocks[chosen] = blocks[left - 1];
    }
}

static double idle_ratio(size_t start_bytes)
{
    return ((double)bench_resident_bytes() - (double)start_bytes) / (double)BASE_BYTES;
}

static void idle_return_run(struct bench_run *run, const struct bench_shape *shape)
{
    struct bench_rng rng = bench_rng_make(run->seed, 0);
    void **base;
    void **surge;
    uint32_t *sizes;
    size_t start_bytes;
    size_t surge_count;

    (void)shape;
    bench_turn_take(run);
    base = bench_pages_map(BLOCKS_MAX * sizeof *base);
    surge = bench_pages_map(BLOCKS_MAX * sizeof *surge);
    sizes = bench_pages_map(SIZES_DRAWN * sizeof *sizes);
    bench_pages_touch(base, BLOCKS_MAX * sizeof *base);
    bench_pages_touch(surge, BLOCKS_MAX * sizeof *surge);
    bench_rng_sizes(&rng, sizes, SIZES_DRAWN, (const uint32_t[2]){16, 512});
    start_bytes = bench_resident_bytes();
    idle_fill(base, sizes, BASE_BYTES);
    surge_count = idle_fill(surge, sizes, SURGE_BYTES);
    bench_emit_detail(run, "peak resident/base", BENCH_TIMES, idle_ratio(start_bytes));
    idle_free_at_random(surge, surge_count, &rng);
    bench_emit_detail(run, "freed resident/base", BENCH_TIMES, idle_ratio(start_bytes));
    bench_turn_give(run);
    bench_sleep_ns(SLEEP_NS);
    bench_emit(run, "idle resident/base", BENCH_TIMES, idle_ratio(start_bytes));
}

static const struct bench_workload idle_return_workloads[] = {
    {.name = "idle.return",
     .title = "64 MiB live, 256 MiB allocated and freed, asleep for 2 s",
     .apis = BENCH_ON_MALLOC,
     .waits = true,
     .rounds_max = 1,
     .run = idle_return_run},
};

const struct bench_group bench_idle_return_group = BENCH_GROUP(idle_return_workloads);
