/*
 * What: futures and wakers with real threads: every unordered pair of calls at once, completions
 *       that race, a consumer that leaves beside a completion, many waiters that come, give up and
 *       are woken.
 * How:  two threads meet at a counter before each round; wakers that count, a typed value that must
 *       end once. The pool must be empty in the end. Meant for the thread sanitizer as well.
 * ctest-timeout: 300
 * Shows: [async.proto.future] [async.proto.waiter] [async.proto.waker]
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "async/future.h"
#include "async/waker.h"
#include "base/compiler.h"
#include "core/async_memory_pool.h"
#include "sync/atomic.h"

#define ROUNDS (EMP_TSAN ? 60u : 400u)

static struct emp_async_pool *pool;
static struct emp_future *future;
static uint32_t gate;     /* atomic: threads that have come to it, ever */
static uint32_t wins;     /* atomic: completions that said OK */
static uint32_t typed;    /* atomic: of those, with a value of the type */
static uint32_t takes;    /* atomic: takes that said OK */
static uint32_t ended;    /* atomic: values that were dropped */
static uint32_t wakes;    /* atomic: wakes of all wakers */
static uint32_t wakers;   /* atomic: wakers that live */
static uint32_t withdrew; /* atomic: registrations that were withdrawn */

static void end_value(void *value)
{
    uint64_t words[4];

    memcpy(words, value, sizeof words);
    if (words[0] == 0x5a5a && words[3] == 0x5a5a) {
        emp_fetch_add_relaxed(&ended, 1);
    }
}

static struct emp_value_type value_type = {"four words", end_value, 32, 0};

static void on_wake(void *copy)
{
    (void)copy;
    emp_fetch_add_relaxed(&wakes, 1);
}

static void on_end(void *copy)
{
    (void)copy;
    emp_fetch_sub_relaxed(&wakers, 1);
}

static const struct emp_waker_calls calls = {on_wake, on_end, false};

static struct emp_waker waker_new(void)
{
    struct emp_waker waker;

    assert_int_equal(emp_waker_custom(pool, &calls, NULL, 0, &waker), EMP_OK);
    emp_fetch_add_relaxed(&wakers, 1);
    return waker;
}

/* Waits until all threads of a round have come. */
static void meet(uint32_t threads)
{
    uint32_t mine = emp_fetch_add_acq_rel(&gate, 1);
    uint32_t all = mine - mine % threads + threads;

    /* Short turns, so that threads which run meet at once; then others may. */
    for (unsigned spins = 1; emp_load_acquire(&gate) < all; spins++) {
        if (spins % 256 == 0) {
            (void)sched_yield();
        } else {
            emp_cpu_relax();
        }
    }
}

static void note(enum emp_status status, bool is_typed)
{
    if (status == EMP_OK) {
        emp_fetch_add_relaxed(&wins, 1);
        emp_fetch_add_relaxed(&typed, is_typed);
    }
}

static void call_resolve(void)
{
    uint64_t value[4] = {0x5a5a, 0, 0, 0x5a5a};

    note(emp_future_resolve_typed(future, &value_type, value), true);
}

static void call_reject(void)
{
    note(emp_future_reject(future, "no", 3), false);
}

static void call_cancel(void)
{
    note(emp_future_cancel(future), false);
}

static void call_expire(void)
{
    note(emp_future_expire(future), false);
}

static void call_poll(void)
{
    struct emp_waker waker = waker_new();
    uint64_t value[4] = {0};

    if (emp_future_poll(future, &waker, value, sizeof value, NULL) == EMP_OK) {
        assert_int_equal(value[0], 0x5a5a);
        assert_int_equal(value[3], 0x5a5a);
    }
    (void)emp_future_poll(future, &waker, NULL, 0, NULL);
    emp_waker_drop(&waker);
}

static void call_poll_and_forget(void)
{
    struct emp_waker waker = waker_new();

    (void)emp_future_poll(future, &waker, NULL, 0, NULL);
    emp_fetch_add_relaxed(&withdrew, emp_future_forget(future, &waker));
    emp_waker_drop(&waker);
}

static void call_take(void)
{
    struct emp_waker waker = waker_new();
    uint64_t value[4] = {0};

    if (emp_future_take(future, &waker, value, sizeof value, NULL) == EMP_OK) {
        assert_int_equal(value[3], 0x5a5a);
        emp_fetch_add_relaxed(&takes, 1);
    }
    emp_waker_drop(&waker);
}

static void call_retain_both(void)
{
    emp_future_drop(emp_future_retain(future));
    emp_promise_drop(emp_promise_retain(future));
}

static void call_nothing(void)
{
}

static void (*const all_calls[])(void) = {
    call_resolve, call_reject,          call_cancel,      call_expire,  call_poll,
    call_take,    call_poll_and_forget, call_retain_both, call_nothing,
};

#define CALLS ((unsigned)(sizeof all_calls / sizeof *all_calls))

/* What one of the two threads does, pair by pair. */
struct side {
    unsigned number;
};

/* The future of a round: made and ended by the first thread, with a reference of both for each. */
static void round_begin(void)
{
    future = emp_future_new(pool);
    assert_non_null(future);
    (void)emp_future_retain(future);
    (void)emp_promise_retain(future);
}

static void *pair_side(void *arg)
{
    const struct side *side = arg;

    for (unsigned a = 0; a < CALLS; a++) {
        for (unsigned b = a; b < CALLS; b++) {
            for (unsigned i = 0; i < ROUNDS; i++) {
                if (side->number == 0) {
                    round_begin();
                }
                meet(2);
                all_calls[side->number == 0 ? a : b]();
                if ((i + side->number) % 2 == 0) {
                    emp_future_drop(future);
                    emp_promise_drop(future);
                } else {
                    emp_promise_drop(future);
                    emp_future_drop(future);
                }
                meet(2);
            }
        }
    }
    return NULL;
}

static int begin(void **state)
{
    (void)state;
    gate = 0;
    wins = 0;
    typed = 0;
    takes = 0;
    ended = 0;
    wakes = 0;
    wakers = 0;
    withdrew = 0;
    return emp_async_pool_create(NULL, &pool) == EMP_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

static void every_pair_of_calls_at_once_ends_everything_once(void **state)
{
    struct side sides[2] = {{0}, {1}};
    pthread_t other;

    (void)state;
    assert_int_equal(pthread_create(&other, NULL, pair_side, &sides[1]), 0);
    (void)pair_side(&sides[0]);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(wakers, 0);
    assert_int_equal(ended + takes, typed);
    assert_true(wins > 0 && ended > 0); /* which of the others happen is chance */
}

#define PRODUCERS 4u

static void *produce(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS * 4; i++) {
        meet(PRODUCERS + 1);
        all_calls[i % 4]();
        emp_promise_drop(future);
        meet(PRODUCERS + 1);
    }
    return NULL;
}

static void one_of_many_producers_wins_and_the_waiter_is_woken_once(void **state)
{
    pthread_t threads[PRODUCERS];

    (void)state;
    for (unsigned i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, produce, NULL), 0);
    }
    for (unsigned i = 0; i < ROUNDS * 4; i++) {
        struct emp_waker waker = waker_new();

        future = emp_future_new(pool);
        for (unsigned k = 0; k < PRODUCERS - 1; k++) {
            (void)emp_promise_retain(future);
        }
        assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
        emp_waker_drop(&waker);
        meet(PRODUCERS + 1);
        meet(PRODUCERS + 1);
        assert_int_equal(wins, i + 1);
        assert_int_equal(wakes, i + 1);
        emp_future_drop(future);
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(wakers, 0);
    assert_int_equal(ended, typed);
}

#define WAITERS 4u

static uint32_t registered; /* atomic: registrations that were left to be woken */

/* Comes again and again with new wakers and gives most of them up; the last ones stay. */
static void *come_and_go(void *arg)
{
    (void)arg;
    meet(WAITERS + 1);
    for (unsigned i = 0; i < ROUNDS * 10; i++) {
        struct emp_waker waker = waker_new();
        enum emp_status status = emp_future_poll(future, &waker, NULL, 0, NULL);

        if (status != EMP_ERR_AGAIN) {
            emp_waker_drop(&waker);
            break;
        }
        if (i % 8 != 7 && emp_future_forget(future, &waker)) {
            emp_fetch_add_relaxed(&withdrew, 1);
        } else {
            emp_fetch_add_relaxed(&registered, 1);
        }
        emp_waker_drop(&waker);
    }
    meet(WAITERS + 1);
    return NULL;
}

static void every_waiter_that_did_not_give_up_is_woken_once(void **state)
{
    pthread_t threads[WAITERS];

    (void)state;
    registered = 0;
    future = emp_future_new(pool);
    for (unsigned i = 0; i < WAITERS; i++) {
        (void)emp_future_retain(future);
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    }
    meet(WAITERS + 1);
    while (emp_load_relaxed(&registered) < ROUNDS) {
        (void)sched_yield();
    }
    assert_int_equal(emp_future_resolve(future, NULL, 0), EMP_OK);
    meet(WAITERS + 1);
    for (unsigned i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        emp_future_drop(future);
    }
    emp_future_drop(future);
    emp_promise_drop(future);
    assert_int_equal(wakes, registered);
    assert_int_equal(wakers, 0);
    assert_true(withdrew > 0);
}

static struct emp_waker shared;

static void *share(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS * 10; i++) {
        meet(3);
        struct emp_waker own = shared;

        for (unsigned k = 0; k < 3; k++) {
            struct emp_waker twin = emp_waker_clone(&own);

            emp_waker_wake_by_ref(&own);
            if (k == 1) {
                emp_waker_wake(&twin);
            }
            emp_waker_drop(&twin);
        }
        if (i % 2 == 0) {
            emp_waker_wake(&own);
        } else {
            emp_waker_drop(&own);
        }
        meet(3);
    }
    return NULL;
}

static void clones_in_three_threads_end_their_object_once(void **state)
{
    pthread_t threads[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, share, NULL), 0);
    }
    for (unsigned i = 0; i < ROUNDS * 10; i++) {
        shared = waker_new();
        (void)emp_waker_clone(&shared);
        meet(3);
        meet(3);
        assert_int_equal(emp_load_relaxed(&wakers), 0);
        assert_int_equal(emp_load_relaxed(&wakes), (i + 1) * 8 + (i / 2 + 1) * 2);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_pair_of_calls_at_once_ends_everything_once),
        CASE(one_of_many_producers_wins_and_the_waiter_is_woken_once),
        CASE(every_waiter_that_did_not_give_up_is_woken_once),
        CASE(clones_in_three_threads_end_their_object_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
