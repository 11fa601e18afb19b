/*
 * What:  bursts: one thread allocates many blocks, another frees them all at once, far more than
 *        its bin takes, while others purge, read statistics and take refills of the same class.
 *        No block is handed out twice, and afterwards every count is exact: what left is what came
 *        back, every object is free, the audit finds nothing.
 * How:   a pool of its own; each object carries the number of its owner, checked before the free.
 * Design: [global.inv.exact] [global.proto.count] [local.req.overflow]
 * ctest-timeout: 300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/settled.h"

#define PAIRS        2u
#define BURST        3000u
#define BURSTS       (EMP_ASAN || EMP_TSAN ? 30u : 300u)
#define OBJECT_BYTES 640u

/* A burst on its way from the thread that allocates to the one that frees. */
struct pair {
    uint64_t *objects[2][BURST];
    uint32_t made;  /* atomic: test-burst. bursts handed over */
    uint32_t freed; /* atomic: test-burst. bursts freed */
    uint64_t wrong; /* plain: of the thread that frees */
};

static struct pair pairs[PAIRS];
static struct emp_pool *pool;
static uint32_t working; /* atomic: test-burst. pairs at work */

static void wait_for(const uint32_t *count, uint32_t least)
{
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < least) {
        sched_yield();
    }
}

static void *allocate_bursts(void *arg)
{
    struct pair *pair = arg;
    uint64_t mark = (uint64_t)(pair - pairs + 1) << 56;

    for (uint32_t burst = 0; burst < BURSTS; burst++) {
        wait_for(&pair->freed, burst < 2 ? 0 : burst - 1);
        for (unsigned i = 0; i < BURST; i++) {
            uint64_t *object = emp_pool_alloc(pool);

            if (object != NULL) {
                object[0] = mark | (uint64_t)burst << 32 | i;
                object[OBJECT_BYTES / 8 - 1] = ~object[0];
            }
            pair->objects[burst % 2][i] = object;
        }
        __atomic_store_n(&pair->made, burst + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void *free_bursts(void *arg)
{
    struct pair *pair = arg;
    uint64_t mark = (uint64_t)(pair - pairs + 1) << 56;

    for (uint32_t burst = 0; burst < BURSTS; burst++) {
        wait_for(&pair->made, burst + 1);
        for (unsigned i = 0; i < BURST; i++) {
            uint64_t *object = pair->objects[burst % 2][i];

            pair->wrong += object == NULL || object[0] != (mark | (uint64_t)burst << 32 | i) ||
                           object[OBJECT_BYTES / 8 - 1] != ~object[0];
            if (burst % 3 == 2) {
                emp_pool_free_batch(pool, (void **)&pair->objects[burst % 2][i], 1);
            } else {
                emp_pool_free(pool, object);
            }
        }
        __atomic_store_n(&pair->freed, burst + 1, __ATOMIC_RELEASE);
    }
    __atomic_fetch_sub(&working, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

/* Purges, counts and refills beside the bursts; returns how often a count was impossible. */
static void *disturb(void *arg)
{
    uintptr_t wrong = 0;

    (void)arg;
    for (unsigned i = 0; __atomic_load_n(&working, __ATOMIC_ACQUIRE) != 0; i++) {
        struct emp_pool_stats stats;
        void *object = emp_pool_alloc(pool);

        if (i % 3 == 0) {
            (void)emp_purge();
        }
        if (emp_pool_get_stats(pool, &stats) != EMP_OK || stats.total_free > stats.capacity ||
            stats.total_allocated > stats.capacity) {
            wrong++;
        }
        emp_pool_free(pool, object);
    }
    return (void *)wrong;
}

static void every_count_is_exact_after_bursts(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(OBJECT_BYTES);
    pthread_t threads[2 * PAIRS + 1];
    struct emp_pool_stats stats;
    void *wrong = NULL;

    (void)state;
    config.l2_cache_size = 500;
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    working = PAIRS;
    for (unsigned i = 0; i < PAIRS; i++) {
        assert_int_equal(pthread_create(&threads[2 * i], NULL, allocate_bursts, &pairs[i]), 0);
        assert_int_equal(pthread_create(&threads[2 * i + 1], NULL, free_bursts, &pairs[i]), 0);
    }
    assert_int_equal(pthread_create(&threads[2 * PAIRS], NULL, disturb, NULL), 0);
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(pthread_join(threads[2 * PAIRS], &wrong), 0);
    for (unsigned i = 0; i < PAIRS; i++) {
        assert_int_equal(pairs[i].wrong, 0);
    }
    emp_park();
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.total_allocated, 0);
    assert_int_equal(stats.total_free, stats.capacity);
    assert_int_equal(stats.allocations, stats.frees);
    assert_int_equal(emp_audit(), 0);
    assert_int_equal((uintptr_t)wrong, 0);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_count_is_exact_after_bursts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
