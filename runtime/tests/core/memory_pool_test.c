/*
 * What: the simple pool: every block is distinct, aligned and inside, misuse is refused and changes
 *       nothing, growth and exhaustion behave as the header says, the records stay consistent.
 * How:  small pools by hand; random operations against a list of live blocks, each filled with a
 *       pattern and audited, from a printed seed; sizes no system has; an address space limit.
 * Shows: [core.req.memory-pool] [core.inv.memory-pool-bits]
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/memory_pool.h"

#define SEED       0x853c49e6748fea9bu
#define OPERATIONS 200000u
#define LIVE_MAX   5000u

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct emp_memory_pool *pool_of(size_t block_bytes, size_t blocks, bool is_growable)
{
    struct emp_memory_pool_config config = emp_memory_pool_config_default(block_bytes);
    struct emp_memory_pool *pool = NULL;

    config.blocks = blocks;
    config.is_growable = is_growable;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_OK);
    assert_non_null(pool);
    return pool;
}

static struct emp_memory_pool_stats stats_of(const struct emp_memory_pool *pool)
{
    struct emp_memory_pool_stats stats;

    assert_int_equal(emp_memory_pool_get_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.capacity, stats.used + stats.free);
    assert_int_equal(emp_memory_pool_audit(pool), 0);
    return stats;
}

static void pool_without_room_returns_null_and_counts_it(void **state)
{
    struct emp_memory_pool *pool = pool_of(48, 70, false);
    unsigned char *blocks[70];
    size_t live = 1;

    (void)state;
    for (unsigned i = 0; i < 70; i++) {
        blocks[i] = emp_memory_pool_alloc(pool);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_int_equal(blocks[i] - blocks[0], i * 48);
        memset(blocks[i], (int)i, 48);
    }
    errno = 0;
    assert_null(emp_memory_pool_alloc(pool));
    assert_int_equal(errno, ENOMEM);
    for (unsigned i = 0; i < 70; i++) {
        for (unsigned byte = 0; byte < 48; byte++) {
            assert_int_equal(blocks[i][byte], i);
        }
        assert_int_equal(emp_memory_pool_free(pool, blocks[i]), EMP_OK);
    }
    struct emp_memory_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.block_bytes, 48);
    assert_int_equal(stats.capacity, 70);
    assert_int_equal(stats.used, 0);
    assert_int_equal(stats.high_water, 70);
    assert_int_equal(stats.allocations, 70);
    assert_int_equal(stats.frees, 70);
    assert_int_equal(stats.failures, 1);
    assert_int_equal(stats.misuses, 0);
    assert_int_equal(stats.expansions, 0);
    assert_int_equal(emp_memory_pool_destroy(pool, &live), EMP_OK);
    assert_int_equal(live, 0);
}

static void wrong_frees_are_refused_and_change_nothing(void **state)
{
    struct emp_memory_pool *pool = pool_of(40, 3, true);
    struct emp_memory_pool *other = pool_of(40, 3, true);
    char local[64];
    char *block = emp_memory_pool_alloc(pool);
    char *kept = emp_memory_pool_alloc(pool);
    char *foreign = emp_memory_pool_alloc(other);

    (void)state;
    assert_int_equal(emp_memory_pool_free(pool, block), EMP_OK);
    assert_int_equal(emp_memory_pool_free(pool, block), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, foreign), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, local), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, kept + 8), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, kept + 1), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, kept + 3 * 40), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, block - 40), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, kept + 40), EMP_ERR_INVALID); /* never handed out */
    assert_int_equal(emp_memory_pool_free(pool, NULL), EMP_OK);
    assert_int_equal(emp_memory_pool_free(NULL, kept), EMP_ERR_INVALID);
    struct emp_memory_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.used, 1);
    assert_int_equal(stats.misuses, 8);
    assert_int_equal(stats.frees, 1);
    assert_ptr_equal(emp_memory_pool_alloc(pool), block);
    assert_int_equal(stats_of(other).used, 1);
    assert_int_equal(emp_memory_pool_destroy(pool, NULL), EMP_ERR_BUSY);
    assert_int_equal(emp_memory_pool_destroy(other, NULL), EMP_ERR_BUSY);
}

static void growth_doubles_and_keeps_every_block(void **state)
{
    struct emp_memory_pool *pool = pool_of(64, 1, true);
    uint64_t *blocks[1000];
    size_t live = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        blocks[i] = emp_memory_pool_alloc(pool);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        blocks[i][0] = i;
        blocks[i][7] = ~i;
    }
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(blocks[i][0], i);
        assert_int_equal(blocks[i][7], ~i);
        assert_true(emp_memory_pool_owns(pool, blocks[i]));
    }
    struct emp_memory_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.capacity, 1024);
    assert_int_equal(stats.expansions, 10);
    assert_int_equal(stats.used, 1000);
    /* The oldest part is filled first again, so that later ones can run empty. */
    assert_int_equal(emp_memory_pool_free(pool, blocks[900]), EMP_OK);
    assert_int_equal(emp_memory_pool_free(pool, blocks[0]), EMP_OK);
    assert_ptr_equal(emp_memory_pool_alloc(pool), blocks[0]);
    assert_ptr_equal(emp_memory_pool_alloc(pool), blocks[900]);
    assert_int_equal(emp_memory_pool_destroy(pool, &live), EMP_ERR_BUSY);
    assert_int_equal(live, 1000);
}

static void owns_is_true_inside_blocks_only(void **state)
{
    struct emp_memory_pool *pool = pool_of(100, 10, false);
    char *first = emp_memory_pool_alloc(pool);
    size_t stride = stats_of(pool).block_bytes;
    char outside;

    (void)state;
    assert_int_equal(stride, 104);
    assert_true(emp_memory_pool_owns(pool, first));
    assert_true(emp_memory_pool_owns(pool, first + 10 * stride - 1));
    assert_false(emp_memory_pool_owns(pool, first + 10 * stride));
    assert_false(emp_memory_pool_owns(pool, first - 1));
    assert_false(emp_memory_pool_owns(pool, &outside));
    assert_false(emp_memory_pool_owns(pool, NULL));
    assert_false(emp_memory_pool_owns(NULL, first));
    assert_int_equal(emp_memory_pool_destroy(pool, NULL), EMP_ERR_BUSY);
}

static void reset_makes_every_block_free_again(void **state)
{
    struct emp_memory_pool *pool = pool_of(32, 4, true);
    void *first = emp_memory_pool_alloc(pool);

    (void)state;
    for (unsigned i = 1; i < 130; i++) {
        assert_non_null(emp_memory_pool_alloc(pool));
    }
    assert_int_equal(emp_memory_pool_reset(pool), EMP_OK);
    struct emp_memory_pool_stats stats = stats_of(pool);
    assert_int_equal(stats.used, 0);
    assert_int_equal(stats.frees, 130);
    assert_int_equal(stats.high_water, 130);
    assert_int_equal(stats.capacity, 256);
    assert_int_equal(emp_memory_pool_free(pool, first), EMP_ERR_INVALID);
    assert_ptr_equal(emp_memory_pool_alloc(pool), first);
    assert_int_equal(emp_memory_pool_free(pool, first), EMP_OK);
    assert_int_equal(emp_memory_pool_reset(NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_destroy(pool, NULL), EMP_OK);
}

static void alignment_is_natural_or_as_asked(void **state)
{
    static const size_t sizes[] = {1, 8, 24, 48, 64, 96, 128, 192, 4096};
    static const size_t natural[] = {8, 8, 8, 16, 64, 32, 64, 64, 64};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t align = 0; align <= 4096; align = align == 0 ? 1 : align * 2) {
            struct emp_memory_pool_config config = emp_memory_pool_config_default(sizes[i]);
            size_t expected = align == 0 ? natural[i] : align;
            struct emp_memory_pool *pool = NULL;

            config.block_align = align;
            config.blocks = 3;
            assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_OK);
            for (unsigned k = 0; k < 5; k++) {
                assert_int_equal((uintptr_t)emp_memory_pool_alloc(pool) % expected, 0);
            }
            assert_int_equal(emp_memory_pool_destroy(pool, NULL), EMP_ERR_BUSY);
        }
    }
}

static void create_refuses_what_cannot_be(void **state)
{
    const struct emp_memory_pool_config good = emp_memory_pool_config_default(64);
    struct emp_memory_pool *pool = NULL;
    struct emp_memory_pool_config config;

    (void)state;
    assert_int_equal(emp_memory_pool_create(NULL, &pool), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_create(&good, NULL), EMP_ERR_INVALID);
    config = good;
    config.struct_bytes = 0;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_INVALID);
    config = good;
    config.block_bytes = 0;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_INVALID);
    config.block_bytes = SIZE_MAX;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_INVALID);
    config = good;
    config.blocks = 0;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_INVALID);
    config.blocks = SIZE_MAX / 32;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_LIMIT);
    config.blocks = (size_t)1 << 50; /* the bits alone are more than an address space */
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_NOMEM);
    config.blocks = 1;
    config.block_bytes = (size_t)1 << 60; /* the bits fit, the block does not */
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_NOMEM);
    config = good;
    config.block_align = 24;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_INVALID);
    config.block_align = 8192;
    assert_int_equal(emp_memory_pool_create(&config, &pool), EMP_ERR_INVALID);
    assert_null(pool);
    assert_int_equal(emp_memory_pool_get_stats(NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_destroy(NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_audit(NULL), 0);
}

static void growth_that_the_limit_refuses_leaves_the_pool_as_it_was(void **state)
{
    struct emp_memory_pool *pool = pool_of((size_t)1 << 20, 64, true);
    void *last = NULL;

    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        last = emp_memory_pool_alloc(pool);
        assert_non_null(last);
    }
    assert_int_equal(emp_option_set("limit", "1"), EMP_OK);
    errno = 0;
    void *refused = emp_memory_pool_alloc(pool);
    int refused_errno = errno;

    assert_int_equal(emp_option_set("limit", "0"), EMP_OK);
    assert_null(refused);
    assert_int_equal(refused_errno, ENOMEM);
    assert_int_equal(stats_of(pool).capacity, 64);
    assert_int_equal(stats_of(pool).failures, 1);
    assert_int_equal(emp_memory_pool_free(pool, last), EMP_OK);
    assert_ptr_equal(emp_memory_pool_alloc(pool), last);
    assert_int_equal(emp_memory_pool_destroy(pool, NULL), EMP_ERR_BUSY);
}

/* A live block of the random test: filled with its stamp at both ends. */
struct live_block {
    uint64_t *block;
    uint64_t stamp;
};

static void random_step(struct emp_memory_pool *pool, struct live_block *live, unsigned *count,
                        uint64_t *allocated)
{
    bool grow = random_next() >> 33 & 1;

    if (*count == 0 || (grow && *count < LIVE_MAX)) {
        struct live_block fresh = {.block = emp_memory_pool_alloc(pool), .stamp = ++*allocated};

        assert_non_null(fresh.block);
        fresh.block[0] = fresh.stamp;
        fresh.block[8] = fresh.stamp;
        live[(*count)++] = fresh;
        return;
    }
    unsigned victim = (unsigned)(random_next() % *count);
    struct live_block gone = live[victim];

    assert_int_equal(gone.block[0], gone.stamp);
    assert_int_equal(gone.block[8], gone.stamp);
    assert_int_equal(emp_memory_pool_free(pool, gone.block + 1), EMP_ERR_INVALID);
    assert_int_equal(emp_memory_pool_free(pool, gone.block), EMP_OK);
    assert_int_equal(emp_memory_pool_free(pool, gone.block), EMP_ERR_INVALID);
    live[victim] = live[--*count];
}

static void random_operations_keep_blocks_and_records_intact(void **state)
{
    struct emp_memory_pool *pool = pool_of(72, 7, true);
    struct live_block *live = calloc(LIVE_MAX, sizeof *live);
    uint64_t allocated = 0;
    unsigned count = 0;

    (void)state;
    assert_non_null(live);
    random_state = SEED;
    print_message("seed 0x%llx\n", (unsigned long long)random_state);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        /* Long waves, so that the pool grows to thousands and falls back to none. */
        unsigned wave = i / 10000 % 2 == 0 ? 3 : 1;

        for (unsigned k = 0; k < wave; k++) {
            random_step(pool, live, &count, &allocated);
        }
        if (i % 1000 == 0) {
            assert_int_equal(stats_of(pool).used, count);
        }
    }
    while (count > 0) {
        assert_int_equal(emp_memory_pool_free(pool, live[--count].block), EMP_OK);
    }
    assert_int_equal(stats_of(pool).allocations, allocated);
    assert_int_equal(emp_memory_pool_destroy(pool, NULL), EMP_OK);
    free(live);
}

static void audit_sees_an_overwritten_record(void **state)
{
    struct emp_memory_pool *pool = pool_of(64, 12345, false);
    size_t *record = (size_t *)(void *)pool;

    (void)state;
    assert_int_equal(emp_memory_pool_audit(pool), 0);
    while (*record != 12345) {
        record++; /* the first place in the pool's own struct that holds its capacity */
    }
    *record = 12344;
    assert_int_not_equal(emp_memory_pool_audit(pool), 0);
    *record = 12345;
    assert_int_equal(emp_memory_pool_audit(pool), 0);
    assert_int_equal(emp_memory_pool_destroy(pool, NULL), EMP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_without_room_returns_null_and_counts_it),
        cmocka_unit_test(wrong_frees_are_refused_and_change_nothing),
        cmocka_unit_test(growth_doubles_and_keeps_every_block),
        cmocka_unit_test(owns_is_true_inside_blocks_only),
        cmocka_unit_test(reset_makes_every_block_free_again),
        cmocka_unit_test(alignment_is_natural_or_as_asked),
        cmocka_unit_test(create_refuses_what_cannot_be),
        cmocka_unit_test(growth_that_the_limit_refuses_leaves_the_pool_as_it_was),
        cmocka_unit_test(random_operations_keep_blocks_and_records_intact),
        cmocka_unit_test(audit_sees_an_overwritten_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
