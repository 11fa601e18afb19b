/*
 * What: the pools of an asynchronous runtime: every field of the configuration, names, limits that
 *       hold per kind, statistics of what was taken, and nothing left behind where creation fails.
 * How:  the public calls, and objects taken as the async room takes them; an audit after each test.
 * Shows: [core.proto.async-pool] [async.proto.object]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/object.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"
#include "core/memory_monitor.h"
#include "global/shard.h"
#include "slab/size_class.h"

static int audit_after(void **state)
{
    (void)state;
    return emp_audit() == 0 ? 0 : -1;
}

static void count_pool(struct emp_pool *pool, void *arg)
{
    (void)pool;
    ++*(unsigned *)arg;
}

static unsigned pools_now(void)
{
    unsigned count = 0;

    (void)emp_pool_enumerate(count_pool, &count);
    return count;
}

static void every_field_out_of_range_is_refused(void **state)
{
    struct emp_async_pool *pool = NULL;
    struct emp_async_pool_config config = emp_async_pool_config_default();

    (void)state;
    config.struct_bytes--;
    assert_int_equal(emp_async_pool_create(&config, &pool), EMP_ERR_INVALID);
    config = emp_async_pool_config_default();
    config.name = "a name of 16 b..";
    assert_int_equal(emp_async_pool_create(&config, &pool), EMP_ERR_INVALID);
    config.name = "";
    assert_int_equal(emp_async_pool_create(&config, &pool), EMP_ERR_INVALID);
    struct emp_async_limits *const limits[] = {&config.future_pool, &config.task_pool,
                                               &config.waker_pool, &config.channel_pool};

    for (unsigned i = 0; i < 4; i++) {
        config = emp_async_pool_config_default();
        limits[i]->l1_cache_size = 513;
        assert_int_equal(emp_async_pool_create(&config, &pool), EMP_ERR_INVALID);
        config = emp_async_pool_config_default();
        limits[i]->max_capacity = 10;
        limits[i]->initial_capacity = 11;
        assert_int_equal(emp_async_pool_create(&config, &pool), EMP_ERR_INVALID);
    }
    const struct emp_coroutine_policy no_parks = {.idle_ns = 1};

    config = emp_async_pool_config_default();
    config.reclamation_config = &no_parks;
    assert_int_equal(emp_async_pool_create(&config, &pool), EMP_ERR_INVALID);
    config = emp_async_pool_config_default();
    config.slab_config.batch_alloc_size = 129;
    assert_int_equal(emp_async_pool_create(&config, &pool), EMP_ERR_INVALID);
    assert_int_equal(emp_async_pool_create(NULL, NULL), EMP_ERR_INVALID);
    assert_null(pool);
    assert_int_equal(pools_now(), 0);
    assert_int_equal(emp_async_pool_destroy(NULL, NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_async_pool_get_stats(NULL, NULL), EMP_ERR_INVALID);
}

static void a_name_that_exists_leaves_nothing_behind(void **state)
{
    struct emp_async_pool *first = NULL;
    struct emp_async_pool *second = NULL;
    struct emp_async_pool_config config = emp_async_pool_config_default();

    (void)state;
    config.name = "server";
    assert_int_equal(emp_async_pool_create(&config, &first), EMP_OK);
    unsigned before = pools_now();

    assert_non_null(emp_pool_find_name("server.future"));
    assert_int_equal(emp_async_pool_create(&config, &second), EMP_ERR_EXISTS);
    assert_null(second);
    assert_int_equal(pools_now(), before);
    assert_int_equal(emp_async_pool_create(NULL, &second), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(second, NULL, NULL), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(first, NULL, NULL), EMP_OK);
    assert_int_equal(pools_now(), 0);
}

static void objects_have_the_size_and_alignment_of_their_kind(void **state)
{
    static const size_t bytes[] = {
#define EMP_OBJECT(kind, name, bytes, align) bytes,
#include "async/object.def"
#undef EMP_OBJECT
    };
    static const size_t aligns[] = {
#define EMP_OBJECT(kind, name, bytes, align) align,
#include "async/object.def"
#undef EMP_OBJECT
    };
    struct emp_async_pool *pool = NULL;
    void *objects[100];

    (void)state;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    for (unsigned kind = 0; kind < EMP_OBJECT_KINDS; kind++) {
        struct emp_async_stats stats;

        for (unsigned i = 0; i < 100; i++) {
            objects[i] = emp_object_take(pool, (enum emp_object_kind)kind);
            assert_non_null(objects[i]);
            assert_int_equal((uintptr_t)objects[i] % aligns[kind], 0);
            memset(objects[i], (int)i, bytes[kind]);
        }
        assert_int_equal(emp_async_pool_get_stats(pool, &stats), EMP_OK);
        assert_true(stats.kind[kind].in_use >= 100);
        assert_true(stats.kind[kind].object_bytes >= bytes[kind]);
        assert_true(stats.kind[kind].allocations >= 100);
        assert_true(stats.resident_bytes >= 100 * bytes[kind]);
        for (unsigned i = 0; i < 100; i++) {
            assert_int_equal(*((unsigned char *)objects[i] + bytes[kind] - 1), i);
            emp_object_give(objects[i]);
        }
    }
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static void one_configuration_reaches_slabs_and_stacks(void **state)
{
    const struct emp_coroutine_policy policy = {.idle_ns = 5,
                                                .park_bytes_max = 512,
                                                .parks_per_tick = 7,
                                                .resident_max = 1 << 20,
                                                .free_resident_max = 1 << 16};
    struct emp_async_pool_config config = emp_async_pool_config_default();
    struct emp_async_pool *pool = NULL;

    (void)state;
    config.reclamation_config = &policy;
    config.slab_config.l2_cache_size = 100;
    config.slab_config.batch_alloc_size = 3;
    config.waker_pool.initial_capacity = 1000;
    assert_int_equal(emp_async_pool_create(&config, &pool), EMP_OK);
    struct emp_coroutine_policy found = emp_coroutine_get_policy(pool);

    assert_memory_equal(&found, &policy, sizeof(policy));
    struct emp_async_stats stats;

    assert_int_equal(emp_async_pool_get_stats(pool, &stats), EMP_OK);
    assert_true(stats.kind[EMP_OBJECT_WAKER].capacity >= 1000);
    assert_int_equal(emp_classes[pool->class_of[EMP_OBJECT_TASK]].batch, 3);
    assert_int_equal(emp_shards[0]->classes[pool->class_of[EMP_OBJECT_TASK]].keep_blocks, 100);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

/* In builds with canaries and red zones too. */
static void blocks_of_whole_lines_begin_at_one(void **state)
{
    struct emp_async_pool *pool = NULL;
    void *blocks[32];

    (void)state;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    for (size_t bytes = 64; bytes <= 4096; bytes += 64) {
        const size_t line = bytes % 128 == 0 ? 128 : 64;

        for (unsigned i = 0; i < 32; i++) {
            blocks[i] = emp_object_hooks.memory_take(bytes);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % line, 0);
        }
        for (unsigned i = 0; i < 32; i++) {
            emp_object_hooks.memory_give(blocks[i]);
        }
    }
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static void a_limit_holds_for_its_kind_alone(void **state)
{
    struct emp_async_pool_config config = emp_async_pool_config_default();
    struct emp_async_pool *pool = NULL;
    void *tasks[32];
    unsigned count = 0;

    (void)state;
    config.task_pool.max_capacity = 16;
    config.task_pool.initial_capacity = 16;
    assert_int_equal(emp_async_pool_create(&config, &pool), EMP_OK);
    while (count < 32 && (tasks[count] = emp_object_take(pool, EMP_OBJECT_TASK)) != NULL) {
        count++;
    }
    assert_int_equal(count, 16);
    void *future = emp_object_take(pool, EMP_OBJECT_FUTURE);

    assert_non_null(future);
    emp_object_give(future);
    while (count > 0) {
        emp_object_give(tasks[--count]);
    }
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static void an_object_in_use_makes_destroy_say_busy(void **state)
{
    struct emp_async_pool *pool = NULL;

    (void)state;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_non_null(emp_object_take(pool, EMP_OBJECT_WAKER));
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_ERR_BUSY);
    assert_int_equal(pools_now(), 0);
}

static void as_many_async_pools_as_there_are_classes(void **state)
{
    struct emp_async_pool *pools[64];
    unsigned count = 0;

    (void)state;
    while (count < 64 && emp_async_pool_create(NULL, &pools[count]) == EMP_OK) {
        count++;
    }
    assert_int_equal(count, (EMP_CLASS_LIMIT - EMP_POOL_CLASS_FIRST) / EMP_OBJECT_KINDS);
    assert_int_equal(pools_now(), count * EMP_OBJECT_KINDS);
    while (count > 0) {
        assert_int_equal(emp_async_pool_destroy(pools[--count], NULL, NULL), EMP_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_field_out_of_range_is_refused, audit_after),
        cmocka_unit_test_teardown(a_name_that_exists_leaves_nothing_behind, audit_after),
        cmocka_unit_test_teardown(objects_have_the_size_and_alignment_of_their_kind, audit_after),
        cmocka_unit_test_teardown(one_configuration_reaches_slabs_and_stacks, audit_after),
        cmocka_unit_test_teardown(blocks_of_whole_lines_begin_at_one, audit_after),
        cmocka_unit_test_teardown(a_limit_holds_for_its_kind_alone, audit_after),
        cmocka_unit_test_teardown(an_object_in_use_makes_destroy_say_busy, audit_after),
        cmocka_unit_test_teardown(as_many_async_pools_as_there_are_classes, audit_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
