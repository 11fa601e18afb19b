/*
 * Purpose: does the allocator put blocks of two threads on one cache line? Each thread allocates a
 *          block of 8 B, writes it 2000 times, frees it. Active: the allocator alone decides. Passive:
 *          first, one thread allocates a block for each, which they free before their own allocation.
 * Threads: two, started anew for every episode in the passive case by a gate both spin on.
 * Reports: time of an episode with two threads over the time of the same work by one thread alone: 1.0
 *          when the threads do not disturb each other.
 * Source:  Berger et al., "Hoard", ASPLOS 2000 (cache-thrash and cache-scratch).
 */
#include "support/atomic.h"
#include "support/clock.h"
#include "support/crew.h"
#include "support/pages.h"
#include "support/stats.h"
#include "workload/groups.h"

#include <sched.h>
#include <stdlib.h>

#define BLOCK_BYTES 8u
#define WRITES 2000u
#define OBJECTS_PER_EPISODE 8u
#define EPISODES_MIN 16u
#define THREADS 2u
#define SPINS_BEFORE_YIELD 4000u

enum sharing_order { SHARING_ACTIVE, SHARING_PASSIVE };

/* Thread 0 leads: it prepares an episode, opens it, works, and waits for thread 1. */
struct sharing_table {
    uint32_t opened __attribute__((aligned(64))); /* atomic: bench.episode; written by thread 0 */
    uint32_t done __attribute__((aligned(64)));   /* atomic: bench.episode; written by thread 1 */
    void *gift __attribute__((aligned(64)));      /* thread 1's block in the passive case, or NULL */
    bool is_passive;
    bool is_over;
    uint64_t budget_ns;
    double slowdown;
    struct bench_samples alone;
    struct bench_samples together;
};

/* Waits until word has the value. */
static void sharing_wait(const uint32_t *word, uint32_t value)
{
    unsigned spins = 0;

    /* order(bench.episode): acquire, what the other thread wrote before is visible. */
    while (bench_load_acquire(word) != value) {
        if (++spins >= SPINS_BEFORE_YIELD) {
            spins = 0;
            sched_yield();
        }
    }
}

/* One thread's work of an episode; returns its ns. Every write is a store of its own. */
static double sharing_work(void *gift)
{
    uint64_t begin;

    free(gift);
    begin = bench_now_ns();
    for (unsigned object = 0; object < OBJECTS_PER_EPISODE; object++) {
        uint64_t *block = malloc(BLOCK_BYTES);

        *block = 0;
        for (unsigned i = 0; i < WRITES; i++) {
            ++*block;
            bench_escape(block);
        }
        free(block);
    }
    return (double)(bench_now_ns() - begin);
}

/* One episode led by thread 0; with_partner says whether thread 1 works too. */
static double sharing_episode(struct sharing_table *table, bool with_partner, uint32_t *number)
{
    void *own = NULL;
    double elapsed;

    table->gift = NULL;
    if (table->is_passive) {
        own = malloc(BLOCK_BYTES);
        table->gift = malloc(BLOCK_BYTES);
    }
    if (with_partner) {
        ++*number;
        /* order(bench.episode): release, the gift is written. */
        bench_store_release(&table->opened, *number);
        elapsed = sharing_work(own);
        sharing_wait(&table->done, *number);
    } else {
        elapsed = sharing_work(own);
        free(table->gift);
    }
    return elapsed;
}

static void sharing_lead(struct sharing_table *table)
{
    uint64_t deadline = bench_now_ns() + table->budget_ns;
    uint32_t number = 0;

    for (unsigned warm = 0; warm < 4; warm++) {
        sharing_episode(table, true, &number);
    }
    while (table->alone.count < EPISODES_MIN || bench_now_ns() < deadline) {
        bench_samples_add(&table->alone, sharing_episode(table, false, &number));
        bench_samples_add(&table->together, sharing_episode(table, true, &number));
    }
    table->is_over = true;
    /* order(bench.episode): release, is_over is written. */
    bench_store_release(&table->opened, number + 1);
    table->slowdown =
        bench_samples_median(&table->together) / bench_samples_median(&table->alone);
}

static void sharing_follow(struct sharing_table *table)
{
    for (uint32_t number = 1;; number++) {
        sharing_wait(&table->opened, number);
        if (table->is_over) {
            return;
        }
        sharing_work(table->gift);
        /* order(bench.episode): release, this episode's work is over. */
        bench_store_release(&table->done, number);
    }
}

static void sharing_body(struct bench_crew *crew, unsigned index)
{
    if (index == 0) {
        sharing_lead(crew->context);
    } else {
        sharing_follow(crew->context);
    }
}

static void false_sharing_run(struct bench_run *run, const struct bench_shape *shape)
{
    struct sharing_table *table = bench_pages_map(sizeof *table);
    struct bench_crew crew = {.body = sharing_body, .context = table};

    table->is_passive = shape->order == SHARING_PASSIVE;
    table->budget_ns = run->budget_ns;
    bench_crew_run_for(&crew, THREADS, 0);
    bench_emit(run, "slowdown", BENCH_TIMES, table->slowdown);
}

static const struct bench_workload false_sharing_workloads[] = {
    {.name = "sharing.active",
     .title = "false sharing, active: 2 threads against 1",
     .apis = BENCH_ON_MALLOC,
     .shape = {.order = SHARING_ACTIVE},
     .run = false_sharing_run},
    {.name = "sharing.passive",
     .title = "false sharing, passive: 2 threads against 1",
     .apis = BENCH_ON_MALLOC,
     .shape = {.order = SHARING_PASSIVE},
     .run = false_sharing_run},
};

const struct bench_group bench_false_sharing_group = BENCH_GROUP(false_sharing_workloads);
