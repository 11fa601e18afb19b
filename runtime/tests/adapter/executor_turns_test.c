/*
 * What: a worker whose own queue is never empty still looks at the shared queue and the clock,
 *       again and again.
 * How:  one worker, a task that yields until all has come: tasks that another thread spawns one
 *       after the other, each when the last has run, and timers in the same way.
 * Shows: [adapter.proto.executor] [adapter.proto.timers]
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/task.h"
#include "core/async_memory_pool.h"

#define TURNS 100u /* more than one look */

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static uint64_t came; /* shared: tasks that have run, or timers that have fired */

static uint64_t now(void)
{
    return __atomic_load_n(&came, __ATOMIC_ACQUIRE);
}

static void one_more(void)
{
    (void)__atomic_fetch_add(&came, 1, __ATOMIC_ACQ_REL);
}

static enum emp_poll yield_until_all_came(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    return now() == TURNS ? EMP_POLL_READY : EMP_POLL_YIELD;
}

static enum emp_poll come(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    one_more();
    return EMP_POLL_READY;
}

static const struct emp_task_type yielding = {"yielding", 0, 0, yield_until_all_came, NULL};
static const struct emp_task_type coming = {"coming", 0, 0, come, NULL};

static void spawn(const struct emp_task_type *type)
{
    const struct emp_spawn how = {
        .pool = pool, .scheduler = emp_executor_scheduler(executor), .type = type};

    assert_int_equal(emp_task_spawn(&how, NULL, NULL), EMP_OK);
}

static int begin(void **state)
{
    (void)state;
    came = 0;
    return emp_async_pool_create(NULL, &pool) == EMP_OK &&
                   emp_executor_create(1, &executor) == EMP_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    return emp_executor_destroy(executor) == EMP_OK &&
                   emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK
               ? 0
               : -1;
}

static void what_others_spawn_has_its_turn_again_and_again(void **state)
{
    (void)state;
    spawn(&yielding);
    assert_int_equal(emp_executor_start(executor, 1), EMP_OK);
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        spawn(&coming);
        while (now() == turn) {
            (void)sched_yield();
        }
    }
    assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_DRAIN), EMP_OK);
}

/* Starts itself anew until all have fired; due at once, but not before the worker looks. */
static void fire(struct emp_timer *timer)
{
    struct emp_scheduler *scheduler = emp_executor_scheduler(executor);

    one_more();
    if (now() < TURNS) {
        (void)scheduler->timer_start(scheduler, timer);
    }
}

static void timers_have_their_turn_again_and_again(void **state)
{
    struct emp_scheduler *scheduler = emp_executor_scheduler(executor);
    struct emp_timer timer = {.fire = fire};

    (void)state;
    spawn(&yielding);
    assert_int_equal(scheduler->timer_start(scheduler, &timer), EMP_OK);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    assert_int_equal(now(), TURNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_others_spawn_has_its_turn_again_and_again, begin, end),
        cmocka_unit_test_setup_teardown(timers_have_their_turn_again_and_again, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
