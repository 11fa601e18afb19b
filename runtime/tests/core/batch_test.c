/*
 * What: batch calls: distinct writable blocks of the right size, NULLs and mixed sizes in a free,
 *       blocks of other threads, limits of pools, errno; and that a batch moves whole words, not
 *       single blocks.
 * How:  every count around the batch sizes 64 and 128 for classes of all kinds; counters of the
 *       shared tiers before and after; an audit after each test.
 * Shows: [core.proto.batch]
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/compiler.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/settled.h"

#define COUNT_MAX 1000u

static int compare_addresses(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (void *const *)a;
    uintptr_t right = (uintptr_t) * (void *const *)b;

    return (left > right) - (left < right);
}

/* Fills every block, sorts a copy of the addresses, and checks that no two overlap. */
static void assert_disjoint(void *const *blocks, size_t count, size_t size)
{
    static void *sorted[COUNT_MAX];

    memcpy(sorted, blocks, count * sizeof(void *));
    qsort(sorted, count, sizeof(void *), compare_addresses);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(sorted[i]);
        memset(sorted[i], (int)i, size);
        if (i > 0) {
            assert_true((uintptr_t)sorted[i] - (uintptr_t)sorted[i - 1] >= size);
        }
    }
}

static int audit_after(void **state)
{
    (void)state;
    return emp_audit() == 0 ? 0 : -1;
}

static void every_count_of_every_kind_of_size(void **state)
{
    static const size_t sizes[] = {0, 1, 16, 40, 64, 500, 1024, 5000, 32768, 40000};
    static const size_t counts[] = {0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 191, 192, 193, 300};
    static void *blocks[COUNT_MAX];

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            memset(blocks, 0xee, sizeof(blocks));
            assert_int_equal(emp_batch_alloc(sizes[s], blocks, counts[c]), counts[c]);
            assert_disjoint(blocks, counts[c], sizes[s]);
            /* what lies behind the count belongs to the caller */
            assert_int_equal((uintptr_t)blocks[counts[c]], 0xeeeeeeeeeeeeeeee);
            emp_batch_free(blocks, counts[c]);
        }
    }
}

static void a_batch_of_mixed_sizes_with_nulls_is_freed(void **state)
{
    static void *blocks[COUNT_MAX];
    struct emp_stats before;
    struct emp_stats after;

    (void)state;
    emp_park();
    assert_int_equal(settled_stats_read(&before), EMP_OK);
    for (size_t i = 0; i < COUNT_MAX; i++) {
        blocks[i] = i % 7 == 0 ? NULL : emp_malloc(i % 50 == 1 ? 70000 : (i / 10 % 20) * 50);
    }
    errno = 77;
    emp_batch_free(blocks, COUNT_MAX);
    assert_int_equal(errno, 77);
    emp_park();
    assert_int_equal(settled_stats_read(&after), EMP_OK);
    assert_int_equal(after.allocated, before.allocated);
}

static void a_batch_leaves_the_shared_tiers_and_returns_to_them(void **state)
{
    static void *blocks[COUNT_MAX];
    struct emp_pool_config config = emp_pool_config_default(240);
    struct emp_pool_stats stats;
    struct emp_pool *pool = NULL;

    (void)state;
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    assert_int_equal(emp_pool_alloc_batch(pool, blocks, 960), 960);
    assert_disjoint(blocks, 960, 240);
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.allocations, 960);
    assert_int_equal(stats.cached, 0);
    if (!EMP_SECURE && !EMP_AUDIT && !EMP_ASAN) { /* those take every block by itself */
        /* 960 blocks in 64-bit words: single refills of the bin would have been far more */
        assert_true(stats.l2_hits + stats.l3_hits <= 40);
    }
    emp_pool_free_batch(pool, blocks, 960);
    emp_park();
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.frees, 960);
    assert_int_equal(stats.total_allocated, 0);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
}

static void a_batch_takes_what_the_cache_holds_first(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(96);
    struct emp_pool_stats stats;
    struct emp_pool *pool = NULL;
    void *blocks[20];

    (void)state;
    if (EMP_SECURE || EMP_AUDIT || EMP_ASAN) {
        skip(); /* nothing is ever cached */
    }
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    emp_pool_free(pool, emp_pool_alloc(pool));
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    uint64_t cached = stats.cached;

    assert_true(cached >= 1);
    assert_int_equal(emp_pool_alloc_batch(pool, blocks, 20), 20);
    assert_int_equal(settled_pool_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.total_allocated - stats.cached, 20);
    assert_true(cached >= 20 ? stats.cached == cached - 20 : stats.cached == 0);
    emp_pool_free_batch(pool, blocks, 20);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
}

static void a_pool_batch_stops_at_the_limit(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(64);
    struct emp_pool *pool = NULL;
    void *blocks[300];

    (void)state;
    config.max_capacity = 150;
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    errno = 0;
    assert_int_equal(emp_pool_alloc_batch(pool, blocks, 300), 150);
    assert_int_equal(errno, ENOMEM);
    assert_disjoint(blocks, 150, 64);
    emp_pool_free_batch(pool, blocks, 150);
    errno = 0;
    assert_int_equal(emp_pool_alloc_batch(pool, blocks, 150), 150);
    assert_int_equal(errno, 0);
    emp_pool_free_batch(pool, blocks, 150);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
}

static void a_batch_with_line_alignment_starts_on_lines(void **state)
{
    void *blocks[100];

    (void)state;
    assert_int_equal(emp_option_set("align", "line"), EMP_OK);
    assert_int_equal(emp_batch_alloc(24, blocks, 100), 100);
    assert_int_equal(emp_option_set("align", "natural"), EMP_OK);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
    }
    emp_batch_free(blocks, 100);
}

static void *blocks_handed_over[COUNT_MAX];

static void *allocate_batch(void *arg)
{
    (void)arg;
    return (void *)(uintptr_t)emp_batch_alloc(56, blocks_handed_over, COUNT_MAX);
}

static void batches_of_another_thread_come_back(void **state)
{
    struct emp_stats before;
    struct emp_stats after;
    pthread_t thread;
    void *count = NULL;

    (void)state;
    emp_park();
    assert_int_equal(settled_stats_read(&before), EMP_OK);
    for (unsigned round = 0; round < 50; round++) {
        assert_int_equal(pthread_create(&thread, NULL, allocate_batch, NULL), 0);
        assert_int_equal(pthread_join(thread, &count), 0);
        assert_int_equal((uintptr_t)count, COUNT_MAX);
        assert_disjoint(blocks_handed_over, COUNT_MAX, 56);
        emp_batch_free(blocks_handed_over, COUNT_MAX);
    }
    emp_park();
    assert_int_equal(settled_stats_read(&after), EMP_OK);
    assert_int_equal(after.allocated, before.allocated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_count_of_every_kind_of_size, audit_after),
        cmocka_unit_test_teardown(a_batch_of_mixed_sizes_with_nulls_is_freed, audit_after),
        cmocka_unit_test_teardown(a_batch_leaves_the_shared_tiers_and_returns_to_them, audit_after),
        cmocka_unit_test_teardown(a_batch_takes_what_the_cache_holds_first, audit_after),
        cmocka_unit_test_teardown(a_pool_batch_stops_at_the_limit, audit_after),
        cmocka_unit_test_teardown(a_batch_with_line_alignment_starts_on_lines, audit_after),
        cmocka_unit_test_teardown(batches_of_another_thread_come_back, audit_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
