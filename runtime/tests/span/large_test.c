/*
 * What: the table of mapped blocks finds every block and nothing else while blocks come, go and
 *       move; a full table refuses new blocks, still resizes old ones and serves again after a
 *       give; a lookup costs the same after thousands of blocks; large requests fall back to
 *       chunks.
 * How:  random takes, gives and resizes of one-page mappings against a list, from a printed seed;
 *       every entry of the table in use; lookups timed before and after; threads that resize.
 * Shows: [span.proto.large] [span.inv.large-once]
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "span/arena.h"
#include "span/large.h"
#include "support/random_stream.h"

#define ENTRIES 4096u
#define PAGE    ((size_t)4096)
#define THREADS 4u

static void *take_page(size_t bytes)
{
    bool limited = true;
    char *block = emp_large_take_pages(bytes, 1, EMP_OS_PAGES_NORMAL, &limited);

    assert_false(limited);
    if (block != NULL) {
        memcpy(block, &block, sizeof(block));
    }
    return block;
}

static void a_block_is_found_as_long_as_it_lives(void **state)
{
    static char *live[1500];
    static size_t bytes[1500];
    struct random_stream random = {random_seed("span/large")};

    (void)state;
    for (unsigned step = 0; step < 60000; step++) {
        size_t i = random_below(&random, 1500);
        size_t want = (1 + random_below(&random, 3)) * PAGE;

        if (live[i] == NULL) {
            live[i] = take_page(want);
            bytes[i] = want;
            assert_non_null(live[i]);
        } else if (random_chance(&random, 1, 3)) {
            char *before = live[i];

            live[i] = emp_large_resize(before, want);
            bytes[i] = want;
            assert_non_null(live[i]);
            assert_memory_equal(live[i], &before, sizeof(before));
            memcpy(live[i], &live[i], sizeof(live[i]));
        } else {
            char *gone = live[i];

            assert_int_equal(emp_large_give(gone), bytes[i]);
            assert_int_equal(emp_large_bytes(gone), 0);
            assert_int_equal(emp_large_give(gone), 0);
            assert_null(emp_large_resize(gone, want));
            live[i] = NULL;
        }
    }
    for (size_t i = 0; i < 1500; i++) {
        if (live[i] != NULL) {
            assert_int_equal(emp_large_bytes(live[i]), bytes[i]);
            assert_int_equal(emp_large_bytes(live[i] + 1), 0);
            assert_int_equal(emp_large_give(live[i]), bytes[i]);
        }
    }
}

static void *resize_to_and_fro(void *arg)
{
    char **blocks = arg;

    for (unsigned step = 0; step < 4000; step++) {
        size_t i = step % (ENTRIES / THREADS);
        char *moved = emp_large_resize(blocks[i], (1 + step % 3) * PAGE);

        if (moved == NULL || memcmp(moved, &blocks[i], sizeof(moved)) != 0) {
            return arg;
        }
        blocks[i] = moved;
        memcpy(moved, &blocks[i], sizeof(moved));
    }
    return NULL;
}

static void a_full_table_refuses_and_still_resizes(void **state)
{
    static char *blocks[ENTRIES];
    pthread_t threads[THREADS];
    unsigned count = 0;

    (void)state;
    while (count < ENTRIES && (blocks[count] = take_page(PAGE)) != NULL) {
        count++;
    }
    assert_int_equal(count, ENTRIES);
    assert_null(take_page(PAGE));
    for (unsigned t = 0; t < THREADS; t++) {
        assert_int_equal(
            pthread_create(&threads[t], NULL, resize_to_and_fro, &blocks[t * (ENTRIES / THREADS)]),
            0);
    }
    for (unsigned i = 0; i < 20000; i++) { /* a block that moves keeps its place in the table */
        assert_null(take_page(PAGE));
    }
    for (unsigned t = 0; t < THREADS; t++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[t], &failed), 0);
        assert_null(failed);
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        assert_int_not_equal(emp_large_give(blocks[i]), 0);
        blocks[i] = take_page(PAGE);
        assert_non_null(blocks[i]);
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        assert_int_equal(emp_large_give(blocks[i]), PAGE);
    }
}

static void blocks_beyond_the_table_come_from_chunks(void **state)
{
    static char *blocks[ENTRIES];
    size_t size = EMP_CHUNKED_MAX + 1;

    (void)state;
    for (unsigned i = 0; i < ENTRIES; i++) {
        blocks[i] = take_page(PAGE);
        assert_non_null(blocks[i]);
    }
    bool zero = false;
    bool limited = true;
    char *block = emp_large_take(size, 1, &zero, &limited);

    assert_non_null(block);
    assert_true(emp_arena_contains(block));
    assert_true(emp_large_bytes(block) >= size);
    assert_true(!zero || block[size - 1] == 0);
    block[0] = 7;
    block[size - 1] = 8;
    for (unsigned i = 0; i < ENTRIES; i++) {
        assert_int_equal(emp_large_give(blocks[i]), PAGE);
    }
    assert_null(emp_large_resize(block, size * 2));
    assert_int_not_equal(emp_large_give(block), 0);
    assert_int_equal(emp_large_give(block), 0);
}

/* Least time of a thousand lookups of a pointer that is nobody's. */
static double lookup_ns(void)
{
    double least = 1e18;

    for (unsigned round = 0; round < 50; round++) {
        struct timespec from;
        struct timespec to;

        clock_gettime(CLOCK_MONOTONIC, &from);
        for (uintptr_t i = 1; i <= 1000; i++) {
            assert_int_equal(emp_large_bytes((const void *)(i * PAGE)), 0);
        }
        clock_gettime(CLOCK_MONOTONIC, &to);
        double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);

        least = ns < least ? ns : least;
    }
    return least;
}

static void blocks_that_are_gone_cost_nothing(void **state)
{
    double before = 0;

    (void)state;
    assert_int_equal(emp_large_give(take_page(PAGE)), PAGE);
    before = lookup_ns();
    /* Another size in each round, or the system would give the same addresses again. */
    for (size_t round = 1; round <= 24; round++) {
        static void *blocks[ENTRIES / 2];

        for (unsigned i = 0; i < ENTRIES / 2; i++) {
            blocks[i] = take_page(round * PAGE);
            assert_non_null(blocks[i]);
        }
        for (unsigned i = 0; i < ENTRIES / 2; i++) {
            assert_int_equal(emp_large_give(blocks[i]), round * PAGE);
        }
    }
    assert_true(lookup_ns() < before * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_are_gone_cost_nothing),
        cmocka_unit_test(a_block_is_found_as_long_as_it_lives),
        cmocka_unit_test(a_full_table_refuses_and_still_resizes),
        cmocka_unit_test(blocks_beyond_the_table_come_from_chunks),
    };

    return !emp_arena_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
