/*
 * What: custom wakers in one thread: clones share one object, which ends once, with its last clone,
 *       and not before a callback that runs has returned.
 * How:  callbacks that count; the pool's own count says whether the objects came back.
 * Shows: [async.proto.waker]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/waker.h"
#include "core/async_memory_pool.h"
#include "support/async_pool.h"

static struct emp_async_pool *pool;
static unsigned woken;
static unsigned ended;
static unsigned char seen[EMP_WAKER_INLINE_BYTES];
static uintptr_t address;

static void wake(void *copy)
{
    assert_int_equal(ended, 0);
    woken++;
    address = (uintptr_t)copy;
    memcpy(seen, copy, sizeof seen);
}

static void drop(void *copy)
{
    ended++;
    assert_int_equal(address == 0 || address == (uintptr_t)copy, 1);
}

static const struct emp_waker_calls calls = {wake, drop, false};
static const struct emp_waker_calls calls_without_drop = {wake, NULL, false};
static const struct emp_waker_calls calls_once = {wake, drop, true};

static int begin(void **state)
{
    (void)state;
    woken = 0;
    ended = 0;
    address = 0;
    memset(seen, 0, sizeof seen);
    return emp_async_pool_create(NULL, &pool) == EMP_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

static struct emp_waker waker_of(const struct emp_waker_calls *which)
{
    struct emp_waker waker;

    assert_int_equal(emp_waker_custom(pool, which, NULL, 0, &waker), EMP_OK);
    return waker;
}

static void an_empty_waker_does_nothing(void **state)
{
    struct emp_waker empty = {0};
    struct emp_waker twin = emp_waker_clone(&empty);

    (void)state;
    emp_waker_wake_by_ref(&twin);
    emp_waker_wake(&twin);
    emp_waker_drop(&empty);
    assert_null(twin.vt);
}

static void the_callback_gets_a_copy_of_all_48_bytes(void **state)
{
    unsigned char bytes[EMP_WAKER_INLINE_BYTES];
    struct emp_waker waker;

    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i + 1);
    }
    assert_int_equal(emp_waker_custom(pool, &calls, bytes, sizeof bytes, &waker), EMP_OK);
    emp_waker_wake(&waker);
    assert_memory_equal(seen, bytes, sizeof bytes);
    assert_int_equal(address % 16, 0);
    assert_int_equal(woken, 1);
    assert_int_equal(ended, 1);
    assert_null(waker.vt);
}

static void wrong_arguments_give_an_empty_waker(void **state)
{
    static const struct emp_waker_calls nothing = {NULL, drop, false};
    struct emp_waker waker = {NULL, &waker};
    unsigned char bytes[EMP_WAKER_INLINE_BYTES + 1] = {0};

    (void)state;
    assert_int_equal(emp_waker_custom(pool, &calls, bytes, sizeof bytes, &waker), EMP_ERR_TOO_BIG);
    assert_null(waker.data);
    assert_int_equal(emp_waker_custom(NULL, &calls, NULL, 0, &waker), EMP_ERR_INVALID);
    assert_int_equal(emp_waker_custom(pool, NULL, NULL, 0, &waker), EMP_ERR_INVALID);
    assert_int_equal(emp_waker_custom(pool, &nothing, NULL, 0, &waker), EMP_ERR_INVALID);
    assert_int_equal(emp_waker_custom(pool, &calls, NULL, 1, &waker), EMP_ERR_INVALID);
    assert_int_equal(emp_waker_custom(pool, &calls, NULL, 0, NULL), EMP_ERR_INVALID);
    assert_null(waker.vt);
}

static void clones_share_one_object_that_ends_with_the_last(void **state)
{
    struct emp_waker wakers[100];

    (void)state;
    wakers[0] = waker_of(&calls);
    for (unsigned i = 1; i < 100; i++) {
        wakers[i] = emp_waker_clone(&wakers[0]);
        assert_true(emp_waker_same(&wakers[0], &wakers[i]));
    }
    assert_int_equal(async_pool_in_use(pool, "waker"), 1);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(ended, 0);
        emp_waker_drop(&wakers[(i * 37) % 100]);
    }
    assert_int_equal(ended, 1);
    assert_int_equal(woken, 0);
}

static void wake_by_ref_keeps_and_wake_ends(void **state)
{
    struct emp_waker waker = waker_of(&calls);
    struct emp_waker twin = emp_waker_clone(&waker);

    (void)state;
    emp_waker_wake_by_ref(&waker);
    emp_waker_wake_by_ref(&waker);
    assert_int_equal(woken, 2);
    emp_waker_wake(&waker);
    assert_int_equal(woken, 3);
    assert_int_equal(ended, 0);
    emp_waker_wake(&twin);
    assert_int_equal(woken, 4);
    assert_int_equal(ended, 1);
}

static void a_waker_without_drop_ends_as_well(void **state)
{
    struct emp_waker waker = waker_of(&calls_without_drop);

    (void)state;
    emp_waker_wake(&waker);
    assert_int_equal(woken, 1);
    assert_int_equal(async_pool_in_use(pool, "waker"), 0);
}

static void a_once_waker_calls_back_once_for_all_clones(void **state)
{
    struct emp_waker waker = waker_of(&calls_once);
    struct emp_waker twin = emp_waker_clone(&waker);

    (void)state;
    emp_waker_wake_by_ref(&waker);
    emp_waker_wake_by_ref(&twin);
    emp_waker_wake(&waker);
    emp_waker_wake(&twin);
    assert_int_equal(woken, 1);
    assert_int_equal(ended, 1);
}

static struct emp_waker inner;

static void drop_the_other_clone(void *copy)
{
    emp_waker_drop(&inner);
    assert_int_equal(ended, 0);
    wake(copy);
}

static void clones_may_end_inside_their_callback(void **state)
{
    static const struct emp_waker_calls dropping = {drop_the_other_clone, drop, false};
    struct emp_waker waker = waker_of(&dropping);

    (void)state;
    inner = emp_waker_clone(&waker);
    emp_waker_wake(&waker);
    assert_int_equal(woken, 1);
    assert_int_equal(ended, 1);
}

static void without_memory_a_waker_is_empty(void **state)
{
    enum { LIMIT = 16 };
    struct emp_async_pool_config config = emp_async_pool_config_default();
    struct emp_async_pool *small = NULL;
    struct emp_waker wakers[LIMIT + 1];

    (void)state;
    config.waker_pool.max_capacity = LIMIT;
    assert_int_equal(emp_async_pool_create(&config, &small), EMP_OK);
    for (unsigned i = 0; i <= LIMIT; i++) {
        wakers[i] = (struct emp_waker){.data = &wakers[i]};
        assert_int_equal(emp_waker_custom(small, &calls_without_drop, NULL, 0, &wakers[i]),
                         i < LIMIT ? EMP_OK : EMP_ERR_NOMEM);
    }
    assert_null(wakers[LIMIT].vt);
    for (unsigned i = 0; i <= LIMIT; i++) {
        emp_waker_wake(&wakers[i]);
    }
    assert_int_equal(woken, LIMIT);
    assert_int_equal(emp_async_pool_destroy(small, NULL, NULL), EMP_OK);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_empty_waker_does_nothing),
        CASE(the_callback_gets_a_copy_of_all_48_bytes),
        CASE(wrong_arguments_give_an_empty_waker),
        CASE(clones_share_one_object_that_ends_with_the_last),
        CASE(wake_by_ref_keeps_and_wake_ends),
        CASE(a_waker_without_drop_ends_as_well),
        CASE(a_once_waker_calls_back_once_for_all_clones),
        CASE(clones_may_end_inside_their_callback),
        CASE(without_memory_a_waker_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
