/*
 * What: a future in one thread: completion in its four ways, polling, taking, order of wakes,
 *       registrations that do not pile up, values in blocks and with a drop function, references of
 *       both sides given back in any order.
 * How:  wakers that note who woke them; the pool's own count says whether every object came back.
 * Shows: [async.proto.future] [async.proto.waiter]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/future_object.h"
#include "core/async_memory_pool.h"
#include "async/future_fixture.h"
#include "support/async_pool.h"

static struct emp_value_type large = {"a large value", drop_value, 100, 0};

static enum emp_status poll_number(struct emp_future *future, uint64_t *number)
{
    size_t bytes = 0;
    enum emp_status status = emp_future_poll(future, NULL, number, sizeof *number, &bytes);

    if (status == EMP_OK || status == EMP_ERR_REJECTED) {
        assert_int_equal(bytes, sizeof *number);
    }
    return status;
}

static void a_pending_future_says_again(void **state)
{
    struct emp_future *future = future_of();

    (void)state;
    assert_int_equal(emp_future_poll(future, NULL, NULL, 0, NULL), EMP_ERR_AGAIN);
    assert_int_equal(emp_future_take(future, NULL, NULL, 0, NULL), EMP_ERR_AGAIN);
    drop_both(future);
}

static void a_resolved_future_gives_its_value_to_every_poll(void **state)
{
    struct emp_future *future = future_of();
    uint64_t sent = 0x1122334455667788u;

    (void)state;
    assert_int_equal(emp_future_resolve(future, &sent, sizeof sent), EMP_OK);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t got = 0;

        assert_int_equal(poll_number(future, &got), EMP_OK);
        assert_int_equal(got, sent);
    }
    drop_both(future);
}

static void a_rejected_future_gives_its_error(void **state)
{
    struct emp_future *future = future_of();
    uint64_t sent = 77;
    uint64_t got = 0;

    (void)state;
    assert_int_equal(emp_future_reject(future, &sent, sizeof sent), EMP_OK);
    assert_int_equal(poll_number(future, &got), EMP_ERR_REJECTED);
    assert_int_equal(got, 77);
    drop_both(future);
}

static void cancelled_and_expired_futures_say_so(void **state)
{
    struct emp_future *cancelled = future_of();
    struct emp_future *expired = future_of();

    (void)state;
    assert_int_equal(emp_future_cancel(cancelled), EMP_OK);
    assert_int_equal(emp_future_expire(expired), EMP_OK);
    assert_int_equal(poll_number(cancelled, NULL), EMP_ERR_CANCELLED);
    assert_int_equal(poll_number(expired, NULL), EMP_ERR_TIMED_OUT);
    drop_both(cancelled);
    drop_both(expired);
}

static void the_second_completion_of_any_kind_is_refused(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 4; first++) {
        struct emp_future *future = future_of();
        uint64_t value = first;
        uint64_t got = 0;

        for (unsigned i = 0; i < 5; i++) {
            unsigned kind = i == 0 ? first : i - 1;
            enum emp_status status = kind == 0   ? emp_future_resolve(future, &value, sizeof value)
                                     : kind == 1 ? emp_future_reject(future, &value, sizeof value)
                                     : kind == 2 ? emp_future_cancel(future)
                                                 : emp_future_expire(future);

            assert_int_equal(status, i == 0 ? EMP_OK : EMP_ERR_DONE);
        }
        static const enum emp_status said[] = {EMP_OK, EMP_ERR_REJECTED, EMP_ERR_CANCELLED,
                                               EMP_ERR_TIMED_OUT};

        assert_int_equal(poll_number(future, &got), said[first]);
        drop_both(future);
    }
}

static void a_poll_after_the_value_was_taken_is_done(void **state)
{
    struct emp_future *future = future_of();
    uint64_t sent = 5;
    uint64_t got = 0;

    (void)state;
    assert_int_equal(emp_future_resolve(future, &sent, sizeof sent), EMP_OK);
    assert_int_equal(emp_future_take(future, NULL, &got, sizeof got, NULL), EMP_OK);
    assert_int_equal(got, 5);
    assert_int_equal(emp_future_take(future, NULL, &got, sizeof got, NULL), EMP_ERR_DONE);
    assert_int_equal(poll_number(future, &got), EMP_ERR_DONE);
    drop_both(future);
}

static void a_take_with_too_little_room_takes_nothing(void **state)
{
    struct emp_future *future = future_of();
    uint64_t sent = 5;
    uint64_t got = 0;

    (void)state;
    assert_int_equal(emp_future_resolve(future, &sent, sizeof sent), EMP_OK);
    assert_int_equal(emp_future_take(future, NULL, &got, 7, NULL), EMP_ERR_TOO_BIG);
    assert_int_equal(got, 0);
    assert_int_equal(emp_future_take(future, NULL, &got, sizeof got, NULL), EMP_OK);
    drop_both(future);
}

static void a_value_of_any_length_comes_out_as_it_went_in(void **state)
{
    static unsigned char sent[EMP_FUTURE_VALUE_BYTES_MAX];
    static unsigned char got[EMP_FUTURE_VALUE_BYTES_MAX];
    static const size_t lengths[] = {0, 1, 15, 16, 17, 254, 255, 256, 4000, 65536};

    (void)state;
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (unsigned char)(i * 7 + 3);
    }
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct emp_future *future = future_of();
        size_t bytes = 12345;

        memset(got, 0, sizeof got);
        assert_int_equal(emp_future_resolve(future, sent, lengths[i]), EMP_OK);
        assert_int_equal(emp_future_poll(future, NULL, got, sizeof got, &bytes), EMP_OK);
        assert_int_equal(bytes, lengths[i]);
        assert_memory_equal(got, sent, lengths[i]);
        memset(got, 0, sizeof got);
        assert_int_equal(emp_future_take(future, NULL, got, sizeof got, &bytes), EMP_OK);
        assert_memory_equal(got, sent, lengths[i]);
        drop_both(future);
    }
}

static void a_value_that_is_too_long_leaves_the_future_pending(void **state)
{
    static unsigned char sent[EMP_FUTURE_VALUE_BYTES_MAX + 1];
    struct emp_future *future = future_of();

    (void)state;
    assert_int_equal(emp_future_resolve(future, sent, sizeof sent), EMP_ERR_TOO_BIG);
    assert_int_equal(poll_number(future, NULL), EMP_ERR_AGAIN);
    drop_both(future);
}

static void a_short_poll_gets_the_head_and_the_length(void **state)
{
    struct emp_future *future = future_of();
    char got[4] = {0};
    size_t bytes = 0;

    (void)state;
    assert_int_equal(emp_future_resolve(future, "a longer text than 16", 22), EMP_OK);
    assert_int_equal(emp_future_poll(future, NULL, got, 3, &bytes), EMP_OK);
    assert_string_equal(got, "a l");
    assert_int_equal(bytes, 22);
    drop_both(future);
}

static void waiters_are_woken_once_in_the_order_of_their_polls(void **state)
{
    struct emp_future *future = future_of();

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct emp_waker waker = waker_of(i);

        assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
        emp_waker_drop(&waker);
    }
    assert_int_equal(noted, 0);
    assert_int_equal(emp_future_resolve(future, NULL, 0), EMP_OK);
    assert_int_equal(noted, 40);
    assert_int_equal(dropped, 40);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(notes[i], i);
    }
    drop_both(future);
    assert_int_equal(noted, 40);
}

static void a_poll_of_a_ready_future_does_not_keep_the_waker(void **state)
{
    struct emp_future *future = future_of();
    struct emp_waker waker = waker_of(1);

    (void)state;
    assert_int_equal(emp_future_resolve(future, NULL, 0), EMP_OK);
    assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_OK);
    emp_waker_drop(&waker);
    assert_int_equal(dropped, 1);
    assert_int_equal(noted, 0);
    drop_both(future);
}

static void a_million_polls_by_one_waker_hold_one_waiter(void **state)
{
    struct emp_future *future = future_of();
    struct emp_waker waker = waker_of(1);

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
    }
    assert_int_equal(async_pool_in_use(test_pool, "waiter"), 1);
    assert_int_equal(emp_future_cancel(future), EMP_OK);
    assert_int_equal(noted, 1);
    emp_waker_drop(&waker);
    drop_both(future);
}

static void a_million_polls_by_changing_wakers_hold_few_waiters(void **state)
{
    enum { WAKERS = 100 };
    struct emp_future *future = future_of();
    struct emp_waker wakers[WAKERS];

    (void)state;
    for (unsigned i = 0; i < WAKERS; i++) {
        wakers[i] = waker_of(i);
    }
    for (unsigned i = 0; i < 1000000; i++) {
        assert_int_equal(emp_future_poll(future, &wakers[i % WAKERS], NULL, 0, NULL),
                         EMP_ERR_AGAIN);
        if (i % 1000 == 0) {
            assert_true(async_pool_in_use(test_pool, "waiter") <= 2 * WAKERS + 16);
        }
    }
    assert_int_equal(emp_future_cancel(future), EMP_OK);
    assert_true(noted >= WAKERS && noted <= 2 * WAKERS + 16);
    /* Of each waker the oldest registration stayed, so the first wakes are in order. */
    for (unsigned i = 0; i < NOTES; i++) {
        assert_int_equal(notes[i], i);
    }
    for (unsigned i = 0; i < WAKERS; i++) {
        emp_waker_drop(&wakers[i]);
    }
    drop_both(future);
}

static void a_million_wakers_that_give_up_hold_no_waiter(void **state)
{
    struct emp_future *future = future_of();

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        struct emp_waker waker = waker_of(i);

        assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
        assert_true(emp_future_forget(future, &waker));
        assert_false(emp_future_forget(future, &waker));
        emp_waker_drop(&waker);
        assert_int_equal(dropped, i + 1);
    }
    assert_int_equal(async_pool_in_use(test_pool, "waiter"), 0);
    assert_int_equal(emp_future_cancel(future), EMP_OK);
    assert_int_equal(noted, 0);
    drop_both(future);
}

static void forget_takes_the_named_waker_only(void **state)
{
    (void)state;
    for (unsigned gone = 0; gone < 5; gone++) {
        struct emp_future *future = future_of();
        struct emp_waker wakers[5];

        noted = 0;
        for (unsigned i = 0; i < 5; i++) {
            wakers[i] = waker_of(i);
            assert_int_equal(emp_future_poll(future, &wakers[i], NULL, 0, NULL), EMP_ERR_AGAIN);
        }
        assert_true(emp_future_forget(future, &wakers[gone]));
        assert_int_equal(emp_future_resolve(future, NULL, 0), EMP_OK);
        assert_int_equal(noted, 4);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(notes[i], i < gone ? i : i + 1);
        }
        assert_false(emp_future_forget(future, &wakers[gone]));
        for (unsigned i = 0; i < 5; i++) {
            emp_waker_drop(&wakers[i]);
        }
        drop_both(future);
    }
}

static void the_last_producer_cancels(void **state)
{
    struct emp_future *future = future_of();
    struct emp_waker waker = waker_of(3);

    (void)state;
    assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
    emp_waker_drop(&waker);
    assert_ptr_equal(emp_promise_retain(future), future);
    emp_promise_drop(future);
    assert_int_equal(poll_number(future, NULL), EMP_ERR_AGAIN);
    emp_promise_drop(future);
    assert_int_equal(poll_number(future, NULL), EMP_ERR_CANCELLED);
    assert_int_equal(noted, 1);
    emp_future_drop(future);
}

static void the_last_consumer_lets_the_waiters_go(void **state)
{
    struct emp_future *future = future_of();
    struct emp_waker waker = waker_of(3);

    (void)state;
    assert_ptr_equal(emp_future_retain(future), future);
    assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
    emp_waker_drop(&waker);
    emp_future_drop(future);
    assert_int_equal(dropped, 0);
    emp_future_drop(future);
    assert_int_equal(dropped, 1);
    assert_int_equal(noted, 0);
    assert_int_equal(emp_future_resolve(future, "x", 1), EMP_OK);
    emp_promise_drop(future);
}

/* The value of a type ends once: with who took it, or by its drop function. */
static void check_typed(struct emp_value_type *type, bool take, bool consumer_first, bool resolve)
{
    struct emp_future *future = future_of();
    unsigned char sent[100] = {42};
    unsigned char got[100] = {0};

    values_dropped = 0;
    value_dropped = 0;
    if (consumer_first) {
        emp_future_drop(future);
    }
    if (resolve) {
        assert_int_equal(emp_future_resolve_typed(future, type, sent), EMP_OK);
        assert_int_equal(emp_future_resolve_typed(future, type, sent), EMP_ERR_DONE);
    }
    if (!consumer_first && take) {
        assert_int_equal(emp_future_take(future, NULL, got, sizeof got, NULL),
                         resolve ? EMP_OK : EMP_ERR_AGAIN);
        assert_int_equal(got[0], resolve ? 42 : 0);
    }
    if (!consumer_first) {
        assert_int_equal(values_dropped, 0);
        emp_future_drop(future);
    }
    unsigned expected = resolve && !(take && !consumer_first) ? 1 : 0;

    assert_int_equal(values_dropped, expected);
    assert_int_equal(value_dropped, expected * 42);
    emp_promise_drop(future);
    assert_int_equal(values_dropped, expected);
}

static void a_typed_value_is_dropped_once_when_nobody_took_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        check_typed((i & 8) != 0 ? &large : &typed, (i & 1) != 0, (i & 2) != 0, (i & 4) != 0);
    }
}

static void a_taken_block_goes_back_at_once_for_a_single_consumer(void **state)
{
    struct emp_future *future = future_of();
    unsigned char value[100] = {1};

    (void)state;
    assert_int_equal(emp_future_resolve(future, value, sizeof value), EMP_OK);
    assert_non_null(future->value.boxed.box);
    assert_int_equal(emp_future_take(future, NULL, value, sizeof value, NULL), EMP_OK);
    assert_null(future->value.boxed.box);
    drop_both(future);
}

static void a_taken_block_stays_for_other_consumers_who_may_be_reading_it(void **state)
{
    struct emp_future *future = future_of();
    unsigned char value[100] = {1};

    (void)state;
    (void)emp_future_retain(future);
    assert_int_equal(emp_future_resolve(future, value, sizeof value), EMP_OK);
    assert_int_equal(emp_future_take(future, NULL, value, sizeof value, NULL), EMP_OK);
    assert_non_null(future->value.boxed.box);
    emp_future_drop(future);
    drop_both(future);
}

static void a_prepared_value_is_seen_by_nobody_until_it_is_announced(void **state)
{
    struct emp_future *future = future_of();
    uint64_t sent = 9;
    uint64_t got = 0;

    (void)state;
    assert_int_equal(emp_future_prepare(future, &sent, sizeof sent), EMP_OK);
    assert_int_equal(emp_future_prepare(future, &sent, sizeof sent), EMP_ERR_DONE);
    assert_int_equal(emp_future_cancel(future), EMP_ERR_DONE);
    assert_int_equal(poll_number(future, &got), EMP_ERR_AGAIN);
    emp_future_announce(future, false);
    assert_int_equal(poll_number(future, &got), EMP_OK);
    assert_int_equal(got, 9);
    drop_both(future);
}

static void a_prepared_value_may_still_be_cancelled_by_its_owner(void **state)
{
    struct emp_future *future = future_of();
    unsigned char value[100] = {1};

    (void)state;
    assert_int_equal(emp_future_prepare(future, value, sizeof value), EMP_OK);
    emp_future_announce(future, true);
    assert_int_equal(poll_number(future, NULL), EMP_ERR_CANCELLED);
    drop_both(future);
}

/* Wakes by dropping what its copy names: the last reference ends inside a wake. */
static void drop_by_wake(void *copy)
{
    struct emp_future *future = NULL;

    memcpy(&future, copy, sizeof future);
    emp_future_drop(future);
    noted++;
}

static void the_last_reference_may_end_inside_a_wake(void **state)
{
    static const struct emp_waker_calls calls = {drop_by_wake, note_drop, false};
    struct emp_future *future = future_of();
    struct emp_waker waker;

    (void)state;
    assert_int_equal(emp_waker_custom(test_pool, &calls, &future, sizeof future, &waker), EMP_OK);
    assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
    emp_waker_drop(&waker);
    emp_promise_drop(future);
    assert_int_equal(noted, 1);
    assert_int_equal(dropped, 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_pending_future_says_again),
        CASE(a_resolved_future_gives_its_value_to_every_poll),
        CASE(a_rejected_future_gives_its_error),
        CASE(cancelled_and_expired_futures_say_so),
        CASE(the_second_completion_of_any_kind_is_refused),
        CASE(a_poll_after_the_value_was_taken_is_done),
        CASE(a_take_with_too_little_room_takes_nothing),
        CASE(a_value_of_any_length_comes_out_as_it_went_in),
        CASE(a_value_that_is_too_long_leaves_the_future_pending),
        CASE(a_short_poll_gets_the_head_and_the_length),
        CASE(waiters_are_woken_once_in_the_order_of_their_polls),
        CASE(a_poll_of_a_ready_future_does_not_keep_the_waker),
        CASE(a_million_polls_by_one_waker_hold_one_waiter),
        CASE(a_million_polls_by_changing_wakers_hold_few_waiters),
        CASE(a_million_wakers_that_give_up_hold_no_waiter),
        CASE(forget_takes_the_named_waker_only),
        CASE(the_last_producer_cancels),
        CASE(the_last_consumer_lets_the_waiters_go),
        CASE(a_typed_value_is_dropped_once_when_nobody_took_it),
        CASE(a_taken_block_goes_back_at_once_for_a_single_consumer),
        CASE(a_taken_block_stays_for_other_consumers_who_may_be_reading_it),
        CASE(a_prepared_value_is_seen_by_nobody_until_it_is_announced),
        CASE(a_prepared_value_may_still_be_cancelled_by_its_owner),
        CASE(the_last_reference_may_end_inside_a_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
