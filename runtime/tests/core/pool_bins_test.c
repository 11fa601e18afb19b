/*
 * What: the bins that pools have in a thread's cache: pools that come and go leave their slots to
 *       the next ones for ever, and in a cache that was another thread's before no two of them
 *       share a slot.
 * How:  thousands of pools one after the other; threads one after the other that use many pools at
 *       once, each in an order of its own; the room of the bin is read from the cache.
 * Shows: [local.proto.cache] [core.proto.pool]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/pools.h"
#include "support/bin_room.h"

#define TURNS   3000u
#define POOLS   100u
#define OBJECTS 40u
#define THREADS 6u

/* Allocates and frees until the bin has had its refills. */
static void use(struct emp_pool *pool)
{
    void *objects[OBJECTS];

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < OBJECTS; i++) {
            objects[i] = emp_pool_alloc(pool);
            assert_non_null(objects[i]);
        }
        for (unsigned i = 0; i < OBJECTS; i++) {
            emp_pool_free(pool, objects[i]);
        }
    }
}

static void the_thousandth_pool_has_a_bin_as_the_first(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct emp_pool_config config = emp_pool_config_default(64);
        struct emp_pool *pool = NULL;

        assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
        use(pool);
        if (bin_room(emp_pool_class(pool)) == 0) {
            fail_msg("the pool of turn %u has no room in the cache", turn);
        }
        assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
    }
}

static struct emp_pool *pools[POOLS];
static uint64_t wrong;

/* Marks objects of all pools; who gets one that is marked shares a slot with somebody. */
static void *use_all(void *arg)
{
    static uint64_t *objects[POOLS][OBJECTS];
    const unsigned step = 2u * (unsigned)(uintptr_t)arg + 1u;

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < OBJECTS; i++) {
            for (unsigned p = 0; p < POOLS; p++) {
                const unsigned at = p * step % POOLS;

                objects[at][i] = emp_pool_alloc(pools[at]);
                *objects[at][i] = (uint64_t)at << 32 | i;
            }
        }
        for (unsigned p = 0; p < POOLS; p++) {
            for (unsigned i = 0; i < OBJECTS; i++) {
                wrong += *objects[p][i] != ((uint64_t)p << 32 | i);
                emp_pool_free(pools[p], objects[p][i]);
            }
        }
    }
    return NULL;
}

static void pools_share_no_slots_in_the_cache_of_a_thread_that_is_gone(void **state)
{
    static const unsigned orders[THREADS] = {0, 1, 3, 4, 5, 6}; /* steps without a factor of 100 */

    (void)state;
    wrong = 0;
    for (unsigned p = 0; p < POOLS; p++) {
        struct emp_pool_config config = emp_pool_config_default(64 + p % 7 * 16);

        assert_int_equal(emp_pool_create(&config, &pools[p]), EMP_OK);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, use_all, (void *)(uintptr_t)orders[i]), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(wrong, 0);
    }
    for (unsigned p = 0; p < POOLS; p++) {
        size_t live = 99;

        assert_int_equal(emp_pool_destroy(pools[p], &live), EMP_OK);
        assert_int_equal(live, 0);
    }
    assert_int_equal(emp_audit(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thousandth_pool_has_a_bin_as_the_first),
        cmocka_unit_test(pools_share_no_slots_in_the_cache_of_a_thread_that_is_gone),
    };

    emp_free(emp_malloc(1));
    if (emp_local_options.checked || EMP_SECURE) {
        puts("bins of pools have no room in this build: nothing to measure");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
