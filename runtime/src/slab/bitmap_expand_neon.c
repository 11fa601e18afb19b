/*
 * Purpose: the bitmap operations with NEON: two addresses or words per instruction.
 * Owner:   slab; no state.
 * Threads: pure functions over memory the caller owns.
 * Design:  [slab.req.bitmap-variants] [slab.inv.bitmap-room]
 * Source:  Arm C Language Extensions, Advanced SIMD; NEON is part of every aarch64.
 * Cost:    a full word is 32 stores of two addresses. Scattered bits are left to
 *          plain C: without a table look-up per lane there is nothing to gain.
 */
#include "slab/bitmap_expand.h"

#include <arm_neon.h>

#include "base/compiler.h"
#include "sync/atomic.h"

#define ALL_SLOTS (~(uint64_t)0)

/* Bits side by side, rounded up to a pair. */
static void bitmap_run_neon(uintptr_t base, size_t size, unsigned count, void **out)
{
    uint64_t *to = (uint64_t *)(void *)out;
    uint64x2_t lanes = vcombine_u64(vcreate_u64(base), vcreate_u64(base + size));
    uint64x2_t step = vdupq_n_u64(2 * size);

    for (unsigned i = 0; i < count; i += 2) {
        vst1q_u64(to + i, lanes);
        lanes = vaddq_u64(lanes, step);
    }
}

static unsigned bitmap_expand_neon(uint64_t word, uintptr_t base, size_t size, void **out)
{
    if (word != ALL_SLOTS) {
        return emp_bitmap_expand_c(word, base, size, out);
    }
    bitmap_run_neon(base, size, EMP_BITMAP_EXPAND_ROOM, out);
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

/* A bit per byte of 16 that is 1: each lane keeps the bit of its place, then lanes are added up. */
static uint64_t gather_quarter(const uint8_t *states)
{
    static const uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t bits = vandq_u8(vceqq_u8(vld1q_u8(states), vdupq_n_u8(1)), vld1q_u8(places));

    return vaddv_u8(vget_low_u8(bits)) | (uint64_t)vaddv_u8(vget_high_u8(bits)) << 8;
}

static uint64_t bitmap_gather_neon(const uint8_t *states)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 64; i += 16) {
        word |= gather_quarter(states + i) << i;
    }
    /* order(slot-state): acquire; pairs with emp_slot_release of each state read above */
    emp_fence_acquire();
    return word;
}

static unsigned bitmap_next_neon(const uint8_t *states, unsigned count, unsigned from,
                                 uint64_t *word)
{
    for (unsigned i = from; i < count; i++) {
        *word = bitmap_gather_neon(states + (size_t)i * 64);
        if (*word != 0) {
            return i;
        }
    }
    return count;
}

const struct emp_bitmap_ops emp_bitmap_vector_ops = {
    .name = "neon",
    .expand = bitmap_expand_neon,
    .run = bitmap_run_neon,
    .turn = emp_bitmap_turn_c,
    .find_nonzero = bitmap_find_nonzero_neon,
    .lowest = emp_bitmap_lowest_c,
    .gather = bitmap_gather_neon,
    .next = bitmap_next_neon,
};

bool emp_bitmap_vector_usable(void)
{
    return !EMP_TSAN;
}
