/*
 * What: a tick parks no more stacks than its bound and says that it is not done; the next go on
 *       where it was until all that slept long are parked; so it is in every later sweep.
 * How:  stacks of three groups of page tables, a bound of one group, an invented clock.
 * Shows: [async.proto.park]
 * ctest-not-under: address thread
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "async/object.h"
#include "async/stack_pool.h"
#include "core/async_memory_pool.h"
#include "support/task_queue.h"

#define IDLE_NS 1000000000ull
#define GROUPS  3u
#define SWEEPS  2u

static struct emp_async_pool *pool;
static struct task_queue_test queue;
static uint64_t clock_ns = 1000 * IDLE_NS;

static void body_sleeps(void *args)
{
    (void)args;
    while (emp_coroutine_suspend() == EMP_OK) {
    }
}

static uint32_t parked(void)
{
    struct emp_coroutine_stats stats;

    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    return (uint32_t)stats.parked;
}

/* Ticks of one sweep while none is due to be parked; all have one age more. */
static void grow_older(void)
{
    clock_ns += IDLE_NS;
    while (emp_coroutine_tick(pool, clock_ns)) {
    }
}

/* The sweep in which all have slept long: a group in each tick. */
static void park_in_steps(uint32_t count, uint32_t bound)
{
    uint32_t before = parked();
    bool more = true;

    assert_int_equal(before, 0);
    while (parked() == 0) { /* the sweeps in which they are too young */
        clock_ns += IDLE_NS;
        more = emp_coroutine_tick(pool, clock_ns);
    }
    while (more) {
        const uint32_t now = parked();

        assert_in_range(now - before, 1, bound);
        before = now;
        more = emp_coroutine_tick(pool, clock_ns);
    }
    assert_in_range(parked() - before, 0, bound);
    assert_int_equal(parked(), count);
}

static void a_bound_is_a_pause_and_not_the_end(void **state)
{
    struct emp_coroutine_policy policy;
    struct emp_task *tasks[GROUPS * 128u];

    (void)state;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    task_queue_init(&queue);
    const struct emp_coroutine_spawn it = {
        .pool = pool, .scheduler = &queue.scheduler, .entry = body_sleeps};

    assert_int_equal(emp_coroutine_spawn(&it, NULL, &tasks[0]), EMP_OK);
    (void)task_queue_run(&queue, UINT32_MAX);
    const uint32_t bound = emp_stack_map_group(&pool->stacks->sizes[1].map);
    const uint32_t count = GROUPS * bound;

    assert_in_range(count, GROUPS, sizeof tasks / sizeof tasks[0]);
    policy = emp_coroutine_get_policy(pool);
    policy.parks_per_tick = bound;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_OK);
    for (uint32_t i = 1; i < count; i++) {
        assert_int_equal(emp_coroutine_spawn(&it, NULL, &tasks[i]), EMP_OK);
    }
    (void)task_queue_run(&queue, UINT32_MAX);
    for (unsigned sweep = 0; sweep < SWEEPS; sweep++) {
        park_in_steps(count, bound);
        for (uint32_t i = 0; i < count; i++) {
            const struct emp_waker waker = emp_task_waker(tasks[i]);

            emp_waker_wake_by_ref(&waker);
        }
        (void)task_queue_run(&queue, UINT32_MAX);
        grow_older();
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)emp_task_abort(tasks[i]);
        emp_task_release(tasks[i]);
    }
    (void)task_queue_run(&queue, UINT32_MAX);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_bound_is_a_pause_and_not_the_end)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
