/*
 * Purpose: aligned tasks: posix_memalign of 64 or 128 bytes for blocks of 128, 192, 256 and 384 B,
 *          16 of them allocated, then freed. Rust runtimes ask for their tasks this way.
 * Threads: one.
 * Reports: ns per pair, geometric mean of the sizes. shape.size is the alignment.
 */
#include "support/clock.h"
#include "support/stats.h"
#include "workload/groups.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH       16u
#define BATCH_PAIRS 4096u
#define BATCHES_MIN 8u

static void *aligned_alloc_one(size_t align, size_t size)
{
    void *block;

    if (posix_memalign(&block, align, size) != 0 || (uintptr_t)block % align != 0) {
        fprintf(stderr, "bench: posix_memalign(%zu, %zu) failed or gave a wrong address\n", align,
                size);
        exit(1);
    }
    return block;
}

/* ns per pair of one batch. */
static double aligned_batch(size_t align, size_t size)
{
    void *blocks[DEPTH];
    uint64_t begin = bench_now_ns();

    for (unsigned done = 0; done < BATCH_PAIRS; done += DEPTH) {
        for (unsigned i = 0; i < DEPTH; i++) {
            blocks[i] = aligned_alloc_one(align, size);
            bench_touch(blocks[i], i);
        }
        for (unsigned i = 0; i < DEPTH; i++) {
            free(blocks[i]);
        }
    }
    return (double)(bench_now_ns() - begin) / BATCH_PAIRS;
}

static void aligned_run(struct bench_run *run, const struct bench_shape *shape)
{
    static const size_t sizes[] = {128, 192, 256, 384};
    static struct bench_samples samples;
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    double means[SIZES];

    for (size_t i = 0; i < SIZES; i++) {
        uint64_t deadline = bench_now_ns() + run->budget_ns / SIZES;

        samples.count = 0;
        aligned_batch(shape->size, sizes[i]);
        while (samples.count < BATCHES_MIN || bench_now_ns() < deadline) {
            bench_samples_add(&samples, aligned_batch(shape->size, sizes[i]));
        }
        means[i] = bench_samples_median(&samples);
    }
    bench_emit(run, "pair", BENCH_NS_PAIR, bench_geomean(means, SIZES));
}

static const struct bench_workload aligned_workloads[] = {
    {.name = "aligned.64",
     .title = "posix_memalign(64), 128-384 B, depth 16",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 64},
     .run = aligned_run},
    {.name = "aligned.128",
     .title = "posix_memalign(128), 128-384 B, depth 16",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 128},
     .run = aligned_run},
};

const struct bench_group bench_aligned_group = BENCH_GROUP(aligned_workloads);
