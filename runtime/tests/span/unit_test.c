/*
 * What: units are taken from the lowest chunk that has some, also from one that was free as a whole
 *       in between; a chunk more is cut only when none has.
 * How:  two chunks' worth of units taken by hand, given back, and taken again.
 * Shows: [span.proto.unit]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/config.h"
#include "span/arena.h"
#include "span/unit.h"

#define TWO (2u * EMP_CHUNK_UNITS)

static size_t take(void)
{
    bool limited = false;
    size_t unit = emp_unit_take(1, &limited);

    assert_int_not_equal(unit, SIZE_MAX);
    return unit;
}

static void a_chunk_that_was_free_as_a_whole_serves_to_its_end(void **state)
{
    size_t units[TWO];
    size_t chunk = 0;

    (void)state;
    for (unsigned i = 0; i < TWO; i++) {
        units[i] = take();
        assert_int_equal(units[i], units[0] + i);
    }
    chunk = units[0] / EMP_CHUNK_UNITS;
    for (unsigned i = 0; i < EMP_CHUNK_UNITS; i++) {
        emp_unit_give(units[i], 1);
    }
    assert_int_equal(emp_arena.chunks[chunk].kind, EMP_CHUNK_FREE);
    for (unsigned i = 0; i < EMP_CHUNK_UNITS; i++) {
        units[i] = take();
        assert_int_equal(units[i] / EMP_CHUNK_UNITS, chunk);
    }
    assert_int_not_equal(units[0], units[1]);
    size_t more = take();

    assert_int_equal(more / EMP_CHUNK_UNITS, chunk + 2);
    emp_unit_give(more, 1);
    for (unsigned i = 0; i < TWO; i++) {
        emp_unit_give(units[i], 1);
    }
}

static void a_unit_that_comes_back_is_the_next_one_taken(void **state)
{
    size_t units[TWO];

    (void)state;
    for (unsigned i = 0; i < TWO; i++) {
        units[i] = take();
    }
    for (unsigned i = 1; i < TWO; i += 7) {
        emp_unit_give(units[i], 1);
        assert_int_equal(take(), units[i]);
    }
    for (unsigned i = 0; i < TWO; i++) {
        emp_unit_give(units[i], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_that_was_free_as_a_whole_serves_to_its_end),
        cmocka_unit_test(a_unit_that_comes_back_is_the_next_one_taken),
    };

    return !emp_arena_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
