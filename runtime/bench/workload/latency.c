/*
 * Purpose: how long single calls take: every malloc and every free of a task step is timed with the
 *          processor's counter, and an empty region with them, so that the noise of the machine
 *          (other guests, interrupts, the counter's own steps) stands beside the figures.
 * Threads: one.
 * Reports: p50, p99, p99.9, p99.99 in ns and calls over 1 us per million, for malloc, free and the
 *          empty region. The median of the empty region, the cost of reading the counter, is
 *          subtracted.
 */
#include "workload/async_mix.h"

#include "support/clock.h"
#include "support/pages.h"
#include "support/stats.h"
#include "workload/groups.h"

#include <stdio.h>

#define SLOTS          6144u
#define STEPS_PER_LOOK 1024u
#define STEPS_MIN      100000u
#define OVER_NS        1000.0

struct latency_state {
    struct bench_histogram malloc;
    struct bench_histogram free;
    struct bench_histogram empty;
};

struct latency_slot {
    void *block;
    size_t size;
};

/* Ends the region that began at begin. */
BENCH_INLINE void latency_add(struct bench_histogram *histogram, uint64_t begin)
{
    bench_histogram_add(histogram, bench_ticks() - begin);
}

/* A step of slots that hold blocks of 16-512 B: free one, allocate one, time nothing once. */
BENCH_INLINE void latency_step(enum bench_api api, struct latency_state *state,
                               struct bench_rng *rng, struct latency_slot *slots)
{
    static const uint16_t sizes[16] = {128, 32, 16, 64, 96,  128, 64,  32,
                                       128, 96, 48, 64, 256, 128, 384, 512};
    uint64_t choice = bench_rng_next(rng) >> 8;
    size_t among = (choice >> 4 & 3) != 0 ? ASYNC_SHORT_SLOTS : SLOTS;
    size_t slot = ((choice >> 24 & 0xffffffffu) * among) >> 32;
    size_t size = sizes[choice & 15];
    uint64_t begin = bench_ticks();

    bench_give_back(api, slots[slot].block, slots[slot].size);
    latency_add(&state->free, begin);
    begin = bench_ticks();
    slots[slot].block = bench_serve(api, size);
    latency_add(&state->malloc, begin);
    slots[slot].size = size;
    bench_touch(slots[slot].block, choice);
    begin = bench_ticks();
    bench_escape(slots);
    latency_add(&state->empty, begin);
}

/* Reports one histogram; base is the cost of the timer, in ticks. */
static void latency_report(struct bench_run *run, const char *name,
                           const struct bench_histogram *histogram, double base)
{
    static const struct {
        const char *text;
        double share;
    } points[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
    double ticks_per_ns = bench_ticks_per_ns();
    char metric[32];

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        double ticks = bench_histogram_quantile(histogram, points[i].share) - base;

        snprintf(metric, sizeof metric, "%s %s", name, points[i].text);
        bench_emit(run, metric, BENCH_NS_CALL, (ticks > 0 ? ticks : 0) / ticks_per_ns);
    }
    snprintf(metric, sizeof metric, "%s over 1us", name);
    bench_emit_detail(run, metric, BENCH_PER_MILLION,
                      bench_histogram_over_per_million(histogram, base + OVER_NS * ticks_per_ns));
}

BENCH_INLINE void latency_measure(enum bench_api api, struct bench_run *run,
                                  struct latency_state *state)
{
    struct bench_rng rng = bench_rng_make(run->seed, 0);
    struct latency_slot *slots = bench_pages_map(SLOTS * sizeof *slots);
    uint64_t deadline;

    bench_serve_begin(api);
    for (size_t i = 0; i < SLOTS; i++) {
        slots[i] = (struct latency_slot){bench_serve(api, 64), 64};
    }
    for (size_t warm = 0; warm < 16 * SLOTS; warm++) {
        latency_step(api, state, &rng, slots);
    }
    memset(state, 0, sizeof *state);
    deadline = bench_now_ns() + run->budget_ns;
    while (state->empty.total < STEPS_MIN || bench_now_ns() < deadline) {
        for (unsigned i = 0; i < STEPS_PER_LOOK; i++) {
            latency_step(api, state, &rng, slots);
        }
    }
}

static void latency_run(struct bench_run *run, const struct bench_shape *shape)
{
    struct latency_state *state = bench_pages_map(sizeof *state);
    double base;

    (void)shape;
    bench_pages_touch(state, sizeof *state);
    bench_ticks_per_ns();
    if (run->api == BENCH_API_FLOOR) {
        latency_measure(BENCH_API_FLOOR, run, state);
    } else {
        latency_measure(BENCH_API_MALLOC, run, state);
    }
    base = bench_histogram_quantile(&state->empty, 0.5);
    latency_report(run, "malloc", &state->malloc, base);
    latency_report(run, "free", &state->free, base);
    latency_report(run, "empty", &state->empty, base);
}

static const struct bench_workload latency_workloads[] = {
    {.name = "latency",
     .title = "single calls in a mix of task sizes, 1 thread",
     .apis = BENCH_ON_MALLOC | BENCH_ON_FLOOR,
     .run = latency_run},
};

const struct bench_group bench_latency_group = BENCH_GROUP(latency_workloads);
