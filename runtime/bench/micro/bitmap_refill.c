/*
 * Purpose: what the vector code gains where a refill turns a bitmap word into block addresses: the
 *          same words through the plain C variant and through the variant this processor gets.
 * Threads: one. Words of a quarter, a half and all bits set; blocks of 64 B.
 * Reports: ns per pointer written for both, and their ratio (the gain).
 */
#include "slab/bitmap_expand.h"
#include "support/clock.h"
#include "support/pages.h"
#include "support/rng.h"
#include "support/stats.h"
#include "workload/groups.h"

#include <stdio.h>

#define WORDS            512u
#define ROUNDS_PER_BATCH 16u
#define BATCHES_MIN      8u
#define BLOCK_BYTES      64u
#define BASE_ADDRESS     ((uintptr_t)1 << 32)
#define DENSITIES        3u

typedef unsigned refill_expand(uint64_t word, uintptr_t base, size_t size, void **out);

/* ns per pointer of one batch. */
static double refill_batch(refill_expand *expand, const uint64_t *words)
{
    void *out[EMP_BITMAP_EXPAND_ROOM];
    uint64_t begin = bench_now_ns();
    uint64_t written = 0;

    for (unsigned round = 0; round < ROUNDS_PER_BATCH; round++) {
        for (size_t i = 0; i < WORDS; i++) {
            written += expand(words[i], BASE_ADDRESS, BLOCK_BYTES, out);
            bench_escape(out);
        }
    }
    return (double)(bench_now_ns() - begin) / (double)written;
}

/* Words with two, one or no random mask over full ones: 25, 50 and 100 % of the bits are set. */
static void refill_fill(uint64_t *words, unsigned density, struct bench_rng *rng)
{
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = ~(uint64_t)0;
        for (unsigned mask = density; mask < DENSITIES - 1; mask++) {
            words[i] &= bench_rng_next(rng);
        }
        words[i] |= 1;
    }
}

static void bitmap_refill_run(struct bench_run *run, const struct bench_shape *shape)
{
    static const char *const names[DENSITIES] = {"25%", "50%", "full"};
    static struct bench_samples plain;
    static struct bench_samples vector;
    bool has_vector = emp_bitmap_vector_usable();
    refill_expand *chosen = has_vector ? emp_bitmap_vector_ops.expand : emp_bitmap_expand_c;
    struct bench_rng rng = bench_rng_make(run->seed, 0);
    uint64_t *words = bench_pages_map(WORDS * sizeof *words);
    char metric[32];

    (void)shape;
    for (unsigned density = 0; density < DENSITIES; density++) {
        uint64_t deadline = bench_now_ns() + run->budget_ns / DENSITIES;
        double plain_ns;
        double vector_ns;

        refill_fill(words, density, &rng);
        plain.count = 0;
        vector.count = 0;
        while (plain.count < BATCHES_MIN || bench_now_ns() < deadline) {
            bench_samples_add(&plain, refill_batch(emp_bitmap_expand_c, words));
            bench_samples_add(&vector, refill_batch(chosen, words));
        }
        plain_ns = bench_samples_median(&plain);
        vector_ns = bench_samples_median(&vector);
        snprintf(metric, sizeof metric, "%s plain C", names[density]);
        bench_emit(run, metric, BENCH_NS_SLOT, plain_ns);
        snprintf(metric, sizeof metric, "%s vector", names[density]);
        bench_emit(run, metric, BENCH_NS_SLOT, vector_ns);
        snprintf(metric, sizeof metric, "%s gain", names[density]);
        bench_emit(run, metric, BENCH_GAIN, plain_ns / vector_ns);
    }
}

static const struct bench_workload bitmap_refill_workloads[] = {
    {.name = "refill.bitmap",
     .title = "bitmap word to block addresses, vector against plain C",
     .apis = BENCH_ON_TYPED,
     .run = bitmap_refill_run},
};

const struct bench_group bench_bitmap_refill_group = BENCH_GROUP(bitmap_refill_workloads);
