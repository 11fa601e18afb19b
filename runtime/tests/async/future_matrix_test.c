/*
 * What: a future where memory ends at each of its allocations, and every ordered pair of what may
 *       be done with one: value and wakers end once, whoever waits is woken once.
 * How:  hooks that give nothing, pools with a small limit; a table of deeds, both ways to leave.
 * Shows: [async.proto.future] [async.proto.waiter]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/future_fixture.h"
#include "async/future_object.h"
#include "async/object.h"
#include "core/async_memory_pool.h"

static void *no_memory(size_t bytes)
{
    (void)bytes;
    return NULL;
}

static void without_memory_for_a_block_the_future_stays_pending(void **state)
{
    struct emp_future *future = future_of();
    struct emp_object_hooks usual = emp_object_hooks;
    unsigned char value[100] = {7};
    unsigned char got[100] = {0};

    (void)state;
    emp_object_hooks.memory_take = no_memory;
    enum emp_status resolved = emp_future_resolve(future, value, sizeof value);
    enum emp_status rejected = emp_future_reject(future, value, sizeof value);
    enum emp_status prepared = emp_future_prepare(future, value, sizeof value);

    emp_object_hooks = usual;
    assert_int_equal(resolved, EMP_ERR_NOMEM);
    assert_int_equal(rejected, EMP_ERR_NOMEM);
    assert_int_equal(prepared, EMP_ERR_NOMEM);
    assert_int_equal(emp_future_poll(future, NULL, NULL, 0, NULL), EMP_ERR_AGAIN);
    assert_int_equal(emp_future_resolve(future, value, sizeof value), EMP_OK);
    assert_int_equal(emp_future_poll(future, NULL, got, sizeof got, NULL), EMP_OK);
    assert_int_equal(got[0], 7);
    drop_both(future);
}

static void without_memory_for_a_waiter_a_poll_says_so_and_registers_nothing(void **state)
{
    enum { LIMIT = 64 };
    struct emp_async_pool_config config = emp_async_pool_config_default();
    struct emp_async_pool *small = NULL;
    struct emp_waker wakers[LIMIT + 1];
    unsigned registered = 0;

    (void)state;
    config.future_pool.max_capacity = LIMIT;
    assert_int_equal(emp_async_pool_create(&config, &small), EMP_OK);
    struct emp_future *future = emp_future_new(small);

    for (unsigned i = 0; i <= LIMIT; i++) {
        wakers[i] = waker_of(i);
        enum emp_status status = emp_future_poll(future, &wakers[i], NULL, 0, NULL);

        assert_int_equal(status, i < LIMIT ? EMP_ERR_AGAIN : EMP_ERR_NOMEM);
        registered += status == EMP_ERR_AGAIN;
    }
    assert_int_equal(emp_future_resolve(future, NULL, 0), EMP_OK);
    assert_int_equal(noted, registered);
    for (unsigned i = 0; i <= LIMIT; i++) {
        emp_waker_drop(&wakers[i]);
    }
    assert_int_equal(dropped, LIMIT + 1);
    drop_both(future);
    assert_int_equal(emp_async_pool_destroy(small, NULL, NULL), EMP_OK);
}

static void without_memory_there_is_no_future(void **state)
{
    enum { LIMIT = 16 };
    struct emp_async_pool_config config = emp_async_pool_config_default();
    struct emp_async_pool *small = NULL;
    struct emp_future *futures[LIMIT];

    (void)state;
    config.future_pool.max_capacity = LIMIT;
    assert_int_equal(emp_async_pool_create(&config, &small), EMP_OK);
    for (unsigned i = 0; i < LIMIT; i++) {
        futures[i] = emp_future_new(small);
        assert_non_null(futures[i]);
    }
    assert_null(emp_future_new(small));
    for (unsigned i = 0; i < LIMIT; i++) {
        drop_both(futures[i]);
    }
    assert_int_equal(emp_async_pool_destroy(small, NULL, NULL), EMP_OK);
}

/* What may be done with a future by one thread, for the matrix below. */
enum deed { CLONE, POLL, WAKE_AGAIN, RESOLVE, CANCEL, EXPIRE, TAKE, FORGET, DEEDS };

static void do_deed(struct emp_future *future, enum deed deed, struct emp_waker *waker)
{
    uint64_t value = 42;
    uint64_t got = 0;
    enum emp_status status = EMP_OK;

    switch (deed) {
    case CLONE:
        emp_future_drop(emp_future_retain(future));
        emp_promise_drop(emp_promise_retain(future));
        break;
    case POLL:
        (void)emp_future_poll(future, waker, NULL, 0, NULL);
        break;
    case WAKE_AGAIN:
        emp_waker_wake_by_ref(waker);
        break;
    case RESOLVE:
        (void)emp_future_resolve_typed(future, &typed, &value);
        break;
    case CANCEL:
        (void)emp_future_cancel(future);
        break;
    case EXPIRE:
        (void)emp_future_expire(future);
        break;
    case TAKE:
        status = emp_future_take(future, waker, &got, sizeof got, NULL);
        assert_true(status != EMP_OK || got == 42);
        values_dropped += status == EMP_OK; /* ended by who has it now */
        break;
    default:
        (void)emp_future_forget(future, waker);
        break;
    }
}

static void every_ordered_pair_of_deeds_ends_value_and_wakers_once(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < DEEDS * DEEDS * 2; pair++) {
        enum deed first = (enum deed)(pair % DEEDS);
        enum deed second = (enum deed)(pair / DEEDS % DEEDS);
        struct emp_future *future = future_of();
        struct emp_waker waker = waker_of(0);

        noted = 0;
        dropped = 0;
        values_dropped = 0;
        do_deed(future, first, &waker);
        do_deed(future, second, &waker);
        bool waits = (first == POLL || first == TAKE) && (second < RESOLVE || second == TAKE);
        bool waits_late =
            (first < RESOLVE || first == FORGET) && (second == POLL || second == TAKE);
        bool woken = (first == POLL || first == TAKE) && second >= RESOLVE && second <= EXPIRE;
        unsigned by_hand = (first == WAKE_AGAIN ? 1u : 0u) + (second == WAKE_AGAIN ? 1u : 0u);

        assert_int_equal(noted, by_hand + woken);
        emp_waker_drop(&waker);
        assert_int_equal(dropped, waits || waits_late ? 0 : 1);
        if (pair < DEEDS * DEEDS) {
            emp_promise_drop(future); /* wakes who waits */
            emp_future_drop(future);
            assert_int_equal(noted, by_hand + (woken || waits || waits_late));
        } else {
            emp_future_drop(future); /* lets him go */
            emp_promise_drop(future);
            assert_int_equal(noted, by_hand + woken);
        }
        assert_int_equal(dropped, 1);
        bool resolved =
            first == RESOLVE || (second == RESOLVE && first != CANCEL && first != EXPIRE);

        assert_int_equal(values_dropped, resolved);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_memory_for_a_block_the_future_stays_pending),
        CASE(without_memory_for_a_waiter_a_poll_says_so_and_registers_nothing),
        CASE(without_memory_there_is_no_future),
        CASE(every_ordered_pair_of_deeds_ends_value_and_wakers_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
