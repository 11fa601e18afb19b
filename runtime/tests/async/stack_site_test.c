/*
 * What: the size of stack that a spawn without a wish gets: the default at first, more when the
 *       samples of its site have used much, never less; a wish is kept; other sites are not
 *       touched.
 * How:  coroutines of one site write deep into their stacks; the site is asked afterwards.
 * Shows: [async.proto.stack-site]
 * ctest-not-under: address thread
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/stack_site.h"
#include "core/async_memory_pool.h"

static struct emp_async_pool *pool;
static struct emp_executor *executor;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    return 0;
}

/* Writes so much of its stack, in steps that no guard is jumped by. */
static void body(void *args)
{
    const size_t bytes = *(const size_t *)args;
    unsigned char *const top = __builtin_frame_address(0);

    for (volatile unsigned char *at = top - 512; at > top - bytes; at -= 512) {
        *at = 1;
    }
}

static void spawn(struct emp_spawn_site *site, size_t used, size_t wish)
{
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = body,
        .args = &used,
        .args_bytes = sizeof used,
        .stack_bytes = wish,
        .site = site,
    };

    assert_int_equal(emp_coroutine_spawn(&it, NULL, NULL), EMP_OK);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
}

static void a_site_that_needs_much_gets_more(void **state)
{
    struct emp_spawn_site *const deep = EMP_SPAWN_SITE();
    struct emp_spawn_site *const shallow = EMP_SPAWN_SITE();

    (void)state;
    assert_int_equal(emp_stack_site_size(deep, 0), EMP_STACK_DEFAULT);
    for (unsigned i = 0; i < 4; i++) {
        spawn(deep, 40u << 10, 0);
        spawn(shallow, 1u << 10, 0);
    }
    assert_int_equal(emp_stack_site_size(deep, 0), EMP_STACK_DEFAULT + 1);
    assert_int_equal(emp_stack_site_size(shallow, 0), EMP_STACK_DEFAULT);
    spawn(deep, 150u << 10, 0); /* would end the process on the first size */
}

static void one_sample_of_many_is_enough_and_is_forgotten_slowly(void **state)
{
    struct emp_spawn_site *const site = EMP_SPAWN_SITE();

    (void)state;
    spawn(site, 150u << 10, 190u << 10);
    assert_int_equal(emp_stack_site_size(site, 0), EMP_STACK_DEFAULT + 2);
    for (unsigned i = 0; i < 4; i++) {
        spawn(site, 1u << 10, 0);
    }
    assert_int_equal(emp_stack_site_size(site, 0), EMP_STACK_DEFAULT + 2);
    for (unsigned i = 0; i < 20000; i++) {
        spawn(site, 1u << 10, 0);
    }
    assert_true(emp_stack_site_size(site, 0) < EMP_STACK_DEFAULT + 2);
}

static void a_wish_is_kept(void **state)
{
    struct emp_spawn_site *const site = EMP_SPAWN_SITE();

    (void)state;
    assert_int_equal(emp_stack_site_size(site, 1), 0);
    assert_int_equal(emp_stack_site_size(site, 12u << 10), 0);
    assert_int_equal(emp_stack_site_size(site, (12u << 10) + 1), 1);
    assert_int_equal(emp_stack_site_size(site, 192u << 10), 2);
    assert_int_equal(emp_stack_site_size(NULL, (192u << 10) + 1), 3);
    assert_int_equal(emp_stack_site_size(NULL, 0), EMP_STACK_DEFAULT);
    assert_int_equal(emp_stack_site_size(NULL, EMP_STACK_BYTES_MAX), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_site_that_needs_much_gets_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_sample_of_many_is_enough_and_is_forgotten_slowly,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wish_is_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
