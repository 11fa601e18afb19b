/*
 * What:  take, give, adopt, borrow, the ring of surplus slabs and remote frees, each with the
 *        numbers that follow from it; after every test the counts of every shard agree with its
 *        slabs.
 * How:   the global room alone, two shards; a shard is chosen by pinning this thread to a
 *       processor. Every test has classes of its own. Design: [global.proto.take]
 *       [global.proto.give] [global.proto.adopt] [global.req.limit] [global.req.borrow]
 *       [global.inv.lists] [global.inv.exact]
 */
#define _GNU_SOURCE
#include "support/two_shards.h"

#include <pthread.h>

#include "base/compiler.h"
#include "global/budget.h"
#include "monitor/report.h"
#include "sync/remote_word.h"

/* So that the next refill goes to the slabs. */
static void forget_warm(uint32_t shard, uint32_t class_id)
{
    struct emp_shard_class *class_state = &emp_shards[shard]->classes[class_id];

    memset(class_state->warm, 0, sizeof(class_state->warm));
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

#define WANDER_ROUNDS (EMP_TSAN || EMP_ASAN ? 20000u : 1000000u)

static uint32_t wandering_class;
static uint32_t wandering_ends; /* atomic, relaxed */

/* Slabs of the class go from shard to shard, as refills of other threads make them. */
static void *adopt_to_and_fro(void *arg)
{
    (void)go_to(1);
    while (__atomic_load_n(&wandering_ends, __ATOMIC_RELAXED) == 0) {
        (void)emp_central_adopt(wandering_class, 0);
        (void)emp_central_adopt(wandering_class, 1);
    }
    return arg;
}

static void a_slab_that_becomes_ours_during_a_flush_is_no_double_free(void **state)
{
    const unsigned half = 32;
    pthread_t thread;

    (void)state;
    wandering_class = emp_size_class_of(1792);
    (void)go_to(0);
    take(wandering_class, 0, 2 * half);
    assert_int_equal(pthread_create(&thread, NULL, adopt_to_and_fro, NULL), 0);
    for (unsigned i = 0; i < WANDER_ROUNDS; i++) {
        unsigned from = i % 2 * half;

        for (unsigned k = 0; k < half; k++) { /* not a run, so that each block is looked at */
            unsigned other = (k * 7 + i) % half;
            void *swap = blocks[from + k];

            blocks[from + k] = blocks[from + other];
            blocks[from + other] = swap;
        }
        give(wandering_class, from, half);
        take(wandering_class, from, half);
    }
    __atomic_store_n(&wandering_ends, 1, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_null(emp_shard_take_double_free());
    give(wandering_class, 0, 2 * half);
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
        cmocka_unit_test_teardown(a_slab_that_becomes_ours_during_a_flush_is_no_double_free, after),
        cmocka_unit_test_teardown(an_expanding_class_borrows_from_a_larger_one_with_plenty, after),
        cmocka_unit_test_teardown(a_class_never_borrows_less_alignment_or_more_than_half_again,
                                  after),
        cmocka_unit_test_teardown(a_shard_adopts_slabs_of_its_sibling_before_it_expands, after),
        cmocka_unit_test_teardown(a_shard_with_many_partial_slabs_offers_one_in_the_ring, after),
        cmocka_unit_test_teardown(a_detached_slab_hands_out_nothing_though_it_is_warm, after),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
