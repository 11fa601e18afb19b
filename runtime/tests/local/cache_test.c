/*
 * What:  a bin always ends in NULL, in the static caches, closed and open; a block is in one
 *       place; a class used often has room and one used rarely has none; a thread that ends
 *       leaves nothing; many threads have less room each; frees without allocations go home; a bin
 *       has slots for its room and moves with its blocks when that grows.
 * How:   the hit paths with the slow paths behind them, as core joins them, against a list of
 *       live blocks, from a printed seed; bins are walked down to their NULL.
 * Shows: [local.inv.sentinel] [local.proto.cache] [local.proto.poke] [local.req.hit-path]
 *       [local.req.rate] [local.req.bounded] [local.req.overflow]
 * ctest-not-under: emulator
 *       (more threads than its address space of 4 GiB has stacks for)
 * ctest-timeout: 300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/compiler.h"
#include "base/config.h"
#include "global/shard.h"
#include "local/fast_path.h"
#include "local/thread_cache.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "support/bin_room.h"
#include "support/random_stream.h"
#include "sync/atomic.h"
#include "thread/lifecycle.h"

#define LIVE         3000u
#define CROWD_ROUNDS (EMP_TSAN ? 2u : 50u) /* the tool looks at every state of a refill alone */

static void *block_alloc(size_t size)
{
    struct emp_central_note note = {0};
    void *block = emp_fast_pop(&emp_l1_current()->bins[emp_size_class_of(size)]);

    return block != NULL ? block : emp_cache_refill(emp_size_class_of(size), &note);
}

static uint32_t class_of(const void *block)
{
    uintptr_t unit = ((uintptr_t)block - emp_arena.base) >> EMP_UNIT_SHIFT;

    /* order(slab-tag): relaxed; the block is ours, only the owner in its tag may change */
    return emp_tag_class(emp_load_relaxed(&emp_arena.tags[unit]));
}

static void block_free(void *block)
{
    if (!emp_fast_free(block)) {
        emp_cache_free_slow(class_of(block), block, "test");
    }
}

/* Blocks of a bin, counted down to its NULL. */
static unsigned bin_walk(uint32_t class_id)
{
    const struct emp_l1_bin *bin = &emp_l1_current()->bins[class_id];
    unsigned count = 0;

    while (bin->top[-1 - (int)count] != NULL) {
        count++;
        assert_true(count <= 512);
    }
    return count;
}

static void bins_check(void)
{
    for (uint32_t c = 0; c <= EMP_SIZE_CLASSES; c++) {
        assert_int_equal(bin_walk(c), c == 0 ? 0 : emp_cache_count(c));
    }
}

static uint64_t blocks_in_use(void)
{
    uint64_t sum = 0;

    for (uint32_t s = 0; s < emp_shard_count; s++) {
        for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
            const struct emp_shard_class *state = &emp_shards[s]->classes[c];

            emp_shard_recount_all(emp_shards[s], c);
            emp_mutex_lock(&emp_shards[s]->lock);
            sum += (uint64_t)(state->slots - state->free_blocks);
            emp_mutex_unlock(&emp_shards[s]->lock);
        }
    }
    return sum;
}

static void a_thread_without_cache_pops_null_and_has_no_room(void **state)
{
    const struct emp_l1 *view = emp_l1_current();

    (void)state;
    for (unsigned b = 0; b < EMP_BINS; b++) {
        assert_null(view->bins[b].top[-1]);
        assert_true(view->bins[b].top >= view->bins[b].limit);
    }
    assert_int_equal(view->arena_bytes, 0);
}

static void every_bin_ends_in_null_and_every_block_is_in_one_place(void **state)
{
    static char *live[LIVE];
    static size_t sizes[LIVE];
    struct random_stream random = {random_seed("local/cache")};

    (void)state;
    for (unsigned step = 0; step < 200000; step++) {
        unsigned i = random_below(&random, LIVE);

        if (live[i] == NULL) {
            sizes[i] = 8 + random_below(&random, random_chance(&random, 1, 9) ? 20000 : 500);
            live[i] = block_alloc(sizes[i]);
            assert_non_null(live[i]);
            memcpy(live[i], &live[i], sizeof(void *));
            if (sizes[i] > 8) {
                live[i][sizes[i] - 1] = (char)i;
            }
        } else {
            assert_true(sizes[i] == 8 || live[i][sizes[i] - 1] == (char)i);
            assert_true(sizes[i] < 16 || memcmp(live[i], &live[i], sizeof(void *)) == 0);
            block_free(live[i]);
            live[i] = NULL;
        }
        if (step % 5000 == 0) {
            bins_check();
            emp_cache_poke_all();
            emp_cache_tick();
        }
    }
    for (unsigned i = 0; i < LIVE; i++) {
        if (live[i] != NULL) {
            block_free(live[i]);
        }
    }
    emp_cache_flush("test");
    bins_check();
    assert_int_equal(blocks_in_use(), 0);
}

static void pause_us(long us)
{
    const struct timespec time = {0, us * 1000};

    (void)nanosleep(&time, NULL);
}

/* Pairs without a pause, ticks between them as an event loop gives them. */
static void use_often(size_t size)
{
    for (unsigned p = 0; p < 12000; p++) {
        block_free(block_alloc(size));
        if (p % 4000 == 2000) {
            emp_cache_tick();
        }
    }
}

/* About 25 pairs a second, ticks in the pauses. */
static void use_rarely(size_t size)
{
    for (unsigned p = 0; p < 12; p++) {
        block_free(block_alloc(size));
        pause_us(20000);
        emp_cache_tick();
        pause_us(20000);
    }
}

static void a_hot_class_has_room_and_a_cold_one_has_none(void **state)
{
    uint32_t class_id = emp_size_class_of(64);
    unsigned tries = 0;

    (void)state;
    do { /* a processor taken away for milliseconds looks like a slow class: look again */
        use_often(64);
    } while (bin_room(class_id) == 0 && ++tries < 1000);
    assert_true(bin_room(class_id) > 0);
    use_rarely(64);
    assert_int_equal(bin_room(class_id), 0);
    assert_int_equal(emp_cache_count(class_id), 0);
    assert_int_equal(bin_walk(class_id), 0);
}

static void frees_without_allocations_go_home(void **state)
{
    static void *blocks[5000];
    uint32_t class_id = emp_size_class_of(96);

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        blocks[i] = block_alloc(96);
    }
    emp_cache_flush("test");
    for (unsigned i = 0; i < 5000; i++) {
        block_free(blocks[i]);
        assert_true(emp_cache_count(class_id) <= emp_classes[class_id].room);
    }
    assert_true(blocks_in_use() <= emp_cache_count(class_id));
    emp_cache_flush("test");
    assert_int_equal(blocks_in_use(), 0);
}

/* Forty blocks of every class to 1 KiB, so many times. */
static void use_every_class(unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (uint32_t c = 1; c <= 33; c++) {
            void *blocks[40];

            for (unsigned i = 0; i < 40; i++) {
                blocks[i] = block_alloc(emp_classes[c].geometry.size);
            }
            for (unsigned i = 0; i < 40; i++) {
                block_free(blocks[i]);
            }
        }
    }
}

/* Bytes that a thread keeps after it has used every class below 1 KiB a lot. */
static void *thread_body(void *arg)
{
    pthread_barrier_t *barrier = arg;
    size_t kept = 0;

    block_free(block_alloc(64));
    (void)pthread_barrier_wait(barrier); /* everybody has a cache now */
    use_every_class(CROWD_ROUNDS);
    for (uint32_t c = 1; c <= 33; c++) {
        kept += (size_t)emp_cache_count(c) * emp_classes[c].geometry.size;
    }
    (void)pthread_barrier_wait(barrier);
    return (void *)kept;
}

static size_t kept_by_threads(unsigned count)
{
    pthread_t threads[300];
    pthread_barrier_t barrier;
    size_t most = 0;

    (void)pthread_barrier_init(&barrier, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, thread_body, &barrier), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        void *kept = NULL;

        assert_int_equal(pthread_join(threads[i], &kept), 0);
        most = (size_t)kept > most ? (size_t)kept : most;
    }
    (void)pthread_barrier_destroy(&barrier);
    return most;
}

static void many_threads_keep_less_each_and_leave_nothing(void **state)
{
    const unsigned before = emp_cache_threads();

    (void)state;
    emp_cache_flush("test");
    size_t alone = kept_by_threads(1);
    size_t crowd = kept_by_threads(300);

    assert_true(alone <= 512u << 10);
    assert_true(crowd <= 64u << 10);
    assert_true(crowd <= alone);
    assert_int_equal(emp_cache_threads(), before);
    assert_int_equal(blocks_in_use(), 0);
}

/* A thread that has a cache and waits. */
static void *crowd_body(void *arg)
{
    pthread_barrier_t *barrier = arg;

    block_free(block_alloc(64));
    (void)pthread_barrier_wait(barrier); /* everybody has a cache now */
    (void)pthread_barrier_wait(barrier);
    return NULL;
}

/* Rooms granted to a thread alone; then a crowd comes, and its ticks take back what is too much. */
static void rooms_from_before_a_crowd_shrink_at_the_ticks(void **state)
{
    enum { CROWD = 60, TICKS = 10, ALL_ROOM = 512 << 10, BOUND = 2 };
    struct emp_cache *cache = emp_cache_of(emp_l1_current());
    pthread_t threads[CROWD];
    pthread_barrier_t barrier;

    (void)state;
    use_every_class(200);
    (void)pthread_barrier_init(&barrier, NULL, CROWD + 1);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_body, &barrier), 0);
    }
    (void)pthread_barrier_wait(&barrier);
    const uint32_t most = (uint32_t)BOUND * (ALL_ROOM / (emp_cache_threads() + 1));

    assert_true(cache->room_bytes > most);
    for (unsigned i = 0; i < TICKS; i++) {
        emp_cache_tick();
    }
    assert_in_range(cache->room_bytes, 1, most);
    for (uint32_t c = 1; c <= 33; c++) {
        assert_true(emp_cache_count(c) <= emp_cache_state(cache, c)->room);
    }
    (void)pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    (void)pthread_barrier_destroy(&barrier);
    emp_cache_flush("test");
    assert_int_equal(blocks_in_use(), 0);
}

/* The slow side of a bin of the calling thread. */
static const struct emp_bin_state *bin_state(uint32_t class_id)
{
    return emp_cache_state(emp_cache_of(emp_l1_current()), class_id);
}

/* In a new thread: a bin grows from its first room to its full one. */
static void *grow_body(void *arg)
{
    const uint32_t class_id = emp_size_class_of(512);
    bool *good = arg;

    block_free(block_alloc(512));
    *good = bin_state(class_id)->slots < bin_state(class_id)->room_full / 4u;
    for (unsigned round = 0; round < 20; round++) {
        void *blocks[300];

        for (unsigned i = 0; i < 300; i++) {
            blocks[i] = block_alloc(512);
        }
        for (unsigned i = 0; i < 300; i++) {
            block_free(blocks[i]);
            *good = *good && emp_cache_count(class_id) <= bin_state(class_id)->slots;
        }
        *good = *good && bin_room(class_id) <= bin_state(class_id)->slots &&
                bin_walk(class_id) == emp_cache_count(class_id);
    }
    *good = *good && bin_state(class_id)->slots >= bin_state(class_id)->room_full;
    return NULL;
}

static void the_slots_of_a_bin_follow_its_room(void **state)
{
    pthread_t thread;
    bool good = false;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, grow_body, &good), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(good);
    assert_int_equal(blocks_in_use(), 0);
}

/* A bin that holds blocks moves with them, oldest first as before. */
static void a_bin_that_moves_takes_its_blocks_along(void **state)
{
    uint32_t class_id = emp_size_class_of(640);
    void *blocks[2] = {block_alloc(640), block_alloc(640)};
    struct emp_cache *cache = emp_cache_of(emp_l1_current());
    unsigned slots = 0;

    (void)state;
    emp_cache_flush("test");
    emp_cache_enter(cache);
    emp_cache_set_room(cache, class_id, 2); /* whatever its rate was */
    emp_cache_leave(cache);
    block_free(blocks[0]);
    block_free(blocks[1]);
    assert_int_equal(emp_cache_count(class_id), 2);
    slots = bin_state(class_id)->slots;
    emp_cache_enter(cache);
    emp_cache_set_room(cache, class_id, slots + 1);
    emp_cache_leave(cache);
    assert_true(bin_state(class_id)->slots > slots);
    assert_int_equal(bin_room(class_id), slots + 1);
    assert_int_equal(bin_walk(class_id), 2);
    assert_ptr_equal(block_alloc(640), blocks[1]);
    assert_ptr_equal(block_alloc(640), blocks[0]);
    block_free(blocks[0]);
    block_free(blocks[1]);
    emp_cache_flush("test");
}

static void nothing(void)
{
}

int main(void)
{
    static const struct emp_fork_hooks hooks = {nothing, nothing, nothing};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_without_cache_pops_null_and_has_no_room),
        cmocka_unit_test(every_bin_ends_in_null_and_every_block_is_in_one_place),
        cmocka_unit_test(a_hot_class_has_room_and_a_cold_one_has_none),
        cmocka_unit_test(frees_without_allocations_go_home),
        cmocka_unit_test(many_threads_keep_less_each_and_leave_nothing),
        cmocka_unit_test(rooms_from_before_a_crowd_shrink_at_the_ticks),
        cmocka_unit_test(the_slots_of_a_bin_follow_its_room),
        cmocka_unit_test(a_bin_that_moves_takes_its_blocks_along),
    };

    if (!emp_arena_init()) {
        return 1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
    if (!emp_shard_init(2) || !emp_lifecycle_init(emp_cache_on_exit, &hooks)) {
        return 1;
    }
    emp_local_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
