/*
 * What:  every size gets the smallest class that fits; the twelve sizes of the model are exact
 *       classes; no request of 16 bytes or more is less than 16-aligned; the mean waste stays
 *       small; rounding to lines gives lines; a pool class has the geometry that it was defined
 *       with; a tag tells its class; the reciprocal alone tells the first byte of a slot.
 * How:   every size from 0 to 32 KiB against a linear search; every offset of a unit for every
 *       block size 8..32768 step 8.
 * Shows: [slab.req.classes] [slab.inv.fraction] [slab.inv.tag] [slab.inv.aligned]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "slab/size_class.h"

static uint32_t class_size(uint32_t class_id)
{
    return emp_classes[class_id].geometry.size;
}

/* Class by the tables that the hit path reads. */
static uint32_t class_by_table(size_t size)
{
    return emp_tag_class(size <= EMP_SMALL_MAX
                             ? emp_small_bin_offset[(size + 7) / 8]
                             : emp_medium_bin_offset[(size - 1) >> EMP_MEDIUM_STEP_SHIFT]);
}

static void every_size_gets_the_smallest_class_that_fits(void **state)
{
    (void)state;
    for (size_t size = 0; size <= EMP_SLAB_MAX; size++) {
        uint32_t class_id = emp_size_class_of(size);

        assert_in_range(class_id, 1, EMP_SIZE_CLASSES);
        assert_true(class_size(class_id) >= size);
        assert_true(class_id == 1 || class_size(class_id - 1) < size);
        assert_int_equal(class_by_table(size), class_id);
        if (size >= 16) {
            assert_int_equal(class_size(class_id) % 16, 0);
        }
    }
}

/* Why a request with an alignment needs no search: see emp_fast_alloc_aligned. */
static void a_size_rounded_to_an_alignment_gets_a_class_of_that_alignment(void **state)
{
    (void)state;
    for (uint32_t align = 8; align <= 4096; align *= 2) {
        for (uint32_t size = align; size <= EMP_SLAB_MAX; size += align) {
            assert_int_equal(class_size(emp_size_class_of(size)) % align, 0);
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
        uint64_t states = (uint64_t)info->words * EMP_WORD_BITS;
        bool has_rest = info->geometry.slots * (uint64_t)info->geometry.size != bytes;

        /* bytes behind the last slot have a state, and no line of states is for nothing */
        assert_true(states >= info->geometry.slots + has_rest);
        assert_true(states - EMP_WORD_BITS < info->geometry.slots + has_rest);
        assert_int_equal(info->shares_lines, info->geometry.size < EMP_LINE_BYTES);
        assert_true(info->room >= 2);
    }
}

/* A tag is the offset of the bin below and the shards it is away from above; 0 is no slab. */
static void a_tag_tells_the_class_whatever_it_is_away_from(void **state)
{
    (void)state;
    assert_int_equal(emp_tag_class(0), 0);
    for (uint32_t c = 1; c < EMP_BINS; c++) {
        assert_int_equal(emp_bin_offset(c), EMP_BINS_OFFSET + c * EMP_BIN_BYTES);
        assert_true(emp_bin_offset(c) <= 0xffff);
        for (uint32_t away = 0; away <= 0xffff; away = away * 2 + 1) {
            assert_int_equal(emp_tag_class(emp_bin_offset(c) | away << 16), c);
        }
    }
}

/*
 * What a free without class knows is a slab's reciprocal: the lower half of the product is below it
 * for the first byte of every slot and for no other byte, and the upper half is the slot.
 */
static void the_reciprocal_alone_tells_first_bytes_from_others(void **state)
{
    uint64_t wrong = 0;

    (void)state;
    for (uint32_t size = 8; size <= EMP_SLAB_MAX; size += 8) {
        uint32_t reciprocal =
            emp_bitmap_geometry_make(0, (uint32_t)EMP_UNIT_BYTES, size).reciprocal;
        uint32_t slot = 0;
        uint32_t within = 0;

        for (uint32_t offset = 0; offset < EMP_UNIT_BYTES; offset++) {
            uint64_t product = (uint64_t)offset * reciprocal;
            bool is_first = (uint32_t)product < reciprocal;

            wrong += is_first != (within == 0) || (is_first && product >> 32 != slot);
            within++;
            slot += within == size;
            within = within == size ? 0 : within;
        }
    }
    assert_int_equal(wrong, 0);
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
        cmocka_unit_test(a_size_rounded_to_an_alignment_gets_a_class_of_that_alignment),
        cmocka_unit_test(every_size_gets_the_smallest_class_that_fits),
        cmocka_unit_test(the_sizes_of_the_model_are_exact),
        cmocka_unit_test(the_mean_waste_is_below_five_percent),
        cmocka_unit_test(a_slab_holds_what_its_geometry_says),
        cmocka_unit_test(a_tag_tells_the_class_whatever_it_is_away_from),
        cmocka_unit_test(the_reciprocal_alone_tells_first_bytes_from_others),
        cmocka_unit_test(rounding_to_lines_gives_lines_and_can_be_undone),
        cmocka_unit_test(a_pool_class_is_defined_and_forgotten),
    };

    emp_size_class_init((uintptr_t)1 << 40);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
