/*
 * What:  l2_cache_size: a pool keeps that many free objects resident however long it is idle, one
 *        without keeps none; what it keeps is served before new slabs; the pages of all else are
 *        gone.
 * How:   rounds of maintenance (emp_tick with a short delay, emp_purge); the kernel tells which
 *        pages are resident.
 * Design: [global.proto.tick]
 * ctest-serial
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"

#define OBJECT_BYTES 512u
#define OBJECTS      8000u /* about 4 MiB ... */
#define OBJECTS_MAX  9000u /* ... and the rest of the slabs they lie in */
#define ROUNDS       12u
#define ROUND_NS     3000000
#define PAGE_BYTES   ((uintptr_t)4096)

static void *objects[OBJECTS_MAX];
static size_t object_count;

/* Uses every block of every slab that many objects need: each free block is resident then. */
static void use_and_free(struct emp_pool *pool)
{
    struct emp_pool_stats stats = {.capacity = OBJECTS};

    for (object_count = 0; object_count < stats.capacity; object_count++) {
        objects[object_count] = emp_pool_alloc(pool);
        assert_non_null(objects[object_count]);
        memset(objects[object_count], 0x5a, OBJECT_BYTES);
        if (object_count >= OBJECTS - 1) {
            assert_int_equal(emp_pool_get_stats(pool, &stats), EMP_OK);
            assert_true(stats.capacity < OBJECTS_MAX);
        }
    }
    for (size_t i = 0; i < object_count; i++) {
        emp_pool_free(pool, objects[i]);
    }
    emp_park();
}

/* Objects that were used, all of whose bytes are in memory still. */
static unsigned resident_objects(void)
{
    unsigned count = 0;

    for (size_t i = 0; i < object_count; i++) {
        uintptr_t first = (uintptr_t)objects[i] & ~(PAGE_BYTES - 1);
        uintptr_t last = ((uintptr_t)objects[i] + OBJECT_BYTES - 1) & ~(PAGE_BYTES - 1);
        unsigned char first_in = 0;
        unsigned char last_in = 0;

        if (mincore((void *)first, PAGE_BYTES, &first_in) == 0 &&
            mincore((void *)last, PAGE_BYTES, &last_in) == 0) {
            count += (first_in & last_in & 1) != 0;
        }
    }
    return count;
}

static void idle(bool by_ticks)
{
    const struct timespec pause = {0, ROUND_NS};

    for (unsigned round = 0; round < ROUNDS; round++) {
        if (by_ticks) {
            nanosleep(&pause, NULL);
            (void)emp_tick();
        } else {
            (void)emp_purge();
        }
    }
}

static struct emp_pool *make_pool(size_t keep)
{
    struct emp_pool_config config = emp_pool_config_default(OBJECT_BYTES);
    struct emp_pool *pool = NULL;

    config.l2_cache_size = keep;
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    return pool;
}

static void what_a_pool_is_to_keep_stays_resident(void **state)
{
    static const size_t keeps[] = {1, 100, 1000, 5000};

    (void)state;
    for (unsigned i = 0; i < sizeof(keeps) / sizeof(keeps[0]); i++) {
        for (unsigned by_ticks = 0; by_ticks < 2; by_ticks++) {
            struct emp_pool *pool = make_pool(keeps[i]);
            struct emp_pool_stats stats;

            use_and_free(pool);
            idle(by_ticks != 0);
            unsigned resident = resident_objects();

            if (resident < keeps[i]) {
                fail_msg("%u of %u objects are resident after %s", resident, (unsigned)keeps[i],
                         by_ticks != 0 ? "ticks" : "purges");
            }
            assert_int_equal(emp_pool_get_stats(pool, &stats), EMP_OK);
            assert_true(stats.total_free >= keeps[i]);
            uint64_t expansions = stats.expansions;

            for (unsigned o = 0; o < keeps[i]; o++) { /* they serve before anything new */
                objects[o] = emp_pool_alloc(pool);
                assert_non_null(objects[o]);
            }
            assert_int_equal(emp_pool_get_stats(pool, &stats), EMP_OK);
            assert_int_equal(stats.expansions, expansions);
            for (unsigned o = 0; o < keeps[i]; o++) {
                emp_pool_free(pool, objects[o]);
            }
            assert_int_equal(emp_audit(), 0);
            assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
        }
    }
}

static void a_pool_keeps_little_more_than_it_is_to(void **state)
{
    static const size_t keeps[] = {0, 100, 1000};

    (void)state;
    for (unsigned i = 0; i < sizeof(keeps) / sizeof(keeps[0]); i++) {
        for (unsigned by_ticks = 0; by_ticks < 2; by_ticks++) {
            struct emp_pool *pool = make_pool(keeps[i]);

            use_and_free(pool);
            idle(by_ticks != 0);
            unsigned resident = resident_objects();

            print_message("keep %u: %u resident\n", (unsigned)keeps[i], resident);
            /* a slab more, as slabs are kept or given back whole */
            assert_true(keeps[i] == 0 ? resident == 0 : resident <= keeps[i] + 128);
            assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_pool_is_to_keep_stays_resident),
        cmocka_unit_test(a_pool_keeps_little_more_than_it_is_to),
    };

    cpu_set_t here;

    if (EMP_ASAN || EMP_TSAN || emp_option_set("background", "0") != EMP_OK ||
        emp_option_set("purge_delay", "3ms") != EMP_OK) {
        puts("nothing to measure in this build");
        return 0;
    }
    CPU_ZERO(&here); /* slabs of one shard: none of them is used in part */
    CPU_SET((size_t)sched_getcpu(), &here);
    (void)sched_setaffinity(0, sizeof(here), &here);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
