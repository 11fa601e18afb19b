/*
 * Purpose: large blocks: a few slots, each step frees the block of a random slot and allocates
 *          another of a size drawn log-uniformly; the first and the last word are written.
 * Threads: one.
 * Reports: ns per pair. shape.size and shape.count are the smallest and the largest size in bytes.
 */
#include "support/clock.h"
#include "support/pages.h"
#include "support/rng.h"
#include "support/stats.h"
#include "workload/groups.h"

#include <stdlib.h>

#define SLOTS       8u
#define SIZES_DRAWN 1024u
#define BATCH_STEPS 64u
#define BATCHES_MIN 8u

struct large_state {
    struct bench_rng rng;
    uint32_t *sizes; /* SIZES_DRAWN entries */
    size_t step;
    char *blocks[SLOTS];
};

/* ns per pair of one batch. */
static double large_batch(struct large_state *state)
{
    uint64_t begin = bench_now_ns();

    for (unsigned i = 0; i < BATCH_STEPS; i++) {
        size_t slot = bench_rng_below(&state->rng, SLOTS);
        size_t size = state->sizes[state->step++ % SIZES_DRAWN] & ~(size_t)7;

        free(state->blocks[slot]);
        state->blocks[slot] = malloc(size);
        bench_touch(state->blocks[slot], i);
        bench_touch(state->blocks[slot] + size - sizeof(uint64_t), i);
    }
    return (double)(bench_now_ns() - begin) / BATCH_STEPS;
}

static void large_run(struct bench_run *run, const struct bench_shape *shape)
{
    static struct bench_samples samples;
    struct large_state state = {.rng = bench_rng_make(run->seed, 0)};
    const uint32_t range[2] = {(uint32_t)shape->size, (uint32_t)shape->count};
    uint64_t deadline;

    state.sizes = bench_pages_map(SIZES_DRAWN * sizeof *state.sizes);
    bench_rng_sizes(&state.rng, state.sizes, SIZES_DRAWN, range);
    for (unsigned warm = 0; warm < 4; warm++) {
        large_batch(&state);
    }
    deadline = bench_now_ns() + run->budget_ns;
    while (samples.count < BATCHES_MIN || bench_now_ns() < deadline) {
        bench_samples_add(&samples, large_batch(&state));
    }
    bench_emit(run, "pair", BENCH_NS_PAIR, bench_samples_median(&samples));
}

static const struct bench_workload large_workloads[] = {
    {.name = "large.2k-16k",
     .title = "2 KiB - 16 KiB, random replacement in 8 slots",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 2048, .count = 16384},
     .run = large_run},
    {.name = "large.64k",
     .title = "64 KiB, random replacement in 8 slots",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 65536, .count = 65536},
     .run = large_run},
    {.name = "large.256k-8m",
     .title = "256 KiB - 8 MiB, random replacement in 8 slots",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 262144, .count = 8388608},
     .run = large_run},
};

const struct bench_group bench_large_group = BENCH_GROUP(large_workloads);
