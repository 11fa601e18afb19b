/*
 * Purpose: does the allocator put blocks of two threads on one cache line? Each thread allocates a
 *          block of 8 B, writes it 2000 times, frees it. Active: the allocator alone decides.
 *          Passive: before that, one thread allocates two neighbours, and each thread frees one of
 *          them.
 * Threads: two; both spin at the gate of an episode. Episodes in which the system did not run both
 *          at the same time are left out.
 * Reports: time of an episode with two threads over the time of the same work by one thread alone:
 *          1.0 when the threads do not disturb each other.
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

#define BLOCK_BYTES         8u
#define WRITES              2000u
#define OBJECTS_PER_EPISODE 8u
#define EPISODES_MIN        16u
#define GRACE_NS            500000000u /* past the time given, when the threads rarely overlap */
#define OVERLAP_MIN         0.5        /* share of an episode that both threads must work in */
#define NEIGHBOUR_TRIES     64u
#define LINE_BYTES          64u
#define THREADS             2u
#define SPINS_BEFORE_YIELD  100000u

enum sharing_order { SHARING_ACTIVE, SHARING_PASSIVE };

/* When a thread worked. */
struct sharing_span {
    uint64_t begin_ns;
    uint64_t end_ns;
};

/* Thread 0 leads: it prepares an episode, opens it, works, and waits for thread 1. */
struct sharing_table {
    uint32_t opened __attribute__((aligned(64))); /* atomic: bench.episode; written by thread 0 */
    uint32_t done __attribute__((aligned(64)));   /* atomic: bench.episode; written by thread 1 */
    void *gift __attribute__((aligned(64)));      /* thread 1 frees it once; NULL: none */
    struct sharing_span follower_span;            /* written before done */
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

/* One thread's work of an episode; returns when. Every write is a store of its own. */
static struct sharing_span sharing_work(void)
{
    struct sharing_span span = {bench_now_ns(), 0};

    for (unsigned object = 0; object < OBJECTS_PER_EPISODE; object++) {
        uint64_t *block = malloc(BLOCK_BYTES);

        *block = 0;
        for (unsigned i = 0; i < WRITES; i++) {
            ++*block;
            bench_escape(block);
        }
        free(block);
    }
    span.end_ns = bench_now_ns();
    return span;
}

static double sharing_length(struct sharing_span span)
{
    return (double)(span.end_ns - span.begin_ns);
}

/* Share of the span a during which b worked too. */
static double sharing_overlap(struct sharing_span a, struct sharing_span b)
{
    uint64_t begin = a.begin_ns > b.begin_ns ? a.begin_ns : b.begin_ns;
    uint64_t end = a.end_ns < b.end_ns ? a.end_ns : b.end_ns;

    return end > begin ? (double)(end - begin) / sharing_length(a) : 0;
}

/* One episode of both threads; adds its length unless they did not run together. */
static void sharing_episode(struct sharing_table *table, uint32_t number)
{
    struct sharing_span span;

    /* order(bench.episode): release, what was prepared is written. */
    bench_store_release(&table->opened, number);
    span = sharing_work();
    sharing_wait(&table->done, number);
    if (sharing_overlap(span, table->follower_span) >= OVERLAP_MIN) {
        bench_samples_add(&table->together, sharing_length(span));
    }
}

/* Finds two blocks on one line, if there are such: frees one, the other is thread 1's. */
static void sharing_find_neighbours(struct sharing_table *table)
{
    void *blocks[NEIGHBOUR_TRIES];
    size_t found = 1;

    for (size_t i = 0; i < NEIGHBOUR_TRIES; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        bench_touch(blocks[i], i);
        if (found == 1 && i > 0 &&
            (uintptr_t)blocks[i] / LINE_BYTES == (uintptr_t)blocks[i - 1] / LINE_BYTES) {
            found = i;
        }
    }
    table->gift = blocks[found];
    free(blocks[found - 1]); /* alone, so that this thread's next allocation gets it */
}

static void sharing_lead(struct sharing_table *table)
{
    uint64_t deadline = bench_now_ns() + table->budget_ns;
    uint32_t number = 0;

    if (table->is_passive) {
        sharing_find_neighbours(table);
    }
    while (number < 4) {
        sharing_episode(table, ++number);
    }
    table->together.count = 0;
    while (bench_now_ns() < deadline ||
           (table->together.count < EPISODES_MIN && bench_now_ns() < deadline + GRACE_NS)) {
        bench_samples_add(&table->alone, sharing_length(sharing_work()));
        sharing_episode(table, ++number);
    }
    table->is_over = true;
    /* order(bench.episode): release, is_over is written. */
    bench_store_release(&table->opened, number + 1);
    table->slowdown = bench_samples_median(&table->together) / bench_samples_median(&table->alone);
}

static void sharing_follow(struct sharing_table *table)
{
    for (uint32_t number = 1;; number++) {
        sharing_wait(&table->opened, number);
        if (table->is_over) {
            return;
        }
        free(table->gift);
        table->gift = NULL;
        table->follower_span = sharing_work();
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
    if (table->together.count > 0) {
        bench_emit(run, "slowdown", BENCH_TIMES, table->slowdown);
    }
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
