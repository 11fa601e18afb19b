/*
 * Purpose: short-lived threads: a thread is created, allocates 1000 blocks of 16-512 B, frees them,
 *          ends and is joined. Most of the time is the system's; the rest is attaching and
 *          detaching.
 * Threads: one at a time.
 * Reports: microseconds per thread.
 */
#include "support/clock.h"
#include "support/pages.h"
#include "support/rng.h"
#include "support/stats.h"
#include "workload/groups.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCKS        1000u
#define BATCH_THREADS 8u
#define BATCHES_MIN   4u

static void *churn_thread(void *argument)
{
    const uint32_t *sizes = argument;
    void *blocks[BLOCKS];

    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(sizes[i]);
        bench_touch(blocks[i], i);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    return NULL;
}

/* us per thread of one batch. */
static double churn_batch(uint32_t *sizes)
{
    uint64_t begin = bench_now_ns();

    for (unsigned i = 0; i < BATCH_THREADS; i++) {
        pthread_t handle;

        if (pthread_create(&handle, NULL, churn_thread, sizes) != 0) {
            fprintf(stderr, "bench: the system refuses a thread\n");
            exit(1);
        }
        pthread_join(handle, NULL);
    }
    return (double)(bench_now_ns() - begin) / BATCH_THREADS / 1e3;
}

static void thread_churn_run(struct bench_run *run, const struct bench_shape *shape)
{
    static struct bench_samples samples;
    struct bench_rng rng = bench_rng_make(run->seed, 0);
    uint32_t *sizes = bench_pages_map(BLOCKS * sizeof *sizes);
    uint64_t deadline;

    (void)shape;
    bench_rng_sizes(&rng, sizes, BLOCKS, (const uint32_t[2]){16, 512});
    churn_batch(sizes);
    deadline = bench_now_ns() + run->budget_ns;
    while (samples.count < BATCHES_MIN || bench_now_ns() < deadline) {
        bench_samples_add(&samples, churn_batch(sizes));
    }
    bench_emit(run, "thread", BENCH_US_THREAD, bench_samples_median(&samples));
}

static const struct bench_workload thread_churn_workloads[] = {
    {.name = "churn",
     .title = "thread churn: create, 1000 blocks, end, join",
     .apis = BENCH_ON_MALLOC,
     .run = thread_churn_run},
};

const struct bench_group bench_thread_churn_group = BENCH_GROUP(thread_churn_workloads);
