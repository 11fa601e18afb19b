/*
 * What:  before a class expands it borrows: of a larger class of its own shard, else of a
 *        sibling's; a class that nobody takes from lends all but a quarter of a slab, one that is
 *        in use keeps three eighths of its slots.
 * How:   the global room alone, two shards, this thread pinned to a processor; each case in classes
 *        of its own, counted by the lender's counter.
 * Shows: [global.req.borrow] [global.proto.take]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdbool.h>

#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "global/shard_tick.h"
#include "slab/size_class.h"
#include "span/arena.h"

#define BLOCKS_MAX 4096u

static void *blocks[BLOCKS_MAX];

static int start(void **state)
{
    (void)state;
    if (!emp_arena_init()) {
        return -1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
    return emp_shard_init(2) ? 0 : -1;
}

/* Moves this thread to a processor of a shard; skips where it may not run on one. */
static void go_to(size_t shard)
{
    cpu_set_t one;

    for (size_t cpu = shard; cpu < CPU_SETSIZE; cpu += 2) {
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof(one), &one) == 0) {
            assert_int_equal(emp_shard_current(), shard);
            return;
        }
    }
    skip();
}

/* Takes up to `count` blocks by one refill after the other; how many came. */
static unsigned take(uint32_t class_id, unsigned from, unsigned count)
{
    struct emp_central_note note = {0};
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;
    unsigned taken = 0;

    while (taken < count) {
        unsigned want = count - taken < EMP_TAKE_MAX ? count - taken : EMP_TAKE_MAX;
        unsigned got = emp_central_take(class_id, out, want, &home, &note);

        assert_in_range(got, 1, want);
        for (unsigned i = 0; i < got; i++) {
            blocks[from + taken++] = out[i];
        }
    }
    return taken;
}

static void give_one(uint32_t class_id, unsigned at)
{
    assert_int_equal(emp_central_give(class_id, blocks[at]), EMP_PROBE_GOOD);
}

/* What was freed is lent once a round of maintenance has counted it. */
static void count_all(uint32_t class_id)
{
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        emp_shard_recount_all(emp_shards[s], class_id);
    }
}

/* Four slabs of a class on shard 0, of which one block in `keep` stays in use; blocks in use. */
static unsigned fill_and_free(uint32_t class_id, unsigned keep)
{
    unsigned count = 4 * emp_classes[class_id].geometry.slots;
    unsigned kept = 0;

    go_to(0);
    (void)take(class_id, 0, count);
    for (unsigned i = 0; i < count; i++) {
        if (i % keep != 0) {
            give_one(class_id, i);
        } else {
            kept++;
        }
    }
    count_all(class_id);
    return kept;
}

static bool refuse_pages(void *base, size_t bytes)
{
    (void)base;
    (void)bytes;
    return false;
}

/* A round of maintenance: from here on nobody has taken from any class. */
static void tick(void)
{
    struct emp_tick_result result = {0};

    emp_shard_tick(false, 1, refuse_pages, &result);
}

static uint64_t borrowed(uint32_t class_id)
{
    return emp_shards[0]->classes[class_id].borrowed + emp_shards[1]->classes[class_id].borrowed;
}

static void a_sibling_lends_before_a_class_expands(void **state)
{
    const uint32_t asking = emp_size_class_of(96);
    const uint32_t lending = emp_size_class_of(128);

    (void)state;
    (void)fill_and_free(lending, 2);
    go_to(1);
    uint64_t expansions = emp_budgets[asking].expansions;

    assert_int_equal(take(asking, BLOCKS_MAX - 64, 64), 64);
    assert_int_equal(emp_budgets[asking].expansions, expansions);
    assert_int_equal(borrowed(lending), 64);
    assert_int_equal(emp_central_probe(lending, blocks[BLOCKS_MAX - 1]), EMP_PROBE_GOOD);
}

static void a_class_in_use_keeps_three_eighths(void **state)
{
    const uint32_t asking = emp_size_class_of(192);
    const uint32_t lending = emp_size_class_of(256);
    const unsigned slots = 4 * emp_classes[lending].geometry.slots;

    (void)state;
    unsigned kept = fill_and_free(lending, 2);

    (void)take(asking, slots, slots / 2);
    assert_in_range(borrowed(lending), slots - kept - slots * 3 / 8,
                    slots - kept - slots * 3 / 8 + EMP_TAKE_MAX);
}

static void a_class_out_of_use_keeps_a_quarter_of_a_slab(void **state)
{
    const uint32_t asking = emp_size_class_of(384);
    const uint32_t lending = emp_size_class_of(512);
    const unsigned slots = emp_classes[lending].geometry.slots;

    (void)state;
    unsigned kept = fill_and_free(lending, 2);

    tick();
    (void)take(asking, 4 * slots, 4 * slots);
    assert_in_range(borrowed(lending), 4 * slots - kept - slots / 4,
                    4 * slots - kept - slots / 4 + EMP_TAKE_MAX);
}

/* Blocks of a class that one which takes them one by one gets lent until it expands. */
static uint64_t lent_one_by_one(uint32_t asking, uint32_t lending)
{
    uint64_t expansions = emp_budgets[asking].expansions;
    unsigned at = 4 * emp_classes[lending].geometry.slots;

    do {
        (void)take(asking, at++, 1);
    } while (emp_budgets[asking].expansions == expansions);
    return borrowed(lending);
}

static void what_a_class_keeps_is_kept_to_the_block(void **state)
{
    const uint32_t busy = emp_size_class_of(768);
    const uint32_t idle = emp_size_class_of(1024);
    const unsigned busy_slots = 4 * emp_classes[busy].geometry.slots;
    const unsigned idle_slots = 4 * emp_classes[idle].geometry.slots;

    (void)state;
    unsigned kept = fill_and_free(busy, 2);

    assert_int_equal(lent_one_by_one(emp_size_class_of(640), busy),
                     busy_slots - kept - ((busy_slots * 3 + 7) / 8 - 1));
    kept = fill_and_free(idle, 2);
    tick();
    assert_int_equal(lent_one_by_one(emp_size_class_of(896), idle),
                     idle_slots - kept - idle_slots / 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sibling_lends_before_a_class_expands),
        cmocka_unit_test(a_class_in_use_keeps_three_eighths),
        cmocka_unit_test(a_class_out_of_use_keeps_a_quarter_of_a_slab),
        cmocka_unit_test(what_a_class_keeps_is_kept_to_the_block),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
