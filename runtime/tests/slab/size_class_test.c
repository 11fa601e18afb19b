/*
 * What:  every size gets the smallest class that fits; the twelve sizes of the model are exact
 *       classes; no request of 16 bytes or more is less than 16-aligned; the mean waste stays
 *       small; rounding to lines gives lines; a pool class has the geometry that it was defined
 *       with.
 * How:   every size from 0 to 32 KiB against a linear search.
 * Shows: [slab.req.classes]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "slab/size_class.h"

#define BINS_OFFSET 64u
#define BIN_BYTES   16u

static uint32_t class_size(uint32_t class_id)
{
    return emp_classes[class_id].geometry.size;
}

/* Class by the table that the hit path reads. */
static uint32_t class_by_table(size_t size)
{
    return (emp_small_bin_offset[(size + 7) / 8] - BINS_OFFSET) / BIN_BYTES;
}

static void every_size_gets_the_smallest_class_that_fits(void **state)
{
    (void)state;
    for (size_t size = 0; size <= EMP_SLAB_MAX; size++) {
        uint32_t class_id = emp_size_class_of(size);

        assert_in_range(class_id, 1, EMP_SIZE_CLASSES);
        assert_true(class_size(class_id) >= size);
        assert_true(class_id == 1 || class_size(class_id - 1) < size);
        if (size <= EMP_SMALL_MAX) {
            assert_int_equal(class_by_table(size), class_id);
        }
        if (size >= 16) {
            assert_int_equal(class_size(class_id) % 16, 0);
        }
    }
}

static void the_sizes_of_the_model_are_exact(void **state)
{
    static const uint32_t sizes[] = {8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024};

    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(class_size(emp_size_class_of(sizes[i])), sizes[i]);
    }
}

static void the_mean_waste_is_below_five_percent(void **state)
{
    uint64_t wasted = 0;
    uint64_t given = 0;

    (void)state;
    for (size_t size = 1; size <= EMP_SMALL_MAX; size++) {
        given += class_size(emp_size_class_of(size));
        wasted += class_size(emp_size_class_of(size)) - size;
    }
    assert_true(wasted * 20 < given);
}

static void a_slab_holds_what_its_geometry_says(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        const struct emp_class *info = &emp_classes[c];
        uint64_t bytes = info->units * EMP_UNIT_BYTES;

        assert_int_equal(info->units, info->geometry.size > EMP_NARROW_MAX ? EMP_WIDE_UNITS : 1);
        assert_int_equal(info->geometry.slots, bytes / info->geometry.size);
        assert_true(info->geometry.slots >= 8);
        assert_true(info->words * EMP_WORD_BITS >= info->geometry.slots);
        assert_int_equal(info->shares_lines, info->geometry.size < EMP_LINE_BYTES);
        assert_true(info->room >= 2);
    }
}

static void rounding_to_lines_gives_lines_and_can_be_undone(void **state)
{
    (void)state;
    emp_size_class_round_to_line(true);
    for (size_t size = 0; size <= EMP_SMALL_MAX; size++) {
        assert_int_equal(class_size(class_by_table(size)) % EMP_LINE_BYTES, 0);
    }
    emp_size_class_round_to_line(false);
    every_size_gets_the_smallest_class_that_fits(state);
}

static void a_pool_class_is_defined_and_forgotten(void **state)
{
    (void)state;
    emp_size_class_define(EMP_POOL_CLASS_FIRST, emp_classes[1].geometry.arena_base, 40);
    assert_int_equal(class_size(EMP_POOL_CLASS_FIRST), 40);
    assert_int_equal(emp_classes[EMP_POOL_CLASS_FIRST].geometry.slots, EMP_UNIT_BYTES / 40);
    emp_size_class_forget(EMP_POOL_CLASS_FIRST);
    assert_int_equal(class_size(EMP_POOL_CLASS_FIRST), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_gets_the_smallest_class_that_fits),
        cmocka_unit_test(the_sizes_of_the_model_are_exact),
        cmocka_unit_test(the_mean_waste_is_below_five_percent),
        cmocka_unit_test(a_slab_holds_what_its_geometry_says),
        cmocka_unit_test(rounding_to_lines_gives_lines_and_can_be_undone),
        cmocka_unit_test(a_pool_class_is_defined_and_forgotten),
    };

    emp_size_class_init((uintptr_t)1 << 40, BINS_OFFSET, BIN_BYTES);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
