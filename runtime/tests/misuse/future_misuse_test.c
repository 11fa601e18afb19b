/*
 * What: references of futures and clones of wakers that are given back or used once too often, told
 *       by the call: nothing is dropped or called a second time, and what others hold stays.
 * How:  a misuse callback that counts and continues; values and data of wakers that count their
 *       ends. Without the callback the process ends.
 * Shows: [async.proto.future] [async.proto.waker]
 * ctest-not-under: address
 *       (which tells of the look at what is dead before we do)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/future.h"
#include "async/waker.h"
#include "core/async_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/async_pool.h"
#include "support/misuse_child.h"
#include "support/misuse_note.h"

static struct emp_async_pool *pool;
static unsigned ends;  /* of a value, or of the data of a waker */
static unsigned calls; /* of a waker's function */

static int begin(void **state)
{
    (void)state;
    reports = ends = calls = 0;
    return emp_misuse_set_callback(note_report, NULL) == EMP_OK &&
                   emp_async_pool_create(NULL, &pool) == EMP_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

/* One report of this code, about this object. */
static void check_report(const char *wanted, const void *of)
{
    assert_int_equal(reports, 1);
    assert_string_equal(code, wanted);
    assert_ptr_equal(pointer, of);
    reports = 0;
}

static void count_end(void *what)
{
    (void)what;
    ends++;
}

static void count_call(void *copy)
{
    (void)copy;
    calls++;
}

static const struct emp_waker_calls counting = {.wake = count_call, .drop = count_end};

static struct emp_future *resolved_future(void)
{
    static struct emp_value_type type = {"counted", count_end, 8, 0};
    struct emp_future *const future = emp_future_new(pool);
    const uint64_t value = 1;

    assert_int_equal(emp_future_resolve_typed(future, &type, &value), EMP_OK);
    return future;
}

static void a_dead_future_is_told_by_each_call_and_its_value_ends_once(void **state)
{
    struct emp_future *const future = resolved_future();

    (void)state;
    emp_promise_drop(future);
    emp_future_drop(future);
    assert_int_equal(ends, 1);
    emp_future_drop(future);
    check_report("E4004", future);
    emp_promise_drop(future);
    check_report("E4004", future);
    assert_ptr_equal(emp_future_retain(future), future);
    check_report("E4004", future);
    assert_ptr_equal(emp_promise_retain(future), future);
    check_report("E4004", future);
    assert_int_equal(ends, 1);
    assert_int_equal(async_pool_in_use(pool, "future"), 0);
}

static void a_side_that_is_gone_is_told_and_the_other_keeps_the_future(void **state)
{
    struct emp_future *const future = resolved_future();

    (void)state;
    emp_promise_drop(future);
    emp_promise_drop(future);
    check_report("E4004", future);
    (void)emp_promise_retain(future);
    check_report("E4004", future);
    assert_int_equal(ends, 0);
    assert_int_equal(emp_future_poll(future, NULL, NULL, 0, NULL), EMP_OK);
    assert_int_equal(async_pool_in_use(pool, "future"), 1);
    emp_future_drop(future);
    assert_int_equal(reports, 0);
    assert_int_equal(ends, 1);
    assert_int_equal(async_pool_in_use(pool, "future"), 0);
}

static void a_consumer_too_many_is_told_while_a_producer_lives(void **state)
{
    struct emp_future *const future = emp_future_new(pool);

    (void)state;
    emp_future_drop(future);
    emp_future_drop(future);
    check_report("E4004", future);
    (void)emp_future_retain(future);
    check_report("E4004", future);
    emp_promise_drop(future);
    assert_int_equal(reports, 0);
    assert_int_equal(async_pool_in_use(pool, "future"), 0);
}

static void a_dead_waker_is_told_by_each_call_and_calls_nobody(void **state)
{
    struct emp_waker waker;
    struct emp_waker copy;

    (void)state;
    assert_int_equal(emp_waker_custom(pool, &counting, NULL, 0, &waker), EMP_OK);
    const struct emp_waker dead = waker;

    emp_waker_wake(&waker);
    assert_int_equal(calls, 1);
    assert_int_equal(ends, 1);
    copy = dead;
    emp_waker_drop(&copy);
    check_report("E4005", dead.data);
    copy = dead;
    emp_waker_wake(&copy);
    check_report("E4005", dead.data);
    emp_waker_wake_by_ref(&dead);
    check_report("E4005", dead.data);
    (void)emp_waker_clone(&dead);
    check_report("E4005", dead.data);
    assert_int_equal(calls, 1);
    assert_int_equal(ends, 1);
    assert_int_equal(async_pool_in_use(pool, "waker"), 0);
}

static void drop_consumer_twice(void)
{
    struct emp_future *const future = emp_future_new(pool);

    emp_promise_drop(future);
    emp_future_drop(future);
    emp_future_drop(future);
}

static void drop_producer_twice(void)
{
    struct emp_future *const future = emp_future_new(pool);

    emp_future_drop(future);
    emp_promise_drop(future);
    emp_promise_drop(future);
}

static void drop_waker_twice(void)
{
    struct emp_waker waker;

    (void)emp_waker_custom(pool, &counting, NULL, 0, &waker);
    struct emp_waker copy = waker;

    emp_waker_drop(&waker);
    emp_waker_drop(&copy);
}

static void run_alone(void *arg)
{
    void (*const wrong)(void) = *(void (**)(void))arg;

    (void)emp_misuse_set_callback(NULL, NULL);
    if (emp_async_pool_create(NULL, &pool) == EMP_OK) {
        wrong();
    }
}

static void without_a_callback_the_process_ends_with_one_report(void **state)
{
    static void (*cases[])(void) = {drop_consumer_twice, drop_producer_twice, drop_waker_twice};
    static const char *const lines[] = {"error E4004 use of a future that has no such reference",
                                        "error E4004 use of a future that has no such reference",
                                        "error E4005 use of a waker that has no clone left"};

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        misuse_run(run_alone, (void *)&cases[i]);
        assert_true(misuse_aborted());
        assert_int_equal(misuse_ending.writes, 1);
        misuse_assert_has(misuse_ending.text[0], lines[i]);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_dead_future_is_told_by_each_call_and_its_value_ends_once),
        CASE(a_side_that_is_gone_is_told_and_the_other_keeps_the_future),
        CASE(a_consumer_too_many_is_told_while_a_producer_lives),
        CASE(a_dead_waker_is_told_by_each_call_and_calls_nobody),
        cmocka_unit_test(without_a_callback_the_process_ends_with_one_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
