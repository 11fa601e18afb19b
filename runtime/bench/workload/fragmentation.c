/*
 * Purpose: fragmentation: 1 M blocks of 16-512 B are allocated, a share of them freed at random;
 *          the program sleeps; then it allocates blocks of other sizes until as many bytes are live
 *          as before.
 * Threads: one.
 * Reports: resident bytes over live bytes when full, right after freeing, after the sleep, and
 *          after refilling; ns per call of the three busy phases. shape.count is the share freed in
 *          percent. The first fill uses powers of two, the refill three quarters of them: sizes for
 *          which an allocator with size classes has other slabs, though the freed blocks would do.
 */
#include "support/clock.h"
#include "support/pages.h"
#include "support/rng.h"
#include "workload/groups.h"

#include <stdlib.h>

#define BLOCKS                ((size_t)1000000)
#define REFILL_SIZES          4096u
#define SLEEP_LONG_NS         10000000000u /* after 90 % */
#define SLEEP_SHORT_NS        2000000000u  /* after other shares */
#define PERCENT_OF_LONG_SLEEP 90u

struct fragmentation_state {
    void **blocks;      /* BLOCKS entries; NULL once freed */
    uint32_t *sizes;    /* BLOCKS entries */
    uint32_t *sequence; /* BLOCKS entries: the order of freeing */
    void **refill;      /* 2 * BLOCKS entries */
    uint32_t *refill_sizes;
    size_t start_bytes; /* resident before the first block */
    size_t full_bytes;  /* live when full */
    size_t live_bytes;  /* live now */
};

/* A power of two from 16 to 512, small ones the more frequent: 116 B in the mean. */
static uint32_t fragmentation_draw(struct bench_rng *rng)
{
    static const uint16_t sizes[15] = {16, 16,  16,  32,  32,  32,  64, 64,
                                       64, 128, 128, 128, 256, 256, 512};

    return sizes[bench_rng_below(rng, sizeof sizes / sizeof sizes[0])];
}

static double fragmentation_ratio(const struct fragmentation_state *state)
{
    return ((double)bench_resident_bytes() - (double)state->start_bytes) /
           (double)state->live_bytes;
}

static double fragmentation_fill(struct fragmentation_state *state)
{
    uint64_t begin = bench_now_ns();

    for (size_t i = 0; i < BLOCKS; i++) {
        state->blocks[i] = malloc(state->sizes[i]);
        bench_touch(state->blocks[i], i);
    }
    return (double)(bench_now_ns() - begin) / (double)BLOCKS;
}

static double fragmentation_free(struct fragmentation_state *state, size_t count)
{
    uint64_t begin = bench_now_ns();

    for (size_t i = 0; i < count; i++) {
        free(state->blocks[state->sequence[i]]);
    }
    return (double)(bench_now_ns() - begin) / (double)count;
}

static double fragmentation_refill(struct fragmentation_state *state)
{
    uint64_t begin = bench_now_ns();
    size_t count = 0;

    while (state->live_bytes < state->full_bytes && count < 2 * BLOCKS) {
        uint32_t size = state->refill_sizes[count % REFILL_SIZES];

        state->refill[count] = malloc(size);
        bench_touch(state->refill[count], count);
        state->live_bytes += size;
        count++;
    }
    return (double)(bench_now_ns() - begin) / (double)count;
}

static void fragmentation_prepare(struct fragmentation_state *state, uint64_t seed)
{
    struct bench_rng rng = bench_rng_make(seed, 0);
    size_t pointers_bytes = BLOCKS * sizeof *state->blocks;

    state->blocks = bench_pages_map(pointers_bytes);
    state->refill = bench_pages_map(2 * pointers_bytes);
    state->sizes = bench_pages_map(BLOCKS * sizeof *state->sizes);
    state->sequence = bench_pages_map(BLOCKS * sizeof *state->sequence);
    state->refill_sizes = bench_pages_map(REFILL_SIZES * sizeof *state->refill_sizes);
    bench_pages_touch(state->blocks, pointers_bytes);
    bench_pages_touch(state->refill, 2 * pointers_bytes);
    bench_pages_touch(state->sizes, BLOCKS * sizeof *state->sizes);
    bench_pages_touch(state->sequence, BLOCKS * sizeof *state->sequence);
    for (size_t i = 0; i < BLOCKS; i++) {
        state->sequence[i] = (uint32_t)i;
        state->sizes[i] = fragmentation_draw(&rng);
        state->full_bytes += state->sizes[i];
    }
    for (size_t i = 0; i < REFILL_SIZES; i++) {
        state->refill_sizes[i] = fragmentation_draw(&rng) * 3 / 4;
    }
    bench_rng_shuffle(&rng, state->sequence, BLOCKS);
}

static void fragmentation_run(struct bench_run *run, const struct bench_shape *shape)
{
    static struct fragmentation_state state;
    size_t freed = BLOCKS / 100 * shape->count;

    bench_turn_take(run);
    fragmentation_prepare(&state, run->seed);
    state.start_bytes = bench_resident_bytes();
    bench_emit_detail(run, "fill", BENCH_NS_CALL, fragmentation_fill(&state));
    state.live_bytes = state.full_bytes;
    bench_emit_detail(run, "full resident/live", BENCH_TIMES, fragmentation_ratio(&state));
    bench_emit_detail(run, "free", BENCH_NS_CALL, fragmentation_free(&state, freed));
    for (size_t i = 0; i < freed; i++) {
        state.live_bytes -= state.sizes[state.sequence[i]];
    }
    bench_emit(run, "freed resident/live", BENCH_TIMES, fragmentation_ratio(&state));
    bench_turn_give(run);
    bench_sleep_ns(shape->count == PERCENT_OF_LONG_SLEEP ? SLEEP_LONG_NS : SLEEP_SHORT_NS);
    bench_emit(run, "idle resident/live", BENCH_TIMES, fragmentation_ratio(&state));
    bench_turn_take(run);
    bench_emit_detail(run, "refill", BENCH_NS_CALL, fragmentation_refill(&state));
    bench_emit(run, "refilled resident/live", BENCH_TIMES, fragmentation_ratio(&state));
    bench_turn_give(run);
}

static const struct bench_workload fragmentation_workloads[] = {
    {.name = "frag.50",
     .title = "1 M blocks 16-512 B, 50 % freed, 2 s idle, refilled",
     .apis = BENCH_ON_MALLOC,
     .waits = true,
     .rounds_max = 1,
     .shape = {.count = 50},
     .run = fragmentation_run},
    {.name = "frag.90",
     .title = "1 M blocks 16-512 B, 90 % freed, 10 s idle, refilled",
     .apis = BENCH_ON_MALLOC,
     .waits = true,
     .rounds_max = 1,
     .shape = {.count = 90},
     .run = fragmentation_run},
    {.name = "frag.95",
     .title = "1 M blocks 16-512 B, 95 % freed, 2 s idle, refilled",
     .apis = BENCH_ON_MALLOC,
     .waits = true,
     .rounds_max = 1,
     .shape = {.count = 95},
     .run = fragmentation_run},
};

const struct bench_group bench_fragmentation_group = BENCH_GROUP(fragmentation_workloads);
