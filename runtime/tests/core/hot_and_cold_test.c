/*
 * What: hot, warm and cold by measured rate: a class used 10,000 times a second holds its full room
 *       in the thread's cache; the same class used 100 times a second for two seconds holds none,
 *       and the pages of its slabs are gone, but for the slab that it is served from.
 * How:  real time, operations spread over it, emp_tick as an event loop calls it, no option set;
 *       room and count are read from the cache, pages from the kernel.
 * ctest-serial
 * Design: [local.req.rate] [local.proto.poke]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/runtime.h"
#include "local/thread_cache.h"
#include "slab/size_class.h"
#include "support/bin_room.h"

#define MS           ((uint64_t)1000000)
#define BLOCK_BYTES  ((size_t)96)
#define MANY         20000u
#define TICK_MS      100u
#define HOT_MS       1000u
#define COLD_MS      2000u
#define PAGES_ROUNDS 40u  /* of TICK_MS at least: the pages must be gone by then at the latest */
#define HOT_US       100u /* one pair in 100 microseconds: 10,000 a second */
#define COLD_EACH_MS 10u  /* one pair in 10 milliseconds: 100 a second */
#define ATTEMPTS     30u  /* a busy machine may stop us for milliseconds: not 10,000 a second */
#define PAGE_BYTES   ((uintptr_t)4096)
#define SLAB_PAGES   16u

static void *blocks[MANY];

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_ms(void)
{
    return now_us() / 1000;
}

static void sleep_ms(unsigned ms)
{
    const struct timespec pause = {0, (long)(ms * MS)};

    nanosleep(&pause, NULL);
}

static void make(size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        blocks[i] = emp_malloc(BLOCK_BYTES);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
}

static void end(size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        emp_free(blocks[i]);
        blocks[i] = NULL;
    }
}

/* Many refills and flushes: the room grows to what it may be. */
static void warm_up(void)
{
    for (unsigned round = 0; round < 50; round++) {
        make(0, 1000);
        end(0, 1000);
    }
}

/*
 * A pair every 10 milliseconds at most for a time at least, with a tick now and then. By count: a
 * process that is stopped for a while has its pairs and ticks all the same.
 */
static void run_cold(unsigned for_ms)
{
    for (unsigned ms = COLD_EACH_MS; ms <= for_ms; ms += COLD_EACH_MS) {
        emp_free(emp_malloc(BLOCK_BYTES));
        if (ms % TICK_MS == 0) {
            (void)emp_tick();
        }
        sleep_ms(COLD_EACH_MS);
    }
}

/* A pair every 100 microseconds for a time, with a tick now and then; nobody sleeps. */
static void run_hot(unsigned for_ms)
{
    uint64_t until = now_ms() + for_ms;
    uint64_t tick = now_ms();
    uint64_t next = now_us();

    while (now_ms() < until) {
        if (now_us() < next) {
            emp_cpu_relax();
            continue;
        }
        next = now_us() + HOT_US;
        emp_free(emp_malloc(BLOCK_BYTES));
        if (now_ms() - tick >= TICK_MS) {
            tick = now_ms();
            (void)emp_tick();
        }
    }
}

static unsigned resident_pages(const uintptr_t *pages, size_t count)
{
    unsigned resident = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned char in_core = 0;

        assert_int_equal(mincore((void *)pages[i], PAGE_BYTES, &in_core), 0);
        resident += in_core & 1;
    }
    return resident;
}

static void a_class_used_ten_thousand_times_a_second_holds_its_full_room(void **state)
{
    uint32_t class_id = emp_request_class(BLOCK_BYTES, 1);
    struct emp_size_class_info info;

    (void)state;
    assert_int_equal(emp_size_class_describe(class_id, &info), EMP_OK);
    for (unsigned i = 0; i < ATTEMPTS && bin_room(class_id) < info.l1_blocks; i++) {
        warm_up();
        run_hot(HOT_MS);
    }
    make(0, 2 * info.l1_blocks);
    assert_int_equal(bin_room(class_id), info.l1_blocks);
    size_t freed = 0;

    while (freed < 2 * info.l1_blocks && emp_cache_count(class_id) < info.l1_blocks) {
        end(freed++, 1);
    }
    assert_int_equal(emp_cache_count(class_id), info.l1_blocks);
    end(freed, 2 * info.l1_blocks - freed);
}

static void a_class_used_a_hundred_times_a_second_holds_nothing_and_its_pages_are_gone(void **state)
{
    uint32_t class_id = emp_request_class(BLOCK_BYTES, 1);
    static uintptr_t pages[MANY];
    size_t count = 0;

    (void)state;
    make(0, MANY);
    for (size_t i = 0; i < MANY; i++) {
        uintptr_t page = (uintptr_t)blocks[i] & ~(PAGE_BYTES - 1);

        size_t known = 0; /* what was in the bin comes first and lies anywhere */

        while (known < count && pages[known] != page) {
            known++;
        }
        pages[known] = page;
        count += known == count;
    }
    assert_int_equal(resident_pages(pages, count), count);
    end(0, MANY);
    assert_true(emp_cache_count(class_id) > 0);

    uint64_t began = now_ms();
    cpu_set_t allowed;
    cpu_set_t here;

    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    CPU_ZERO(&here); /* each processor would serve the pairs from a slab of its own */
    CPU_SET((size_t)sched_getcpu(), &here);
    assert_int_equal(sched_setaffinity(0, sizeof(here), &here), 0);
    run_cold(COLD_MS);
    assert_int_equal(bin_room(class_id), 0);
    assert_int_equal(emp_cache_count(class_id), 0);
    for (unsigned i = 0; i < PAGES_ROUNDS && resident_pages(pages, count) > SLAB_PAGES; i++) {
        run_cold(TICK_MS);
    }
    unsigned resident = resident_pages(pages, count);

    assert_int_equal(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
    printf("%u of %zu pages resident %llu ms after the class went cold\n", resident, count,
           (unsigned long long)(now_ms() - began));
    assert_true(resident <= SLAB_PAGES); /* those of the slab that the pairs come from */
    assert_int_equal(emp_cache_count(class_id), 0);
}

static void a_cold_class_that_is_busy_again_gets_its_room_back(void **state)
{
    uint32_t class_id = emp_request_class(BLOCK_BYTES, 1);

    (void)state;
    assert_int_equal(bin_room(class_id), 0);
    warm_up();
    assert_true(bin_room(class_id) > 0);
    assert_true(emp_cache_count(class_id) > 0);
    assert_int_equal(emp_audit(), 0);
}

/* Without rate limits the same idleness takes nothing away. */
static void the_option_rate_limits_keeps_rooms_as_they_are(void **state)
{
    uint32_t class_id = emp_request_class(BLOCK_BYTES, 1);

    (void)state;
    assert_int_equal(emp_option_set("rate_limits", "0"), EMP_OK);
    warm_up();
    unsigned room = bin_room(class_id);

    assert_true(room > 0);
    run_cold(COLD_MS / 4);
    assert_int_equal(bin_room(class_id), room);
    assert_int_equal(emp_option_set("rate_limits", "1"), EMP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_used_ten_thousand_times_a_second_holds_its_full_room),
        cmocka_unit_test(
            a_class_used_a_hundred_times_a_second_holds_nothing_and_its_pages_are_gone),
        cmocka_unit_test(a_cold_class_that_is_busy_again_gets_its_room_back),
        cmocka_unit_test(the_option_rate_limits_keeps_rooms_as_they_are),
    };

    cpu_set_t here;

    CPU_ZERO(&here); /* one shard: the pairs of a cold class use one slab */
    CPU_SET((size_t)sched_getcpu(), &here);
    (void)sched_setaffinity(0, sizeof(here), &here);
    emp_free(emp_malloc(1));
    if (emp_local_options.checked) {
        puts("no cache has room in this build: nothing to measure");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
