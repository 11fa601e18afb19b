/*
 * What: the allocator when threads meet: many more threads than processors, threads that end while
 *       others free their blocks, pools that come and go beside maintenance and beside a heap that
 *       grows, trees of blocks freed on the other side, and refills while every shard lock is
 *       taken.
 * How:  cookies, counts and an audit at the end of each test; under TSan also every missing order.
 * ctest-timeout: 300
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "global/central.h"
#include "global/shard.h"
#include "support/cookie.h"
#include "support/random_stream.h"
#include "support/settled.h"
#include "support/stress.h"

#define SLOW_FACTOR (EMP_TSAN || EMP_ASAN || EMP_DEBUG ? 8u : 1u)

static uint64_t seed;

static uint64_t allocated_bytes(void)
{
    struct emp_stats stats;

    emp_park();
    (void)settled_stats_read(&stats);
    return stats.allocated;
}

static void sixty_four_threads_on_few_processors_lose_nothing(void **state)
{
    const struct stress_settings settings = {
        .threads = 64, .operations_each = 60000 / SLOW_FACTOR, .live_bytes = 32768, .seed = seed};
    struct stress_result result;

    (void)state;
    assert_int_equal(stress_run(&settings, &result), 0);
    assert_int_equal(result.corrupt, 0);
    assert_int_equal(result.refused, 0);
    assert_int_equal(result.allocated, result.freed);
    assert_int_equal(result.in_use_after, result.in_use_before);
    assert_int_equal(result.inconsistencies, 0);
    assert_true(result.handed_over > 0);
}

#define SHEAF_BLOCKS 64u

/* Blocks that their maker leaves to somebody else. */
struct sheaf {
    struct cookie_block blocks[SHEAF_BLOCKS];
};

static uint64_t wrong; /* atomic: test-wrong */

static void *sheaf_maker(void *arg)
{
    struct sheaf *sheaf = arg;
    struct random_stream random = {seed ^ (uint64_t)(uintptr_t)arg};

    for (unsigned i = 0; i < SHEAF_BLOCKS; i++) {
        size_t size = 1 + random_below(&random, i % 8 == 0 ? 40000 : 400);

        sheaf->blocks[i] = (struct cookie_block){emp_malloc(size), size, i};
        cookie_write(&sheaf->blocks[i]);
        emp_free(emp_malloc(size)); /* something stays in the cache */
    }
    return NULL;
}

static void *sheaf_breaker(void *arg)
{
    struct sheaf *sheaf = arg;

    for (unsigned i = 0; i < SHEAF_BLOCKS; i++) {
        if (!cookie_is_whole(&sheaf->blocks[i])) {
            /* order(test-wrong): relaxed; a count, read after the join */
            emp_fetch_add_relaxed(&wrong, 1);
        }
        emp_free(sheaf->blocks[i].ptr);
    }
    return NULL;
}

/* Makers end at once; breakers of the round before run beside them. */
static void blocks_outlive_the_threads_that_made_them(void **state)
{
    static struct sheaf sheaves[2][8];
    pthread_t makers[8];
    pthread_t breakers[8];
    unsigned rounds = 400 / SLOW_FACTOR;

    (void)state;
    wrong = 0;
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < 8; i++) {
            if (round < rounds) {
                assert_int_equal(
                    pthread_create(&makers[i], NULL, sheaf_maker, &sheaves[round % 2][i]), 0);
            }
            if (round > 0) {
                assert_int_equal(
                    pthread_create(&breakers[i], NULL, sheaf_breaker, &sheaves[(round + 1) % 2][i]),
                    0);
            }
        }
        for (unsigned i = 0; i < 8; i++) {
            if (round < rounds) {
                pthread_join(makers[i], NULL);
            }
            if (round > 0) {
                pthread_join(breakers[i], NULL);
            }
        }
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(emp_audit(), 0);
    assert_int_equal(allocated_bytes(), 0);
}

static uint32_t churn_stop; /* atomic: test-stop */

/* Gives memory back as fast as it can, in the way of everybody else. */
static void *purger(void *arg)
{
    (void)arg;
    /* order(test-stop): relaxed; a round more does not matter */
    while (emp_load_relaxed(&churn_stop) == 0) {
        (void)emp_purge();
        (void)emp_tick();
        sched_yield();
    }
    return NULL;
}

static unsigned churn_rounds;

static void *pool_churner(void *arg)
{
    struct random_stream random = {seed + (uint64_t)(uintptr_t)arg};

    for (unsigned round = 0; round < churn_rounds / SLOW_FACTOR; round++) {
        struct emp_pool_config config = emp_pool_config_default(8 + random_below(&random, 3000));
        struct emp_pool *pool = NULL;
        struct cookie_block objects[300];
        size_t live = 99;
        unsigned count = 1 + random_below(&random, 300);
        unsigned leave = random_below(&random, 4) == 0 ? random_below(&random, count) : 0;

        config.initial_capacity = random_below(&random, 200);
        if (emp_pool_create(&config, &pool) != EMP_OK) {
            /* order(test-wrong): relaxed; a count, read after the join */
            emp_fetch_add_relaxed(&wrong, 1);
            continue;
        }
        for (unsigned i = 0; i < count; i++) {
            objects[i] = (struct cookie_block){emp_pool_alloc(pool), config.object_size, round};
            cookie_write(&objects[i]);
        }
        bool whole = true;

        for (unsigned i = leave; i < count; i++) {
            whole = whole && cookie_is_whole(&objects[i]);
            emp_pool_free(pool, objects[i].ptr);
        }
        (void)emp_pool_destroy(pool, &live);
        /* order(test-wrong): relaxed; a count, read after the join */
        emp_fetch_add_relaxed(&wrong, !whole || live != leave);
    }
    return NULL;
}

static void pools_come_and_go_beside_maintenance(void **state)
{
    pthread_t threads[4];
    pthread_t maintenance;

    (void)state;
    wrong = 0;
    churn_stop = 0;
    churn_rounds = 300;
    assert_int_equal(pthread_create(&maintenance, NULL, purger, NULL), 0);
    for (uintptr_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, pool_churner, (void *)i), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    /* order(test-stop): relaxed; the join orders the rest */
    emp_store_relaxed(&churn_stop, 1);
    pthread_join(maintenance, NULL);
    assert_int_equal(wrong, 0);
    assert_int_equal(emp_audit(), 0);
    assert_int_equal(allocated_bytes(), 0);
}

#define GROWER_BLOCKS 800u

/* Makes the heap grow by one class after the other, so that shards collect again and again. */
static void *heap_grower(void *arg)
{
    static const size_t sizes[] = {8000, 5000, 3000, 7000, 4000, 6000};
    void *blocks[GROWER_BLOCKS];

    (void)arg;
    /* order(test-stop): relaxed; a round more does not matter */
    for (unsigned round = 0; emp_load_relaxed(&churn_stop) == 0; round++) {
        for (unsigned i = 0; i < GROWER_BLOCKS; i++) {
            blocks[i] = emp_malloc(sizes[round % 6]);
        }
        for (unsigned i = 0; i < GROWER_BLOCKS; i++) {
            emp_free(blocks[i]);
        }
    }
    return NULL;
}

/* A collection looks at slabs of its shard, a destroyed pool ends its own: they must not meet. */
static void pools_come_and_go_beside_a_heap_that_grows(void **state)
{
    pthread_t churners[3];
    pthread_t growers[2];

    (void)state;
    wrong = 0;
    churn_stop = 0;
    churn_rounds = 3000;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&growers[i], NULL, heap_grower, NULL), 0);
    }
    for (uintptr_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&churners[i], NULL, pool_churner, (void *)(i + 10)), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(churners[i], NULL);
    }
    /* order(test-stop): relaxed; the join orders the rest */
    emp_store_relaxed(&churn_stop, 1);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(growers[i], NULL);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(emp_audit(), 0);
    assert_int_equal(allocated_bytes(), 0);
}

static void *table_reader(void *arg)
{
    struct emp_stats stats;

    (void)arg;
    /* order(test-stop): relaxed; a round more does not matter */
    while (emp_load_relaxed(&churn_stop) == 0) {
        (void)emp_stats_read(&stats);
        (void)emp_audit();
        (void)emp_pool_find_name("no such pool");
        sched_yield();
    }
    return NULL;
}

static void statistics_and_audits_run_beside_everything(void **state)
{
    const struct stress_settings settings = {.threads = 4,
                                             .operations_each = 200000 / SLOW_FACTOR,
                                             .live_bytes = (size_t)4 << 20,
                                             .seed = seed};
    struct stress_result result;
    pthread_t threads[2];

    (void)state;
    churn_stop = 0;
    assert_int_equal(pthread_create(&threads[0], NULL, table_reader, NULL), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, purger, NULL), 0);
    assert_int_equal(stress_run(&settings, &result), 0);
    /* order(test-stop): relaxed; the join orders the rest */
    emp_store_relaxed(&churn_stop, 1);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_int_equal(result.corrupt, 0);
    assert_int_equal(result.allocated, result.freed);
    assert_int_equal(emp_audit(), 0);
    assert_int_equal(allocated_bytes(), 0);
}

/* Holds every shard for a while. */
static void *shard_hog(void *arg)
{
    const struct timespec pause = {0, 200000};

    (void)arg;
    for (unsigned round = 0; round < 300; round++) {
        for (uint32_t s = 0; s < emp_shard_count; s++) {
            emp_mutex_lock(&emp_shards[s]->lock);
        }
        nanosleep(&pause, NULL);
        for (uint32_t s = emp_shard_count; s-- > 0;) {
            emp_mutex_unlock(&emp_shards[s]->lock);
        }
        sched_yield();
    }
    /* order(test-stop): relaxed; the join orders the rest */
    emp_store_relaxed(&churn_stop, 1);
    return NULL;
}

static void work_goes_on_while_shard_locks_are_taken(void **state)
{
    void *blocks[512];
    struct random_stream random = {seed};
    pthread_t hog;
    unsigned rounds = 0;

    (void)state;
    churn_stop = 0;
    emp_free(emp_malloc(1));
    assert_int_equal(pthread_create(&hog, NULL, shard_hog, NULL), 0);
    /* order(test-stop): relaxed; a round more does not matter */
    for (; emp_load_relaxed(&churn_stop) == 0; rounds++) {
        size_t got = emp_batch_alloc(1 + random_below(&random, 2000), blocks, 512);

        assert_int_equal(got, 512);
        for (size_t i = got; i-- > 1;) { /* in random order: many slabs in every flush */
            size_t other = random_below(&random, (uint32_t)i + 1);
            void *swap = blocks[i];

            blocks[i] = blocks[other];
            blocks[other] = swap;
        }
        emp_batch_free(blocks, got);
    }
    pthread_join(hog, NULL);
    assert_true(rounds > 0);
    assert_int_equal(emp_audit(), 0);
    assert_int_equal(allocated_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_four_threads_on_few_processors_lose_nothing),
        cmocka_unit_test(blocks_outlive_the_threads_that_made_them),
        cmocka_unit_test(pools_come_and_go_beside_maintenance),
        cmocka_unit_test(pools_come_and_go_beside_a_heap_that_grows),
        cmocka_unit_test(statistics_and_audits_run_beside_everything),
        cmocka_unit_test(work_goes_on_while_shard_locks_are_taken),
    };

    seed = random_seed("allocator_race_test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
