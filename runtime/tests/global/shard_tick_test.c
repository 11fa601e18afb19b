/*
 * What:  the tick: pages of sparse slabs go back when they have been idle, empty slabs end, a
 *        system that refuses does no harm, and a block that is freed once more while its page is
 *        being purged is reported once.
 * How:   the global room alone, two shards; what gives pages back is a function of the test. Every
 *        test has a class of its own. Design: [global.proto.tick]
 */
#define _GNU_SOURCE
#include "support/two_shards.h"

#include "global/budget.h"
#include "global/shard_tick.h"

static uint64_t given_bytes;
static bool giver_refuses;

static bool page_giver(void *base, size_t bytes)
{
    assert_int_equal((uintptr_t)base % 4096, 0);
    if (giver_refuses) {
        return false;
    }
    memset(base, 0, bytes); /* what the system does */
    given_bytes += bytes;
    return true;
}

static struct emp_tick_result tick(bool all)
{
    struct emp_tick_result result = {0};

    given_bytes = 0;
    emp_shard_tick(all, 77, page_giver, &result);
    assert_int_equal(result.given_bytes, given_bytes);
    return result;
}

static void the_tick_gives_pages_of_sparse_slabs_and_keeps_live_content(void **state)
{
    const uint32_t class_id = emp_size_class_of(1280);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    (void)go_to(0);
    (void)tick(true); /* what earlier tests left */
    take(class_id, 0, 4 * slots);
    qsort(blocks, 4 * slots, sizeof(void *), compare_pointers);
    for (unsigned i = 0; i < 4 * slots; i++) {
        memset(blocks[i], 0x77, 1280);
    }
    for (unsigned s = 0; s < 4; s++) {
        give(class_id, s * slots + 1, slots - 1); /* one block stays in each slab */
    }
    assert_int_equal(tick(false).given_bytes, 0); /* not idle long enough */
    assert_true(tick(false).more);
    uint64_t given = tick(false).given_bytes;

    assert_int_equal(given, 4 * (65536 - 4096));  /* all but the page of the block that stayed */
    assert_int_equal(tick(false).given_bytes, 0); /* pages are not given back twice */
    for (unsigned s = 0; s < 4; s++) {
        const unsigned char *live = blocks[s * slots];

        assert_int_equal(live[0], 0x77);
        assert_int_equal(live[1279], 0x77);
    }
    assert_true(emp_budgets[class_id].tick_rounds > 0);
    assert_int_equal(emp_budgets[class_id].tick_time, 77);
    take(class_id, 4 * slots, 64); /* uses some of the pages again */
    give(class_id, 4 * slots, 64);
    assert_true(tick(true).given_bytes > 0);
    for (unsigned s = 0; s < 4; s++) {
        give(class_id, s * slots, 1);
    }
}

static uint32_t purged_class;
static unsigned freed_in_between;

/* While the system purges, a thread of the program frees blocks of these pages once more. */
static bool free_again_while_purging(void *base, size_t bytes)
{
    const uint32_t size = emp_classes[purged_class].geometry.size;
    void *again[2];

    (void)bytes;
    for (unsigned i = 0; i < 2; i++) { /* at home and, from the other shard, in remote[] */
        (void)go_to(i);
        again[i] = (char *)base + (size_t)(3 + i) * size;
        assert_int_equal(emp_central_give(purged_class, &again[i], 1, faults), 0);
        freed_in_between++;
    }
    return true;
}

static void a_second_free_while_its_page_is_purged_is_reported_once(void **state)
{
    struct emp_tick_result result = {0};
    unsigned reported = 0;

    (void)state;
    purged_class = emp_size_class_of(512);
    (void)go_to(0);
    (void)tick(true);
    take(purged_class, 0, emp_classes[purged_class].geometry.slots);
    qsort(blocks, emp_classes[purged_class].geometry.slots, sizeof(void *), compare_pointers);
    give(purged_class, 0, emp_classes[purged_class].geometry.slots - 1);
    freed_in_between = 0;
    emp_shard_tick(true, 77, free_again_while_purging, &result);
    assert_int_equal(freed_in_between, 2);
    emp_mutex_lock(&emp_shards[processors[0] & 1]->lock);
    (void)emp_shard_drain_inbox(emp_shards[processors[0] & 1]);
    emp_mutex_unlock(&emp_shards[processors[0] & 1]->lock);
    while (emp_shard_take_double_free() != NULL) {
        reported++;
    }
    assert_int_equal(reported, 2);
    check_counts(state);
    (void)go_to(0);
    give(purged_class, emp_classes[purged_class].geometry.slots - 1, 1);
}

static void the_tick_ends_empty_slabs_and_survives_a_system_that_refuses(void **state)
{
    const uint32_t class_id = emp_size_class_of(6144);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    (void)go_to(0);
    (void)tick(true);
    take(class_id, 0, 6 * slots);
    qsort(blocks, 6 * slots, sizeof(void *), compare_pointers);
    give(class_id, slots, 5 * slots);
    give(class_id, 1, slots - 2);
    giver_refuses = true;
    struct emp_tick_result refused = tick(true);

    giver_refuses = false;
    assert_int_equal(refused.given_bytes, 0);
    assert_true(refused.slabs_ended > 0);
    assert_int_equal(emp_budgets[class_id].slots, slots);
    check_counts(state);
    give(class_id, 0, 1);
    give(class_id, slots - 1, 1);
    (void)tick(true);
    assert_int_equal(emp_budgets[class_id].slots, 0);
    assert_int_equal(emp_budgets[class_id].expansions, emp_budgets[class_id].shrinks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_tick_gives_pages_of_sparse_slabs_and_keeps_live_content,
                                  after),
        cmocka_unit_test_teardown(a_second_free_while_its_page_is_purged_is_reported_once, after),
        cmocka_unit_test_teardown(the_tick_ends_empty_slabs_and_survives_a_system_that_refuses,
                                  after),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
