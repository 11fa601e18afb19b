/*
 * What: free stacks lose their pages when nobody needs them, also after the bound on such pages was
 *       lowered to nothing and raised again.
 * How:  stacks are taken and given without coroutines; trims as ticks do them.
 * Shows: [async.proto.stack-pool]
 * ctest-not-under: address thread
 *       (their notes of stacks would be lost: nothing is given back there)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "async/object.h"
#include "async/stack_pool.h"
#include "core/async_memory_pool.h"

#define PAGE     ((size_t)4096)
#define KEEP     100u
#define MANY     400u
#define AGAIN    60u /* more than a shelf holds */
#define TRIMS    30u
#define SMALLEST 0u

static struct emp_async_pool *pool;
static uint32_t slots[MANY];

static void take(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        assert_true(emp_stack_take(pool->stacks, SMALLEST, &slots[i]));
    }
}

static void give(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        emp_stack_give(pool->stacks, SMALLEST, slots[i]);
    }
}

static uint32_t warm(void)
{
    return pool->stacks->sizes[SMALLEST].warm.count;
}

static void trim(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        (void)emp_stack_trim(pool->stacks, false);
    }
}

static void what_nobody_takes_goes_cold(void **state)
{
    (void)state;
    pool->stacks->policy.free_resident_max = KEEP * PAGE;
    take(0, MANY);
    give(0, MANY);
    assert_in_range(warm(), KEEP / 2, KEEP);
    trim(TRIMS);
    assert_in_range(warm(), 0, 1);
}

/* More went cold than ever lay unused: what the next trim takes for useless must not wrap. */
static void it_does_so_after_a_bound_of_nothing(void **state)
{
    (void)state;
    pool->stacks->policy.free_resident_max = KEEP * PAGE;
    take(0, MANY);
    give(0, MANY / 2);
    trim(1);
    pool->stacks->policy.free_resident_max = 0;
    take(0, AGAIN);
    give(0, AGAIN);
    assert_int_equal(warm(), 0);
    trim(1);
    pool->stacks->policy.free_resident_max = KEEP * PAGE;
    give(MANY / 2, MANY / 2);
    assert_in_range(warm(), KEEP / 2, KEEP);
    trim(TRIMS);
    assert_in_range(warm(), 0, 1);
}

static int begin(void **state)
{
    (void)state;
    return emp_async_pool_create(NULL, &pool) == EMP_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_nobody_takes_goes_cold, begin, end),
        cmocka_unit_test_setup_teardown(it_does_so_after_a_bound_of_nothing, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
