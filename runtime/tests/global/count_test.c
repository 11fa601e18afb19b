/*
 * What:  frees are not counted when they happen, and nothing is lost by it: a slot that was freed
 *       without an announcement is found by a round of maintenance and by the last try before a
 *       refill fails; a slab on its way through the inbox is neither listed twice nor forgotten,
 *       also by a forked child; blocks that come back in the middle of a round do not upset the
 *       sums; a shard that has grown ends slabs that became empty unnoticed; a round leaves as many
 *       blocks resident as a class is to keep.
 * How:   the global room alone, two shards; lost announcements are made by hand. After every test
 *       the lists, counts and states of every shard agree.
 * Design: [global.proto.count] [global.proto.tick] [global.inv.lists] [global.inv.exact]
 *       [sync.proto.inbox]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "base/bits.h"
#include "global/budget.h"
#include "global/central.h"
#include "monitor/stopwatch.h"
#include "slab/size_class.h"
#include "span/unit.h"
#include "support/central_room.h"

#define blocks central_blocks
#define take   central_take
#define give   central_give
#define tick   central_tick

/* A free whose look at the inbox link came too early: the slot is free, nobody is told. */
static void free_unannounced(uint32_t class_id, const void *block)
{
    const struct emp_slab *slab = central_slab(class_id, block);
    uintptr_t slot = ((uintptr_t)block - emp_slab_base(slab)) / emp_classes[class_id].geometry.size;

    assert_true(emp_slot_release(&slab->states[slot]));
}

/* A slab of the class whose slots are all in use, full and quiet: blocks[0..slots). */
static struct emp_slab *full_slab(uint32_t class_id)
{
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)tick(true); /* no larger class has blocks to lend */
    take(class_id, 0, slots + 1);
    struct emp_slab *slab = central_slab(class_id, blocks[0]);

    for (unsigned i = 0; i < slots; i++) {
        assert_ptr_equal(central_slab(class_id, blocks[i]), slab);
    }
    assert_int_equal(slab->list, EMP_LIST_FULL);
    assert_int_equal(slab->free_count, 0);
    assert_true(emp_inbox_is_quiet(&slab->inbox));
    return slab;
}

static void a_round_finds_what_was_freed_unannounced(void **state)
{
    const uint32_t class_id = emp_size_class_of(1000);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t home = central_go_to(0);
    struct emp_slab *slab = full_slab(class_id);

    free_unannounced(class_id, blocks[3]);
    assert_true(emp_inbox_is_quiet(&slab->inbox));
    assert_int_equal(emp_shards[home]->inbox, 0);
    (void)tick(false);
    assert_int_equal(slab->list, 0);
    assert_int_equal(slab->free_count, 1);
    assert_false(emp_inbox_is_quiet(&slab->inbox));
    void *lost = blocks[3];

    take(class_id, 3, 1);
    assert_ptr_equal(blocks[3], lost);
    give(class_id, 0, slots + 1);
}

/* The clock of counts: the last one allowed the next so many microseconds ago. It wraps. */
static void set_last_count(uint32_t class_id, uint32_t age_us)
{
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        emp_shards[s]->classes[class_id].count_again_us = emp_stopwatch_us() - age_us;
    }
}

static void the_last_try_finds_what_was_freed_unannounced(void **state)
{
    const uint32_t class_id = emp_size_class_of(30000);
    const unsigned slots = emp_classes[class_id].geometry.slots;
    static const uint32_t ages_us[] = {1, 1000, 1u << 30, 0x80000005u, 0xc0000000u};
    struct emp_central_note note = {0};
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;

    (void)state;
    (void)central_go_to(0);
    emp_budgets[class_id].limit = slots;
    take(class_id, 0, slots);
    assert_int_equal(emp_central_take(class_id, out, 1, &home, &note), 0);
    assert_true(note.limited);
    uint64_t failures = emp_budgets[class_id].failures;
    struct emp_slab *slab = central_slab(class_id, blocks[0]);

    assert_int_equal(slab->list, EMP_LIST_FULL);
    /* wherever the thread is that needs it, and however long ago the last count was */
    for (unsigned from = 0; from < sizeof(ages_us) / sizeof(ages_us[0]); from++) {
        (void)central_go_to(from % 2);
        free_unannounced(class_id, blocks[5]);
        set_last_count(class_id, ages_us[from]);
        assert_int_equal(emp_central_take(class_id, out, 1, &home, &note), 1);
        assert_ptr_equal(out[0], blocks[5]);
        assert_int_equal(emp_central_take(class_id, out, 1, &home, &note), 0);
    }
    assert_int_equal(emp_budgets[class_id].failures,
                     failures + sizeof(ages_us) / sizeof(ages_us[0]));
    (void)central_go_to(0);
    give(class_id, 0, slots);
    emp_budgets[class_id].limit = 0;
}

/* Somebody has marked the slab and not pushed it yet: a count must leave it where it is. */
static void a_slab_on_its_way_is_listed_once(void **state)
{
    const uint32_t class_id = emp_size_class_of(896);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t home = central_go_to(0);
    struct emp_slab *slab = full_slab(class_id);
    struct emp_shard *shard = emp_shards[home];

    free_unannounced(class_id, blocks[0]);
    assert_true(emp_inbox_mark(&slab->inbox));
    central_recount(class_id);
    assert_int_equal(slab->list, EMP_LIST_FULL);
    assert_int_equal(slab->free_count, 1);
    assert_null(emp_slab_audit(slab));
    give(class_id, 1, 10); /* marked: nobody else pushes it */
    assert_int_equal(shard->inbox, 0);
    central_recount(class_id);
    assert_int_equal(slab->list, EMP_LIST_FULL);
    assert_int_equal(slab->free_count, 11);
    emp_inbox_push(&shard->inbox, &slab->inbox, (uint32_t)emp_slab_number(slab) + 1);
    emp_mutex_lock(&shard->lock);
    assert_int_equal(emp_shard_drain_inbox(shard), 1);
    emp_mutex_unlock(&shard->lock);
    assert_int_equal(slab->list, 0);
    assert_int_equal(shard->inbox, 0);
    (void)central_check(state);
    give(class_id, 11, slots + 1 - 11);
}

/*
 * The thread that marked a slab is gone in the child of a fork, with or without the push, and the
 * parent may have counted the slab before or not: the child finds its free slots all the same.
 */
static void a_child_lists_every_full_slab_with_free_slots(void **state)
{
    const uint32_t class_id = emp_size_class_of(768);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t home = central_go_to(0);
    struct emp_shard *shard = emp_shards[home];

    for (unsigned kind = 0; kind < 12; kind++) {
        struct emp_slab *slab = full_slab(class_id);
        bool marked = kind % 3 != 0;

        free_unannounced(class_id, blocks[2]);
        if (marked) {
            assert_true(emp_inbox_mark(&slab->inbox));
        }
        if (kind % 3 == 2) {
            emp_inbox_push(&shard->inbox, &slab->inbox, (uint32_t)emp_slab_number(slab) + 1);
        }
        if (kind / 3 % 2 == 1 && marked) { /* counted on its way, by a round without the inbox */
            emp_mutex_lock(&shard->lock);
            (void)emp_shard_recount_some(&shard->classes[class_id], EMP_LIST_COUNT,
                                         emp_shard_new_round(), 64);
            emp_mutex_unlock(&shard->lock);
            assert_int_equal(slab->list, EMP_LIST_FULL);
            assert_int_equal(slab->free_count, 1);
        }
        if (kind / 6 == 1) {
            free_unannounced(class_id, blocks[3]);
        }
        emp_shard_notify_all(emp_unit_limit());
        emp_mutex_lock(&shard->lock);
        (void)emp_shard_drain_inbox(shard);
        emp_mutex_unlock(&shard->lock);
        if (slab->list != 0) {
            fail_msg("kind %u: the slab is in list %u, told %u", kind, slab->list,
                     slab->inbox.told);
        }
        (void)central_check(state);
        give(class_id, 0, 2);
        if (kind / 6 == 0) {
            give(class_id, 3, 1);
        }
        give(class_id, 4, slots + 1 - 4);
        (void)tick(true); /* no slab stays for the next kind */
        assert_int_equal(emp_budgets[class_id].slots, 0);
    }
}

static uint32_t late_class;
static size_t late_from;
static size_t late_count; /* blocks that come back while the first pages are given back */

static void give_late(void *base, size_t bytes)
{
    (void)base;
    (void)bytes;
    give(late_class, late_from, late_count);
    late_count = 0;
}

/*
 * The fuller slab comes first and has pages to give; while they are on their way the rest of the
 * emptier one comes back: more of it is free than the round has counted.
 */
static void blocks_that_come_back_during_a_round_do_not_upset_the_sums(void **state)
{
    const uint32_t class_id = emp_size_class_of(640);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t home = central_go_to(0);
    const struct emp_shard_class *class_state = &emp_shards[home]->classes[class_id];

    (void)tick(true);
    take(class_id, 0, 2 * slots);
    central_sort(2 * slots);
    give(class_id, 0, slots / 5);
    give(class_id, slots, slots * 2 / 5);
    late_class = class_id;
    late_from = slots + slots * 2 / 5;
    late_count = 2 * slots - late_from;
    central_on_purge = give_late;
    (void)tick(true);
    central_on_purge = NULL;
    assert_int_equal(late_count, 0);
    assert_in_range(class_state->free_blocks, 0, class_state->slots);
    (void)central_check(state);
    assert_int_equal(class_state->taken - class_state->given, slots - slots / 5);
    assert_int_equal(class_state->slots - class_state->free_blocks, slots - slots / 5);
    give(class_id, slots / 5, slots - slots / 5);
}

static void a_shard_that_has_grown_ends_what_became_empty_unnoticed(void **state)
{
    const uint32_t class_id = emp_size_class_of(8192);
    const uint32_t other = emp_size_class_of(24);
    const unsigned slots = emp_classes[class_id].geometry.slots;

    (void)state;
    uint32_t home = central_go_to(0);
    (void)tick(true);
    take(class_id, 0, 80 * slots);
    assert_int_equal(emp_budgets[class_id].slots, 80 * slots);
    give(class_id, 0, 80 * slots);
    assert_int_equal(emp_shards[home]->classes[class_id].given, 0); /* nobody has counted */
    emp_shards[home]->grown = 64;
    emp_shards[home]->collect_at = 64;
    take(other, 0, 1);
    assert_int_equal(emp_budgets[class_id].slots, 0);
    assert_int_equal(emp_budgets[class_id].shrinks, 80);
    assert_true(emp_shards[home]->grown <= 1);
    give(other, 0, 1);
}

/* Free blocks whose pages were not given back since they were used. */
static uint64_t resident_blocks(uint32_t class_id)
{
    const uint32_t size = emp_classes[class_id].geometry.size;
    const size_t limit = emp_unit_limit();
    uint64_t count = 0;

    for (size_t unit = 0; unit < limit; unit++) {
        const struct emp_slab *slab = emp_slab_at(unit);

        if (emp_tag_class(emp_arena.tags[unit]) != class_id || !emp_slab_exists(slab)) {
            continue;
        }
        for (unsigned i = 0; i < slab->slots; i++) {
            uint64_t first = (uint64_t)i * size / 4096;
            uint64_t last = ((uint64_t)(i + 1) * size - 1) / 4096;
            uint64_t pages = emp_bits_mask((unsigned)(last - first + 1)) << first;

            count += emp_slot_is_free(&slab->states[i]) && (slab->purged_pages & pages) == 0;
        }
    }
    return count;
}

static void set_keep(uint32_t class_id, uint32_t count)
{
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        emp_shards[s]->classes[class_id].keep_blocks = count;
    }
}

/* Many slabs, so that a round needs several batches, empty ones and ones with a block in use. */
static void a_round_leaves_resident_what_a_class_is_to_keep(void **state)
{
    static const uint32_t keeps[] = {0, 1, 30, 500, 5000};
    const uint32_t class_id = emp_size_class_of(512);
    const unsigned slots = emp_classes[class_id].geometry.slots;
    const unsigned slabs = 48;

    (void)state;
    (void)central_go_to(0);
    for (unsigned k = 0; k < sizeof(keeps) / sizeof(keeps[0]); k++) {
        for (unsigned live = 0; live < 2; live++) {
            (void)tick(true);
            take(class_id, 0, slabs * slots);
            central_sort(slabs * slots);
            set_keep(class_id, keeps[k]);
            for (unsigned i = 0; i < slabs * slots; i++) {
                if (live == 0 || i % slots != 7) {
                    give(class_id, i, 1);
                }
            }
            for (unsigned round = 0; round < 6; round++) {
                (void)tick(round % 2 == 1);
            }
            uint64_t resident = resident_blocks(class_id);

            /* a page, or a slab, beyond what it is to keep */
            if (resident < keeps[k] && keeps[k] <= slabs * (slots - live)) {
                fail_msg("%u of %u blocks stayed resident (live %u)", (unsigned)resident, keeps[k],
                         live);
            }
            assert_true(resident <= keeps[k] + (live == 0 ? slots : slots + 7 * slabs));
            set_keep(class_id, 0);
            for (unsigned i = 7; live == 1 && i < slabs * slots; i += slots) {
                give(class_id, i, 1);
            }
            (void)tick(true);
            assert_int_equal(resident_blocks(class_id), 0);
            assert_int_equal(emp_budgets[class_id].slots, 0);
        }
    }
}

/* More than fit into a few turns of the lock, some of them full and some open. */
static void a_count_of_many_slabs_finds_all_of_them(void **state)
{
    const uint32_t class_id = emp_size_class_of(8192);
    const unsigned slots = emp_classes[class_id].geometry.slots;
    const unsigned slabs = 300;

    (void)state;
    uint32_t home = central_go_to(0);
    const struct emp_shard_class *class_state = &emp_shards[home]->classes[class_id];

    (void)tick(true);
    take(class_id, 0, slabs * slots);
    central_sort(slabs * slots);
    for (unsigned i = 0; i < slabs; i += 2) { /* every other one is open from now on */
        give(class_id, i * slots, 1);
    }
    central_recount(class_id);
    assert_in_range(class_state->open_count, slabs / 2, slabs / 2 + 1);
    assert_int_equal(class_state->free_blocks, slabs / 2);
    for (unsigned i = 0; i < slabs; i++) {
        free_unannounced(class_id, blocks[i * slots + 1]);
    }
    central_recount(class_id);
    assert_int_equal(class_state->free_blocks, slabs / 2 + slabs);
    assert_int_equal(class_state->full_count, 0);
    for (unsigned i = 0; i < slabs; i++) {
        give(class_id, i * slots + 2, slots - 2);
        if (i % 2 == 1) {
            give(class_id, i * slots, 1);
        }
    }
    (void)tick(true);
    assert_int_equal(emp_budgets[class_id].slots, 0);
}

static void a_round_looks_at_every_class(void **state)
{
    (void)state;
    (void)central_go_to(0);
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        (void)tick(true);
        take(c, 0, 3);
        give(c, 0, 3);
        assert_int_equal(emp_budgets[c].slots, emp_classes[c].geometry.slots);
        uint64_t rounds = emp_budgets[c].tick_rounds;

        assert_int_equal(tick(true).slabs_ended, 1);
        assert_int_equal(emp_budgets[c].slots, 0);
        assert_int_equal(emp_budgets[c].tick_rounds, rounds + 1);
        assert_int_equal(emp_budgets[c].tick_time, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_round_finds_what_was_freed_unannounced, central_check),
        cmocka_unit_test_teardown(the_last_try_finds_what_was_freed_unannounced, central_check),
        cmocka_unit_test_teardown(a_slab_on_its_way_is_listed_once, central_check),
        cmocka_unit_test_teardown(blocks_that_come_back_during_a_round_do_not_upset_the_sums,
                                  central_check),
        cmocka_unit_test_teardown(a_shard_that_has_grown_ends_what_became_empty_unnoticed,
                                  central_check),
        cmocka_unit_test_teardown(a_round_leaves_resident_what_a_class_is_to_keep, central_check),
        cmocka_unit_test_teardown(a_child_lists_every_full_slab_with_free_slots, central_check),
        cmocka_unit_test_teardown(a_count_of_many_slabs_finds_all_of_them, central_check),
        cmocka_unit_test_teardown(a_round_looks_at_every_class, central_check),
    };

    return cmocka_run_group_tests(tests, central_start, NULL);
}
