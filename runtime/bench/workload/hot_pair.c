/*
 * Purpose: hot pairs: depth blocks of one size are allocated, written once each, and freed in the
 *          order of allocation, over and over. The cost of the hit path and of nothing else.
 * Threads: one.
 * Reports: ns per pair for each size, and geometric means over all sizes and over those that typed
 *          pools serve. shape.count is the depth.
 */
#include "support/clock.h"
#include "support/stats.h"
#include "workload/groups.h"
#include "workload/serve.h"

#include <stdio.h>

#define DEPTH_MAX   64u
#define BATCH_PAIRS 4096u
#define BATCHES_MIN 8u

/* ns per pair of one batch; size and api are constants where this is inlined. */
BENCH_INLINE double pair_batch(enum bench_api api, size_t size, size_t depth)
{
    void *blocks[DEPTH_MAX];
    uint64_t begin = bench_now_ns();

    for (size_t done = 0; done < BATCH_PAIRS; done += depth) {
        for (size_t i = 0; i < depth; i++) {
            blocks[i] = bench_serve(api, size);
            bench_touch(blocks[i], done);
        }
        for (size_t i = 0; i < depth; i++) {
            bench_give_back(api, blocks[i], size);
        }
    }
    return (double)(bench_now_ns() - begin) / BATCH_PAIRS;
}

#define PAIR_FUNCTION(name, api, size)               \
    static double pair_##name##_##size(size_t depth) \
    {                                                \
        return pair_batch(api, size, depth);         \
    }

PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 8)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 16)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 32)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 64)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 96)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 128)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 256)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 512)
PAIR_FUNCTION(malloc, BENCH_API_MALLOC, 1024)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 8)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 16)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 32)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 64)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 96)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 128)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 256)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 512)
PAIR_FUNCTION(floor, BENCH_API_FLOOR, 1024)
PAIR_FUNCTION(typed, BENCH_API_TYPED, 32)
PAIR_FUNCTION(typed, BENCH_API_TYPED, 64)
PAIR_FUNCTION(typed, BENCH_API_TYPED, 96)
PAIR_FUNCTION(typed, BENCH_API_TYPED, 128)

/* By api; NULL where a typed pool of that size is not measured. */
static const struct {
    unsigned size;
    double (*batch[3])(size_t depth);
} pair_table[] = {
    {8, {pair_malloc_8, NULL, pair_floor_8}},
    {16, {pair_malloc_16, NULL, pair_floor_16}},
    {32, {pair_malloc_32, pair_typed_32, pair_floor_32}},
    {64, {pair_malloc_64, pair_typed_64, pair_floor_64}},
    {96, {pair_malloc_96, pair_typed_96, pair_floor_96}},
    {128, {pair_malloc_128, pair_typed_128, pair_floor_128}},
    {256, {pair_malloc_256, NULL, pair_floor_256}},
    {512, {pair_malloc_512, NULL, pair_floor_512}},
    {1024, {pair_malloc_1024, NULL, pair_floor_1024}},
};

#define SIZES (sizeof pair_table / sizeof pair_table[0])

/* Median ns per pair over the time given. */
static double pair_measure(double (*batch)(size_t depth), size_t depth, uint64_t budget_ns)
{
    static struct bench_samples samples;
    uint64_t deadline = bench_now_ns() + budget_ns;

    samples.count = 0;
    batch(depth);
    while (samples.count < BATCHES_MIN || bench_now_ns() < deadline) {
        bench_samples_add(&samples, batch(depth));
    }
    return bench_samples_median(&samples);
}

static void hot_pair_run(struct bench_run *run, const struct bench_shape *shape)
{
    double all[SIZES];
    double typed[SIZES];
    size_t all_count = 0;
    size_t typed_count = 0;

    bench_serve_begin(run->api);
    for (size_t i = 0; i < SIZES; i++) {
        char metric[16];
        double ns;

        if (pair_table[i].batch[run->api] == NULL) {
            continue;
        }
        ns = pair_measure(pair_table[i].batch[run->api], shape->count, run->budget_ns / SIZES);
        snprintf(metric, sizeof metric, "%uB", pair_table[i].size);
        bench_emit_detail(run, metric, BENCH_NS_PAIR, ns);
        all[all_count++] = ns;
        if (pair_table[i].batch[BENCH_API_TYPED] != NULL) {
            typed[typed_count++] = ns;
        }
    }
    if (all_count == SIZES) {
        bench_emit(run, "8-1024B", BENCH_NS_PAIR, bench_geomean(all, all_count));
    }
    bench_emit(run, "32-128B", BENCH_NS_PAIR, bench_geomean(typed, typed_count));
}

#define ALL_APIS (BENCH_ON_MALLOC | BENCH_ON_TYPED | BENCH_ON_FLOOR)

static const struct bench_workload hot_pair_workloads[] = {
    {.name = "pair.d1",
     .title = "hot pairs 8 B - 1 KiB, depth 1",
     .apis = ALL_APIS,
     .shape = {.count = 1},
     .run = hot_pair_run},
    {.name = "pair.d16",
     .title = "hot pairs 8 B - 1 KiB, depth 16",
     .apis = ALL_APIS,
     .shape = {.count = 16},
     .run = hot_pair_run},
    {.name = "pair.d64",
     .title = "hot pairs 8 B - 1 KiB, depth 64",
     .apis = ALL_APIS,
     .shape = {.count = 64},
     .run = hot_pair_run},
};

const struct bench_group bench_hot_pair_group = BENCH_GROUP(hot_pair_workloads);
