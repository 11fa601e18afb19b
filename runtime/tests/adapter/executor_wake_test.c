/*
 * What: who is woken while other workers hold still: work that was put down while somebody was on
 *       the way from sleep, timers whose keeper has something else to do now; and the count of
 *       tasks alive while they come and go.
 * How:  polls that block until the others have done their part; what waits behind them must be done
 *       by the worker that is left. A chain of tasks that never breaks.
 * Shows: [adapter.proto.executor] [adapter.proto.timers]
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

#define NS_PER_MS 1000000u
/* After that something is lost: nobody looks again by itself, and a busy machine is slower. */
#define PATIENCE_NS (60000u * (uint64_t)NS_PER_MS)

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

/* A timer that notes when it fired, and wakes a task or nobody. */
struct waking_timer {
    struct emp_timer timer; /* first */
    struct emp_waker waker; /* set before the start */
    uint64_t fired_ns;      /* shared */
};

static struct waking_timer early; /* wakes the task that blocks then */
static struct waking_timer late;  /* wakes nobody */

static void fire(struct emp_timer *timer)
{
    struct waking_timer *self = (struct waking_timer *)(void *)timer;

    set(&self->fired_ns, clock_ns());
    emp_waker_wake(&self->waker);
}

static void timer_start(struct waking_timer *timer, struct emp_waker waker, uint64_t deadline_ns)
{
    struct emp_scheduler *scheduler = emp_executor_scheduler(executor);

    *timer =
        (struct waking_timer){.timer = {.deadline_ns = deadline_ns, .fire = fire}, .waker = waker};
    assert_int_equal(scheduler->timer_start(scheduler, &timer->timer), EMP_OK);
}

static enum emp_poll sleep_then_block(struct emp_task *task, void *body)
{
    bool *has_slept = body;

    if (*has_slept) {
        wait_for(&late.fired_ns);
        return EMP_POLL_READY;
    }
    const struct emp_waker own = emp_task_waker(task);
    const uint64_t begin_ns = clock_ns();

    *has_slept = true;
    timer_start(&late, (struct emp_waker){NULL, NULL}, begin_ns + 60u * NS_PER_MS);
    timer_start(&early, emp_waker_clone(&own), begin_ns + 20u * NS_PER_MS);
    return EMP_POLL_PENDING;
}

static void timer_fires_while_the_worker_that_fired_the_last_one_is_busy(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"sleeper", 1, 1, sleep_then_block, NULL};

    create(2);
    gave_up = 0;
    spawn(&type);
    while (stats_now().alive != 0) {
        nap(NS_PER_MS);
    }
    /* The poll that blocks begins at 20 ms and ends when the other worker has fired. */
    assert_int_equal(now(&gave_up), 0);
    assert_true(now(&late.fired_ns) >= late.timer.deadline_ns);
    destroy();
}

/* One after the other: each spawns the next before it ends, so that one at least is alive. */
static uint64_t chain_ends;

static enum emp_poll spawn_the_next(struct emp_task *task, void *body)
{
    static const struct emp_task_type next = {"next", 0, 0, spawn_the_next, NULL};

    (void)task;
    (void)body;
    if (now(&chain_ends) == 0) {
        spawn(&next);
    }
    return EMP_POLL_READY;
}

static void tasks_alive_are_never_fewer_than_there_are(void **state)
{
    (void)state;
    static const struct emp_task_type link = {"link", 0, 0, spawn_the_next, NULL};
    uint64_t fewest = UINT64_MAX;
    uint64_t most = 0;

    create(2);
    chain_ends = 0;
    spawn(&link);
    spawn(&link);
    for (unsigned i = 0; i < 200000; i++) {
        const uint64_t alive = stats_now().alive;

        fewest = alive < fewest ? alive : fewest;
        most = alive > most ? alive : most;
    }
    set(&chain_ends, 1);
    while (stats_now().alive != 0) {
        nap(NS_PER_MS);
    }
    assert_in_range(fewest, 2, INT64_MAX);
    assert_in_range(most, 2, INT64_MAX); /* and no wrap below zero */
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_put_down_while_a_worker_is_waking_gets_a_worker_of_its_own),
        cmocka_unit_test(timer_fires_while_the_worker_that_fired_the_last_one_is_busy),
        cmocka_unit_test(tasks_alive_are_never_fewer_than_there_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
