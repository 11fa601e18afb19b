/*
 * Purpose: the server pattern: live blocks of 16-512 B lie in sacks of 32 KiB, one in the hands of
 *          each thread and one in its mailbox. A thread replaces 512 random blocks of its sack,
 *          swaps it with the sack in some thread's mailbox and lets the next thread run; so blocks
 *          are freed by other threads than those that allocated them.
 * Threads: shape.threads.
 * Reports: million pairs per second of all threads; resident bytes over live bytes at the end, the
 *          resident bytes of the same process with idle threads subtracted.
 * Source:  Larson and Krishnan, "Memory Allocation for Long-Running Server Applications", ISMM
 *          1998.
 */
#include "support/clock.h"
#include "support/crew.h"
#include "support/pages.h"
#include "support/rng.h"
#include "workload/groups.h"

#include <sched.h>
#include <stdlib.h>

#define SACK_BLOCKS        229u /* of 16-512 B log-uniform: 32 KiB in the mean */
#define SIZES_DRAWN        65536u
#define TURN_STEPS         512u
#define WARM_NS_PER_THREAD 500000u /* the first fill takes each thread about half of it */
#define MIB                1048576.0

/* A thread's live blocks; whoever holds the pointer owns it. */
struct server_sack {
    uint64_t live_bytes;
    void *blocks[SACK_BLOCKS];
    uint16_t sizes[SACK_BLOCKS];
};

struct server_seat {
    struct server_sack *mailbox __attribute__((aligned(64))); /* atomic: bench.sack */
    struct server_sack *sack;                                 /* owner only */
    uint64_t pairs;                                           /* owner only, read after the join */
};

struct server_table {
    struct bench_run *run;
    const uint32_t *sizes;
    unsigned threads;
    struct server_seat *seats;
};

static void server_replace(struct server_sack *sack, size_t slot, uint32_t size)
{
    free(sack->blocks[slot]);
    sack->live_bytes += size;
    sack->live_bytes -= sack->sizes[slot];
    sack->sizes[slot] = (uint16_t)size;
    sack->blocks[slot] = malloc(size);
    bench_touch(sack->blocks[slot], size);
}

/* Puts a sack into a mailbox and takes out the one that was there. */
static struct server_sack *server_swap(struct server_seat *seat, struct server_sack *sack)
{
    /* order(bench.sack): acq_rel, the sack given is written, the sack taken is readable. */
    return bench_exchange_acq_rel(&seat->mailbox, sack);
}

static void server_body(struct bench_crew *crew, unsigned index)
{
    const struct server_table *table = crew->context;
    struct server_seat *seat = &table->seats[index];
    struct bench_rng rng = bench_rng_make(table->run->seed, index);
    size_t step = bench_rng_below(&rng, SIZES_DRAWN);

    for (unsigned hand = 0; hand < 2; hand++) {
        for (size_t slot = 0; slot < SACK_BLOCKS; slot++) {
            server_replace(seat->sack, slot, table->sizes[step++ % SIZES_DRAWN]);
        }
        seat->sack = server_swap(seat, seat->sack);
    }
    do {
        struct server_seat *other = &table->seats[bench_rng_below(&rng, table->threads)];

        for (unsigned i = 0; i < TURN_STEPS; i++) {
            server_replace(seat->sack, bench_rng_below(&rng, SACK_BLOCKS),
                           table->sizes[step++ % SIZES_DRAWN]);
        }
        seat->pairs += TURN_STEPS;
        seat->sack = server_swap(other, seat->sack);
        sched_yield();
    } while (!bench_crew_stopped(crew));
}

/* Twice as many sacks as threads: one in each hand, one in each mailbox. Full pages, touched. */
static void server_prepare(struct server_table *table, const struct bench_shape *shape)
{
    struct bench_rng rng = bench_rng_make(table->run->seed, 1u << 20);
    uint32_t *sizes = bench_pages_map(SIZES_DRAWN * sizeof *sizes);
    size_t sacks_bytes = (size_t)shape->threads * 2 * sizeof(struct server_sack);
    struct server_sack *sacks = bench_pages_map(sacks_bytes);

    bench_rng_sizes(&rng, sizes, SIZES_DRAWN, (const uint32_t[2]){16, 512});
    bench_pages_touch(sacks, sacks_bytes);
    table->sizes = sizes;
    table->threads = shape->threads;
    table->seats = bench_pages_map(shape->threads * sizeof *table->seats);
    for (size_t i = 0; i < shape->threads; i++) {
        table->seats[i].sack = &sacks[2 * i];
        table->seats[i].mailbox = &sacks[2 * i + 1];
    }
}

static void server_run(struct bench_run *run, const struct bench_shape *shape)
{
    struct server_table table = {.run = run};
    struct bench_crew crew = {.body = server_body, .context = &table};
    uint64_t pairs = 0;
    uint64_t live = 0;
    uint64_t begin;
    double elapsed_us;
    size_t idle_bytes;
    size_t busy_bytes;

    server_prepare(&table, shape);
    bench_crew_start(&crew, shape->threads);
    idle_bytes = bench_resident_bytes();
    begin = bench_now_ns();
    bench_crew_go(&crew);
    bench_sleep_ns(run->budget_ns + (uint64_t)shape->threads * WARM_NS_PER_THREAD);
    bench_crew_halt(&crew);
    elapsed_us = (double)(bench_now_ns() - begin) / 1e3;
    busy_bytes = bench_resident_bytes();
    for (unsigned i = 0; i < shape->threads; i++) {
        pairs += table.seats[i].pairs;
        live += table.seats[i].sack->live_bytes + table.seats[i].mailbox->live_bytes;
    }
    bench_crew_end(&crew);
    bench_emit(run, "rate", BENCH_MPAIRS, (double)pairs / elapsed_us);
    bench_emit(run, "resident/live", BENCH_TIMES, (double)(busy_bytes - idle_bytes) / (double)live);
    bench_emit_detail(run, "live", BENCH_MIB, (double)live / MIB);
}

static const struct bench_workload server_workloads[] = {
    {.name = "server.2",
     .title = "server pattern, 2 threads",
     .apis = BENCH_ON_MALLOC,
     .shape = {.threads = 2},
     .run = server_run},
    {.name = "server.16",
     .title = "server pattern, 16 threads",
     .apis = BENCH_ON_MALLOC,
     .shape = {.threads = 16},
     .run = server_run},
    {.name = "server.1000",
     .title = "server pattern, 1000 threads",
     .apis = BENCH_ON_MALLOC,
     .rounds_max = 3,
     .shape = {.threads = 1000},
     .run = server_run},
};

const struct bench_group bench_server_group = BENCH_GROUP(server_workloads);
