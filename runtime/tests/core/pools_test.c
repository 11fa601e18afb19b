/*
 * What: the pool repository: every field of the configuration, names and ids, the limit of pools,
 *       exact capacities, statistics, destruction with live objects, reuse of classes while other
 *       threads hold cached blocks, typed pools.
 * How:  the public calls; an audit after each test.
 * Shows: [core.proto.pool] [local.proto.cache]
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/typed_pool.h"
#include "support/settled.h"

#define POOLS_MAX (EMP_CLASS_LIMIT - EMP_POOL_CLASS_FIRST)
#define CYCLES    10000u

struct cherry {
    uint64_t words[7];
};
EMP_POOL_DEFINE(cherry, struct cherry)

static int audit_after(void **state)
{
    (void)state;
    return emp_audit() == 0 ? 0 : -1;
}

static struct emp_pool *make(const struct emp_pool_config *config)
{
    struct emp_pool *pool = NULL;

    assert_int_equal(emp_pool_create(config, &pool), EMP_OK);
    assert_non_null(pool);
    return pool;
}

/* A configuration must be refused and *out left alone. */
static void assert_refused(const struct emp_pool_config *config)
{
    struct emp_pool *pool = (struct emp_pool *)(uintptr_t)1;

    assert_int_equal(emp_pool_create(config, &pool), EMP_ERR_INVALID);
    assert_ptr_equal(pool, (struct emp_pool *)(uintptr_t)1);
}

static void every_field_out_of_range_is_refused(void **state)
{
    static const size_t aligns[] = {1, 2, 4, 3, 12, 48, 8192, SIZE_MAX};
    const struct emp_pool_config good = emp_pool_config_default(100);
    struct emp_pool_config bad = good;
    struct emp_pool *pool = NULL;

    (void)state;
    assert_refused(NULL);
    assert_int_equal(emp_pool_create(&good, NULL), EMP_ERR_INVALID);
    bad.struct_bytes = sizeof(bad) - 8;
    assert_refused(&bad);
    bad = good, bad.object_size = 0;
    assert_refused(&bad);
    bad = good, bad.object_size = 32769;
    assert_refused(&bad);
    bad = good, bad.object_size = SIZE_MAX;
    assert_refused(&bad);
    for (unsigned i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
        bad = good, bad.object_align = aligns[i];
        assert_refused(&bad);
    }
    bad = good, bad.l1_cache_size = 513;
    assert_refused(&bad);
    bad = good, bad.l2_cache_size = (size_t)UINT32_MAX + 1;
    assert_refused(&bad);
    bad = good, bad.batch_alloc_size = 129;
    assert_refused(&bad);
    bad = good, bad.max_capacity = 10, bad.initial_capacity = 11;
    assert_refused(&bad);
    bad = good, bad.name = "a name of thirty-two bytes, long";
    assert_int_equal(strlen(bad.name), 32);
    assert_refused(&bad);
    bad = good, bad.name = "a name of thirty-one bytes, lon";
    assert_int_equal(emp_pool_create(&bad, &pool), EMP_OK);
    assert_string_equal(emp_pool_name(pool), bad.name);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
}

static void every_size_and_alignment_is_kept(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 4096; size = size * 2 + 1) {
        for (size_t align = 8; align <= 4096; align *= 2) {
            struct emp_pool_config config = emp_pool_config_default(size);
            void *objects[40];

            config.object_align = align;
            struct emp_pool *pool = make(&config);

            for (unsigned i = 0; i < 40; i++) {
                objects[i] = emp_pool_alloc(pool);
                assert_non_null(objects[i]);
                assert_int_equal((uintptr_t)objects[i] % align, 0);
                memset(objects[i], (int)i, size);
            }
            for (unsigned i = 0; i < 40; i++) {
                assert_int_equal(((unsigned char *)objects[i])[size - 1], i);
                emp_pool_free(pool, objects[i]);
            }
            assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
        }
    }
}

static void names_and_ids_find_their_pool(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(32);
    struct emp_pool *other = NULL;

    (void)state;
    config.name = "connections";
    struct emp_pool *named = make(&config);

    assert_int_equal(emp_pool_create(&config, &other), EMP_ERR_EXISTS);
    assert_null(other);
    config.name = NULL;
    other = make(&config);
    assert_int_equal(strncmp(emp_pool_name(other), "pool-", 5), 0);
    assert_true(emp_pool_id(other) > emp_pool_id(named));
    assert_ptr_equal(emp_pool_find_name("connections"), named);
    assert_ptr_equal(emp_pool_find_name(emp_pool_name(other)), other);
    assert_ptr_equal(emp_pool_find_id(emp_pool_id(other)), other);
    assert_null(emp_pool_find_name("nobody"));
    assert_null(emp_pool_find_name(NULL));
    assert_null(emp_pool_find_id(0));
    uint32_t id = emp_pool_id(named);

    assert_int_equal(emp_pool_destroy(named, NULL), EMP_OK);
    assert_null(emp_pool_find_name("connections"));
    assert_null(emp_pool_find_id(id));
    config.name = "connections"; /* the name is free again, the id is not */
    named = make(&config);
    assert_true(emp_pool_id(named) > id);
    assert_int_equal(emp_pool_destroy(named, NULL), EMP_OK);
    assert_int_equal(emp_pool_destroy(other, NULL), EMP_OK);
}

static void count_visit(struct emp_pool *pool, void *arg)
{
    *(uint64_t *)arg += emp_pool_id(pool);
}

static void as_many_pools_as_there_are_classes(void **state)
{
    static struct emp_pool *pools[POOLS_MAX];
    static void *objects[POOLS_MAX];
    struct emp_pool_config config = emp_pool_config_default(56);
    struct emp_pool *one_more = NULL;
    uint64_t ids = 0;
    uint64_t seen = 0;

    (void)state;
    for (unsigned i = 0; i < POOLS_MAX; i++) {
        pools[i] = make(&config);
        ids += emp_pool_id(pools[i]);
        objects[i] = emp_pool_alloc(pools[i]);
        memset(objects[i], (int)i, 56);
    }
    assert_int_equal(emp_pool_create(&config, &one_more), EMP_ERR_LIMIT);
    assert_int_equal(emp_pool_enumerate(count_visit, &seen), POOLS_MAX);
    assert_int_equal(seen, ids);
    for (unsigned i = 0; i < POOLS_MAX; i++) {
        assert_int_equal(((unsigned char *)objects[i])[55], (unsigned char)i);
        emp_pool_free(pools[i], objects[i]);
        assert_int_equal(emp_pool_destroy(pools[i], NULL), EMP_OK);
    }
    one_more = make(&config);
    assert_int_equal(emp_pool_destroy(one_more, NULL), EMP_OK);
}

static void max_capacity_is_exact(void **state)
{
    static const size_t limits[] = {1, 2, 63, 64, 65, 1000, 5000};
    static void *objects[5000];

    (void)state;
    for (unsigned l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
        struct emp_pool_config config = emp_pool_config_default(48);

        config.max_capacity = limits[l];
        struct emp_pool *pool = make(&config);

        for (size_t i = 0; i < limits[l]; i++) {
            objects[i] = emp_pool_alloc(pool);
            assert_non_null(objects[i]);
        }
        errno = 0;
        assert_null(emp_pool_alloc(pool));
        assert_int_equal(errno, ENOMEM);
        emp_pool_free(pool, objects[limits[l] - 1]); /* one comes back, one more may go */
        objects[limits[l] - 1] = emp_pool_alloc(pool);
        assert_non_null(objects[limits[l] - 1]);
        assert_null(emp_pool_alloc(pool));
        for (size_t i = 0; i < limits[l]; i++) {
            emp_pool_free(pool, objects[i]);
        }
        assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
    }
}

static void initial_capacity_is_there_before_the_first_call(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(200);
    struct emp_pool_stats stats;

    (void)state;
    config.initial_capacity = 3000;
    struct emp_pool *pool = make(&config);

    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_true(stats.capacity >= 3000);
    assert_true(stats.total_free >= 3000);
    uint64_t expansions = stats.expansions;

    for (unsigned i = 0; i < 3000; i++) {
        assert_non_null(emp_pool_alloc(pool));
    }
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.expansions, expansions);
    size_t live = 0;

    assert_int_equal(emp_pool_destroy(pool, &live), EMP_ERR_BUSY);
    assert_int_equal(live, 3000);
}

static void statistics_of_a_pool_add_up(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(80);
    struct emp_pool_stats stats;
    void *objects[500];

    (void)state;
    struct emp_pool *pool = make(&config);

    for (unsigned i = 0; i < 500; i++) {
        objects[i] = emp_pool_alloc(pool);
    }
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_true(stats.object_bytes >= 80);
    assert_int_equal(stats.capacity, stats.total_allocated + stats.total_free);
    assert_int_equal(stats.total_allocated, 500 + stats.cached);
    assert_int_equal(stats.allocations - stats.frees, stats.total_allocated);
    assert_int_equal(stats.slabs, stats.expansions - stats.shrinks);
    assert_true(stats.fragmentation_rate >= 0.0 && stats.fragmentation_rate <= 1.0);
    assert_int_equal(stats.failures, 0);
    for (unsigned i = 0; i < 500; i++) {
        emp_pool_free(pool, objects[i]);
    }
    emp_park();
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.total_allocated, 0);
    assert_int_equal(stats.cached, 0);
    assert_int_equal(stats.allocations, stats.frees);
    assert_int_equal(emp_pool_get_stats(NULL, &stats), EMP_ERR_INVALID);
    assert_int_equal(emp_pool_get_stats(pool, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
    assert_int_equal(emp_pool_destroy(NULL, NULL), EMP_ERR_INVALID);
}

/* One thread that keeps its cache while the main thread ends pools under it. */
static struct {
    pthread_barrier_t turn;
    struct emp_pool *pool;
    unsigned rounds;
    unsigned failures;
} holder;

static void *hold_cached_blocks(void *arg)
{
    for (unsigned i = 0; i < holder.rounds; i++) {
        void *objects[30];

        (void)pthread_barrier_wait(&holder.turn); /* a pool is there */
        for (unsigned o = 0; o < 30; o++) {
            objects[o] = emp_pool_alloc(holder.pool);
            holder.failures += objects[o] == NULL;
        }
        for (unsigned o = 0; o < 30; o++) {
            emp_pool_free(holder.pool, objects[o]); /* they stay in this thread's cache */
        }
        (void)pthread_barrier_wait(&holder.turn);
        for (unsigned o = 0; o < 30; o++) { /* other classes go on while the pool ends */
            emp_free(emp_malloc(o * 40));
        }
        (void)pthread_barrier_wait(&holder.turn); /* it is gone */
    }
    return arg;
}

static void classes_are_used_again_while_other_threads_hold_cached_blocks(void **state)
{
    static const size_t sizes[] = {16, 24, 40, 56, 64, 100, 1000, 9000, 30000};
    pthread_t thread;

    (void)state;
    holder.rounds = 200;
    assert_int_equal(pthread_barrier_init(&holder.turn, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, hold_cached_blocks, NULL), 0);
    for (unsigned i = 0; i < holder.rounds; i++) {
        struct emp_pool_config config =
            emp_pool_config_default(sizes[i % (sizeof(sizes) / sizeof(sizes[0]))]);
        void *mine[10];
        size_t live = 99;

        holder.pool = make(&config);
        for (unsigned o = 0; o < 10; o++) {
            mine[o] = emp_pool_alloc(holder.pool);
        }
        (void)pthread_barrier_wait(&holder.turn);
        (void)pthread_barrier_wait(&holder.turn);
        for (unsigned o = 0; o < 9; o++) {
            emp_pool_free(holder.pool, mine[o]);
        }
        assert_int_equal(emp_pool_destroy(holder.pool, &live), EMP_ERR_BUSY);
        assert_int_equal(live, 1);
        (void)pthread_barrier_wait(&holder.turn);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(holder.failures, 0);
}

/* Objects that a thread holds in its cache after one of many was freed. */
static uint64_t cached_after_use(struct emp_pool *pool)
{
    struct emp_pool_stats stats;
    void *objects[8];

    for (unsigned i = 0; i < 8; i++) {
        objects[i] = emp_pool_alloc(pool);
    }
    for (unsigned i = 0; i < 8; i++) {
        emp_pool_free(pool, objects[i]);
    }
    return settled_pool_stats(pool, &stats) == EMP_OK ? stats.cached : 0;
}

static void after_10000_pools_there_is_still_room_in_the_cache(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CYCLES; i++) {
        struct emp_pool_config config = emp_pool_config_default(64 + i % 5 * 100);

        config.l1_cache_size = i % 3 == 0 ? 0 : 8u << i % 6;
        struct emp_pool *pool = make(&config);
        uint64_t cached = cached_after_use(pool);

        if (!EMP_SECURE && !EMP_AUDIT && !EMP_ASAN) {
            assert_true(cached >= 1); /* a bin without slots keeps nothing */
        }
        assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
    }
}

static void a_typed_pool_lives_from_its_first_object_to_destroy(void **state)
{
    struct cherry *cherries[100];
    size_t live = 0;

    (void)state;
    assert_int_equal(cherry_destroy(NULL), EMP_ERR_STATE);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 100; i++) {
            cherries[i] = cherry_alloc();
            assert_non_null(cherries[i]);
            memset(cherries[i], (int)i, sizeof(*cherries[i]));
        }
        assert_ptr_equal(emp_pool_find_name("cherry"), cherry_pool.pool);
        for (unsigned i = 0; i < 99; i++) {
            assert_int_equal(*(unsigned char *)cherries[i], i);
            cherry_free(cherries[i]);
        }
        cherry_free(NULL);
        assert_int_equal(cherry_destroy(&live), EMP_ERR_BUSY);
        assert_int_equal(live, 1);
        assert_null(emp_pool_find_name("cherry"));
    }
}

/* What another source file with a pool of the same name has. */
static struct emp_typed_pool cherry_of_another_file = {
    .bin_offset = EMP_VIEW_BIN_OFFSET(0), .name = "cherry", .object_size = 200, .object_align = 8};

static void two_files_may_define_pools_of_one_name(void **state)
{
    (void)state;
    struct cherry *here = cherry_alloc();
    char *there = emp_typed_pool_alloc(&cherry_of_another_file);

    assert_non_null(here);
    assert_non_null(there);
    memset(there, 1, 200);
    assert_ptr_not_equal(cherry_pool.pool, cherry_of_another_file.pool);
    assert_string_equal(emp_pool_name(cherry_pool.pool), "cherry");
    assert_string_not_equal(emp_pool_name(cherry_of_another_file.pool), "cherry");
    cherry_free(here);
    emp_typed_pool_free(&cherry_of_another_file, there);
    assert_int_equal(cherry_destroy(NULL), EMP_OK);
    assert_int_equal(emp_typed_pool_destroy(&cherry_of_another_file, NULL), EMP_OK);
}

static pthread_barrier_t together;

static void *allocate_first(void *arg)
{
    (void)pthread_barrier_wait(&together);
    *(struct cherry **)arg = cherry_alloc();
    return NULL;
}

static void threads_that_race_for_the_first_object_make_one_pool(void **state)
{
    (void)state;
    assert_int_equal(pthread_barrier_init(&together, NULL, 8), 0);
    for (unsigned round = 0; round < 50; round++) {
        struct cherry *cherries[8] = {NULL};
        pthread_t threads[8];

        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, allocate_first, &cherries[i]), 0);
        }
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_non_null(cherries[i]);
        }
        for (unsigned i = 0; i < 8; i++) {
            cherry_free(cherries[i]);
        }
        assert_int_equal(cherry_destroy(NULL), EMP_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_field_out_of_range_is_refused, audit_after),
        cmocka_unit_test_teardown(every_size_and_alignment_is_kept, audit_after),
        cmocka_unit_test_teardown(names_and_ids_find_their_pool, audit_after),
        cmocka_unit_test_teardown(as_many_pools_as_there_are_classes, audit_after),
        cmocka_unit_test_teardown(max_capacity_is_exact, audit_after),
        cmocka_unit_test_teardown(initial_capacity_is_there_before_the_first_call, audit_after),
        cmocka_unit_test_teardown(statistics_of_a_pool_add_up, audit_after),
        cmocka_unit_test_teardown(classes_are_used_again_while_other_threads_hold_cached_blocks,
                                  audit_after),
        cmocka_unit_test_teardown(after_10000_pools_there_is_still_room_in_the_cache, audit_after),
        cmocka_unit_test_teardown(a_typed_pool_lives_from_its_first_object_to_destroy, audit_after),
        cmocka_unit_test_teardown(two_files_may_define_pools_of_one_name, audit_after),
        cmocka_unit_test_teardown(threads_that_race_for_the_first_object_make_one_pool,
                                  audit_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
