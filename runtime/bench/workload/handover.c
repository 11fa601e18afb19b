/*
 * Purpose: producer and consumer: blocks are allocated by one thread and freed by the other, handed
 *          over in batches of 64 through a ring. One way: one allocates, one frees. Two ways: both
 *          do both.
 * Threads: two.
 * Reports: million objects handed over per second, counted where they are freed. shape.size is 0
 *          for mixed sizes of 16-512 B (log-uniform); shape.order says one way or two.
 */
#include "support/clock.h"
#include "support/crew.h"
#include "support/pages.h"
#include "support/rng.h"
#include "support/spsc_ring.h"
#include "workload/groups.h"
#include "workload/serve.h"

#include <sched.h>
#include <stdbool.h>

#define SIZES_DRAWN        8192u
#define SPINS_BEFORE_YIELD 2000u
#define WARM_NS            2000000u

enum handover_order { HANDOVER_ONE_WAY, HANDOVER_TWO_WAYS };

struct handover_seat {
    struct bench_ring *outgoing; /* NULL: allocates nothing */
    struct bench_ring *incoming; /* NULL: frees nothing */
    size_t step;
    size_t spins;    /* turns without work since the last yield */
    bool is_holding; /* batch is filled and waits for room */
    void *batch[BENCH_RING_BATCH];
    uint64_t freed;
    double rate;
    char line_rest[64];
};

struct handover_table {
    size_t fixed_size; /* 0: take sizes */
    uint32_t sizes[SIZES_DRAWN];
    struct handover_seat seats[2];
};

static bool handover_produce(const struct handover_table *table, struct handover_seat *seat)
{
    if (!seat->is_holding) {
        for (size_t i = 0; i < BENCH_RING_BATCH; i++) {
            size_t size = table->fixed_size != 0 ? table->fixed_size
                                                 : table->sizes[seat->step++ % SIZES_DRAWN];

            seat->batch[i] = malloc(size);
            bench_touch(seat->batch[i], i);
        }
        seat->is_holding = true;
    }
    if (bench_ring_push(seat->outgoing, seat->batch) == 0) {
        return false;
    }
    seat->is_holding = false;
    return true;
}

static bool handover_consume(struct handover_seat *seat)
{
    void *batch[BENCH_RING_BATCH];

    if (bench_ring_pop(seat->incoming, batch) == 0) {
        return false;
    }
    for (size_t i = 0; i < BENCH_RING_BATCH; i++) {
        free(batch[i]);
    }
    seat->freed += BENCH_RING_BATCH;
    return true;
}

/* One turn of a thread; a thread that finds nothing to do spins, and yields now and then. */
static void handover_turn(const struct handover_table *table, struct handover_seat *seat)
{
    bool worked = false;

    if (seat->outgoing != NULL) {
        worked = handover_produce(table, seat);
    }
    if (seat->incoming != NULL) {
        worked = handover_consume(seat) || worked;
    }
    if (worked) {
        seat->spins = 0;
    } else if (++seat->spins >= SPINS_BEFORE_YIELD) {
        seat->spins = 0;
        sched_yield();
    }
}

static void handover_body(struct bench_crew *crew, unsigned index)
{
    const struct handover_table *table = crew->context;
    struct handover_seat *seat = &((struct handover_table *)crew->context)->seats[index];
    uint64_t begin = bench_now_ns();

    while (bench_now_ns() - begin < WARM_NS) {
        handover_turn(table, seat);
    }
    seat->freed = 0;
    begin = bench_now_ns();
    do {
        for (unsigned i = 0; i < 16; i++) {
            handover_turn(table, seat);
        }
    } while (!bench_crew_stopped(crew));
    seat->rate = (double)seat->freed * 1e3 / (double)(bench_now_ns() - begin);
}

static void handover_run(struct bench_run *run, const struct bench_shape *shape)
{
    struct handover_table *table = bench_pages_map(sizeof *table);
    struct bench_ring *rings = bench_pages_map(2 * sizeof *rings);
    struct bench_crew crew = {.body = handover_body, .context = table};
    struct bench_rng rng = bench_rng_make(run->seed, 0);

    bench_pages_touch(rings, 2 * sizeof *rings);
    table->fixed_size = shape->size;
    bench_rng_sizes(&rng, table->sizes, SIZES_DRAWN, (const uint32_t[2]){16, 512});
    table->seats[0].outgoing = &rings[0];
    table->seats[1].incoming = &rings[0];
    if (shape->order == HANDOVER_TWO_WAYS) {
        table->seats[1].outgoing = &rings[1];
        table->seats[0].incoming = &rings[1];
    }
    bench_crew_run_for(&crew, 2, run->budget_ns + WARM_NS);
    bench_emit(run, "rate", BENCH_MOBJ, table->seats[0].rate + table->seats[1].rate);
}

static const struct bench_workload handover_workloads[] = {
    {.name = "handover.one.64",
     .title = "producer -> consumer, one way, 64 B",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 64, .order = HANDOVER_ONE_WAY},
     .run = handover_run},
    {.name = "handover.one.mixed",
     .title = "producer -> consumer, one way, 16-512 B",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 0, .order = HANDOVER_ONE_WAY},
     .run = handover_run},
    {.name = "handover.two.96",
     .title = "producer <-> consumer, two ways, 96 B",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 96, .order = HANDOVER_TWO_WAYS},
     .run = handover_run},
    {.name = "handover.two.mixed",
     .title = "producer <-> consumer, two ways, 16-512 B",
     .apis = BENCH_ON_MALLOC,
     .shape = {.size = 0, .order = HANDOVER_TWO_WAYS},
     .run = handover_run},
};

const struct bench_group bench_handover_group = BENCH_GROUP(handover_workloads);
