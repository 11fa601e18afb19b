/*
 * Purpose: coroutines: the switch alone, a turn on a bare loop, the yield through the executor,
 *          creation; turns on shared run slots.
 * Owner:   a child process, one thread.
 */
#include "async/groups.h"

#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "async/loop.h"
#include "micro/raw_switch.h"
#include "support/pages.h"

#define SWITCHES  ((size_t)8192) /* per batch: shorter than a slice of the scheduler */
#define TURNS_MIN 2u
#define CREATIONS ((size_t)4096)
#define RUN_SLOTS ((size_t)8)

/* Coroutines that yield in turn until told to end. */
struct yielders {
    struct async_loop loop;
    struct emp_executor *executor;
    size_t count;
    size_t turns;
    uint32_t flags; /* of the spawns */
    bool is_over;
    uint64_t yields;
};

struct yielder_args {
    struct yielders *yielders;
    size_t turns; /* 0: until it is over */
};

static void yielder_entry(void *argument)
{
    struct yielder_args args = *(const struct yielder_args *)argument;
    struct yielders *yielders = args.yielders;

    for (size_t i = 0; args.turns > 0 ? i < args.turns : !yielders->is_over; i++) {
        emp_yield();
        yielders->yields++;
    }
}

static void yielders_spawn(struct yielders *yielders, struct emp_scheduler *scheduler, size_t turns)
{
    struct yielder_args args = {yielders, turns};
    struct emp_coroutine_spawn spawn = {.pool = yielders->loop.pool,
                                        .scheduler = scheduler,
                                        .entry = yielder_entry,
                                        .args = &args,
                                        .args_bytes = sizeof args,
                                        .flags = yielders->flags,
                                        .site = EMP_SPAWN_SITE()};

    for (size_t i = 0; i < yielders->count; i++) {
        async_require(emp_coroutine_spawn(&spawn, NULL, NULL) == EMP_OK, "no coroutine");
    }
}

static void loop_batch(void *context)
{
    struct yielders *yielders = context;

    async_loop_run_some(&yielders->loop, yielders->turns * yielders->count);
}

static void executor_batch(void *context)
{
    struct yielders *yielders = context;
    uint64_t before = yielders->yields;

    yielders_spawn(yielders, emp_executor_scheduler(yielders->executor), yielders->turns);
    async_require(emp_executor_run(yielders->executor, EMP_EXECUTOR_UNTIL_DONE) == EMP_OK,
                  "the executor does not run");
    async_require(yielders->yields == before + yielders->turns * yielders->count,
                  "a coroutine did not yield");
}

/* The stacks of the library's switch alone. */
struct raw_bench {
    struct bench_raw_switch raw;
    size_t turns;
};

static void raw_batch(void *context)
{
    struct raw_bench *bench = context;

    bench_raw_switch_run(&bench->raw, bench->turns);
}

static void measure_raw(struct async_run *run, size_t count, size_t turns)
{
    struct raw_bench bench = {.raw = {.count = count}, .turns = turns};
    size_t stack_bytes = count * BENCH_RAW_STACK_BYTES;
    size_t word_bytes = count * sizeof *bench.raw.words;

    bench.raw.stacks = bench_pages_map(stack_bytes);
    bench.raw.words = bench_pages_map(word_bytes);
    bench_raw_switch_begin(&bench.raw);
    async_measure(run, "switch", (double)(2 * turns * count), raw_batch, &bench);
    bench_pages_unmap(bench.raw.stacks, stack_bytes);
    bench_pages_unmap(bench.raw.words, word_bytes);
}

static void run_switch(struct async_run *run, const struct async_row *row)
{
    struct yielders yielders = {.count = row->count};

    yielders.turns = SWITCHES / row->count < TURNS_MIN ? TURNS_MIN : SWITCHES / row->count;
    measure_raw(run, row->count, yielders.turns);
    async_loop_begin(&yielders.loop);
    yielders_spawn(&yielders, &yielders.loop.scheduler, 0);
    async_measure(run, "turn", (double)(yielders.turns * row->count), loop_batch, &yielders);
    yielders.is_over = true;
    async_loop_run(&yielders.loop);
    yielders.is_over = false;
    yielders.executor = async_executor_begin(1);
    async_measure(run, "yield", (double)(yielders.turns * row->count), executor_batch, &yielders);
    async_require(emp_executor_destroy(yielders.executor) == EMP_OK, "coroutines are still alive");
    async_loop_end(&yielders.loop);
}

/* So many coroutines in turn over the run slots; saves: how many of the turns are an exchange. */
static void measure_shared(struct async_run *run, const char *metric, size_t count)
{
    struct yielders yielders = {.count = count, .flags = EMP_COROUTINE_SHARED};
    struct emp_coroutine_policy policy;
    struct emp_coroutine_stats stats;

    yielders.turns = SWITCHES / count < TURNS_MIN ? TURNS_MIN : SWITCHES / count;
    async_loop_begin(&yielders.loop);
    policy = emp_coroutine_get_policy(yielders.loop.pool);
    policy.run_slots = RUN_SLOTS;
    async_require(emp_coroutine_set_policy(yielders.loop.pool, &policy) == EMP_OK, "no policy");
    yielders_spawn(&yielders, &yielders.loop.scheduler, 0);
    async_measure(run, metric, (double)(yielders.turns * count), loop_batch, &yielders);
    yielders.is_over = true;
    async_loop_run(&yielders.loop);
    async_require(emp_coroutine_get_stats(yielders.loop.pool, &stats) == EMP_OK, "no stats");
    async_require((stats.shared_saves >= yielders.yields - count) == (count > RUN_SLOTS),
                  "exchanges are not as many as they should be");
    async_loop_end(&yielders.loop);
}

static void run_shared(struct async_run *run, const struct async_row *row)
{
    measure_shared(run, "turn", RUN_SLOTS);
    measure_shared(run, "exchange", 2 * RUN_SLOTS);
    measure_shared(run, "spread", row->count);
}

static void empty_entry(void *argument)
{
    ++**(uint64_t **)argument;
}

/* Coroutines one after the other. */
struct creation {
    struct async_loop loop;
    uint64_t ran;
};

static void create_batch(void *context)
{
    struct creation *creation = context;
    uint64_t *ran = &creation->ran;
    uint64_t before = creation->ran;
    struct emp_coroutine_spawn spawn = {.pool = creation->loop.pool,
                                        .scheduler = &creation->loop.scheduler,
                                        .entry = empty_entry,
                                        .args = &ran,
                                        .args_bytes = sizeof ran,
                                        .site = EMP_SPAWN_SITE()};

    for (size_t i = 0; i < CREATIONS; i++) {
        async_require(emp_coroutine_spawn(&spawn, NULL, NULL) == EMP_OK, "no coroutine");
        async_loop_run(&creation->loop);
    }
    async_require(creation->ran == before + CREATIONS, "a coroutine did not run");
}

static void run_create(struct async_run *run, const struct async_row *row)
{
    struct creation creation = {.ran = 0};

    (void)row;
    async_loop_begin(&creation.loop);
    async_measure(run, ASYNC_METRIC_TIME, CREATIONS, create_batch, &creation);
    async_loop_end(&creation.loop);
}

/* count: coroutines. */
#define SWITCH_ROW(coroutines, switch_goal)                                                        \
    {                                                                                              \
        .name = "switch." #coroutines,                                                             \
        .title = #coroutines " stacks in turn; switch: nothing around it; turn: resume and yield " \
                             "on a bare loop; yield: on the executor",                             \
        .apis = BENCH_ON_TYPED, .count = (coroutines), .goals = {{"switch", (switch_goal)}},       \
        .run = run_switch                                                                          \
    }

static const struct async_row rows[] = {
    SWITCH_ROW(2, 5),
    SWITCH_ROW(64, 5),
    SWITCH_ROW(4096, 0),
    {.name = "switch.shared",
     .title = "8 run slots on a bare loop; turn: 8 coroutines, each has its slot; exchange: 16, "
              "each turn sends another away; spread: 65536 of them",
     .apis = BENCH_ON_TYPED,
     .count = 65536,
     .run = run_shared},
    {.name = "coroutine.create",
     .title = "spawn, run, end of a coroutine with a warm stack, on a bare loop",
     .apis = BENCH_ON_TYPED,
     .run = run_create},
};

const struct async_group async_coroutine_group = ASYNC_GROUP(rows);
