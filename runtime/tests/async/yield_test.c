/*
 * What: a coroutine that gives up its turn comes again by itself, once; what it does next is as if
 *       it never had.
 * How:  a yield, then a sleep, on a stack of its own and on a run slot; an executor without work
 *       ends.
 * Shows: [async.proto.coroutine] [async.proto.run-slots]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "core/async_memory_pool.h"

static unsigned turns;
static enum emp_status status[2];

static void body_yields_then_sleeps(void *args)
{
    (void)args;
    status[0] = emp_yield();
    turns++;
    status[1] = emp_coroutine_suspend();
    turns++;
}

static void yield_then_sleep(uint32_t flags)
{
    struct emp_async_pool *pool = NULL;
    struct emp_executor *executor = NULL;
    struct emp_task *task = NULL;

    turns = 0;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = body_yields_then_sleeps,
        .flags = flags,
    };

    assert_int_equal(emp_coroutine_spawn(&it, NULL, &task), EMP_OK);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
    assert_int_equal(turns, 1);
    const struct emp_waker waker = emp_task_waker(task);

    emp_waker_wake_by_ref(&waker);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    assert_int_equal(turns, 2);
    assert_int_equal(status[0], EMP_OK);
    assert_int_equal(status[1], EMP_OK);
    emp_task_release(task);
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static void one_that_has_yielded_sleeps_until_it_is_woken(void **state)
{
    (void)state;
    yield_then_sleep(0);
}

static void one_on_a_run_slot_that_has_yielded_sleeps_until_it_is_woken(void **state)
{
    (void)state;
    yield_then_sleep(EMP_COROUTINE_SHARED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_has_yielded_sleeps_until_it_is_woken),
        cmocka_unit_test(one_on_a_run_slot_that_has_yielded_sleeps_until_it_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
