/*
 * What: a bin that receives more than it has room for: the rest goes past it to the slabs, a bin
 *       that only receives keeps little, also after a tick, every visit of the slow path counts
 *       direct frees anew, and no burst upsets a count.
 * How:  the local room alone. After every test all blocks are back: free blocks = slots in every
 *       class.
 * Design: [local.proto.cache] [local.req.overflow] [local.proto.poke]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>

#include "support/bin_room.h"
#include "support/cache_blocks.h"

#define KEPT        4u                /* what a bin keeps that only receives ... */
#define MANY_PASSES (4u * 64u + 512u) /* ... after so many frees at the latest */
#define DIRECT      64u               /* direct frees between two visits to the slow path */
#define TICK_NS     60000000

/*
 * A thread that only frees: what its bin does not take is free for everybody at once, and soon it
 * keeps 4. The next refill gives the bin its room back.
 */
static void a_bin_that_only_receives_keeps_little_and_lets_the_rest_pass(void **state)
{
    const uint32_t class_id = emp_size_class_of(112);

    (void)state;
    alloc_many(class_id, MANY);
    unsigned room = bin_room(class_id);
    unsigned before = emp_cache_count(class_id);
    int64_t out = missing(class_id);

    for (unsigned i = 0; i < MANY; i++) {
        release(class_id, blocks[i]);
        unsigned now = emp_cache_count(class_id);

        assert_true(now <= room);
        assert_true(i < MANY_PASSES || now <= KEPT);
        if (i % 100 == 0) { /* what neither the program nor the bin has is free in a slab */
            assert_int_equal(missing(class_id), out - (i + 1) + now - before);
        }
    }
    assert_int_equal(emp_cache_count(class_id), KEPT);
    assert_int_equal(missing(class_id), KEPT);
    alloc_many(class_id, KEPT + 1); /* the last one is a refill */
    unsigned full = emp_cache_count(class_id);

    for (unsigned i = 0; i <= KEPT; i++) {
        release(class_id, blocks[i]);
    }
    assert_true(emp_cache_count(class_id) > KEPT);
    assert_int_equal(emp_cache_count(class_id), full + KEPT + 1);
}

/* A poke takes the limit away and the next free restores it: to eight blocks, not to the room. */
static void a_tick_leaves_a_bin_that_only_receives_as_low_as_it_is(void **state)
{
    const uint32_t class_id = emp_size_class_of(160);
    const unsigned first = MANY_PASSES + 100;
    const unsigned each = (MANY - first) / 20;

    (void)state;
    use_often(class_id); /* more room than eight blocks */
    alloc_many(class_id, MANY);
    release_many(class_id, first);
    assert_int_equal(emp_cache_count(class_id), KEPT);
    for (unsigned i = first; i < MANY; i++) {
        if (i % each == 0) {
            emp_cache_poke_all();
        }
        release(class_id, blocks[i]);
        assert_true(emp_cache_count(class_id) <= KEPT);
    }
    struct emp_cache *cache = emp_cache_of(emp_l1_current());

    if (bin_room(class_id) != 0) { /* else this thread did not run for a while */
        assert_true(bin_room(class_id) > KEPT);
        assert_int_equal(emp_cache_count(class_id), KEPT);
        assert_ptr_equal(cache->view.bins[class_id].limit,
                         emp_cache_base(cache, emp_cache_state(cache, class_id)) + KEPT);
    }
}

/* Visits with nothing left of the count, as the hit path leaves it, by each way a block can go. */
static void every_visit_counts_direct_frees_anew(void **state)
{
    const uint32_t class_id = emp_size_class_of(240);
    const uint32_t small = emp_size_class_of(16);
    const uint32_t wide = emp_size_class_of(9000);
    struct emp_l1 *view = emp_l1_current();
    struct emp_cache *cache = emp_cache_of(view);
    uint32_t home_bit = view->home_bit;

    (void)state;
    use_often(class_id);
    alloc_many(class_id, 400);
    for (unsigned i = 0; i < 400; i++) {
        if (i == 300) {
            emp_cache_set_room(cache, class_id, 0); /* cold */
        }
        if (i % 10 == 5) {
            emp_cache_poke_all();
        }
        view->direct_left = 0;
        emp_cache_free_slow(class_of(blocks[i]), blocks[i], "test");
        assert_int_equal(view->direct_left, DIRECT);
    }
    alloc_many(wide, 40);
    for (unsigned i = 0; i < 40; i++) {
        view->direct_left = 0;
        emp_cache_free_slow(class_of(blocks[i]), blocks[i], "test");
        assert_int_equal(view->direct_left, DIRECT);
    }
    alloc_many(small, 40);
    for (unsigned i = 0; i < 40; i++) { /* as if the thread had moved to another processor */
        view->home_bit = 0xffff0000u & ~home_bit;
        view->direct_left = 0;
        emp_cache_free_slow(class_of(blocks[i]), blocks[i], "test");
        assert_int_equal(view->direct_left, DIRECT);
    }
}

/* Whatever the bins do, the count goes from 64 down to a visit and never past it. */
static void direct_frees_never_pass_a_visit(void **state)
{
    const uint32_t class_id = emp_size_class_of(272);
    const struct emp_l1 *view = emp_l1_current();

    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        unsigned direct = 0;

        alloc_many(class_id, MANY);
        for (unsigned i = 0; i < MANY; i++) {
            uint32_t before = view->direct_left;

            if (i % 97 == round) {
                emp_cache_poke_all();
            }
            release(class_id, blocks[i]);
            assert_in_range(view->direct_left, 1, DIRECT);
            direct += view->direct_left == before - 1;
        }
        assert_true(direct > MANY / 4);
    }
}

/* Far more frees than the bin takes, again and again, with pokes in between: nothing is lost. */
static void a_burst_of_frees_never_upsets_a_count(void **state)
{
    const uint32_t class_id = emp_size_class_of(400);

    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        unsigned count = 1 + round * (MANY - 1) / 29;

        emp_cache_flush("test");
        assert_int_equal(missing(class_id), 0);
        alloc_many(class_id, count);
        assert_int_equal(missing(class_id), count + emp_cache_count(class_id));
        for (unsigned i = 0; i < count; i++) {
            release(class_id, blocks[(i * 7919u) % count]);
            if (i % 500 == 499) {
                emp_cache_poke_all();
                assert_int_equal(missing(class_id), count - i - 1 + emp_cache_count(class_id));
            }
        }
        assert_int_equal(missing(class_id), emp_cache_count(class_id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_bin_that_only_receives_keeps_little_and_lets_the_rest_pass,
                                  all_blocks_are_back),
        cmocka_unit_test_teardown(a_burst_of_frees_never_upsets_a_count, all_blocks_are_back),
        cmocka_unit_test_teardown(a_tick_leaves_a_bin_that_only_receives_as_low_as_it_is,
                                  all_blocks_are_back),
        cmocka_unit_test_teardown(every_visit_counts_direct_frees_anew, all_blocks_are_back),
        cmocka_unit_test_teardown(direct_frees_never_pass_a_visit, all_blocks_are_back),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
