/*
 * What: who is woken while other workers hold still: work that was put down while somebody was on
 *       the way from sleep.
 * How:  polls that block until the others have done their part, which the worker that is left must
 *       do.
 * Shows: [adapter.proto.executor]
 * ctest-timeout: 300
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/task.h"
#include "core/async_memory_pool.h"

#define PATIENCE_NS UINT64_C(2000000000)

static struct emp_async_pool *pool;
static struct emp_executor *executor;

static uint64_t now(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void set(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t clock_ns(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void nap(uint64_t ns)
{
    const struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    (void)nanosleep(&time, NULL);
}

static void create(unsigned workers)
{
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(workers, &executor), EMP_OK);
    assert_int_equal(emp_executor_start(executor, workers), EMP_OK);
}

static void destroy(void)
{
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static struct emp_executor_stats stats_now(void)
{
    struct emp_executor_stats stats;

    assert_int_equal(emp_executor_get_stats(executor, &stats), EMP_OK);
    return stats;
}

static void spawn(const struct emp_task_type *type)
{
    const struct emp_spawn spawn = {
        .pool = pool, .scheduler = emp_executor_scheduler(executor), .type = type};

    assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
}

/* One round: a blocked task has put `work` down, and another task blocks until that is done. */
static uint64_t first_runs; /* the first task is in its poll */
static uint64_t was_woken;  /* the second one is submitted, somebody is on the way to it */
static uint64_t work_is_done;
static uint64_t gave_up; /* polls that lost their patience */

static void wait_for(const uint64_t *word)
{
    const uint64_t begin_ns = clock_ns();

    while (now(word) == 0) {
        if (clock_ns() - begin_ns > PATIENCE_NS) {
            (void)__atomic_fetch_add(&gave_up, 1, __ATOMIC_RELAXED);
            return;
        }
        (void)sched_yield();
    }
}

static enum emp_poll do_work(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    set(&work_is_done, 1);
    return EMP_POLL_READY;
}

static enum emp_poll put_work_down_and_block(struct emp_task *task, void *body)
{
    static const struct emp_task_type work = {"work", 0, 0, do_work, NULL};

    (void)task;
    (void)body;
    set(&first_runs, 1);
    wait_for(&was_woken);
    spawn(&work);
    wait_for(&work_is_done);
    return EMP_POLL_READY;
}

static enum emp_poll block_until_work_is_done(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    wait_for(&work_is_done);
    return EMP_POLL_READY;
}

static void work_put_down_while_a_worker_is_waking_gets_a_worker_of_its_own(void **state)
{
    (void)state;
    static const struct emp_task_type first = {"first", 0, 0, put_work_down_and_block, NULL};
    static const struct emp_task_type second = {"second", 0, 0, block_until_work_is_done, NULL};

    create(3);
    gave_up = 0;
    for (unsigned i = 0; i < 300 && now(&gave_up) == 0; i++) {
        set(&first_runs, 0);
        set(&was_woken, 0);
        set(&work_is_done, 0);
        spawn(&first);
        wait_for(&first_runs);
        nap(200000); /* the others go to sleep */
        spawn(&second);
        set(&was_woken, 1);
        while (stats_now().alive != 0) {
            nap(20000);
        }
    }
    assert_int_equal(now(&gave_up), 0);
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_put_down_while_a_worker_is_waking_gets_a_worker_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
