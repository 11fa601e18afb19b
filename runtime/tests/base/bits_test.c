/*
 * Purpose: bit counting against loops over the bits.
 * Design:  [base.req.arithmetic]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"

static void lowest_and_highest_find_the_ends_of_every_run_of_bits(void **state)
{
    (void)state;
    for (unsigned low = 0; low < 64; low++) {
        for (unsigned high = low; high < 64; high++) {
            const uint64_t run = emp_bits_mask(high + 1) & ~emp_bits_mask(low);
            assert_int_equal(emp_bits_lowest(run), low);
            assert_int_equal(emp_bits_highest(run), high);
            assert_int_equal(emp_bits_count(run), high - low + 1);
        }
    }
}

static void mask_has_the_n_lowest_bits_and_is_full_at_64(void **state)
{
    (void)state;
    uint64_t expected = 0;
    for (unsigned n = 0; n <= 64; n++) {
        assert_int_equal(emp_bits_mask(n), expected);
        expected = expected << 1 | 1;
    }
    assert_int_equal(emp_bits_count(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowest_and_highest_find_the_ends_of_every_run_of_bits),
        cmocka_unit_test(mask_has_the_n_lowest_bits_and_is_full_at_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
