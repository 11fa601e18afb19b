/*
 * What: a pool that ends reports the block that was freed twice, once, and counts it as returned.
 * How:  the second free behind another one, by the same thread and by another; a misuse callback
 *       that counts. In builds that report in the call it is the same report, earlier.
 * Shows: [core.proto.pool] [core.req.misuse]
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"

static unsigned double_frees;
static unsigned others;

static enum emp_misuse_action count_report(const struct emp_misuse *misuse, void *arg)
{
    (void)arg;
    if (strcmp(misuse->code, "E1002") == 0) {
        double_frees++;
    } else {
        others++;
    }
    return EMP_MISUSE_CONTINUE;
}

static int watch(void **state)
{
    (void)state;
    double_frees = 0;
    others = 0;
    return emp_misuse_set_callback(count_report, NULL) == EMP_OK ? 0 : -1;
}

static struct emp_pool *pool_of(size_t object_size)
{
    struct emp_pool_config config = emp_pool_config_default(object_size);
    struct emp_pool *pool = NULL;

    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    return pool;
}

/* The pool ends clean: nothing live, one double free reported since the test began. */
static void check_end(struct emp_pool *pool, unsigned reports)
{
    size_t live = 12345;

    assert_int_equal(emp_pool_destroy(pool, &live), EMP_OK);
    assert_int_equal(live, 0);
    assert_int_equal(double_frees, reports);
    assert_int_equal(others, 0);
    assert_int_equal(emp_audit(), 0);
}

static void a_block_freed_twice_by_one_thread(void **state)
{
    struct emp_pool *pool = pool_of(72);
    void *first = emp_pool_alloc(pool);
    void *second = emp_pool_alloc(pool);

    (void)state;
    emp_pool_free(pool, first);
    emp_pool_free(pool, second);
    emp_pool_free(pool, first);
    check_end(pool, 1);
}

struct handed {
    struct emp_pool *pool;
    void *block;
};

static void *free_elsewhere(void *arg)
{
    const struct handed *handed = arg;

    emp_pool_free(handed->pool, handed->block);
    return NULL;
}

static void a_block_freed_by_two_threads(void **state)
{
    struct emp_pool *pool = pool_of(40);
    struct handed handed = {pool, emp_pool_alloc(pool)};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, free_elsewhere, &handed), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    emp_pool_free(pool, handed.block);
    check_end(pool, 1);
}

static void a_pool_of_many_cached_blocks(void **state)
{
    static void *blocks[1000];
    struct emp_pool *pool = pool_of(24);

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        blocks[i] = emp_pool_alloc(pool);
        assert_non_null(blocks[i]);
    }
    for (unsigned i = 0; i < 1000; i++) {
        emp_pool_free(pool, blocks[i]);
    }
    check_end(pool, 0);
}

#define CASE(test) cmocka_unit_test_setup(test, watch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_block_freed_twice_by_one_thread),
        CASE(a_block_freed_by_two_threads),
        CASE(a_pool_of_many_cached_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
