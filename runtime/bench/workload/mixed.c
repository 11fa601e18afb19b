/*
 * Purpose: mixed sizes: blocks of 16-512 B in a set of slots; each step frees the block of a random
 *          slot and allocates one of another size in its place. Sizes are log-uniform: mean 143 B.
 * Threads: one.
 * Reports: ns per pair. shape.count is the number of slots.
 */
#include "support/clock.h"
#include "support/pages.h"
#include "support/rng.h"
#include "support/stats.h"
#include "workload/groups.h"
#include "workload/serve.h"

#define SIZES_DRAWN 8192u
#define BATCH_STEPS 8192u
#define BATCHES_MIN 8u

struct mixed_state {
    struct bench_rng rng;
    size_t slots;
    size_t step;
    void **blocks;        /* slots entries */
    uint32_t *block_size; /* slots entries */
    uint32_t *sizes;      /* SIZES_DRAWN entries */
};

/* ns per pair of one batch. */
BENCH_INLINE double mixed_batch(enum bench_api api, struct mixed_state *state)
{
    uint64_t begin = bench_now_ns();

    for (size_t i = 0; i < BATCH_STEPS; i++) {
        size_t slot = bench_rng_below(&state->rng, state->slots);
        uint32_t size = state->sizes[state->step++ % SIZES_DRAWN];

        bench_give_back(api, state->blocks[slot], state->block_size[slot]);
        state->blocks[slot] = bench_serve(api, size);
        state->block_size[slot] = size;
        bench_touch(state->blocks[slot], i);
    }
    return (double)(bench_now_ns() - begin) / BATCH_STEPS;
}

BENCH_INLINE void mixed_measure(enum bench_api api, struct bench_run *run,
                                struct mixed_state *state)
{
    static struct bench_samples samples;
    uint64_t deadline;

    for (size_t slot = 0; slot < state->slots; slot++) {
        state->block_size[slot] = state->sizes[state->step++ % SIZES_DRAWN];
        state->blocks[slot] = bench_serve(api, state->block_size[slot]);
        bench_touch(state->blocks[slot], slot);
    }
    for (size_t warm = 0; warm < 2 + 2 * state->slots / BATCH_STEPS; warm++) {
        mixed_batch(api, state);
    }
    deadline = bench_now_ns() + run->budget_ns;
    while (samples.count < BATCHES_MIN || bench_now_ns() < deadline) {
        bench_samples_add(&samples, mixed_batch(api, state));
    }
    bench_emit(run, "pair", BENCH_NS_PAIR, bench_samples_median(&samples));
}

static void mixed_run(struct bench_run *run, const struct bench_shape *shape)
{
    struct mixed_state state = {.rng = bench_rng_make(run->seed, 0), .slots = shape->count};

    state.blocks = bench_pages_map(shape->count * sizeof *state.blocks);
    state.block_size = bench_pages_map(shape->count * sizeof *state.block_size);
    state.sizes = bench_pages_map(SIZES_DRAWN * sizeof *state.sizes);
    bench_rng_sizes(&state.rng, state.sizes, SIZES_DRAWN, (const uint32_t[2]){16, 512});
    bench_serve_begin(run->api);
    if (run->api == BENCH_API_FLOOR) {
        mixed_measure(BENCH_API_FLOOR, run, &state);
    } else {
        mixed_measure(BENCH_API_MALLOC, run, &state);
    }
}

static const struct bench_workload mixed_workloads[] = {
    {.name = "mixed.1k",
     .title = "mixed 16-512 B, random replacement in 1 Ki slots",
     .apis = BENCH_ON_MALLOC | BENCH_ON_FLOOR,
     .shape = {.count = 1024},
     .run = mixed_run},
    {.name = "mixed.64k",
     .title = "mixed 16-512 B, random replacement in 64 Ki slots",
     .apis = BENCH_ON_MALLOC | BENCH_ON_FLOOR,
     .shape = {.count = 65536},
     .run = mixed_run},
};

const struct bench_group bench_mixed_group = BENCH_GROUP(mixed_workloads);
