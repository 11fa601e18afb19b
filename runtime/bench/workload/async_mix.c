/*
 * Purpose: throughput of the async mix on one thread, and on two where a quarter of the tasks end
 *          on the other thread. The small set fits in a core's L2 cache; the large one is 16 times
 *          it.
 * Threads: shape.threads, 1 or 2.
 * Reports: million operations (allocations and frees) per second. shape.count is slots per thread.
 */
#include "workload/async_mix.h"

#include "support/clock.h"
#include "support/crew.h"
#include "support/pages.h"
#include "support/spsc_ring.h"
#include "workload/groups.h"

#define SMALL_SLOTS    384u
#define LARGE_SLOTS    (16u * SMALL_SLOTS)
#define STEPS_PER_LOOK 256u
#define REMOTE_ONE_IN  4u
#define THREADS_MAX    2u

/* A thread's actor and its way to the other thread. */
struct async_seat {
    struct async_actor actor;
    double rate;          /* Mops/s, set when the body ends */
    size_t waiting_count; /* ended tasks not yet sent */
    void *waiting[BENCH_RING_BATCH];
    struct bench_ring *outgoing; /* NULL on one thread */
    struct bench_ring *incoming;
    char line_rest[64];
};

struct async_table {
    struct bench_run *run;
    size_t slot_count;
    struct async_seat seats[THREADS_MAX];
};

/* Ends a task here or, when the ring takes the batch, on the other thread. */
BENCH_INLINE void async_send(enum bench_api api, struct async_seat *seat, struct async_task *task)
{
    seat->waiting[seat->waiting_count++] = task;
    if (seat->waiting_count < BENCH_RING_BATCH) {
        return;
    }
    seat->waiting_count = 0;
    if (bench_ring_push(seat->outgoing, seat->waiting) == 0) {
        for (size_t i = 0; i < BENCH_RING_BATCH; i++) {
            async_finish(api, &seat->actor, seat->waiting[i]);
        }
    }
}

BENCH_INLINE void async_receive(enum bench_api api, struct async_seat *seat)
{
    void *batch[BENCH_RING_BATCH];

    while (bench_ring_pop(seat->incoming, batch) != 0) {
        for (size_t i = 0; i < BENCH_RING_BATCH; i++) {
            async_finish(api, &seat->actor, batch[i]);
        }
    }
}

BENCH_INLINE void async_steps(enum bench_api api, struct async_seat *seat)
{
    for (unsigned i = 0; i < STEPS_PER_LOOK; i++) {
        struct async_task *ended = async_step(api, &seat->actor);

        if (ended == NULL) {
            continue;
        }
        if (seat->outgoing != NULL && i % REMOTE_ONE_IN == 0) {
            async_send(api, seat, ended);
        } else {
            async_finish(api, &seat->actor, ended);
        }
    }
    if (seat->incoming != NULL) {
        async_receive(api, seat);
    }
}

BENCH_INLINE void async_work(enum bench_api api, struct bench_crew *crew, unsigned index)
{
    struct async_table *table = crew->context;
    struct async_seat *seat = &table->seats[index];
    uint64_t begin;

    bench_serve_begin(api);
    seat->actor.rng = bench_rng_make(table->run->seed, index);
    seat->actor.slot_count = table->slot_count;
    seat->actor.slots = bench_pages_map(table->slot_count * sizeof *seat->actor.slots);
    for (size_t warm = 0; warm < 8 * table->slot_count / STEPS_PER_LOOK; warm++) {
        async_steps(api, seat);
    }
    seat->actor.operations = 0;
    begin = bench_now_ns();
    do {
        async_steps(api, seat);
    } while (!bench_crew_stopped(crew));
    seat->rate = (double)seat->actor.operations * 1e3 / (double)(bench_now_ns() - begin);
}

static void async_body_malloc(struct bench_crew *crew, unsigned index)
{
    async_work(BENCH_API_MALLOC, crew, index);
}

static void async_body_typed(struct bench_crew *crew, unsigned index)
{
    async_work(BENCH_API_TYPED, crew, index);
}

static void async_body_floor(struct bench_crew *crew, unsigned index)
{
    async_work(BENCH_API_FLOOR, crew, index);
}

static void async_mix_run(struct bench_run *run, const struct bench_shape *shape)
{
    static bench_crew_body *const bodies[] = {async_body_malloc, async_body_typed,
                                              async_body_floor};
    struct async_table *table = bench_pages_map(sizeof *table);
    struct bench_crew crew = {.body = bodies[run->api], .context = table};
    double rate = 0;

    table->run = run;
    table->slot_count = shape->count;
    if (shape->threads == 2) {
        struct bench_ring *rings = bench_pages_map(2 * sizeof *rings);

        bench_pages_touch(rings, 2 * sizeof *rings);
        table->seats[0].outgoing = table->seats[1].incoming = &rings[0];
        table->seats[1].outgoing = table->seats[0].incoming = &rings[1];
    }
    bench_crew_run_for(&crew, shape->threads, run->budget_ns);
    for (unsigned i = 0; i < shape->threads; i++) {
        rate += table->seats[i].rate;
    }
    bench_emit(run, "rate", BENCH_MOPS, rate);
}

#define ALL_APIS (BENCH_ON_MALLOC | BENCH_ON_TYPED | BENCH_ON_FLOOR)

static const struct bench_workload async_mix_workloads[] = {
    {.name = "async.t1",
     .title = "async mix, 1 thread, small set",
     .apis = ALL_APIS,
     .shape = {.count = SMALL_SLOTS, .threads = 1},
     .run = async_mix_run},
    {.name = "async.t1.x16",
     .title = "async mix, 1 thread, large set",
     .apis = ALL_APIS,
     .shape = {.count = LARGE_SLOTS, .threads = 1},
     .run = async_mix_run},
    {.name = "async.t2",
     .title = "async mix, 2 threads, small set",
     .apis = ALL_APIS,
     .shape = {.count = SMALL_SLOTS, .threads = 2},
     .run = async_mix_run},
    {.name = "async.t2.x16",
     .title = "async mix, 2 threads, large set",
     .apis = ALL_APIS,
     .shape = {.count = LARGE_SLOTS, .threads = 2},
     .run = async_mix_run},
};

const struct bench_group bench_async_mix_group = BENCH_GROUP(async_mix_workloads);
