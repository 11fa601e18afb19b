/*
 * Purpose: a million timers of the executor: started an hour ahead, stopped, and started again so
 *          that all of them fire.
 * Owner:   a child process, one worker.
 */
#include "async/groups.h"

#include "async/loop.h"
#include "support/clock.h"
#include "support/pages.h"

#define STRIDE    ((size_t)7919) /* deadlines in no order */
#define HOUR_NS   (uint64_t)3600000000000u
#define NEAR_US   ((size_t)1000)
#define NS_PER_US 1000u

/* Timers and the task that works with them. */
struct timer_bench {
    struct async_run *run;
    struct emp_executor *executor;
    struct emp_timer *timers;
    size_t count;
    size_t fired;
};

static struct timer_bench *timer_bench; /* a timer has no room for it */

static void timer_fire(struct emp_timer *timer)
{
    (void)timer;
    timer_bench->fired++;
}

static void timer_start_all(struct timer_bench *bench, uint64_t base_ns, size_t range)
{
    struct emp_scheduler *scheduler = emp_executor_scheduler(bench->executor);

    for (size_t i = 0; i < bench->count; i++) {
        bench->timers[i].deadline_ns = base_ns + i * STRIDE % range * NS_PER_US;
        bench->timers[i].fire = timer_fire;
        async_require(scheduler->timer_start(scheduler, &bench->timers[i]) == EMP_OK, "no timer");
    }
}

static void timer_report(struct timer_bench *bench, const char *metric, uint64_t begin_ns)
{
    bench_emit(&bench->run->bench, metric, BENCH_NS_CALL,
               (double)(bench_now_ns() - begin_ns) / (double)bench->count);
}

/* Runs as a task: timers are started by threads that run tasks. */
static enum emp_poll timer_poll(struct emp_task *task, void *body)
{
    struct timer_bench *bench = *(struct timer_bench **)body;
    struct emp_scheduler *scheduler = emp_executor_scheduler(bench->executor);
    uint64_t begin = bench_now_ns();

    (void)task;
    timer_start_all(bench, begin + HOUR_NS, bench->count);
    timer_report(bench, "insert", begin);
    begin = bench_now_ns();
    for (size_t i = 0; i < bench->count; i++) {
        async_require(scheduler->timer_stop(scheduler, &bench->timers[i]), "a timer fired");
    }
    timer_report(bench, "cancel", begin);
    return EMP_POLL_READY;
}

static enum emp_poll near_poll(struct emp_task *task, void *body)
{
    struct timer_bench *bench = *(struct timer_bench **)body;

    (void)task;
    timer_start_all(bench, bench_now_ns(), NEAR_US);
    return EMP_POLL_READY;
}

static const struct emp_task_type timer_type = {.name = "timers",
                                                .body_bytes = sizeof(struct timer_bench *),
                                                .body_align = 8,
                                                .poll = timer_poll};
static const struct emp_task_type near_type = {.name = "near timers",
                                               .body_bytes = sizeof(struct timer_bench *),
                                               .body_align = 8,
                                               .poll = near_poll};

static void run_timers(struct async_run *run, const struct async_row *row)
{
    struct timer_bench bench = {
        .run = run, .executor = async_executor_begin(1), .count = async_amount(run, ASYNC_MILLION)};
    struct timer_bench *address = &bench;
    struct emp_async_pool *pool = async_pool_begin();
    struct emp_spawn spawn = {.pool = pool,
                              .scheduler = emp_executor_scheduler(bench.executor),
                              .type = &timer_type,
                              .args = &address,
                              .args_bytes = sizeof address};
    uint64_t begin;

    (void)row;
    timer_bench = &bench;
    bench.timers = bench_pages_map(bench.count * sizeof *bench.timers);
    bench_pages_touch(bench.timers, bench.count * sizeof *bench.timers);
    async_require(emp_task_spawn(&spawn, NULL, NULL) == EMP_OK, "no task");
    emp_executor_run(bench.executor, EMP_EXECUTOR_UNTIL_DONE);
    spawn.type = &near_type;
    begin = bench_now_ns();
    async_require(emp_task_spawn(&spawn, NULL, NULL) == EMP_OK, "no task");
    while (bench.fired < bench.count) {
        emp_executor_run(bench.executor, EMP_EXECUTOR_UNTIL_IDLE);
    }
    timer_report(&bench, "insert and fire", begin);
    async_require(emp_executor_destroy(bench.executor) == EMP_OK, "a task is still alive");
    async_pool_end(pool);
}

static const struct async_row rows[] = {
    {.name = "timer.1m",
     .title = "a million timers inserted, cancelled, and inserted again to fire within a ms",
     .apis = BENCH_ON_TYPED,
     .run = run_timers},
};

const struct async_group async_timer_group = ASYNC_GROUP(rows);
