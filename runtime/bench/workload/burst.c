/*
 * Purpose: bursts: count blocks are allocated, then all freed in the order of allocation, in
 *          reverse, or at random. The alloc side and the free side are timed apart.
 * Threads: one.
 * Reports: ns per pair, per malloc and per free. shape.size is 0 for mixed sizes of 16-512 B (log-
 *          uniform), shape.order one of burst_order.
 */
#include "support/clock.h"
#include "support/pages.h"
#include "support/rng.h"
#include "support/stats.h"
#include "workload/groups.h"
#include "workload/serve.h"

#define BURSTS_MIN 3u

enum burst_order { BURST_FIFO, BURST_LIFO, BURST_RANDOM };

struct burst_state {
    size_t count;
    size_t fixed_size;  /* 0: take sizes */
    void **blocks;      /* count entries */
    uint32_t *sizes;    /* count entries */
    uint32_t *sequence; /* count entries: the order of freeing */
};

struct burst_times {
    struct bench_samples pair;
    struct bench_samples alloc;
    struct bench_samples free;
};

/* One burst; adds its times when times is not NULL. */
BENCH_INLINE void burst_once(enum bench_api api, const struct burst_state *state,
                             struct burst_times *times)
{
    uint64_t begin = bench_now_ns();
    uint64_t middle;
    uint64_t end;

    for (size_t i = 0; i < state->count; i++) {
        state->blocks[i] =
            bench_serve(api, state->fixed_size != 0 ? state->fixed_size : state->sizes[i]);
        bench_touch(state->blocks[i], i);
    }
    middle = bench_now_ns();
    for (size_t i = 0; i < state->count; i++) {
        size_t slot = state->sequence[i];

        bench_give_back(api, state->blocks[slot],
                        state->fixed_size != 0 ? state->fixed_size : state->sizes[slot]);
    }
    end = bench_now_ns();
    if (times != NULL) {
        bench_samples_add(&times->pair, (double)(end - begin) / (double)state->count);
        bench_samples_add(&times->alloc, (double)(middle - begin) / (double)state->count);
        bench_samples_add(&times->free, (double)(end - middle) / (double)state->count);
    }
}

BENCH_INLINE void burst_measure(enum bench_api api, struct bench_run *run,
                                const struct burst_state *state)
{
    static struct burst_times times;
    uint64_t deadline;

    burst_once(api, state, NULL);
    deadline = bench_now_ns() + run->budget_ns;
    while (times.pair.count < BURSTS_MIN || bench_now_ns() < deadline) {
        burst_once(api, state, &times);
    }
    bench_emit(run, "pair", BENCH_NS_PAIR, bench_samples_median(&times.pair));
    bench_emit(run, "alloc side", BENCH_NS_CALL, bench_samples_median(&times.alloc));
    bench_emit(run, "free side", BENCH_NS_CALL, bench_samples_median(&times.free));
}

static void burst_make_sequence(struct burst_state *state, unsigned order, struct bench_rng *rng)
{
    for (size_t i = 0; i < state->count; i++) {
        state->sequence[i] = (uint32_t)(order == BURST_LIFO ? state->count - 1 - i : i);
    }
    if (order == BURST_RANDOM) {
        bench_rng_shuffle(rng, state->sequence, state->count);
    }
}

static void burst_run(struct bench_run *run, const struct bench_shape *shape)
{
    struct bench_rng rng = bench_rng_make(run->seed, 0);
    struct burst_state state = {.count = shape->count, .fixed_size = shape->size};

    state.blocks = bench_pages_map(state.count * sizeof *state.blocks);
    state.sizes = bench_pages_map(state.count * sizeof *state.sizes);
    state.sequence = bench_pages_map(state.count * sizeof *state.sequence);
    bench_rng_sizes(&rng, state.sizes, state.count, (const uint32_t[2]){16, 512});
    burst_make_sequence(&state, shape->order, &rng);
    bench_serve_begin(run->api);
    if (run->api == BENCH_API_FLOOR) {
        burst_measure(BENCH_API_FLOOR, run, &state);
    } else {
        burst_measure(BENCH_API_MALLOC, run, &state);
    }
}

#define BURST(text_size, text_count, text_order, of_size, of_count, of_order)                     \
    {                                                                                             \
        .name = "burst." text_size "." text_count "." text_order,                                 \
        .title = "burst of " text_count ", " text_size " B, freed " text_order,                   \
        .apis = BENCH_ON_MALLOC | BENCH_ON_FLOOR,                                                 \
        .shape = {.size = (of_size), .count = (of_count), .order = (of_order)}, .run = burst_run, \
    }

static const struct bench_workload burst_workloads[] = {
    BURST("64", "10k", "fifo", 64, 10000, BURST_FIFO),
    BURST("64", "10k", "lifo", 64, 10000, BURST_LIFO),
    BURST("64", "10k", "random", 64, 10000, BURST_RANDOM),
    BURST("64", "100k", "fifo", 64, 100000, BURST_FIFO),
    BURST("64", "100k", "lifo", 64, 100000, BURST_LIFO),
    BURST("64", "100k", "random", 64, 100000, BURST_RANDOM),
    BURST("16-512", "10k", "fifo", 0, 10000, BURST_FIFO),
    BURST("16-512", "10k", "lifo", 0, 10000, BURST_LIFO),
    BURST("16-512", "10k", "random", 0, 10000, BURST_RANDOM),
    BURST("16-512", "100k", "fifo", 0, 100000, BURST_FIFO),
    BURST("16-512", "100k", "lifo", 0, 100000, BURST_LIFO),
    BURST("16-512", "100k", "random", 0, 100000, BURST_RANDOM),
};

const struct bench_group bench_burst_group = BENCH_GROUP(burst_workloads);
