/*
 * What:  take, give, adopt, borrow, the ring of surplus slabs and the tick, each with the numbers
 *       that follow from it; after every test the lists, counts and states of every shard agree.
 * How:   the global room alone, two shards; a shard is chosen by pinning this thread to a
 *       processor. Every test has classes of its own. Design: [global.proto.take]
 *       [global.proto.give] [global.proto.adopt] [global.req.limit] [global.req.borrow]
 *       [global.inv.lists] [global.inv.exact] [global.proto.tick]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "monitor/report.h"
#include "slab/size_class.h"
#include "support/central_room.h"

#define BLOCKS_MAX CENTRAL_BLOCKS_MAX
#define blocks     central_blocks
#define take       central_take
#define give       central_give
#define go_to      central_go_to
#define tick       central_tick

static void blocks_taken_are_distinct_slots_of_the_class(void **state)
{
    const uint32_t class_id = emp_size_class_of(144);

    (void)state;
    take(class_id, 0, 2000);
    central_sort(2000);
    for (size_t i = 0; i < 2000; i++) {
        assert_int_equal(emp_central_probe(class_id, blocks[i]), EMP_PROBE_GOOD);
        assert_true(i == 0 || (uintptr_t)blocks[i] - (uintptr_t)blocks[i - 1] >= 144);
    }
    assert_int_equal(CENTRAL_TOTAL(class_id, taken), 2000);
    give(class_id, 0, 2000);
    central_recount(class_id);
    assert_int_equal(CENTRAL_TOTAL(class_id, given), 2000);
    assert_int_equal(CENTRAL_TOTAL(class_id, free_blocks), CENTRAL_TOTAL(class_id, slots));
}

static void a_block_given_back_is_counted_when_somebody_counts(void **state)
{
    const uint32_t class_id = emp_size_class_of(288);

    (void)state;
    uint32_t home = go_to(0);
    const struct emp_shard_class *class_state = &emp_shards[home]->classes[class_id];

    take(class_id, 0, 100);
    int64_t known = class_state->free_blocks;

    give(class_id, 0, 60);
    assert_int_equal(class_state->free_blocks, known);
    assert_int_equal(class_state->given, 0);
    central_recount(class_id);
    assert_int_equal(class_state->free_blocks, known + 60);
    assert_int_equal(class_state->given, 60);
    central_recount(class_id);
    assert_int_equal(class_state->given, 60);
    give(class_id, 60, 40);
    take(class_id, 0, 64); /* more than is known: a refill books what it finds */
    assert_int_equal(class_state->taken, 164);
    give(class_id, 0, 64);
    central_recount(class_id);
    assert_int_equal(class_state->given, 164);
    assert_int_equal(class_state->free_blocks, class_state->slots);
}

static void the_open_slab_serves_what_was_given_back_to_it_first(void **state)
{
    const uint32_t class_id = emp_size_class_of(160);
    void *given[32];

    (void)state;
    (void)go_to(0);
    take(class_id, 0, 400);
    memcpy(given, &blocks[64], sizeof(given));
    give(class_id, 64, 32);
    uint64_t hits = CENTRAL_TOTAL(class_id, l2_hits);
    uint64_t opened = CENTRAL_TOTAL(class_id, l3_hits);

    take(class_id, 64, 32);
    assert_int_equal(CENTRAL_TOTAL(class_id, l2_hits), hits + 1);
    assert_int_equal(CENTRAL_TOTAL(class_id, l3_hits), opened);
    assert_memory_equal(given, &blocks[64], sizeof(given)); /* lowest address first, as before */
    give(class_id, 0, 400);
}

static void the_fullest_slab_serves_before_emptier_ones(void **state)
{
    const uint32_t class_id = emp_size_class_of(1024);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    (void)go_to(0);
    take(class_id, 0, 3 * slots); /* three slabs, in order of their addresses */
    central_sort(3 * slots);
    give(class_id, 1, 40);             /* the first: a little more than half free */
    give(class_id, slots + 1, 5);      /* the second: the fullest */
    give(class_id, 2 * slots + 1, 50); /* the third */
    central_recount(class_id);
    void *lowest = blocks[slots];
    void *highest = blocks[2 * slots - 1];

    take(class_id, BLOCKS_MAX - 5, 5);
    for (size_t i = BLOCKS_MAX - 5; i < BLOCKS_MAX; i++) {
        assert_in_range((uintptr_t)blocks[i], (uintptr_t)lowest, (uintptr_t)highest);
    }
    give(class_id, BLOCKS_MAX - 5, 5);
    give(class_id, 0, 1);
    give(class_id, 41, slots - 41 + 1);
    give(class_id, slots + 6, slots - 6 + 1);
    give(class_id, 2 * slots + 51, slots - 51);
}

static void what_is_not_a_block_in_use_is_named_and_left_alone(void **state)
{
    const uint32_t class_id = emp_size_class_of(176);

    (void)state;
    uint32_t home = go_to(0);
    take(class_id, 0, 64);
    char *middle = blocks[30];

    assert_int_equal(emp_central_give(class_id, middle + 16), EMP_REPORT_INTERIOR);
    assert_int_equal(emp_central_give(class_id, middle + 3), EMP_REPORT_MISALIGNED);
    give(class_id, 30, 1);
    assert_int_equal(emp_central_give(class_id, middle), EMP_REPORT_DOUBLE_FREE);
    assert_int_equal(emp_central_give(class_id, middle), EMP_REPORT_DOUBLE_FREE);
    assert_int_equal(emp_central_give(class_id, (char *)blocks[0] + (size_t)176 * 300),
                     EMP_REPORT_NEVER_ALLOCATED);
    /* the tail behind the last slot, and a class that the slab is not of */
    assert_int_equal(
        emp_central_give(
            class_id, (void *)(emp_slab_base(central_slab(class_id, middle)) + (size_t)176 * 372)),
        EMP_REPORT_INVALID);
    assert_int_equal(emp_central_give(emp_size_class_of(192), blocks[0]), EMP_REPORT_INVALID);
    central_recount(class_id);
    assert_int_equal(CENTRAL_TOTAL(class_id, given), 1);
    assert_int_equal(emp_shards[home]->classes[class_id].free_blocks, 372 - 63);
    give(class_id, 0, 30);
    give(class_id, 31, 33);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(emp_central_give(class_id, blocks[i]), EMP_REPORT_DOUBLE_FREE);
    }
    central_recount(class_id);
    assert_int_equal(CENTRAL_TOTAL(class_id, given), 64);
}

static void a_free_into_a_full_slab_tells_its_shard_once(void **state)
{
    const uint32_t class_id = emp_size_class_of(192);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t home = go_to(0);
    take(class_id, 0, slots + 1); /* nothing was found in the first slab: it is full and quiet */
    struct emp_slab *slab = central_slab(class_id, blocks[0]);

    assert_int_equal(slab->list, EMP_LIST_FULL);
    assert_true(emp_inbox_is_quiet(&slab->inbox));
    assert_int_equal(emp_shards[home]->classes[class_id].full_count, 1);
    (void)go_to(1);
    assert_int_equal(emp_shards[home]->inbox, 0);
    give(class_id, 0, 100);
    assert_int_equal(emp_shards[home]->inbox, emp_slab_number(slab) + 1);
    assert_int_equal(emp_inbox_next(&slab->inbox), 0); /* alone, not below itself */
    assert_int_equal(slab->free_count, 0);
    assert_int_equal(emp_central_give(class_id, blocks[7]), EMP_REPORT_DOUBLE_FREE);
    (void)go_to(0);
    assert_int_equal(emp_central_give(class_id, blocks[8]), EMP_REPORT_DOUBLE_FREE);
    take(class_id, 1000, 1); /* takes the inbox: the slab is open, last in list 0 */
    assert_int_equal(emp_shards[home]->inbox, 0);
    assert_int_equal(slab->list, 0);
    assert_false(emp_inbox_is_quiet(&slab->inbox));
    assert_int_equal(emp_central_give(class_id, blocks[9]),
                     blocks[9] == blocks[1000] ? EMP_PROBE_GOOD : EMP_REPORT_DOUBLE_FREE);
    give(class_id, 100, slots + 1 - 100); /* told already: nobody pushes it again */
    assert_int_equal(emp_shards[home]->inbox, 0);
    give(class_id, 1000, 1);
}

/* Two threads at once: each sees the block in use, both write; the slot is free once. */
static void a_second_free_that_nobody_saw_counts_once(void **state)
{
    const uint32_t class_id = emp_size_class_of(240);

    (void)state;
    (void)go_to(0);
    take(class_id, 0, 100);
    struct emp_slab *slab = central_slab(class_id, blocks[0]);

    give(class_id, 0, 1);
    emp_slot_set(&slab->states[((uintptr_t)blocks[0] - emp_slab_base(slab)) / 240], EMP_SLOT_FREE);
    central_recount(class_id);
    assert_int_equal(CENTRAL_TOTAL(class_id, given), 1);
    give(class_id, 1, 99);
}

static void an_expanding_class_borrows_from_a_larger_one_with_plenty(void **state)
{
    const uint32_t asking = emp_size_class_of(96);
    const uint32_t lending = emp_size_class_of(128);
    const unsigned plenty = 4 * emp_classes[lending].geometry.slots;

    (void)state;
    (void)go_to(0);
    take(lending, 0, plenty);
    /* Every other block: the slabs stay, their blocks are free. */
    central_sort(plenty);
    for (unsigned i = 0; i < plenty; i += 2) {
        give(lending, i, 1);
    }
    central_recount(lending); /* a class lends what it knows of */
    uint64_t expansions = emp_budgets[asking].expansions;

    take(asking, plenty, 64);
    assert_int_equal(emp_budgets[asking].expansions, expansions);
    assert_int_equal(CENTRAL_TOTAL(lending, borrowed), 64);
    for (unsigned i = plenty; i < plenty + 64; i++) {
        assert_int_equal(emp_central_probe(lending, blocks[i]), EMP_PROBE_GOOD);
        assert_int_equal((uintptr_t)blocks[i] % 32, 0); /* as every block of class 96 */
    }
    give(lending, plenty, 64);
    for (unsigned i = 1; i < plenty; i += 2) {
        give(lending, i, 1);
    }
}

static void a_class_never_borrows_less_alignment_or_more_than_half_again(void **state)
{
    const uint32_t lending = emp_size_class_of(320); /* 64-aligned; 256 must stay 256-aligned */
    const uint32_t asking = emp_size_class_of(256);
    const unsigned plenty = 4 * emp_classes[lending].geometry.slots;

    (void)state;
    (void)go_to(0);
    take(lending, 0, plenty);
    central_sort(plenty);
    for (unsigned i = 0; i < plenty; i += 2) {
        give(lending, i, 1);
    }
    central_recount(lending);
    take(asking, plenty, 10);
    for (unsigned i = plenty; i < plenty + 10; i++) {
        assert_int_equal((uintptr_t)blocks[i] % 256, 0);
    }
    give(asking, plenty, 10);
    take(emp_size_class_of(208), plenty, 10); /* 320 is more than 208 * 3 / 2 */
    assert_int_equal(CENTRAL_TOTAL(lending, borrowed), 0);
    give(emp_size_class_of(208), plenty, 10);
    for (unsigned i = 1; i < plenty; i += 2) {
        give(lending, i, 1);
    }
}

static void a_shard_adopts_slabs_of_its_sibling_before_it_expands(void **state)
{
    const uint32_t class_id = emp_size_class_of(512);
    const unsigned count = 3 * emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t from = go_to(0);
    take(class_id, 0, count);
    central_sort(count);
    for (unsigned i = 0; i < count; i += 3) {
        give(class_id, i, 1);
    }
    uint64_t expansions = emp_budgets[class_id].expansions;
    int64_t slots = emp_shards[from]->classes[class_id].slots;

    uint32_t to = go_to(1);
    take(class_id, count, 20);
    assert_int_equal(emp_budgets[class_id].expansions, expansions);
    assert_true(emp_shards[to]->classes[class_id].slots > 0);
    assert_int_equal(
        emp_shards[to]->classes[class_id].slots + emp_shards[from]->classes[class_id].slots, slots);
    central_check(state);
    give(class_id, count, 20);
    for (unsigned i = 0; i < count; i++) {
        if (i % 3 != 0) {
            give(class_id, i, 1);
        }
    }
}

/* A few blocks: the sibling keeps its only slab, and the shard does without memory of its own. */
static void a_few_blocks_of_a_siblings_only_slab_are_taken_where_they_lie(void **state)
{
    const uint32_t class_id = emp_size_class_of(32768); /* nobody lends to the largest */

    (void)state;
    uint32_t from = go_to(0);
    take(class_id, 0, 6);
    give(class_id, 0, 6);
    uint64_t expansions = emp_budgets[class_id].expansions;
    uint32_t to = go_to(1);

    take(class_id, 0, 1);
    assert_int_equal(emp_budgets[class_id].expansions, expansions);
    assert_int_equal(emp_slab_owner(central_slab(class_id, blocks[0])), from);
    assert_int_equal(emp_shards[to]->classes[class_id].slots, 0);
    give(class_id, 0, 1);
}

static void what_a_sibling_has_touched_is_taken_before_fresh_memory(void **state)
{
    const uint32_t class_id = emp_size_class_of(20480);
    struct emp_central_note note = {0};

    (void)state;
    uint32_t from = go_to(0);
    take(class_id, 0, 3);
    uint32_t to = go_to(1);
    assert_true(emp_central_expand(class_id, to, &note));
    give(class_id, 0, 3);
    for (unsigned i = 0; i < 3; i++) {
        take(class_id, i, 1);
        assert_int_equal(emp_slab_owner(central_slab(class_id, blocks[i])), from);
    }
    take(class_id, 3, 1); /* none is left there but fresh ones */
    assert_int_equal(emp_slab_owner(central_slab(class_id, blocks[3])), to);
    give(class_id, 0, 4);
}

static void a_shard_with_many_open_slabs_offers_one_at_the_tick(void **state)
{
    const uint32_t class_id = emp_size_class_of(4096);
    const unsigned slots = emp_classes[class_id].geometry.slots;
    const unsigned count = 14 * slots;

    (void)state;
    uint32_t from = go_to(0);
    take(class_id, 0, count);
    central_sort(count);
    for (unsigned i = 0; i < count; i++) {
        if (i % slots != 0) {
            give(class_id, i, 1);
        }
    }
    uint32_t item = 0;

    assert_false(emp_ring_pop(emp_rings[class_id], &item));
    (void)tick(false); /* counts, and moves slabs to the list of their occupancy */
    assert_int_equal(emp_shards[from]->classes[class_id].open_count, 14);

    assert_true(emp_ring_pop(emp_rings[class_id], &item));
    assert_int_equal(emp_slab_at(item - 1)->class_id, class_id);
    assert_int_equal(emp_slab_at(item - 1)->offered, 1);
    assert_true(emp_ring_push(emp_rings[class_id], item));
    uint32_t to = go_to(1);
    take(class_id, count, 1);
    const struct emp_slab *adopted = central_slab(class_id, blocks[count]);

    assert_int_equal(emp_slab_owner(adopted), to);
    assert_int_equal(adopted->offered, 0);
    assert_int_equal(emp_shards[to]->classes[class_id].slots, slots);
    give(class_id, count, 1);
    for (unsigned i = 0; i < count; i += slots) {
        give(class_id, i, 1);
    }
}

/* A slab of which nothing is known yet to be free may be the one that is adopted. */
static void a_slab_that_was_full_is_adopted_with_what_was_freed_since(void **state)
{
    const uint32_t class_id = emp_size_class_of(1536);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t from = go_to(0);
    take(class_id, 0, slots + 1);
    struct emp_slab *slab = central_slab(class_id, blocks[0]);

    assert_int_equal(slab->list, EMP_LIST_FULL);
    give(class_id, 0, slots - 1);
    emp_mutex_lock(&emp_shards[from]->lock);
    (void)emp_shard_drain_inbox(emp_shards[from]);
    emp_shard_unlink(&emp_shards[from]->classes[class_id], central_slab(class_id, blocks[slots]));
    emp_mutex_unlock(&emp_shards[from]->lock);
    uint64_t expansions = emp_budgets[class_id].expansions;
    uint32_t to = go_to(1);

    take(class_id, 1000, 20);
    assert_int_equal(emp_slab_owner(slab), to);
    assert_int_equal(emp_budgets[class_id].expansions, expansions);
    emp_mutex_lock(&emp_shards[from]->lock);
    emp_shard_link(&emp_shards[from]->classes[class_id], central_slab(class_id, blocks[slots]));
    emp_mutex_unlock(&emp_shards[from]->lock);
    give(class_id, 1000, 20);
    give(class_id, slots - 1, 2);
}

static void a_detached_slab_hands_out_nothing_though_it_is_open(void **state)
{
    const uint32_t class_id = emp_size_class_of(1792);
    const unsigned slots = emp_classes[class_id].geometry.slots; /* one word */

    (void)state;
    uint32_t index = go_to(0);

    assert_in_range(slots, 1, 64);
    take(class_id, 0, slots);
    struct emp_shard_class *class_state = &emp_shards[index]->classes[class_id];
    struct emp_slab *slab = central_slab(class_id, blocks[0]);

    assert_int_equal(class_state->open_slab, emp_slab_number(slab) + 1);
    give(class_id, 0, slots);
    emp_mutex_lock(&emp_shards[index]->lock);
    emp_shard_unlink(class_state, slab);
    emp_mutex_unlock(&emp_shards[index]->lock);
    take(class_id, 0, 64);
    for (unsigned i = 0; i < 64; i++) {
        assert_ptr_not_equal(central_slab(class_id, blocks[i]), slab);
    }
    emp_mutex_lock(&emp_shards[index]->lock);
    (void)emp_slab_count(slab);
    class_state->free_blocks += slots;
    emp_shard_link(class_state, slab);
    emp_mutex_unlock(&emp_shards[index]->lock);
    give(class_id, 0, 64);
}

static void the_tick_gives_pages_of_sparse_slabs_and_keeps_live_content(void **state)
{
    const uint32_t class_id = emp_size_class_of(1280);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    (void)go_to(0);
    (void)tick(true); /* what earlier tests left */
    take(class_id, 0, 4 * slots);
    central_sort(4 * slots);
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

static void the_tick_ends_empty_slabs_and_survives_a_system_that_refuses(void **state)
{
    const uint32_t class_id = emp_size_class_of(6144);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    (void)go_to(0);
    (void)tick(true);
    take(class_id, 0, 6 * slots);
    central_sort(6 * slots);
    give(class_id, slots, 5 * slots);
    give(class_id, 1, slots - 2);
    central_system_refuses = true;
    struct emp_tick_result refused = tick(true);

    central_system_refuses = false;
    assert_int_equal(refused.given_bytes, 0);
    assert_true(refused.slabs_ended > 0);
    assert_int_equal(emp_budgets[class_id].slots, slots);
    (void)central_check(state);
    give(class_id, 0, 1);
    give(class_id, slots - 1, 1);
    (void)tick(true);
    assert_int_equal(emp_budgets[class_id].slots, 0);
    assert_int_equal(emp_budgets[class_id].expansions, emp_budgets[class_id].shrinks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(blocks_taken_are_distinct_slots_of_the_class, central_check),
        cmocka_unit_test_teardown(a_block_given_back_is_counted_when_somebody_counts,
                                  central_check),
        cmocka_unit_test_teardown(the_open_slab_serves_what_was_given_back_to_it_first,
                                  central_check),
        cmocka_unit_test_teardown(the_fullest_slab_serves_before_emptier_ones, central_check),
        cmocka_unit_test_teardown(what_is_not_a_block_in_use_is_named_and_left_alone,
                                  central_check),
        cmocka_unit_test_teardown(a_free_into_a_full_slab_tells_its_shard_once, central_check),
        cmocka_unit_test_teardown(a_second_free_that_nobody_saw_counts_once, central_check),
        cmocka_unit_test_teardown(an_expanding_class_borrows_from_a_larger_one_with_plenty,
                                  central_check),
        cmocka_unit_test_teardown(a_class_never_borrows_less_alignment_or_more_than_half_again,
                                  central_check),
        cmocka_unit_test_teardown(a_shard_adopts_slabs_of_its_sibling_before_it_expands,
                                  central_check),
        cmocka_unit_test_teardown(a_few_blocks_of_a_siblings_only_slab_are_taken_where_they_lie,
                                  central_check),
        cmocka_unit_test_teardown(what_a_sibling_has_touched_is_taken_before_fresh_memory,
                                  central_check),
        cmocka_unit_test_teardown(a_shard_with_many_open_slabs_offers_one_at_the_tick,
                                  central_check),
        cmocka_unit_test_teardown(a_slab_that_was_full_is_adopted_with_what_was_freed_since,
                                  central_check),
        cmocka_unit_test_teardown(a_detached_slab_hands_out_nothing_though_it_is_open,
                                  central_check),
        cmocka_unit_test_teardown(the_tick_gives_pages_of_sparse_slabs_and_keeps_live_content,
                                  central_check),
        cmocka_unit_test_teardown(the_tick_ends_empty_slabs_and_survives_a_system_that_refuses,
                                  central_check),
    };

    return cmocka_run_group_tests(tests, central_start, NULL);
}
