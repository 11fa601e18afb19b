/*
 * Purpose: the bitmap operations in plain C: the reference, and what runs where no vector unit is.
 * Owner:   slab; no state.
 * Threads: pure functions over memory the caller owns.
 * Design:  [slab.req.bitmap-variants] [slab.inv.reciprocal]
 * Source:  Granlund and Montgomery, PLDI 1994 (division by a constant).
 * Cost:    expand: about two instructions and one store per set bit, beside the multiplication.
 */
#include "slab/bitmap_expand.h"

#include "base/align.h"
#include "base/bits.h"
#include "base/check.h"
#include "base/compiler.h"
#include "base/config.h"
#include "sync/atomic.h"
#include "sync/slot_state.h"

#define ALL_SLOTS (~(uint64_t)0)

struct emp_bitmap_geometry emp_bitmap_geometry_make(uintptr_t arena_base, uint32_t slab_bytes,
                                                    uint32_t size)
{
    struct emp_bitmap_geometry geometry = {
        .arena_base = arena_base,
        .slab_mask = slab_bytes - 1,
        .size = size,
        .reciprocal = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size),
        .slots = slab_bytes / size,
    };

    emp_assert(emp_align_is_pow2(slab_bytes));
    emp_assert(slab_bytes <= EMP_BITMAP_SLAB_BYTES_MAX);
    emp_assert(size >= 8 && size % 8 == 0);
    emp_assert(size <= EMP_BITMAP_BLOCK_BYTES_MAX);
    return geometry;
}

void emp_bitmap_run_c(uintptr_t base, size_t size, unsigned count, void **out)
{
    for (unsigned i = 0; i < count; i++, base += size) {
        out[i] = (void *)base;
    }
}

void emp_bitmap_turn_c(void *const *from, unsigned count, void **out)
{
    for (; count >= 4; count -= 4, out += 4) {
        out[0] = from[count - 1];
        out[1] = from[count - 2];
        out[2] = from[count - 3];
        out[3] = from[count - 4];
    }
    for (; count > 0; count--) {
        *out++ = from[count - 1];
    }
}

unsigned emp_bitmap_expand_c(uint64_t word, uintptr_t base, size_t size, void **out)
{
    unsigned count = 0;

    if (word == ALL_SLOTS) {
        emp_bitmap_run_c(base, size, EMP_BITMAP_EXPAND_ROOM, out);
        return EMP_BITMAP_EXPAND_ROOM;
    }
    while (word != 0) {
        out[count++] = (void *)(base + emp_bits_lowest(word) * size);
        word &= word - 1;
    }
    emp_assert(count < EMP_BITMAP_EXPAND_ROOM);
    return count;
}

uint64_t emp_bitmap_lowest_c(uint64_t word, unsigned count)
{
    uint64_t rest = word;

    if (~word == 0) {
        return emp_bits_mask(count);
    }
    for (; count > 0 && rest != 0; count--) {
        rest &= rest - 1;
    }
    return word ^ rest;
}

unsigned emp_bitmap_find_nonzero_c(const uint64_t *words, unsigned count, unsigned from)
{
    unsigned i = from;

    while (i < count && words[i] == 0) {
        i++;
    }
    return i < count ? i : count;
}

/* Bit i of the result: byte i of eight states is 1. */
static uint64_t gather_eight(const uint8_t *states)
{
    /* order(slot-state): acquire; pairs with emp_slot_release of each of the eight */
    uint64_t eight = emp_load_acquire((const uint64_t *)(const void *)states);
    uint64_t low_bits = 0x7f7f7f7f7f7f7f7fu;
    uint64_t other = eight ^ 0x0101010101010101u; /* a byte is zero where the state is 1 */
    uint64_t zeros = ~(((other & low_bits) + low_bits) | other | low_bits);

    return ((zeros >> 7) * 0x0102040810204080u) >> 56;
}

uint64_t emp_bitmap_gather_c(const uint8_t *states)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < EMP_WORD_BITS && !EMP_TSAN; i += 8) {
        word |= gather_eight(states + i) << i;
    }
    /* The tool ties an acquire to the address of the release, not to its bytes. */
    for (unsigned i = 0; i < EMP_WORD_BITS && EMP_TSAN; i++) {
        word |= (uint64_t)emp_slot_is_free(&states[i]) << i;
    }
    return word;
}

unsigned emp_bitmap_next_c(const uint8_t *states, unsigned count, unsigned from, uint64_t *word)
{
    for (unsigned i = from; i < count; i++) {
        *word = emp_bitmap_gather_c(states + (size_t)i * EMP_WORD_BITS);
        if (*word != 0) {
            return i;
        }
    }
    return count;
}
