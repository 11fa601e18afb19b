/*
 * What: the whole public interface behaves as a simple model says: blocks never overlap, keep their
 *       content, their alignment and their usable size; after every few thousand operations bits +
 *       live = slots in every class, and an audit finds nothing.
 * How:  random operations on one thread against a list of live blocks; the maintenance thread is
 *       off, its work is one of the operations.
 * Design: [slab.inv.counts] [core.req.audit]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/memory_monitor.h"
#include "core/typed_pool.h"
#include "support/random_stream.h"
#include "support/settled.h"
#include "support/shadow.h"

#define OPERATIONS   600000u
#define CHECK_EVERY  3000u
#define POOLS        6u
#define LIVE_MANY    2000u
#define BATCH        60u
#define SIZE_LARGEST ((size_t)6 << 20)

/* Blocks with an alignment of their own are not freed by size alone; the secure build tells. */
#define SIZED_FREE_NOT_OF (EMP_SECURE ? 64u : 4096u)

/* The state of one run. */
struct model {
    struct random_stream random;
    struct shadow shadow;
    struct emp_pool *pools[POOLS];
    size_t pool_sizes[POOLS];
    unsigned pools_made;
    bool shrinking; /* frees are more likely than allocations for a while */
};

static struct model model;
static uint64_t seed;

/* All kinds of size, the small ones more often. */
static size_t random_size(void)
{
    switch (random_below(&model.random, 16)) {
    case 0:
        return random_below(&model.random, 9);
    case 1:
        return 1 + random_below(&model.random, 32768);
    case 2:
        return random_below(&model.random, 8) == 0 ? 32769 + random_below(&model.random, 1u << 20)
                                                   : 1024;
    case 3:
        return random_below(&model.random, 64) == 0 ? SIZE_LARGEST : 64;
    default:
        return 1 + random_below(&model.random, 16u << random_below(&model.random, 9));
    }
}

static bool is_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void add(void *ptr, size_t size, struct emp_pool *pool, size_t align)
{
    const struct shadow_block block = {.cookie = {ptr, size, random_next(&model.random)},
                                       .pool = pool};

    if (ptr == NULL) {
        shadow_error(&model.shadow, "an allocation was refused", NULL, size);
    } else {
        shadow_add(&model.shadow, &block, align);
    }
}

static void allocate_one(void)
{
    size_t size = random_size();
    size_t align = (size_t)1 << random_below(&model.random, 14);
    unsigned char *ptr = NULL;

    switch (random_below(&model.random, 4)) {
    case 0:
        ptr = emp_calloc(1 + size / 7, 7);
        if (ptr != NULL && !is_zero(ptr, (1 + size / 7) * 7)) {
            shadow_error(&model.shadow, "calloc gave a block that is not zero", ptr, size);
        }
        add(ptr, (1 + size / 7) * 7, NULL, 0);
        break;
    case 1:
        add(emp_aligned_alloc(align, size), size, NULL, align);
        break;
    default:
        ptr = emp_malloc(size);
        if (ptr != NULL && emp_usable_size(ptr) * 2 > emp_good_size(size) * 3 && size > 8) {
            shadow_error(&model.shadow, "a block wastes more than a third", ptr, size);
        }
        add(ptr, size, NULL, 0);
        break;
    }
}

/* A random live block that is of a pool (or is not); false: none was found quickly. */
static bool pick(bool of_pool, size_t *index)
{
    for (unsigned tries = 0; tries < 32 && model.shadow.count != 0; tries++) {
        *index = random_below(&model.random, (uint32_t)model.shadow.count);
        if ((model.shadow.blocks[*index].pool != NULL) == of_pool) {
            return true;
        }
    }
    return false;
}

static void free_one(void)
{
    size_t index = 0;

    if (model.shadow.count == 0) {
        return;
    }
    index = random_below(&model.random, (uint32_t)model.shadow.count);
    struct shadow_block block = shadow_take(&model.shadow, index);

    if (block.pool != NULL) {
        emp_pool_free(block.pool, block.cookie.ptr);
    } else if (random_chance(&model.random, 1, 3) &&
               (uintptr_t)block.cookie.ptr % SIZED_FREE_NOT_OF != 0) {
        emp_free_sized(block.cookie.ptr, block.usable);
    } else {
        emp_free(block.cookie.ptr);
    }
}

static void resize_one(void)
{
    size_t size = random_size() + 1;
    size_t index = 0;

    if (!pick(false, &index)) {
        return;
    }
    struct shadow_block block = shadow_take(&model.shadow, index);
    size_t kept = block.cookie.size < size ? block.cookie.size : size;
    unsigned char ends[2] = {0, 0};

    memset(block.cookie.ptr, 0x5a, block.cookie.size);
    if (kept != 0) {
        memset(block.cookie.ptr, 0xc3, 1);
        ((unsigned char *)block.cookie.ptr)[kept - 1] ^= 0x11;
        ends[0] = ((unsigned char *)block.cookie.ptr)[0];
        ends[1] = ((unsigned char *)block.cookie.ptr)[kept - 1];
    }
    unsigned char *moved = emp_realloc(block.cookie.ptr, size);

    if (moved != NULL && kept != 0 && (moved[0] != ends[0] || moved[kept - 1] != ends[1])) {
        shadow_error(&model.shadow, "realloc lost content", moved, size);
    }
    add(moved, size, NULL, 0);
}

static void batch(void)
{
    void *ptrs[BATCH];
    size_t size = 1 + random_below(&model.random, 700);
    size_t count = random_below(&model.random, BATCH + 1);
    size_t got = emp_batch_alloc(size, ptrs, count);

    if (got != count) {
        shadow_error(&model.shadow, "a batch was not served", NULL, got);
    }
    for (size_t i = 0; i < got; i++) {
        add(ptrs[i], size, NULL, 0);
    }
    for (size_t i = 0; i < count; i++) {
        size_t index = 0;

        ptrs[i] = pick(false, &index) ? shadow_take(&model.shadow, index).cookie.ptr : NULL;
    }
    emp_batch_free(ptrs, count);
}

/* Ends a pool: first its live objects are freed, or sometimes left behind and counted. */
static void pool_end(unsigned which)
{
    bool leave = random_chance(&model.random, 1, 3);
    struct emp_pool *pool = model.pools[which];
    size_t expected = 0;
    size_t live = 0;

    for (size_t i = model.shadow.count; i-- > 0;) {
        if (model.shadow.blocks[i].pool == pool) {
            struct shadow_block block = shadow_take(&model.shadow, i);

            if (leave) {
                expected++;
            } else {
                emp_pool_free(pool, block.cookie.ptr);
            }
        }
    }
    enum emp_status status = emp_pool_destroy(pool, &live);

    if (live != expected || (status == EMP_OK) != (expected == 0)) {
        shadow_error(&model.shadow, "destroy counted wrong", pool, live);
    }
    model.pools[which] = NULL;
}

static void pool_begin(unsigned which)
{
    struct emp_pool_config config = emp_pool_config_default(
        1 + random_below(&model.random, 8u << random_below(&model.random, 12)));

    config.l1_cache_size = random_below(&model.random, 65);
    config.l2_cache_size = random_below(&model.random, 3) * random_below(&model.random, 3000);
    config.batch_alloc_size = random_below(&model.random, 129);
    config.initial_capacity = random_below(&model.random, 100);
    config.object_align = random_chance(&model.random, 1, 4) ? 64 : 0;
    if (emp_pool_create(&config, &model.pools[which]) != EMP_OK) {
        shadow_error(&model.shadow, "a pool was not created", NULL, config.object_size);
        model.pools[which] = NULL;
    }
    model.pool_sizes[which] = config.object_size;
    model.pools_made++;
}

static void pool_operation(void)
{
    unsigned which = random_below(&model.random, POOLS);
    size_t size = model.pool_sizes[which];
    void *ptrs[BATCH];

    if (model.pools[which] == NULL) {
        pool_begin(which);
    } else if (random_chance(&model.random, 1, 400)) {
        pool_end(which);
    } else if (random_chance(&model.random, 1, 8)) {
        size_t got = emp_pool_alloc_batch(model.pools[which], ptrs, BATCH / 2);

        for (size_t i = 0; i < got; i++) {
            add(ptrs[i], size, model.pools[which], 0);
        }
    } else {
        add(emp_pool_alloc(model.pools[which]), size, model.pools[which], 0);
    }
}

static void upkeep(void)
{
    switch (random_below(&model.random, 8)) {
    case 0:
        (void)emp_purge();
        break;
    case 1:
        emp_park();
        break;
    default:
        (void)emp_tick();
        break;
    }
}

static void one_operation(void)
{
    uint32_t kind = random_below(&model.random, 100);
    bool is_full = model.shadow.count + 2 * BATCH >= SHADOW_BLOCKS;

    if (is_full || kind < (model.shrinking ? 55u : 35u)) {
        free_one();
    } else if (kind < 75) {
        allocate_one();
    } else if (kind < 83) {
        resize_one();
    } else if (kind < 85) {
        batch();
    } else if (kind < 99) {
        pool_operation();
    } else if (random_chance(&model.random, 1, 16)) {
        upkeep();
    }
}

static void check_everything(unsigned operation)
{
    struct shadow *shadows[1] = {&model.shadow};
    size_t found = emp_audit();

    shadow_check_blocks(shadows, 1);
    shadow_check_counts(shadows, 1);
    if (found != 0) {
        shadow_error(&model.shadow, "the audit found inconsistencies", NULL, found);
    }
    if (model.shadow.error[0] != '\0') {
        fail_msg("after operation %u of TEST_SEED=%llu, %zu blocks live: %s", operation,
                 (unsigned long long)seed, model.shadow.count, model.shadow.error);
    }
    model.shrinking = model.shadow.count > LIVE_MANY || random_chance(&model.random, 1, 2);
}

static void random_operations_agree_with_the_model(void **state)
{
    (void)state;
    model.random.state = seed;
    assert_int_equal(emp_option_set("background", "0"), EMP_OK);
    for (unsigned i = 1; i <= OPERATIONS; i++) {
        one_operation();
        if (i % CHECK_EVERY == 0) {
            check_everything(i);
        }
    }
    assert_true(model.pools_made > POOLS);
    while (model.shadow.count != 0) {
        free_one();
    }
    check_everything(OPERATIONS);
    for (unsigned i = 0; i < POOLS; i++) {
        if (model.pools[i] != NULL) {
            pool_end(i);
        }
    }
    (void)emp_purge();
    check_everything(OPERATIONS);

    struct emp_stats stats;

    assert_int_equal(settled_stats_read(&stats), EMP_OK);
    assert_int_equal(stats.allocated, 0);
    assert_int_equal(stats.expansions, stats.shrinks);
    assert_int_equal(stats.dirty, 0);
    assert_int_equal(stats.active, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations_agree_with_the_model)};

    seed = random_seed("allocator_model_test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
