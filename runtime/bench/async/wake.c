/*
 * Purpose: a storm of wakes: two threads wake one task, half a million times each, while a worker
 *          runs it. How many polls come of it shows whether wakes are joined.
 * Owner:   a child process; the executor's worker and two threads of the bench.
 */
#include "async/groups.h"

#include "async/loop.h"
#include "support/atomic.h"
#include "support/clock.h"
#include "support/crew.h"

#define THREADS 2u
#define WAIT_NS 100000u

/* What the task and its wakers share. */
struct storm {
    struct emp_executor *executor;
    struct emp_waker waker; /* set by the first poll, before is_known */
    uint32_t is_known;      /* atomic: bench.storm */
    uint32_t is_over;       /* atomic: bench.storm */
    uint64_t polls;         /* atomic: bench.storm. written by the worker */
    size_t wakes;           /* per thread */
};

static enum emp_poll storm_poll(struct emp_task *task, void *body)
{
    struct storm *storm = *(struct storm **)body;
    struct emp_waker own = emp_task_waker(task);

    /* order(bench.storm): relaxed, a count by one thread at a time. */
    uint64_t polls = bench_load_relaxed(&storm->polls);

    bench_store_relaxed(&storm->polls, polls + 1);
    if (polls == 0) {
        storm->waker = emp_waker_clone(&own);
        /* order(bench.storm): release, the waker is there. */
        bench_store_release(&storm->is_known, 1);
    }
    /* order(bench.storm): acquire, all threads that wake have ended. */
    return bench_load_acquire(&storm->is_over) != 0 ? EMP_POLL_READY : EMP_POLL_PENDING;
}

static const struct emp_task_type storm_type = {
    .name = "storm", .body_bytes = sizeof(struct storm *), .body_align = 8, .poll = storm_poll};

static void storm_body(struct bench_crew *crew, unsigned index)
{
    struct storm *storm = crew->context;

    async_pin(index);
    for (size_t i = 0; i < storm->wakes; i++) {
        emp_waker_wake_by_ref(&storm->waker);
    }
}

static void storm_batch(void *context)
{
    struct storm *storm = context;
    struct bench_crew crew = {.body = storm_body, .context = storm};

    bench_crew_start(&crew, THREADS);
    bench_crew_go(&crew);
    bench_crew_halt(&crew);
    bench_crew_end(&crew);
}

static void run_storm(struct async_run *run, const struct async_row *row)
{
    struct storm storm = {.executor = async_executor_begin(1),
                          .wakes = async_amount(run, ASYNC_MILLION) / THREADS};
    struct storm *address = &storm;
    struct emp_async_pool *pool = async_pool_begin();
    struct emp_spawn spawn = {.pool = pool,
                              .scheduler = emp_executor_scheduler(storm.executor),
                              .type = &storm_type,
                              .args = &address,
                              .args_bytes = sizeof address};
    uint64_t before;

    (void)row;
    async_require(emp_executor_start(storm.executor, 1) == EMP_OK, "no worker");
    async_require(emp_task_spawn(&spawn, NULL, NULL) == EMP_OK, "no task");
    /* order(bench.storm): acquire, the waker is there. */
    while (bench_load_acquire(&storm.is_known) == 0) {
        bench_sleep_ns(WAIT_NS);
    }
    async_measure(run, "per wake", (double)(storm.wakes * THREADS), storm_batch, &storm);
    /* order(bench.storm): relaxed, a count; the threads that wake are joined. */
    before = bench_load_relaxed(&storm.polls);
    storm_batch(&storm);
    bench_emit(&run->bench, "polls", BENCH_PER_MILLION,
               (double)(bench_load_relaxed(&storm.polls) - before) * 1e6 /
                   (double)(storm.wakes * THREADS));
    /* order(bench.storm): release, no thread wakes the task any more. */
    bench_store_release(&storm.is_over, 1);
    emp_waker_wake(&storm.waker);
    emp_executor_stop(storm.executor, EMP_EXECUTOR_DRAIN);
    async_require(emp_executor_destroy(storm.executor) == EMP_OK, "the task is still alive");
    async_pool_end(pool);
}

static const struct async_row rows[] = {
    {.name = "wake.storm",
     .title = "a million wakes of one task by two threads, one worker",
     .apis = BENCH_ON_TYPED,
     .run = run_storm},
};

const struct async_group async_wake_group = ASYNC_GROUP(rows);
