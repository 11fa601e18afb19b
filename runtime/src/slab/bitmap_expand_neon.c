/*
 * Purpose: the bitmap operations with NEON: two addresses or words per instruction.
 * Owner:   slab; no state.
 * Threads: pure functions over memory the caller owns.
 * Design:  [slab.req.bitmap-variants] [slab.inv.bitmap-room]
 * Source:  Arm C Language Extensions, Advanced SIMD; NEON is part of every aarch64.
 * Cost:    a full word is 32 stores of two addresses. Scattered bits and slot numbers are left to
 *          plain C: without a table look-up per lane there is nothing to gain.
 */
#include "slab/bitmap_expand.h"

#include <arm_neon.h>

#define ALL_SLOTS (~(uint64_t)0)

static unsigned bitmap_expand_neon(uint64_t word, uintptr_t base, size_t size, void **out)
{
    uint64_t *to = (uint64_t *)(void *)out;
    uint64x2_t lanes = vcombine_u64(vcreate_u64(base), vcreate_u64(base + size));
    uint64x2_t step = vdupq_n_u64(2 * size);

    if (word != ALL_SLOTS) {
        return emp_bitmap_expand_c(word, base, size, out);
    }
    for (unsigned i = 0; i < EMP_BITMAP_EXPAND_ROOM; i += 2) {
        vst1q_u64(to + i, lanes);
        lanes = vaddq_u64(lanes, step);
    }
    return EMP_BITMAP_EXPAND_ROOM;
}

static unsigned bitmap_find_nonzero_neon(const uint64_t *words, unsigned count, unsigned from)
{
    unsigned i = from;

    for (; i + 4 <= count; i += 4) {
        uint64x2_t any = vorrq_u64(vld1q_u64(words + i), vld1q_u64(words + i + 2));

        if ((vgetq_lane_u64(any, 0) | vgetq_lane_u64(any, 1)) != 0) {
            break;
        }
    }
    return emp_bitmap_find_nonzero_c(words, count, i);
}

static bool bitmap_run_neon(void *const *ptrs, unsigned count, uintptr_t stride, bool *descending)
{
    const uint64_t *from = (const uint64_t *)(const void *)ptrs;
    uintptr_t step = (uintptr_t)ptrs[1] - (uintptr_t)ptrs[0];
    uint64x2_t steps = vdupq_n_u64(step);
    unsigned i = 1;

    *descending = step != stride;
    if (step != stride && step != (uintptr_t)0 - stride) {
        return false;
    }
    for (; i + 3 <= count; i += 2) {
        uint64x2_t gap = vsubq_u64(vld1q_u64(from + i + 1), vld1q_u64(from + i));
        uint64x2_t wrong = veorq_u64(gap, steps);

        if ((vgetq_lane_u64(wrong, 0) | vgetq_lane_u64(wrong, 1)) != 0) {
            return false;
        }
    }
    return i + 1 >= count || (uintptr_t)ptrs[i + 1] - (uintptr_t)ptrs[i] == step;
}

const struct emp_bitmap_ops emp_bitmap_vector_ops = {
    .name = "neon",
    .expand = bitmap_expand_neon,
    .find_nonzero = bitmap_find_nonzero_neon,
    .run = bitmap_run_neon,
    .indices = emp_bitmap_indices_c,
};

bool emp_bitmap_vector_usable(void)
{
    return true;
}
