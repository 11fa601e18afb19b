/*
 * What:  a run in use begins where it says and is as long as it says; its pages are nobody
 *       else's; it grows and shrinks where it is; what is reported as zero is zero, also after
 *       purges.
 * How:   random takes, gives, resizes and purges against a naive map of pages, from a printed
 *       seed; after each give the run is asked for again.
 * Shows: [span.proto.run] [span.inv.run-length]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "span/arena.h"
#include "span/run.h"
#include "support/random_stream.h"

#define RUNS      300u
#define PAGES_MAX 256u
#define MAP_PAGES (1u << 18) /* 1 GiB of arena: more than the test reaches */

struct held {
    char *base;
    size_t pages;
};

static uint8_t owned[MAP_PAGES]; /* by page of the arena: in use */

static void map_change(const char *base, size_t pages, int by)
{
    size_t first = ((uintptr_t)base - emp_arena.base) / EMP_RUN_PAGE_BYTES;

    for (size_t i = first; i < first + pages; i++) {
        assert_true(i < MAP_PAGES);
        owned[i] = (uint8_t)(owned[i] + by);
        assert_true(owned[i] <= 1);
    }
}

/* Marks the first and the last word of every page. */
static void held_mark(const struct held *held)
{
    for (size_t p = 0; p < held->pages; p++) {
        char *page = held->base + p * EMP_RUN_PAGE_BYTES;

        memcpy(page, &held->base, sizeof(held->base));
        memcpy(page + EMP_RUN_PAGE_BYTES - sizeof(void *), &held->base, sizeof(void *));
    }
}

static void held_check(const struct held *held)
{
    assert_int_equal(emp_run_pages(held->base), held->pages);
    for (size_t p = 0; p < held->pages; p++) {
        const char *page = held->base + p * EMP_RUN_PAGE_BYTES;

        assert_memory_equal(page, &held->base, sizeof(held->base));
        assert_memory_equal(page + EMP_RUN_PAGE_BYTES - sizeof(void *), &held->base,
                            sizeof(void *));
        if (p != 0) {
            assert_int_equal(emp_run_pages(page), 0);
        }
    }
    assert_int_equal(emp_run_pages(held->base + 16), 0);
}

static void held_take(struct held *held, struct random_stream *random)
{
    size_t align = (size_t)1 << random_below(random, 6);
    bool zero = false;
    bool limited = true;

    held->pages = 1 + random_below(random, random_chance(random, 1, 4) ? PAGES_MAX : 24);
    held->base = emp_run_take(held->pages, align, &zero, &limited);
    assert_non_null(held->base);
    assert_false(limited);
    assert_int_equal((uintptr_t)held->base % (align * EMP_RUN_PAGE_BYTES), 0);
    map_change(held->base, held->pages, 1);
    for (size_t at = 0; zero && at < held->pages * EMP_RUN_PAGE_BYTES; at += 256) {
        assert_int_equal(held->base[at], 0);
    }
    held_mark(held);
}

static void held_give(struct held *held)
{
    held_check(held);
    map_change(held->base, held->pages, -1);
    assert_int_equal(emp_run_give(held->base), held->pages);
    assert_int_equal(emp_run_give(held->base), 0);
    held->pages = 0;
}

static void held_resize(struct held *held, struct random_stream *random)
{
    size_t pages = 1 + random_below(random, PAGES_MAX);

    held_check(held);
    if (!emp_run_resize(held->base, pages)) {
        assert_true(pages > held->pages);
        held_check(held);
        return;
    }
    map_change(held->base, held->pages, -1);
    map_change(held->base, pages, 1);
    held->pages = pages;
    held_mark(held);
}

static void a_run_is_as_long_as_it_says(void **state)
{
    static struct held runs[RUNS];
    struct random_stream random = {random_seed("span/run")};

    (void)state;
    for (unsigned step = 0; step < 30000; step++) {
        struct held *held = &runs[random_below(&random, RUNS)];

        if (held->pages == 0) {
            held_take(held, &random);
        } else if (random_chance(&random, 1, 4)) {
            held_resize(held, &random);
        } else {
            held_give(held);
        }
        if (random_chance(&random, 1, 500)) {
            (void)emp_run_purge(random_chance(&random, 1, 2));
        }
    }
    for (unsigned i = 0; i < RUNS; i++) {
        if (runs[i].pages != 0) {
            held_give(&runs[i]);
        }
    }
    (void)emp_run_purge(true);
    (void)emp_arena_purge(true);
    struct emp_span_counts counts;

    emp_arena_read_counts(&counts);
    assert_int_equal(counts.dirty_bytes, 0);
    assert_int_equal(counts.used_bytes, 0);
    assert_int_equal(counts.large_bytes, 0);
}

static void purged_pages_are_found_again(void **state)
{
    static char *runs[512];
    bool zero = false;
    bool limited = true;

    (void)state;
    for (unsigned i = 0; i < 512; i++) {
        runs[i] = emp_run_take(1, 1, &zero, &limited);
        assert_non_null(runs[i]);
        runs[i][0] = 1;
    }
    for (unsigned i = 0; i < 512; i += 2) {
        assert_int_equal(emp_run_give(runs[i]), 1);
    }
    assert_true(emp_run_purge(true) >= 200 * EMP_RUN_PAGE_BYTES);
    for (unsigned i = 0; i < 512; i += 2) {
        char *again = emp_run_take(1, 1, &zero, &limited);

        assert_true(zero);
        assert_true(again < runs[511]);
        runs[i] = again;
    }
    for (unsigned i = 0; i < 512; i++) {
        assert_int_equal(emp_run_give(runs[i]), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_as_long_as_it_says),
        cmocka_unit_test(purged_pages_are_found_again),
    };

    return !emp_arena_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
