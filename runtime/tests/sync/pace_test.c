/*
 * What: when a side of a ring pauses before it looks: sync/pace.h.
 * How:  the looks of one side are played with what they find; whether the next one pauses is read.
 * Shows: [sync.proto.spsc]
 */
#include "sync/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CELLS 1024u
#define FEW   (CELLS / 4)

static struct emp_pace pace_of(uint32_t cells)
{
    struct emp_pace pace;

    emp_pace_init(&pace, cells);
    return pace;
}

/* How many of so many looks that find the same pause. */
static unsigned pauses_of(struct emp_pace *pace, unsigned looks, uint32_t found)
{
    unsigned pauses = 0;

    for (unsigned i = 0; i < looks; i++) {
        emp_pace_wait(pace);
        pauses += pace->is_early;
        emp_pace_learn(pace, found);
    }
    return pauses;
}

static void a_look_that_found_a_handful_is_followed_by_a_pause(void **state)
{
    struct emp_pace pace = pace_of(CELLS);

    (void)state;
    assert_false(pace.is_early);
    emp_pace_learn(&pace, 2);
    assert_true(pace.is_early);
}

static void looks_that_find_none_or_one_or_many_never_pause(void **state)
{
    static const uint32_t found[] = {0, 1, FEW, FEW + 1, CELLS, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        struct emp_pace pace = pace_of(CELLS);

        assert_int_equal(pauses_of(&pace, 5000, found[i]), 0);
    }
}

static void a_ring_of_few_cells_never_pauses(void **state)
{
    (void)state;
    for (uint32_t cells = 1; cells <= 16; cells *= 2) {
        struct emp_pace pace = pace_of(cells);

        assert_int_equal(pauses_of(&pace, 5000, cells), 0);
        assert_int_equal(pauses_of(&pace, 5000, cells / 2), 0);
    }
}

static void a_pause_that_doubles_what_is_found_is_repeated(void **state)
{
    struct emp_pace pace = pace_of(CELLS);

    (void)state;
    emp_pace_learn(&pace, 10);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(pace.is_early);
        emp_pace_learn(&pace, 20);
    }
}

static void pauses_for_nothing_become_rare(void **state)
{
    struct emp_pace pace = pace_of(CELLS);

    (void)state;
    /* Bursts of 16 in one thread: a pause never finds more. 1 + 2 + ... + 1024, then 1 in 1024. */
    const unsigned first = pauses_of(&pace, 2100, 16);
    const unsigned later = pauses_of(&pace, 102500, 16);

    assert_in_range(first, 8, 12);
    assert_in_range(later, 90, 110);
}

static void a_pause_that_pays_forgets_the_doubt(void **state)
{
    struct emp_pace pace = pace_of(CELLS);

    (void)state;
    (void)pauses_of(&pace, 5000, 16);
    while (!pace.is_early) {
        emp_pace_learn(&pace, 16);
    }
    assert_int_equal(pace.doubt, EMP_PACE_DOUBT_MAX);
    emp_pace_learn(&pace, 32);
    assert_int_equal(pace.doubt, 0);
    assert_true(pace.is_early);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_that_found_a_handful_is_followed_by_a_pause),
        cmocka_unit_test(looks_that_find_none_or_one_or_many_never_pause),
        cmocka_unit_test(a_ring_of_few_cells_never_pauses),
        cmocka_unit_test(a_pause_that_doubles_what_is_found_is_repeated),
        cmocka_unit_test(pauses_for_nothing_become_rare),
        cmocka_unit_test(a_pause_that_pays_forgets_the_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
