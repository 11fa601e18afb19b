/*
 * What: the division by reciprocal multiplication is exact: which slot, and whether it is the
 *       start of one.
 * How:  every offset of a 256 KiB slab for every block size 8..32768 step 8. Apart from the other
 *       bitmap tests because it takes seconds.
 * Shows: [slab.inv.reciprocal]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "slab/bitmap_expand.h"

/* The arithmetic of the variants once more: 64-bit product, upper half, checked by product. */
static void reciprocal_division_is_exact_for_every_offset_and_size(void **state)
{
    uint64_t wrong_verdicts = 0;
    uint64_t wrong_slots = 0;

    (void)state;
    for (uint32_t size = 8; size <= EMP_BITMAP_BLOCK_BYTES_MAX; size += 8) {
        struct emp_bitmap_geometry g = emp_bitmap_geometry_make(0, EMP_BITMAP_SLAB_BYTES_MAX, size);
        uint32_t slot = 0;
        uint32_t within = 0;

        for (uint32_t offset = 0; offset < EMP_BITMAP_SLAB_BYTES_MAX; offset++) {
            uint32_t index = (uint32_t)(((uint64_t)offset * g.reciprocal) >> 32);
            bool is_exact = index * size == offset;

            wrong_verdicts += is_exact != (within == 0);
            wrong_slots += is_exact && index != slot;
            within++;
            slot += within == size;
            within = within == size ? 0 : within;
        }
    }
    assert_int_equal(wrong_verdicts, 0);
    assert_int_equal(wrong_slots, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reciprocal_division_is_exact_for_every_offset_and_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
