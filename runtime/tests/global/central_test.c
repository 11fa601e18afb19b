/*
 * What:  take, give, adopt, borrow, the ring of surplus slabs, remote frees and the tick,
 *       each with the numbers that follow from it; after every test the counts of every shard
 *       agree with its slabs.
 * How:   the global room alone, two shards; a shard is chosen by pinning this thread to a
 *       processor. Every test has classes of its own. Design: [global.proto.take]
 *       [global.proto.give] [global.proto.adopt] [global.req.limit] [global.req.borrow]
 *       [global.inv.lists] [global.inv.exact] [global.proto.tick]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "global/shard_tick.h"
#include "monitor/report.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/unit.h"
#include "sync/remote_word.h"

#define BLOCKS_MAX 40000u

static void *blocks[BLOCKS_MAX];
static struct emp_central_fault faults[EMP_GIVE_MAX];
static size_t processors[2]; /* two that this thread may use, of different shards */
static unsigned processor_count;

static int start(void **state)
{
    cpu_set_t allowed;

    (void)state;
    if (!emp_arena_init()) {
        return -1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base, 0, 16);
    if (!emp_shard_init(2)) {
        return -1;
    }
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && processor_count < 2; cpu++) {
        if (CPU_ISSET(cpu, &allowed) &&
            (processor_count == 0 || (cpu & 1) != (processors[0] & 1))) {
            processors[processor_count++] = cpu;
        }
    }
    return 0;
}

/* Moves this thread to a shard; skips the test where the machine has only one. */
static uint32_t go_to(unsigned which)
{
    cpu_set_t one;

    if (processor_count < 2) {
        skip();
    }
    CPU_ZERO(&one);
    CPU_SET(processors[which], &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(emp_shard_current(), processors[which] & 1);
    return emp_shard_current();
}

/* Takes exactly `count` blocks of a class into blocks[from...]. */
static void take(uint32_t class_id, size_t from, size_t count)
{
    struct emp_central_note note = {0};
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;

    while (count > 0) {
        unsigned want = count < EMP_TAKE_MAX ? (unsigned)count : EMP_TAKE_MAX;
        unsigned got = emp_central_take(class_id, out, want, &home, &note);

        assert_in_range(got, 1, want);
        memcpy(&blocks[from], out, got * sizeof(void *));
        from += got;
        count -= got;
    }
}

/* Gives blocks back; none may be faulty. */
static void give(uint32_t class_id, size_t from, size_t count)
{
    while (count > 0) {
        unsigned step = count < EMP_GIVE_MAX ? (unsigned)count : EMP_GIVE_MAX;

        assert_int_equal(emp_central_give(class_id, &blocks[from], step, faults), 0);
        from += step;
        count -= step;
    }
}

/* So that the next refill goes to the slabs. */
static void forget_warm(uint32_t shard, uint32_t class_id)
{
    struct emp_shard_class *class_state = &emp_shards[shard]->classes[class_id];

    memset(class_state->warm, 0, sizeof(class_state->warm));
}

/* Slabs and free blocks of a class by walking, beside what the shards count. */
static void check_counts(void **state)
{
    size_t limit = emp_unit_limit();

    (void)state;
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        static int64_t slots[EMP_BINS];
        static int64_t free_blocks[EMP_BINS];
        static uint32_t linked[EMP_BINS];
        const char *broken = NULL;

        memset(slots, 0, sizeof(slots));
        memset(free_blocks, 0, sizeof(free_blocks));
        memset(linked, 0, sizeof(linked));
        emp_mutex_lock(&emp_shards[s]->lock);
        (void)emp_shard_drain_inbox(emp_shards[s]);
        for (size_t unit = 0; unit < limit; unit++) {
            struct emp_slab *slab = emp_slab_at(unit);

            if ((emp_arena.tags[unit] & 0xffu) == 0 || !emp_slab_exists(slab) ||
                emp_slab_owner(slab) != s) {
                continue;
            }
            broken = emp_slab_audit(slab) != NULL ? emp_slab_audit(slab) : broken;
            slots[slab->class_id] += slab->slots;
            free_blocks[slab->class_id] += slab->free_count;
            linked[slab->class_id] += slab->list < EMP_LIST_COUNT;
        }
        for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
            const struct emp_shard_class *class_state = &emp_shards[s]->classes[c];

            slots[c] -= class_state->slots;
            free_blocks[c] -= class_state->free_blocks;
            linked[c] -= class_state->partial_count + class_state->empty_count;
        }
        emp_mutex_unlock(&emp_shards[s]->lock);
        assert_null(broken);
        for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
            assert_int_equal(slots[c], 0); /* what the slabs have less what the shard counts */
            assert_int_equal(free_blocks[c], 0);
            assert_int_equal(linked[c], 0);
        }
    }
}

static int after(void **state)
{
    check_counts(state);
    return 0;
}

/* Sum of a counter over the shards. */
static uint64_t total(uint32_t class_id, size_t offset)
{
    uint64_t sum = 0;

    for (uint32_t s = 0; s < emp_shard_count; s++) {
        sum += *(const uint64_t *)(const void *)((const char *)&emp_shards[s]->classes[class_id] +
                                                 offset);
    }
    return sum;
}

#define TOTAL(class_id, field) total((class_id), offsetof(struct emp_shard_class, field))

static int compare_pointers(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left;
    uintptr_t b = *(const uintptr_t *)right;

    return (a > b) - (a < b);
}

static void blocks_taken_are_distinct_slots_of_the_class(void **state)
{
    const uint32_t class_id = emp_size_class_of(144);

    (void)state;
    take(class_id, 0, 2000);
    qsort(blocks, 2000, sizeof(void *), compare_pointers);
    for (size_t i = 0; i < 2000; i++) {
        assert_int_equal(emp_central_probe(class_id, blocks[i]), EMP_PROBE_GOOD);
        assert_true(i == 0 || (uintptr_t)blocks[i] - (uintptr_t)blocks[i - 1] >= 144);
    }
    assert_int_equal(TOTAL(class_id, taken), 2000);
    give(class_id, 0, 2000);
    assert_int_equal(TOTAL(class_id, given) + TOTAL(class_id, remote), 2000);
}

static void blocks_given_back_are_the_first_to_be_taken_again(void **state)
{
    const uint32_t class_id = emp_size_class_of(160);
    void *given[32];

    (void)state;
    (void)go_to(0);
    take(class_id, 0, 400);
    memcpy(given, &blocks[64], sizeof(given));
    give(class_id, 64, 32);
    uint64_t hits = TOTAL(class_id, l2_hits);

    take(class_id, 64, 32);
    assert_true(TOTAL(class_id, l2_hits) > hits);
    qsort(given, 32, sizeof(void *), compare_pointers);
    qsort(&blocks[64], 32, sizeof(void *), compare_pointers);
    assert_memory_equal(given, &blocks[64], sizeof(given));
    give(class_id, 0, 400);
}

static void the_fullest_slab_serves_before_emptier_ones(void **state)
{
    const uint32_t class_id = emp_size_class_of(1024);
    const unsigned slots = emp_classes[class_id].geometry.slots;
    uint32_t shard = go_to(0);

    (void)state;
    take(class_id, 0, 3 * slots); /* three slabs, in order of their addresses */
    qsort(blocks, 3 * slots, sizeof(void *), compare_pointers);
    give(class_id, 1, 40);             /* the first: a little more than half free */
    give(class_id, slots + 1, 5);      /* the second: the fullest */
    give(class_id, 2 * slots + 1, 50); /* the third */
    forget_warm(shard, class_id);
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

static void expect_fault(uint32_t class_id, void *pointer, enum emp_report_code code)
{
    void *one[1] = {pointer};

    assert_int_equal(emp_central_give(class_id, one, 1, faults), 1);
    assert_ptr_equal(faults[0].pointer, pointer);
    assert_int_equal(faults[0].code, code);
}

static void what_is_not_a_block_in_use_comes_back_as_a_fault(void **state)
{
    const uint32_t class_id = emp_size_class_of(176);
    char *middle = NULL;

    (void)state;
    (void)go_to(0);
    take(class_id, 0, 64);
    middle = blocks[30];
    expect_fault(class_id, middle + 16, EMP_REPORT_INTERIOR);
    expect_fault(class_id, middle + 3, EMP_REPORT_MISALIGNED);
    give(class_id, 30, 1);
    expect_fault(class_id, middle, EMP_REPORT_DOUBLE_FREE);
    expect_fault(class_id, (char *)blocks[0] + (size_t)176 * 300, EMP_REPORT_NEVER_ALLOCATED);
    blocks[30] = blocks[31]; /* the same block twice in one batch */
    assert_int_equal(emp_central_give(class_id, blocks, 64, faults), 1);
    assert_int_equal(faults[0].code, EMP_REPORT_DOUBLE_FREE);
    assert_int_equal(emp_central_give(class_id, &blocks[0], 8, faults), 8);
}

static void a_block_freed_on_two_shards_is_found_by_the_second(void **state)
{
    const uint32_t class_id = emp_size_class_of(192);

    (void)state;
    uint32_t home = go_to(0);
    take(class_id, 0, 200);
    (void)go_to(1);
    uint64_t before = TOTAL(class_id, remote);

    give(class_id, 0, 100);
    assert_int_equal(TOTAL(class_id, remote) - before, 100);
    assert_true(emp_shards[home]->inbox != 0);
    expect_fault(class_id, blocks[7], EMP_REPORT_DOUBLE_FREE);
    (void)go_to(0);
    expect_fault(class_id, blocks[8], EMP_REPORT_DOUBLE_FREE);
    take(class_id, 1000, 1); /* drains the inbox */
    assert_int_equal(emp_shards[home]->inbox, 0);
    expect_fault(class_id, blocks[9], EMP_REPORT_DOUBLE_FREE);
    give(class_id, 1000, 1);
    give(class_id, 100, 100);
}

/* Two threads at once: each sees the block in use, one frees it at home, the other from afar. */
static void a_second_free_that_nobody_saw_in_time_is_found_when_drained(void **state)
{
    const uint32_t class_id = emp_size_class_of(240);

    (void)state;
    uint32_t home = go_to(0);
    take(class_id, 0, 100);
    struct emp_slab *slab =
        emp_slab_at(emp_slab_number_of((uintptr_t)blocks[0], &emp_classes[class_id]));
    unsigned slot = (unsigned)(((uintptr_t)blocks[0] - emp_slab_base(slab)) / 240);

    give(class_id, 0, 1);
    assert_int_equal(emp_remote_publish(&slab->remote[slot / 64], (uint64_t)1 << slot % 64), 0);
    emp_shard_notify(slab);
    emp_mutex_lock(&emp_shards[home]->lock);
    unsigned moved = emp_shard_drain_inbox(emp_shards[home]);
    emp_mutex_unlock(&emp_shards[home]->lock);

    assert_int_equal(moved, 0);
    assert_ptr_equal(emp_shard_take_double_free(), blocks[0]);
    assert_null(emp_shard_take_double_free());
    check_counts(state);
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
    qsort(blocks, plenty, sizeof(void *), compare_pointers);
    for (unsigned i = 0; i < plenty; i += 2) {
        give(lending, i, 1);
    }
    uint64_t expansions = emp_budgets[asking].expansions;

    take(asking, plenty, 64);
    assert_int_equal(emp_budgets[asking].expansions, expansions);
    assert_int_equal(TOTAL(lending, borrowed), 64);
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
    qsort(blocks, plenty, sizeof(void *), compare_pointers);
    for (unsigned i = 0; i < plenty; i += 2) {
        give(lending, i, 1);
    }
    take(asking, plenty, 10);
    for (unsigned i = plenty; i < plenty + 10; i++) {
        assert_int_equal((uintptr_t)blocks[i] % 256, 0);
    }
    give(asking, plenty, 10);
    take(emp_size_class_of(208), plenty, 10); /* 320 is more than 208 * 3 / 2 */
    assert_int_equal(TOTAL(lending, borrowed), 0);
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
    qsort(blocks, count, sizeof(void *), compare_pointers);
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
    check_counts(state);
    give(class_id, count, 20);
    for (unsigned i = 0; i < count; i++) {
        if (i % 3 != 0) {
            give(class_id, i, 1);
        }
    }
}

static void a_shard_with_many_partial_slabs_offers_one_in_the_ring(void **state)
{
    const uint32_t class_id = emp_size_class_of(4096);
    const unsigned slots = emp_classes[class_id].geometry.slots;
    const unsigned count = 14 * slots;

    (void)state;
    uint32_t from = go_to(0);
    take(class_id, 0, count);
    qsort(blocks, count, sizeof(void *), compare_pointers);
    for (unsigned i = 0; i < count; i++) {
        if (i % slots != 0) {
            give(class_id, i, 1);
        }
    }
    for (unsigned i = 0; i < 4; i++) { /* a take moves slabs to the list of their occupancy */
        forget_warm(from, class_id);
        take(class_id, count, 1);
        give(class_id, count, 1);
    }
    uint32_t item = 0;

    assert_true(emp_ring_pop(emp_rings[class_id], &item));
    assert_int_equal(emp_slab_at(item - 1)->class_id, class_id);
    assert_int_equal(emp_slab_at(item - 1)->offered, 1);
    assert_true(emp_ring_push(emp_rings[class_id], item));
    uint32_t to = go_to(1);
    take(class_id, count, 1);
    const struct emp_slab *adopted =
        emp_slab_at(emp_slab_number_of((uintptr_t)blocks[count], &emp_classes[class_id]));

    assert_int_equal(emp_slab_owner(adopted), to);
    assert_int_equal(adopted->offered, 0);
    assert_int_equal(emp_shards[to]->classes[class_id].slots, slots);
    give(class_id, count, 1);
    for (unsigned i = 0; i < count; i += slots) {
        give(class_id, i, 1);
    }
}

static void a_detached_slab_hands_out_nothing_though_it_is_warm(void **state)
{
    const uint32_t class_id = emp_size_class_of(1792);

    (void)state;
    uint32_t index = go_to(0);
    const unsigned slots = emp_classes[class_id].geometry.slots; /* one word */

    assert_in_range(slots, 1, 64);
    take(class_id, 0, slots);
    struct emp_shard *shard = emp_shards[index];
    struct emp_slab *slab =
        emp_slab_at(emp_slab_number_of((uintptr_t)blocks[0], &emp_classes[class_id]));

    give(class_id, 0, slots); /* its word is the newest warm one */
    emp_mutex_lock(&shard->lock);
    emp_shard_unlink(&shard->classes[class_id], slab);
    emp_mutex_unlock(&shard->lock);
    take(class_id, 0, 64);
    for (unsigned i = 0; i < 64; i++) {
        assert_true(emp_slab_number_of((uintptr_t)blocks[i], &emp_classes[class_id]) !=
                    emp_slab_number(slab));
    }
    emp_mutex_lock(&shard->lock);
    emp_shard_link(&shard->classes[class_id], slab);
    emp_mutex_unlock(&shard->lock);
    give(class_id, 0, 64);
}

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
        cmocka_unit_test_teardown(blocks_taken_are_distinct_slots_of_the_class, after),
        cmocka_unit_test_teardown(blocks_given_back_are_the_first_to_be_taken_again, after),
        cmocka_unit_test_teardown(the_fullest_slab_serves_before_emptier_ones, after),
        cmocka_unit_test_teardown(what_is_not_a_block_in_use_comes_back_as_a_fault, after),
        cmocka_unit_test_teardown(a_block_freed_on_two_shards_is_found_by_the_second, after),
        cmocka_unit_test_teardown(a_second_free_that_nobody_saw_in_time_is_found_when_drained,
                                  after),
        cmocka_unit_test_teardown(an_expanding_class_borrows_from_a_larger_one_with_plenty, after),
        cmocka_unit_test_teardown(a_class_never_borrows_less_alignment_or_more_than_half_again,
                                  after),
        cmocka_unit_test_teardown(a_shard_adopts_slabs_of_its_sibling_before_it_expands, after),
        cmocka_unit_test_teardown(a_shard_with_many_partial_slabs_offers_one_in_the_ring, after),
        cmocka_unit_test_teardown(a_detached_slab_hands_out_nothing_though_it_is_warm, after),
        cmocka_unit_test_teardown(the_tick_gives_pages_of_sparse_slabs_and_keeps_live_content,
                                  after),
        cmocka_unit_test_teardown(a_second_free_while_its_page_is_purged_is_reported_once, after),
        cmocka_unit_test_teardown(the_tick_ends_empty_slabs_and_survives_a_system_that_refuses,
                                  after),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
