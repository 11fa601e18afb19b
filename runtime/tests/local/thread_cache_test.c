/*
 * What: the cache of a thread: it comes with the first refill and ends with the thread in whatever
 *       state it is; its bins fill, are parked, go cold when nobody uses them and hot when
 *       somebody does; blocks of line-sharing classes go home; pool bins open and close; where no
 *       slab is, no bin takes a block, wherever the arena lies.
 * How:  the local room alone. After every test all blocks are back: free blocks = slots in every
 *       class.
 * Design: [local.proto.cache] [local.inv.sentinel] [local.req.bounded]
 *         [local.proto.poke]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "global/shard.h"
#include "local/fast_path.h"
#include "local/thread_cache.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "support/bin_room.h"
#include "support/cache_blocks.h"
#include "sync/atomic.h"
#include "thread/lifecycle.h"

#define TICK_NS    60000000
#define ROUNDS_MAX (50u * GROW_ROUNDS)
#define POOL_CLASS EMP_POOL_CLASS_FIRST
#define POOL_ROOM  20u
#define LATE_ROUNDS \
    (EMP_ASAN || EMP_TSAN ? 2u : 6u) /* a sanitizer ends the thread before its last */

/*
 * Tag 0, no slab, leads to the first bytes of a view. There stands a bin that neither gives nor
 * takes; were it the view's head, a low address of the arena would pass for a top with room above.
 */
static bool keeps_nothing_without_a_slab(struct emp_l1 *view)
{
    static struct emp_l1 low;
    static char nothing_of_ours[16];
    const struct emp_l1_bin *bin = emp_fast_bin(view, 0);

    if ((const void *)bin == (const void *)&view->arena_base || bin->top[-1] != NULL ||
        bin->top <= bin->limit || emp_fast_push(view, 0, 64, nothing_of_ours)) {
        return false;
    }
    memcpy(&low, view, offsetof(struct emp_l1, bins));
    low.arena_base = 0x10000;
    low.arena_bytes = (uintptr_t)1 << 40;
    low.direct_left = 1;
    return !emp_fast_push(&low, 0, 64, nothing_of_ours) && low.direct_left == 1 &&
           low.none.top == view->none.top && low.none.top[-1] == NULL;
}

static void without_a_cache_nothing_is_kept_where_no_slab_is(void **state)
{
    (void)state;
    assert_null(emp_cache_of(emp_l1_current()));
    assert_true(keeps_nothing_without_a_slab(emp_l1_current()));
}

static void in_a_cache_nothing_is_kept_where_no_slab_is(void **state)
{
    (void)state;
    assert_non_null(emp_cache_of(emp_l1_current()));
    for (unsigned round = 0; round < 3; round++) {
        assert_true(keeps_nothing_without_a_slab(emp_l1_current()));
        emp_cache_poke_all();
        assert_true(keeps_nothing_without_a_slab(emp_l1_current()));
        emp_cache_tick();
        emp_cache_flush("test");
    }
}

static void a_cache_comes_with_the_first_refill(void **state)
{
    const uint32_t class_id = emp_size_class_of(64);

    (void)state;
    assert_int_equal(emp_cache_threads(), 0);
    assert_int_equal(emp_cache_count(class_id), 0);
    assert_int_equal(bin_room(class_id), 0);
    emp_cache_flush("test"); /* nothing to do without a cache */
    emp_cache_tick();
    void *block = alloc(class_id);

    assert_non_null(block);
    assert_int_equal(emp_cache_threads(), 1);
    assert_true(bin_room(class_id) > 0);
    release(class_id, block);
    assert_true(emp_cache_count(class_id) > 0);
    assert_ptr_equal(alloc(class_id), block);
    release(class_id, block);
}

static void a_bin_never_holds_more_than_its_room(void **state)
{
    const uint32_t class_id = emp_size_class_of(80);
    const unsigned full = emp_classes[class_id].room;

    (void)state;
    /* A processor that is taken away looks like a slow class, whose room begins anew. */
    for (unsigned round = 0;
         round < GROW_ROUNDS || (bin_room(class_id) < full && round < ROUNDS_MAX); round++) {
        alloc_many(class_id, 1000);
        for (unsigned i = 0; i < 1000; i++) {
            release(class_id, blocks[i]);
            assert_in_range(emp_cache_count(class_id), 0, bin_room(class_id));
        }
    }
    assert_int_equal(bin_room(class_id), full);
}

static void park_empties_every_bin_and_keeps_its_room(void **state)
{
    const uint32_t small = emp_size_class_of(48);
    const uint32_t large = emp_size_class_of(2000);

    (void)state;
    release(large, alloc(large));
    release(small, alloc(small));
    assert_true(emp_cache_count(small) > 0);
    emp_cache_flush("park");
    assert_int_equal(emp_cache_count(small), 0);
    assert_int_equal(emp_cache_count(large), 0);
    assert_true(bin_room(small) > 0);
    assert_int_equal(missing(small), 0);
}

static void wait_for_a_tick(void)
{
    const struct timespec pause = {0, TICK_NS};

    nanosleep(&pause, NULL);
    emp_cache_tick();
}

static void a_bin_that_nobody_uses_goes_cold_and_its_blocks_go_back(void **state)
{
    const uint32_t class_id = emp_size_class_of(128);

    (void)state;
    alloc_many(class_id, 100);
    release_many(class_id, 100);
    assert_true(emp_cache_count(class_id) > 0);
    for (unsigned i = 0; i < 4; i++) {
        wait_for_a_tick();
    }
    assert_int_equal(bin_room(class_id), 0);
    assert_int_equal(emp_cache_count(class_id), 0);
    assert_int_equal(missing(class_id), 0);
    /* At once: far more than 1000 a second, unless the processor is taken away: then again. */
    for (unsigned i = 0; i < 40 || (i < 40000 && bin_room(class_id) == 0); i++) {
        release(class_id, alloc(class_id));
    }
    assert_true(bin_room(class_id) > 0);
}

/* What a thread has granted is what its bins have, before a tick and after it. */
static void the_room_of_a_thread_is_that_of_its_bins(void **state)
{
    const struct emp_cache *cache = emp_cache_of(emp_l1_current());

    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        uint32_t sum = 0;
        uint32_t large = 0;

        for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
            release(c, alloc(c));
        }
        if (round % 2 == 1) {
            emp_cache_tick();
        }
        for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
            sum += bin_room(c) * emp_classes[c].geometry.size;
            large += c > emp_size_class_of(EMP_SMALL_MAX)
                         ? bin_room(c) * emp_classes[c].geometry.size
                         : 0;
        }
        assert_int_equal(cache->room_bytes, sum);
        assert_int_equal(cache->large_room_bytes, large);
    }
    assert_true(bin_room(1) > 0);
}

/*
 * The bins of large blocks grow, to 1 MiB beyond their first rooms at most in a process of one
 * thread, and those of small blocks grow all the same.
 */
static void large_blocks_have_a_budget_of_their_own(void **state)
{
    const struct emp_cache *cache = emp_cache_of(emp_l1_current());
    const uint32_t small = emp_size_class_of(64);
    uint32_t first_rooms = 0;

    (void)state;
    emp_local_options.rate_limits = false; /* on a slow machine bins would become cold meanwhile */
    for (unsigned round = 0; round < GROW_ROUNDS; round++) {
        for (uint32_t c = emp_size_class_of(EMP_SMALL_MAX) + 1; c <= EMP_SIZE_CLASSES; c++) {
            alloc_many(c, 60);
            release_many(c, 60);
            first_rooms += round == 0 ? 2 * emp_classes[c].geometry.size : 0;
        }
    }
    assert_true(cache->large_room_bytes > first_rooms);
    assert_true(cache->large_room_bytes <= (1u << 20) + first_rooms);
    assert_int_equal(bin_room(emp_size_class_of(2048)), emp_classes[emp_size_class_of(2048)].room);
    for (unsigned round = 0; round < GROW_ROUNDS; round++) {
        alloc_many(small, 1000);
        release_many(small, 1000);
    }
    assert_int_equal(bin_room(small), emp_classes[small].room);
    emp_local_options.rate_limits = true;
    emp_cache_flush("test");
}

static void a_poke_costs_a_busy_bin_nothing_but_one_visit(void **state)
{
    const uint32_t class_id = emp_size_class_of(144);

    (void)state;
    alloc_many(class_id, 50);
    unsigned room = bin_room(class_id);

    for (unsigned i = 0; i < 20; i++) {
        emp_cache_poke_all();
        release(class_id, alloc(class_id));
        release(class_id, alloc(class_id));
        assert_int_equal(bin_room(class_id), room);
    }
    release_many(class_id, 50);
}

/* What an ending thread leaves behind, by kind of life. */
enum life { LIFE_NOTHING, LIFE_FULL_BINS, LIFE_COLD_BINS, LIFE_FREES_ONLY, LIFE_COUNT };

static void *live_and_end(void *arg)
{
    enum life life = (enum life)(uintptr_t)arg;

    for (uint32_t c = 1; life == LIFE_FULL_BINS && c <= EMP_SIZE_CLASSES; c++) {
        void *first = alloc(c);
        void *second = alloc(c);

        release(c, first);
        release(c, second);
    }
    if (life == LIFE_COLD_BINS) {
        release(5, alloc(5));
        for (unsigned i = 0; i < 4; i++) {
            wait_for_a_tick();
        }
        release(5, alloc(5));
    }
    for (unsigned i = 0; life == LIFE_FREES_ONLY && i < 200; i++) {
        release(emp_size_class_of(24), blocks[i]);
    }
    return NULL;
}

static void a_thread_may_end_in_any_state_and_nothing_is_lost(void **state)
{
    unsigned threads = emp_cache_threads();

    (void)state;
    for (uintptr_t life = 0; life < LIFE_COUNT; life++) {
        pthread_t thread;

        if (life == LIFE_FREES_ONLY) {
            alloc_many(emp_size_class_of(24), 200);
        }
        assert_int_equal(pthread_create(&thread, NULL, live_and_end, (void *)life), 0);
        pthread_join(thread, NULL);
        assert_int_equal(emp_cache_threads(), threads);
        assert_int_equal(all_blocks_are_back(state), 0);
    }
}

static pthread_key_t late_key;
static unsigned late_rounds;
static bool late_keeps; /* a view, of the ending thread or of none, kept what is no block */

/* A destructor of the program that uses the allocator in every round, also after our last one. */
static void late_destructor(void *arg)
{
    const uint32_t class_id = emp_size_class_of(96);
    void *block = alloc(class_id);

    assert_non_null(block);
    release(class_id, block);
    release(class_id, arg);
    late_keeps = late_keeps || !keeps_nothing_without_a_slab(emp_l1_current());
    if (++late_rounds < LATE_ROUNDS) {
        pthread_setspecific(late_key, alloc(class_id));
    }
}

static void *end_late(void *arg)
{
    (void)arg;
    pthread_setspecific(late_key, alloc(emp_size_class_of(96)));
    return NULL;
}

static void destructors_may_allocate_and_free_after_the_cache_is_gone(void **state)
{
    unsigned threads = emp_cache_threads();
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    assert_int_equal(pthread_create(&thread, NULL, end_late, NULL), 0);
    pthread_join(thread, NULL);
    assert_true(late_rounds > 1);
    assert_false(late_keeps);
    assert_int_equal(emp_cache_threads(), threads);
    emp_cache_flush("test");
    /*
     * The C library gives up after four rounds: what was allocated in the last one is out of reach.
     */
    assert_in_range(missing(emp_size_class_of(96)), 0, 1);
}

static void blocks_of_line_sharing_classes_go_home(void **state)
{
    const uint32_t class_id = emp_size_class_of(16);
    cpu_set_t allowed;
    size_t cpus[2] = {0, 0};
    unsigned found = 0;

    (void)state;
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && (found == 0 || (cpu & 1) != (cpus[0] & 1))) {
            cpus[found++] = cpu;
        }
    }
    if (found < 2) {
        skip();
    }
    for (unsigned side = 0; side < 2; side++) {
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET(cpus[side], &one);
        assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
        if (side == 0) {
            emp_cache_flush("test");
            alloc_many(class_id, 600);
        }
    }
    emp_cache_flush("test");
    /* A refill of another class: this thread's home is the other side from now on. */
    release(emp_size_class_of(208), alloc(emp_size_class_of(208)));
    unsigned count = emp_cache_count(class_id);
    unsigned stayed = 0;

    for (unsigned i = 0; i < 600; i++) {
        release(class_id, blocks[i]);
        stayed += emp_cache_count(class_id) > count;
    }
    assert_int_equal(stayed, 0);
    assert_int_equal(missing(class_id), count); /* at home at once, they wait nowhere */
    sched_setaffinity(0, sizeof(allowed), &allowed);
}

static void bins_of_a_pool_open_with_it_and_close_with_it(void **state)
{
    uint64_t dropped = 99;

    (void)state;
    if (EMP_SECURE) {
        skip(); /* bins of pools never have room there */
    }
    emp_size_class_define(POOL_CLASS, emp_arena.base, 200);
    emp_classes[POOL_CLASS].room = POOL_ROOM;
    emp_cache_pools_lock();
    assert_false(emp_cache_pools_try_lock());
    emp_cache_reset_class(POOL_CLASS, POOL_ROOM, NULL);
    emp_cache_pools_unlock();
    alloc_many(POOL_CLASS, 10);
    release_many(POOL_CLASS, 10);
    unsigned cached = emp_cache_count(POOL_CLASS);

    assert_in_range(cached, 1, POOL_ROOM);
    assert_int_equal(missing(POOL_CLASS), cached);
    emp_cache_pools_lock();
    emp_cache_reset_class(POOL_CLASS, POOL_ROOM, &dropped);
    emp_cache_pools_unlock();
    assert_int_equal(dropped, cached);
    assert_int_equal(emp_cache_count(POOL_CLASS), 0);
    emp_size_class_forget(POOL_CLASS);
}

static unsigned hook_calls;

static void count_call(void)
{
    hook_calls++;
}

static void the_free_hook_is_called_now_and_then_on_the_free_side(void **state)
{
    const uint32_t class_id = emp_size_class_of(192);
    unsigned rounds = 0;

    (void)state;
    emp_cache_set_free_hook(count_call);
    for (; hook_calls == 0 && rounds < 200; rounds++) {
        alloc_many(class_id, MANY);
        assert_int_equal(hook_calls, 0);
        release_many(class_id, MANY);
    }
    assert_in_range(hook_calls, 1, MANY / 4);
    hook_calls = 0;
    emp_cache_call_free_hook();
    assert_int_equal(hook_calls, 1);
    emp_cache_set_free_hook(NULL);
    emp_cache_call_free_hook();
    assert_int_equal(hook_calls, 1);
}

static void without_room_every_operation_is_exact(void **state)
{
    const uint32_t class_id = emp_size_class_of(224);

    (void)state;
    emp_local_options.checked = true;
    alloc_many(class_id, 20);
    assert_int_equal(emp_cache_count(class_id), 0);
    assert_int_equal(missing(class_id), 20);
    release(class_id, blocks[0]);
    assert_int_equal(missing(class_id), 19);
    for (unsigned i = 1; i < 20; i++) {
        release(class_id, blocks[i]);
    }
    emp_local_options.checked = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_cache_nothing_is_kept_where_no_slab_is),
        cmocka_unit_test_teardown(a_cache_comes_with_the_first_refill, all_blocks_are_back),
        cmocka_unit_test_teardown(in_a_cache_nothing_is_kept_where_no_slab_is, all_blocks_are_back),
        cmocka_unit_test_teardown(a_bin_never_holds_more_than_its_room, all_blocks_are_back),
        cmocka_unit_test_teardown(park_empties_every_bin_and_keeps_its_room, all_blocks_are_back),
        cmocka_unit_test_teardown(a_bin_that_nobody_uses_goes_cold_and_its_blocks_go_back,
                                  all_blocks_are_back),
        cmocka_unit_test_teardown(the_room_of_a_thread_is_that_of_its_bins, all_blocks_are_back),
        cmocka_unit_test_teardown(large_blocks_have_a_budget_of_their_own, all_blocks_are_back),
        cmocka_unit_test_teardown(a_poke_costs_a_busy_bin_nothing_but_one_visit,
                                  all_blocks_are_back),
        cmocka_unit_test_teardown(a_thread_may_end_in_any_state_and_nothing_is_lost,
                                  all_blocks_are_back),
        cmocka_unit_test_teardown(blocks_of_line_sharing_classes_go_home, all_blocks_are_back),
        cmocka_unit_test(bins_of_a_pool_open_with_it_and_close_with_it),
        cmocka_unit_test_teardown(the_free_hook_is_called_now_and_then_on_the_free_side,
                                  all_blocks_are_back),
        cmocka_unit_test_teardown(without_room_every_operation_is_exact, all_blocks_are_back),
        cmocka_unit_test(destructors_may_allocate_and_free_after_the_cache_is_gone),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
