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

unsigned emp_bitmap_expand_c(uint64_t word, uintptr_t base, size_t size, void **out)
{
    unsigned count = 0;

    if (word == ALL_SLOTS) {
        for (; count < EMP_BITMAP_EXPAND_ROOM; count++) {
            out[count] = (void *)(base + count * size);
        }
        return count;
    }
    while (word != 0) {
        out[count++] = (void *)(base + emp_bits_lowest(word) * size);
        word &= word - 1;
    }
    emp_assert(count < EMP_BITMAP_EXPAND_ROOM);
    return count;
}

unsigned emp_bitmap_find_nonzero_c(const uint64_t *words, unsigned count, unsigned from)
{
    unsigned i = from;

    while (i < count && words[i] == 0) {
        i++;
    }
    return i < count ? i : count;
}

bool emp_bitmap_run_c(void *const *ptrs, unsigned count, uintptr_t stride, bool *descending)
{
    uintptr_t step = (uintptr_t)ptrs[1] - (uintptr_t)ptrs[0];

    emp_assert(count >= 2);
    *descending = step != stride;
    if (step != stride && step != (uintptr_t)0 - stride) {
        return false;
    }
    for (unsigned i = 1; i + 1 < count; i++) {
        if ((uintptr_t)ptrs[i + 1] - (uintptr_t)ptrs[i] != step) {
            return false;
        }
    }
    return true;
}

/*
 * The index may be one too large for an offset just below a multiple of size; then index * size is
 * that multiple, not the offset, so the verdict is right for every offset. [slab.inv.reciprocal]
 */
unsigned emp_bitmap_indices_c(void *const *ptrs, unsigned count,
                              const struct emp_bitmap_geometry *geometry, uint32_t *index_out)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t offset =
            (uint32_t)((uintptr_t)ptrs[i] - geometry->arena_base) & geometry->slab_mask;
        uint32_t index = (uint32_t)(((uint64_t)offset * geometry->reciprocal) >> 32);

        index_out[i] = index;
        if (emp_unlikely(index * geometry->size != offset || index >= geometry->slots)) {
            return i;
        }
    }
    return count;
}
