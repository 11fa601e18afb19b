/*
 * Purpose: a million that wait: tasks with join futures, and coroutines suspended in the second of
 *          two frames whose locals are checked when they go on. Memory is what the process has more
 *          than before, page tables included; the bench's own arrays are touched before.
 * Owner:   a child process, one thread.
 */
#include "async/groups.h"

#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "async/future.h"
#include "async/loop.h"
#include "support/clock.h"
#include "support/pages.h"

#define MIB         1048576.0
#define LOCALS      16u                    /* words per frame: 256 B in two frames */
#define TICK_NS     10000000u              /* what an executor without work would do */
#define PARK_NS_MAX (uint64_t)30000000000u /* so long for all to be parked */
#define GROUP       ((size_t)64)

/* Everybody who waits, and what wakes them. */
struct idle_bench {
    struct async_loop loop;
    struct emp_waker *wakers; /* count of them, filled in by who waits */
    struct emp_future **joins;
    size_t count;
    size_t before_bytes;
    uint64_t wrong; /* results or locals that were not as left */
};

static void idle_begin(struct idle_bench *bench, const struct async_run *run)
{
    *bench = (struct idle_bench){.count = async_amount(run, ASYNC_MILLION)};
    bench->wakers = bench_pages_map(bench->count * sizeof *bench->wakers);
    bench->joins = bench_pages_map(bench->count * sizeof *bench->joins);
    bench_pages_touch(bench->wakers, bench->count * sizeof *bench->wakers);
    bench_pages_touch(bench->joins, bench->count * sizeof *bench->joins);
    async_loop_begin(&bench->loop);
    bench->before_bytes = async_memory_bytes();
}

static void idle_report(struct idle_bench *bench, struct async_run *run, const char *metric)
{
    double bytes = (double)async_memory_bytes() - (double)bench->before_bytes;

    bench_emit(&run->bench, metric, BENCH_BYTES, bytes / (double)bench->count);
    bench_emit(&run->bench, "memory", BENCH_MIB, bytes / MIB);
}

static void idle_wake_all(struct idle_bench *bench)
{
    for (size_t i = 0; i < bench->count; i++) {
        emp_waker_wake(&bench->wakers[i]);
        if (i % GROUP == GROUP - 1) {
            async_loop_run(&bench->loop);
        }
    }
    async_loop_run(&bench->loop);
}

struct idle_args {
    struct idle_bench *bench;
    uint64_t index;
};

struct idle_body {
    struct idle_args args;
    bool is_waiting;
};

static enum emp_poll idle_poll(struct emp_task *task, void *body)
{
    struct idle_body *self = body;
    struct emp_waker own = emp_task_waker(task);

    if (!self->is_waiting) {
        self->is_waiting = true;
        self->args.bench->wakers[self->args.index] = emp_waker_clone(&own);
        return EMP_POLL_PENDING;
    }
    emp_task_set_result(task, &self->args.index, sizeof self->args.index);
    return EMP_POLL_READY;
}

static const struct emp_task_type idle_type = {
    .name = "idle", .body_bytes = sizeof(struct idle_body), .body_align = 8, .poll = idle_poll};

static void run_tasks(struct async_run *run, const struct async_row *row)
{
    struct idle_bench bench;
    struct idle_args args = {&bench, 0};
    struct emp_spawn spawn = {.type = &idle_type, .args = &args, .args_bytes = sizeof args};

    (void)row;
    idle_begin(&bench, run);
    spawn.pool = bench.loop.pool;
    spawn.scheduler = &bench.loop.scheduler;
    for (; args.index < bench.count; args.index++) {
        async_require(emp_task_spawn(&spawn, &bench.joins[args.index], NULL) == EMP_OK, "no task");
        async_loop_run(&bench.loop);
    }
    idle_report(&bench, run, "per task");
    idle_wake_all(&bench);
    for (uint64_t i = 0; i < bench.count; i++) {
        uint64_t value = 0;

        async_require(emp_future_take(bench.joins[i], NULL, &value, sizeof value, NULL) == EMP_OK &&
                          value == i,
                      "a task lost its value");
        emp_future_drop(bench.joins[i]);
    }
    async_loop_end(&bench.loop);
}

static __attribute__((noinline)) uint64_t idle_inner(const struct idle_args *args,
                                                     const uint64_t *outer)
{
    volatile uint64_t own[LOCALS];
    struct emp_waker waker = emp_task_waker(emp_task_current());
    uint64_t sum = 0;

    for (unsigned i = 0; i < LOCALS; i++) {
        own[i] = outer[i] * 3;
    }
    args->bench->wakers[args->index] = emp_waker_clone(&waker);
    while (args->bench->wakers[args->index].vt != NULL) {
        emp_coroutine_suspend();
    }
    for (unsigned i = 0; i < LOCALS; i++) {
        sum += own[i] + outer[i];
    }
    return sum;
}

static __attribute__((noinline)) uint64_t idle_outer(const struct idle_args *args)
{
    uint64_t own[LOCALS];

    for (unsigned i = 0; i < LOCALS; i++) {
        own[i] = args->index + i;
    }
    bench_escape(own);
    return idle_inner(args, own);
}

static void idle_entry(void *argument)
{
    const struct idle_args *args = argument;
    uint64_t sum_of_numbers = (uint64_t)LOCALS * (LOCALS - 1) / 2;

    args->bench->wrong += idle_outer(args) != 4 * (LOCALS * args->index + sum_of_numbers);
}

/* Sleeps and ticks as an executor without work does, until all are parked. Nanoseconds it took. */
static uint64_t idle_park(struct idle_bench *bench)
{
    uint64_t begin = bench_now_ns();
    struct emp_coroutine_stats stats;

    do {
        while (emp_coroutine_tick(bench->loop.pool, bench_now_ns())) {
        }
        bench_sleep_ns(TICK_NS);
        async_require(emp_coroutine_get_stats(bench->loop.pool, &stats) == EMP_OK, "no figures");
    } while (stats.parked < bench->count && bench_now_ns() < begin + PARK_NS_MAX);
    async_require(stats.parked == bench->count, "not all coroutines were parked");
    return bench_now_ns() - begin;
}

static void run_coroutines(struct async_run *run, const struct async_row *row)
{
    struct idle_bench bench;
    struct idle_args args = {&bench, 0};
    struct emp_coroutine_spawn spawn = {
        .entry = idle_entry, .args = &args, .args_bytes = sizeof args, .site = EMP_SPAWN_SITE()};
    uint64_t begin;

    (void)row;
    idle_begin(&bench, run);
    spawn.pool = bench.loop.pool;
    spawn.scheduler = &bench.loop.scheduler;
    begin = bench_now_ns();
    for (; args.index < bench.count; args.index++) {
        async_require(emp_coroutine_spawn(&spawn, NULL, NULL) == EMP_OK, "no coroutine");
        async_loop_run(&bench.loop);
        if (args.index % GROUP == 0) {
            emp_coroutine_tick(bench.loop.pool, bench_now_ns());
        }
    }
    bench_emit(&run->bench, "start", BENCH_NS_CALL,
               (double)(bench_now_ns() - begin) / (double)bench.count);
    bench_emit(&run->bench, "until all are parked", BENCH_MS, (double)idle_park(&bench) / 1e6);
    idle_report(&bench, run, "per coroutine");
    begin = bench_now_ns();
    idle_wake_all(&bench);
    bench_emit(&run->bench, "resume", BENCH_NS_CALL,
               (double)(bench_now_ns() - begin) / (double)bench.count);
    async_require(bench.wrong == 0, "a coroutine lost its locals");
    async_loop_end(&bench.loop);
}

static const struct async_row rows[] = {
    {.name = "idle.tasks",
     .title = "a million tasks that wait, each with its join future",
     .apis = BENCH_ON_TYPED,
     .rounds_max = 1,
     .goals = {{"per task", 180}},
     .run = run_tasks},
    {.name = "idle.coroutines",
     .title = "a million coroutines suspended two frames deep with 256 B of locals, parked by the "
              "default policy, then resumed and verified",
     .apis = BENCH_ON_TYPED,
     .rounds_max = 1,
     .goals = {{"per coroutine", 650}},
     .run = run_coroutines},
};

const struct async_group async_idle_group = ASYNC_GROUP(rows);
