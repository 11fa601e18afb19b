/*
 * What:  a refill gives each block to one taker, a give takes back exactly what is a block in use
 *       and names what is not; every slab of a shard and class is in one list, after a count in
 *       that of its occupancy, and the sums agree: what is known to be free is never more than
 *       what is, and all of it after a count; an empty shard adopts, borrows and expands in this
 *       order; limits hold.
 * How:   random refills, gives, adoptions and rounds of maintenance over several classes and four
 *       shards against a list of live blocks, from a printed seed; the lists are walked again and
 *       again.
 * Shows: [global.inv.lists] [global.inv.exact] [global.proto.shard] [global.proto.take]
 *       [global.proto.give] [global.proto.adopt] [global.proto.expand] [global.proto.tick]
 *       [global.req.borrow] [global.req.limit]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "global/shard_tick.h"
#include "monitor/report.h"
#include "os/os_memory.h"
#include "slab/size_class.h"
#include "span/unit.h"
#include "support/central_room.h"
#include "support/random_stream.h"

#define SHARDS   4u
#define LIVE_MAX 40000u
#define SIZES    7u
#define GIVE_MAX 128u

static const uint32_t sizes[SIZES] = {8, 48, 64, 96, 128, 1000, 20000};

/* Blocks that the test holds, by the class of the slab they lie in. */
static struct {
    void *blocks[LIVE_MAX];
    unsigned count;
} live[EMP_BINS];

static uint32_t class_of(const void *block)
{
    return emp_tag_class(emp_arena.tags[((uintptr_t)block - emp_arena.base) >> EMP_UNIT_SHIFT]);
}

/* Blocks of a class that nobody has, by looking at every slot of every slab. */
static uint64_t free_by_walking(uint32_t class_id)
{
    const size_t limit = emp_unit_limit();
    uint64_t count = 0;

    for (size_t unit = 0; unit < limit; unit++) {
        const struct emp_slab *slab = emp_slab_at(unit);

        if (emp_arena.tags[unit] == 0 || !emp_slab_exists(slab) || slab->class_id != class_id) {
            continue;
        }
        for (unsigned i = 0; i < slab->slots; i++) {
            count += emp_slot_is_free(&slab->states[i]);
        }
    }
    return count;
}

/* What is known at any time, and after a count; what is not free is what the test holds. */
static void everything_check(void)
{
    for (unsigned i = 0; i < SIZES; i++) {
        uint32_t c = emp_size_class_of(sizes[i]);

        assert_true(CENTRAL_TOTAL(c, free_blocks) <= free_by_walking(c));
        assert_true(CENTRAL_TOTAL(c, taken) - CENTRAL_TOTAL(c, given) >= live[c].count);
    }
    (void)central_check(NULL);
    for (unsigned i = 0; i < SIZES; i++) {
        uint32_t c = emp_size_class_of(sizes[i]);

        assert_int_equal(CENTRAL_TOTAL(c, free_blocks), free_by_walking(c));
        assert_int_equal(CENTRAL_TOTAL(c, slots) - CENTRAL_TOTAL(c, free_blocks), live[c].count);
        assert_int_equal(CENTRAL_TOTAL(c, taken) - CENTRAL_TOTAL(c, given), live[c].count);
        assert_int_equal(CENTRAL_TOTAL(c, slots), emp_budgets[c].slots);
    }
}

static void take_some(struct random_stream *random)
{
    uint32_t class_id = emp_size_class_of(sizes[random_below(random, SIZES)]);
    void *out[EMP_TAKE_ROOM];
    struct emp_central_note note = {0};
    uint32_t home = SHARDS;
    unsigned want = 1 + random_below(random, EMP_TAKE_MAX);
    unsigned got = emp_central_take(class_id, out, want, &home, &note);

    assert_in_range(got, 1, want);
    assert_true(home < SHARDS);
    for (unsigned i = 0; i < got; i++) {
        uint32_t from = class_of(out[i]);
        uint32_t size = emp_classes[from].geometry.size;

        assert_true(size * 2 <= emp_classes[class_id].geometry.size * 3);
        assert_int_equal(emp_central_probe(from, out[i]), EMP_PROBE_GOOD);
        memcpy(out[i], &out[i], sizeof(void *));
        assert_true(live[from].count < LIVE_MAX);
        live[from].blocks[live[from].count++] = out[i];
    }
}

static void give_some(struct random_stream *random, uint32_t class_id, unsigned most)
{
    unsigned count = most < live[class_id].count ? most : live[class_id].count;

    for (unsigned i = 0; i < count; i++) {
        unsigned at = random_below(random, live[class_id].count);
        void *block = live[class_id].blocks[at];

        assert_memory_equal(block, &block, sizeof(void *));
        live[class_id].blocks[at] = live[class_id].blocks[--live[class_id].count];
        assert_int_equal(emp_central_give(class_id, block), EMP_PROBE_GOOD);
        assert_int_equal(emp_central_give(class_id, block), EMP_REPORT_DOUBLE_FREE);
    }
}

static void give_everything(struct random_stream *random)
{
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        while (live[c].count > 0) {
            give_some(random, c, GIVE_MAX);
        }
    }
}

static void a_round(bool all)
{
    struct emp_tick_result result = {0};

    emp_shard_tick(all, 1, emp_os_purge, &result);
}

static void lists_and_sums_hold_after_every_step(void **state)
{
    struct random_stream random = {random_seed("global/central model")};

    (void)state;
    for (unsigned step = 0; step < 12000; step++) {
        bool grows = step / 1500 % 2 == 0;

        if (random_chance(&random, grows ? 3 : 1, 4)) {
            take_some(&random);
        } else {
            give_some(&random, emp_size_class_of(sizes[random_below(&random, SIZES)]),
                      1 + random_below(&random, GIVE_MAX));
        }
        if (random_chance(&random, 1, 60)) {
            (void)emp_central_adopt(emp_size_class_of(sizes[random_below(&random, SIZES)]),
                                    random_below(&random, SHARDS));
        }
        if (random_chance(&random, 1, 200)) {
            emp_shards[random_below(&random, SHARDS)]->grown = 1000;
        }
        if (random_chance(&random, 1, 500)) {
            emp_shard_notify_all(emp_unit_limit()); /* as the child of a fork */
        }
        if (random_chance(&random, 1, 300)) {
            a_round(random_chance(&random, 1, 3));
        }
        if (step % 400 == 0) {
            everything_check();
        }
    }
    give_everything(&random);
    a_round(true);
    everything_check();
    for (unsigned i = 0; i < SIZES; i++) {
        assert_int_equal(emp_budgets[emp_size_class_of(sizes[i])].slots, 0);
    }
}

static void what_is_no_block_in_use_is_named_and_left_alone(void **state)
{
    uint32_t class_id = emp_size_class_of(640);
    void *out[EMP_TAKE_ROOM];
    struct emp_central_note note = {0};
    uint32_t home = 0;

    (void)state;
    assert_int_equal(emp_central_take(class_id, out, 4, &home, &note), 4);
    char *first = out[0];
    const int64_t before = emp_shards[home]->classes[class_id].free_blocks;

    assert_int_equal(emp_central_give(class_id, first + 16), EMP_REPORT_INTERIOR);
    assert_int_equal(emp_central_give(class_id, first + 3), EMP_REPORT_MISALIGNED);
    assert_int_equal(emp_central_give(class_id, first), EMP_PROBE_GOOD);
    assert_int_equal(emp_central_give(class_id, first), EMP_REPORT_DOUBLE_FREE);
    assert_int_equal(emp_central_give(class_id, first + (size_t)640 * 90),
                     EMP_REPORT_NEVER_ALLOCATED);
    central_recount(class_id);
    assert_int_equal(emp_shards[home]->classes[class_id].free_blocks, before + 1);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(emp_central_give(class_id, out[i]), EMP_PROBE_GOOD);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(emp_central_give(class_id, out[i]), EMP_REPORT_DOUBLE_FREE);
    }
    central_recount(class_id);
    assert_int_equal(emp_shards[home]->classes[class_id].free_blocks, before + 4);
    (void)central_check(state);
}

static void a_class_borrows_before_it_expands_and_only_what_is_aligned(void **state)
{
    uint32_t lender = emp_size_class_of(384);
    struct emp_central_note note = {0};
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;

    (void)state;
    for (uint32_t s = 0; s < SHARDS; s++) {
        assert_true(emp_central_expand(lender, s, &note));
        assert_true(emp_central_expand(lender, s, &note));
    }
    note = (struct emp_central_note){0};
    assert_int_not_equal(emp_central_take(emp_size_class_of(320), out, 8, &home, &note), 0);
    assert_false(note.expanded);
    assert_int_equal(class_of(out[0]), lender);
    assert_int_equal((uintptr_t)out[0] % 64, 0);
    assert_true(emp_shards[home]->classes[lender].borrowed > 0);
    /* 352 is not line-aligned: its blocks are no help to 256. */
    lender = emp_size_class_of(352);
    for (uint32_t s = 0; s < SHARDS; s++) {
        assert_true(emp_central_expand(lender, s, &note));
        assert_true(emp_central_expand(lender, s, &note));
    }
    assert_int_not_equal(emp_central_take(emp_size_class_of(256), out, 8, &home, &note), 0);
    assert_int_not_equal(class_of(out[0]), lender);
    assert_int_equal((uintptr_t)out[0] % 256, 0);
}

static void a_class_never_has_more_blocks_than_its_limit(void **state)
{
    uint32_t class_id = emp_size_class_of(30000);
    void *out[EMP_TAKE_ROOM];
    struct emp_central_note note = {0};
    uint32_t home = 0;
    unsigned got = 0;
    unsigned one = 0;

    (void)state;
    emp_budgets[class_id].limit = 11; /* a slab and a part of one */
    while ((one = emp_central_take(class_id, out, 5, &home, &note)) != 0) {
        got += one;
        assert_true(got <= 11);
    }
    assert_int_equal(got, 11);
    assert_true(note.limited);
    assert_int_equal(emp_budgets[class_id].slots, 11);
    assert_true(emp_budgets[class_id].failures >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_and_sums_hold_after_every_step),
        cmocka_unit_test(what_is_no_block_in_use_is_named_and_left_alone),
        cmocka_unit_test(a_class_borrows_before_it_expands_and_only_what_is_aligned),
        cmocka_unit_test(a_class_never_has_more_blocks_than_its_limit),
    };

    if (!emp_arena_init()) {
        return 1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
    return !emp_shard_init(SHARDS) ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
