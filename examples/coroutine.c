/* Coroutines: two that talk through a future, and one that waits with a deadline and is cancelled.
   */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "core/async_memory_pool.h"

static struct emp_async_pool *pool;
static struct emp_executor *executor;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Computes slowly, letting others run. */
static void sum_to(void *args)
{
    const uint64_t limit = *(const uint64_t *)args;
    uint64_t sum = 0;

    for (uint64_t i = 1; i <= limit; i++) {
        sum += i;
        if (i % 1000 == 0) {
            (void)emp_yield();
        }
    }
    (void)emp_task_set_result(emp_task_current(), &sum, sizeof sum);
}

static void print_result(void *args)
{
    struct emp_future *const result = *(struct emp_future **)args;
    uint64_t sum = 0;

    (void)emp_await(result, &sum, sizeof sum, NULL);
    printf("the sum is %" PRIu64 "\n", sum);
    emp_future_drop(result);
}

static void is_patient(void *args)
{
    struct emp_future *const never = emp_future_new(pool);

    (void)args;
    if (emp_await_until(never, NULL, 0, NULL, now_ns() + 1000000) == EMP_ERR_TIMED_OUT) {
        printf("nothing came in a millisecond\n");
    }
    emp_future_drop(never);
    emp_promise_drop(never);
    if (emp_sleep_until(now_ns() + 3600u * 1000000000ull) == EMP_ERR_CANCELLED) {
        printf("cancelled in its sleep\n");
    }
}

static struct emp_task *spawn(void (*entry)(void *), const void *args, size_t bytes,
                              struct emp_future **join)
{
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = entry,
        .args = args,
        .args_bytes = bytes,
        .site = EMP_SPAWN_SITE(),
    };
    struct emp_task *task = NULL;

    return emp_coroutine_spawn(&it, join, &task) == EMP_OK ? task : NULL;
}

int main(void)
{
    const uint64_t limit = 100000;
    struct emp_future *result = NULL;

    if (emp_async_pool_create(NULL, &pool) != EMP_OK ||
        emp_executor_create(1, &executor) != EMP_OK) {
        return 1;
    }
    emp_task_release(spawn(sum_to, &limit, sizeof limit, &result));
    emp_task_release(spawn(print_result, &result, sizeof result, NULL));
    struct emp_task *const patient = spawn(is_patient, NULL, 0, NULL);

    for (const uint64_t end_ns = now_ns() + 20000000; now_ns() < end_ns;) {
        (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE);
    }
    (void)emp_task_abort(patient);
    emp_task_release(patient);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
    (void)emp_executor_destroy(executor);
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : 1;
}
