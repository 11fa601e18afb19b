/*
 * What: a chunk full of slabs is advised to use huge pages; the advice is taken back when a unit of
 *       it is free, when the whole chunk is free, and before pages inside it are given back.
 * How:  one chunk's worth of units taken by hand; what the round would do is called step by step.
 * Shows: [span.proto.unit]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "span/arena.h"
#include "span/unit.h"

#define UNITS 64u /* two chunks: at least one of them is filled whole */
#define TICKS 3u

/* A chunk that the units fill. */
static struct emp_chunk *fill_chunk(size_t *units)
{
    struct emp_chunk *chunk = NULL;
    bool limited = false;

    for (unsigned i = 0; i < UNITS; i++) {
        units[i] = emp_unit_take(1, &limited);
        assert_int_not_equal(units[i], SIZE_MAX);
        struct emp_chunk *at = emp_arena_chunk_of((uintptr_t)emp_unit_base(units[i]));

        chunk = at->free_units == 0 ? at : chunk;
    }
    assert_non_null(chunk);
    return chunk;
}

static void advise(const struct emp_chunk *chunk)
{
    for (unsigned i = 0; i < TICKS; i++) {
        (void)emp_unit_advise_dense(TICKS);
    }
    assert_int_equal(chunk->advised_huge, 1);
}

static void advice_ends_when_the_chunk_is_not_full(void **state)
{
    size_t units[UNITS];
    struct emp_chunk *chunk = fill_chunk(units);

    (void)state;
    advise(chunk);
    assert_int_equal(emp_unit_withdraw_sparse(), 0);
    for (unsigned i = 0; i < UNITS; i++) {
        bool is_inside = emp_arena_chunk_of((uintptr_t)emp_unit_base(units[i])) == chunk;

        emp_unit_give(units[i], 1);
        if (is_inside && chunk->advised_huge) {
            assert_true(emp_unit_withdraw_sparse() >= 1);
        }
        assert_true(!is_inside || chunk->advised_huge == 0);
    }
}

static void a_free_chunk_is_not_advised(void **state)
{
    size_t units[UNITS];
    struct emp_chunk *chunk = fill_chunk(units);

    (void)state;
    advise(chunk);
    for (unsigned i = 0; i < UNITS; i++) {
        emp_unit_give(units[i], 1);
    }
    assert_true(emp_unit_withdraw_sparse() >= 1);
    assert_int_equal(chunk->advised_huge, 0);
    assert_int_equal(emp_unit_withdraw_sparse(), 0);
}

static void giving_pages_back_ends_the_advice(void **state)
{
    size_t units[UNITS];
    struct emp_chunk *chunk = fill_chunk(units);
    const char *inside = emp_arena_chunk_base((size_t)(chunk - emp_arena.chunks)) + 12345;

    (void)state;
    advise(chunk);
    assert_true(emp_unit_withdraw_advice(inside));
    assert_int_equal(chunk->advised_huge, 0);
    assert_int_equal(chunk->full_ticks, 0);
    assert_false(emp_unit_withdraw_advice(inside));
    for (unsigned i = 0; i < UNITS; i++) {
        emp_unit_give(units[i], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advice_ends_when_the_chunk_is_not_full),
        cmocka_unit_test(a_free_chunk_is_not_advised),
        cmocka_unit_test(giving_pages_back_ends_the_advice),
    };

    return !emp_arena_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
