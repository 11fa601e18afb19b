/*
 * What: a bin that overflows and runs empty, again and again, gets room for its whole swing; all of
 *       them together no more than the option grants; a tick takes the room back from a bin that is
 *       more than half full, an idle one gives everything, no call more than a part of it; what is
 *       too little for all is given to none; with more than two threads, or where a pool has a
 *       room of its own, nothing is granted.
 * How:  the local room alone; ticks are called, so that only idleness waits for the clock. After
 *       every test all blocks are back: free blocks = slots in every class.
 * Design: [local.proto.swing] [local.req.bounded] [local.req.overflow]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "support/bin_room.h"
#include "support/cache_blocks.h"

#define SWING_BYTES  (1u << 20)
#define SWINGS       20u
#define WIDE_FIRST   18u /* classes of 256 B to 1 KiB: few slots each */
#define WIDE_LAST    33u
#define KEPT         4u
#define GIVEN_MOST   (2048u + 1u) /* blocks that leave a bin in one call */
#define BUDGET_BYTES (256u << 10)
#define TICK_NS      60000000

static struct emp_cache *own_cache(void)
{
    return emp_cache_of(emp_l1_current());
}

/* MANY blocks taken and given back, so often that the bin has had time to grow. */
static void swing(uint32_t class_id)
{
    for (unsigned i = 0; i < SWINGS; i++) {
        alloc_many(class_id, MANY);
        release_many(class_id, MANY);
    }
}

/* The sum of all rooms, and what of it the books say. */
static void check_books(void)
{
    const struct emp_cache *cache = own_cache();
    uint32_t sum = 0;

    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        sum += bin_room(c) * emp_classes[c].geometry.size;
    }
    assert_int_equal(cache->room_bytes, sum);
    assert_true(cache->swing_bytes <= sum);
    assert_true(cache->swing_bytes <= emp_local_options.swing_bytes);
}

static int begin(void **state)
{
    (void)state;
    emp_local_options.swing_bytes = SWING_BYTES;
    emp_local_options.rate_limits = false; /* no tick until a test wants some */
    return 0;
}

/* Every bin closed to its first room again, for the next test. */
static int end(void **state)
{
    struct emp_cache *cache = own_cache();

    emp_cache_flush("test");
    emp_cache_enter(cache);
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        if (emp_cache_is_open(emp_cache_state(cache, c))) {
            emp_cache_set_room(cache, c, emp_cache_first_room(cache, c));
        }
    }
    emp_cache_leave(cache);
    return all_blocks_are_back(state);
}

static void a_bin_that_swings_holds_the_whole_swing(void **state)
{
    const uint32_t class_id = emp_size_class_of(64);

    (void)state;
    swing(class_id);
    assert_true(bin_room(class_id) >= MANY);
    assert_true(bin_room(class_id) < 4 * MANY); /* and not much more */
    assert_true(emp_cache_count(class_id) >= MANY);
    uint32_t slow = own_cache()->slow_count;

    alloc_many(class_id, MANY);
    release_many(class_id, MANY);
    assert_int_equal(own_cache()->slow_count, slow);
    check_books();
}

/* It overflows, and what it keeps is enough for what comes then. */
static void a_bin_that_never_runs_empty_gets_no_more(void **state)
{
    const uint32_t class_id = emp_size_class_of(80);

    (void)state;
    alloc_many(class_id, MANY);
    release_many(class_id, MANY);
    for (unsigned i = 0; i < 1000; i++) {
        alloc_many(class_id, KEPT);
        release_many(class_id, KEPT);
    }
    assert_true(bin_room(class_id) <= emp_classes[class_id].room);
    assert_int_equal(own_cache()->swing_bytes, 0);
}

static void all_bins_together_gain_no_more_than_is_granted(void **state)
{
    unsigned grown = 0;

    (void)state;
    for (uint32_t c = WIDE_FIRST; c <= WIDE_LAST; c++) {
        swing(c);
        check_books();
        grown += bin_room(c) > emp_classes[c].room;
    }
    assert_true(grown > 1 && grown <= WIDE_LAST - WIDE_FIRST);
    assert_true(own_cache()->room_bytes <= BUDGET_BYTES + SWING_BYTES + 65u * 2048u);
    for (uint32_t c = WIDE_FIRST; c <= WIDE_LAST;
         c++) { /* what was granted is paid back with the room */
        assert_true(emp_cache_is_open(emp_cache_state(own_cache(), c))); /* slots for everybody */
        emp_cache_enter(own_cache());
        emp_cache_give_newest(own_cache(), c, emp_cache_count(c), "test");
        emp_cache_set_room(own_cache(), c, 1);
        emp_cache_leave(own_cache());
    }
    assert_int_equal(own_cache()->swing_bytes, 0);
    check_books();
}

/*
 * More classes swing than there are bytes for: a tick takes what was granted, so that all of them
 * let their blocks pass alike, and grants nothing for a while.
 */
static void what_is_too_little_for_all_is_given_to_none(void **state)
{
    (void)state;
    emp_local_options.swing_bytes = SWING_BYTES / 16;
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t c = WIDE_FIRST; c <= WIDE_LAST; c++) {
            swing(c);
        }
    }
    assert_in_range(own_cache()->swing_refused, 16, 3 * (WIDE_LAST - WIDE_FIRST + 1));
    emp_local_options.rate_limits = true;
    emp_cache_tick();
    emp_local_options.rate_limits = false;
    assert_true(own_cache()->swing_pause != 0);
    for (uint32_t c = WIDE_FIRST; c <= WIDE_LAST; c++) {
        assert_true(bin_room(c) <= emp_classes[c].room);
        swing(c);
        assert_true(bin_room(c) <= emp_classes[c].room);
        check_books();
    }
    own_cache()->swing_pause = 1;
    emp_local_options.rate_limits = true;
    emp_cache_tick(); /* the last of the pause */
    emp_local_options.rate_limits = false;
    assert_int_equal(own_cache()->swing_pause, 0);
    swing(emp_size_class_of(128));
    assert_true(own_cache()->swing_bytes != 0);
}

static void nothing_granted_is_no_room_gained(void **state)
{
    const uint32_t class_id = emp_size_class_of(96);

    (void)state;
    emp_local_options.swing_bytes = 0;
    swing(class_id);
    assert_int_equal(bin_room(class_id), emp_classes[class_id].room);
    assert_int_equal(own_cache()->swing_bytes, 0);
}

/* Full at each tick: half of the room goes each time, down to that of the class. */
static void a_tick_takes_the_room_of_a_bin_that_stays_full(void **state)
{
    const uint32_t class_id = emp_size_class_of(112);
    unsigned most = 0;

    (void)state;
    swing(class_id);
    emp_local_options.rate_limits = true;
    assert_true(bin_room(class_id) > 2 * emp_classes[class_id].room);
    for (unsigned tick = 0; tick < 40; tick++) {
        unsigned room = bin_room(class_id);

        emp_cache_tick();
        if (bin_room(class_id) == 0) {
            return; /* this thread did not run for a while: its bin is cold */
        }
        assert_true(bin_room(class_id) >= emp_classes[class_id].room);
        assert_true(bin_room(class_id) == room / 2 || room <= emp_classes[class_id].room ||
                    emp_cache_count(class_id) <= room / 2);
        for (unsigned i = 0; i < 200; i++) { /* pairs: what is too much leaves by the frees */
            unsigned before = emp_cache_count(class_id);
            void *block = alloc(class_id);

            release(class_id, block);
            unsigned left = before - emp_cache_count(class_id);

            most = left > most && before > emp_cache_count(class_id) ? left : most;
        }
        assert_true(emp_cache_count(class_id) <= bin_room(class_id));
        check_books();
    }
    assert_int_equal(bin_room(class_id), emp_classes[class_id].room);
    assert_in_range(most, 1, 129);
}

static void wait_for_a_tick(void)
{
    const struct timespec pause = {0, TICK_NS};

    (void)nanosleep(&pause, NULL);
    emp_cache_tick();
}

static void an_idle_bin_gives_all_it_has_a_part_at_a_time(void **state)
{
    const uint32_t class_id = emp_size_class_of(16);

    (void)state;
    for (unsigned i = 0; i < SWINGS; i++) { /* more blocks than leave at once */
        swing(class_id);
    }
    assert_true(emp_cache_count(class_id) > GIVEN_MOST);
    emp_local_options.rate_limits = true;
    for (unsigned i = 0; i < 12 && emp_cache_count(class_id) != 0; i++) {
        unsigned before = emp_cache_count(class_id);

        wait_for_a_tick();
        assert_true(before - emp_cache_count(class_id) <= GIVEN_MOST);
        check_books();
    }
    assert_int_equal(emp_cache_count(class_id), 0);
    assert_int_equal(bin_room(class_id), 0);
    assert_int_equal(own_cache()->swing_bytes, 0);
}

/* Far more frees than its room, and no refill: the long bin keeps eight as the short one does. */
static void a_long_bin_that_only_receives_keeps_little(void **state)
{
    const uint32_t class_id = emp_size_class_of(128);
    static void *more[6 * MANY];
    unsigned before = 0;

    (void)state;
    swing(class_id);
    unsigned room = bin_room(class_id);

    assert_true(room > 2 * emp_classes[class_id].room);
    for (unsigned i = 0; i < 6 * MANY; i++) {
        more[i] = alloc(class_id);
    }
    for (unsigned i = 0; i < 6 * MANY; i++) {
        release(class_id, more[i]);
        unsigned now = emp_cache_count(class_id);

        assert_true(before <= now + 128u); /* no free pays for the whole bin */
        assert_true(now <= bin_room(class_id));
        before = now;
    }
    assert_int_equal(emp_cache_count(class_id), KEPT);
}

/* A pool's class without a pool: its bins open with the room that it is given. */
static void a_pool_with_a_room_of_its_own_gains_none(void **state)
{
    const uint32_t class_id = EMP_POOL_CLASS_FIRST;

    (void)state;
    for (unsigned fixed = 0; fixed < 2; fixed++) {
        emp_size_class_define(class_id, emp_arena.base, 48);
        emp_classes[class_id].room = 100;
        emp_classes[class_id].room_is_fixed = (uint8_t)fixed;
        emp_cache_reset_class(class_id, 100, NULL);
        swing(class_id);
        unsigned room = bin_room(class_id);

        assert_true(fixed == 1 || EMP_SECURE || room > 100);
        assert_true(fixed == 0 || room <= 100);
        emp_cache_flush("test");
        emp_cache_reset_class(class_id, 0, NULL);
    }
}

static pthread_barrier_t crowd_barrier;

static void *crowd_body(void *arg)
{
    const uint32_t class_id = emp_size_class_of(160);

    (void)arg;
    release(class_id, alloc(class_id)); /* has a cache */
    (void)pthread_barrier_wait(&crowd_barrier);
    (void)pthread_barrier_wait(&crowd_barrier);
    return NULL;
}

static void among_many_threads_no_bin_gains_and_those_that_did_lose(void **state)
{
    const uint32_t before = emp_size_class_of(160);
    const uint32_t later = emp_size_class_of(176);
    pthread_t threads[EMP_SWING_THREADS];

    (void)state;
    swing(before);
    assert_true(bin_room(before) > 2 * emp_classes[before].room);
    alloc_many(before, MANY); /* nearly empty: by itself a tick would leave it as it is */
    (void)pthread_barrier_init(&crowd_barrier, NULL, EMP_SWING_THREADS + 1);
    for (unsigned i = 0; i < EMP_SWING_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_body, NULL), 0);
    }
    (void)pthread_barrier_wait(&crowd_barrier);
    emp_local_options.rate_limits = true;
    for (unsigned i = 0; i < 12; i++) {
        emp_cache_tick();
        release(before, blocks[i]); /* answers the poke */
    }
    assert_true(bin_room(before) <= emp_classes[before].room);
    for (unsigned i = 12; i < MANY; i++) {
        release(before, blocks[i]);
    }
    swing(later);
    assert_true(bin_room(later) <= emp_classes[later].room);
    (void)pthread_barrier_wait(&crowd_barrier);
    for (unsigned i = 0; i < EMP_SWING_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    (void)pthread_barrier_destroy(&crowd_barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bin_that_swings_holds_the_whole_swing, begin, end),
        cmocka_unit_test_setup_teardown(a_bin_that_never_runs_empty_gets_no_more, begin, end),
        cmocka_unit_test_setup_teardown(nothing_granted_is_no_room_gained, begin, end),
        cmocka_unit_test_setup_teardown(a_tick_takes_the_room_of_a_bin_that_stays_full, begin, end),
        cmocka_unit_test_setup_teardown(an_idle_bin_gives_all_it_has_a_part_at_a_time, begin, end),
        cmocka_unit_test_setup_teardown(a_pool_with_a_room_of_its_own_gains_none, begin, end),
        cmocka_unit_test_setup_teardown(among_many_threads_no_bin_gains_and_those_that_did_lose,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_long_bin_that_only_receives_keeps_little, begin, end),
        /* last: they need all the slots that are left */
        cmocka_unit_test_setup_teardown(all_bins_together_gain_no_more_than_is_granted, begin, end),
        cmocka_unit_test_setup_teardown(what_is_too_little_for_all_is_given_to_none, begin, end),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
