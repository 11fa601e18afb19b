/*
 * Purpose: alignment arithmetic against the definition, at the edges and for all small numbers.
 * Design:  [base.req.arithmetic]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/align.h"

static void pow2_is_true_for_the_64_powers_and_for_nothing_between(void **state)
{
    (void)state;
    assert_false(emp_align_is_pow2(0));
    for (unsigned i = 0; i < 64; i++) {
        const size_t power = (size_t)1 << i;
        assert_true(emp_align_is_pow2(power));
        if (i >= 2) {
            assert_false(emp_align_is_pow2(power - 1));
            assert_false(emp_align_is_pow2(power + 1));
        }
    }
}

static void up_and_down_agree_with_division_for_all_small_numbers(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 256; align *= 2) {
        for (size_t x = 0; x < 1024; x++) {
            assert_int_equal(emp_align_down(x, align), x / align * align);
            assert_int_equal(emp_align_up(x, align), (x + align - 1) / align * align);
        }
    }
}

static void down_keeps_the_largest_number_and_up_wraps_only_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(emp_align_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
    assert_int_equal(emp_align_up(SIZE_MAX - 4095, 4096), SIZE_MAX - 4095);
    assert_int_equal(emp_align_up(SIZE_MAX - 4094, 4096), 0);
}

static void mul_refuses_products_that_do_not_fit(void **state)
{
    (void)state;
    size_t product = 0;
    assert_true(emp_align_mul(SIZE_MAX / 2, 2, &product));
    assert_int_equal(product, SIZE_MAX - 1);
    assert_false(emp_align_mul(SIZE_MAX / 2 + 1, 2, &product));
    assert_false(emp_align_mul((size_t)1 << 32, (size_t)1 << 32, &product));
    assert_true(emp_align_mul(0, SIZE_MAX, &product));
    assert_int_equal(product, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pow2_is_true_for_the_64_powers_and_for_nothing_between),
        cmocka_unit_test(up_and_down_agree_with_division_for_all_small_numbers),
        cmocka_unit_test(down_keeps_the_largest_number_and_up_wraps_only_at_the_end),
        cmocka_unit_test(mul_refuses_products_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
