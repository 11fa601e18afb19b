/*
 * Purpose: futures from new to their end: completed before anybody asks, and with one who waits.
 * Owner:   a child process, one thread.
 */
#include "async/groups.h"

#include "async/future.h"
#include "async/loop.h"

#define BATCH_FUTURES ((size_t)4096)

/* A pool, and the wakes that arrived. */
struct future_bench {
    struct emp_async_pool *pool;
    uint64_t wakes;
};

static void *counter_clone(void *data)
{
    return data;
}

static void counter_wake(void *data)
{
    ++*(uint64_t *)data;
}

static void counter_drop(void *data)
{
    (void)data;
}

/* A waker without an object of its own: what is measured is the future's share. */
static const struct emp_waker_vtable counter_vtable = {.clone = counter_clone,
                                                       .wake = counter_wake,
                                                       .wake_by_ref = counter_wake,
                                                       .drop = counter_drop};

static void finish(struct emp_future *future, uint64_t value)
{
    uint64_t taken = 0;

    async_require(emp_future_resolve(future, &value, sizeof value) == EMP_OK, "not resolved");
    emp_promise_drop(future);
    async_require(emp_future_take(future, NULL, &taken, sizeof taken, NULL) == EMP_OK &&
                      taken == value,
                  "another value came");
    emp_future_drop(future);
}

static void complete_batch(void *context)
{
    struct future_bench *bench = context;

    for (size_t i = 0; i < BATCH_FUTURES; i++) {
        struct emp_future *future = emp_future_new(bench->pool);

        async_require(future != NULL, "no future");
        finish(future, i);
    }
}

static void register_batch(void *context)
{
    struct future_bench *bench = context;
    struct emp_waker waker = {&counter_vtable, &bench->wakes};
    uint64_t before = bench->wakes;

    for (size_t i = 0; i < BATCH_FUTURES; i++) {
        struct emp_future *future = emp_future_new(bench->pool);

        async_require(future != NULL &&
                          emp_future_poll(future, &waker, NULL, 0, NULL) == EMP_ERR_AGAIN,
                      "not registered");
        finish(future, i);
    }
    async_require(bench->wakes == before + BATCH_FUTURES, "a wake was lost");
}

static void run_future(struct async_run *run, const struct async_row *row)
{
    struct future_bench bench = {async_pool_begin(), 0};

    async_measure(run, ASYNC_METRIC_TIME, BATCH_FUTURES,
                  row->count == 0 ? complete_batch : register_batch, &bench);
    async_pool_end(bench.pool);
}

/* count: who waits. */
static const struct async_row rows[] = {
    {.name = "future.complete",
     .title = "new, resolve with 8 B, take, both ends dropped",
     .apis = BENCH_ON_TYPED,
     .count = 0,
     .run = run_future},
    {.name = "future.register",
     .title = "the same, with a waker registered before and woken",
     .apis = BENCH_ON_TYPED,
     .count = 1,
     .run = run_future},
};

const struct async_group async_future_group = ASYNC_GROUP(rows);
