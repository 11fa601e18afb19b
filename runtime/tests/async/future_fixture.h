/*
 * What: what the tests of futures in one thread share: a pool per test, wakers that note who woke
 *       them and count their ends, a type of values that counts its drops.
 * How:  static, one set per test program.
 */
#ifndef EMP_TESTS_ASYNC_FUTURE_FIXTURE_H
#define EMP_TESTS_ASYNC_FUTURE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/future.h"
#include "async/waker.h"
#include "core/async_memory_pool.h"

#define NOTES 64u

static struct emp_async_pool *test_pool;
static unsigned notes[NOTES]; /* who was woken, in order */
static unsigned noted;
static unsigned dropped; /* wakers that ended */
static unsigned values_dropped;
static uint64_t value_dropped;

static void note_wake(void *copy)
{
    unsigned number = 0;

    memcpy(&number, copy, sizeof number);
    if (noted < NOTES) {
        notes[noted] = number;
    }
    noted++;
}

static void note_drop(void *copy)
{
    (void)copy;
    dropped++;
}

static const struct emp_waker_calls note_calls = {note_wake, note_drop, false};

static struct emp_waker waker_of(unsigned number)
{
    struct emp_waker waker;

    assert_int_equal(emp_waker_custom(test_pool, &note_calls, &number, sizeof number, &waker),
                     EMP_OK);
    return waker;
}

static void drop_value(void *value)
{
    values_dropped++;
    memcpy(&value_dropped, value, sizeof value_dropped);
}

static struct emp_value_type typed = {"a value", drop_value, sizeof(uint64_t), 0};

static int begin(void **state)
{
    (void)state;
    noted = 0;
    dropped = 0;
    values_dropped = 0;
    value_dropped = 0;
    return emp_async_pool_create(NULL, &test_pool) == EMP_OK ? 0 : -1;
}

/* Every object has come back, or the pool says so. */
static int end(void **state)
{
    (void)state;
    return emp_async_pool_destroy(test_pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

static struct emp_future *future_of(void)
{
    struct emp_future *future = emp_future_new(test_pool);

    assert_non_null(future);
    return future;
}

static void drop_both(struct emp_future *future)
{
    emp_promise_drop(future);
    emp_future_drop(future);
}

#endif
