/*
 * Purpose: the classes of blocks: 65 by size, then one per pool; size -> class, class -> geometry.
 * Owner:   slab. The table is filled at start (sizes) and when a pool is created; entries of a live
 *          class are const, so readers need no lock.
 * Threads: any. Cost: size -> bin is one table load, size -> class a few shifts.
 * Design:  [slab.req.classes]
 */
#ifndef EMP_SLAB_SIZE_CLASS_H
#define EMP_SLAB_SIZE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "slab/bitmap_expand.h"

/* Geometry of a class. Const while the class lives. */
struct emp_class {
    struct emp_bitmap_geometry geometry;
    uint16_t words;        /* bitmap words of a slab */
    uint8_t units;         /* units of a slab: 1 or EMP_WIDE_UNITS */
    uint8_t shares_lines;  /* blocks of two threads can meet on a cache line */
    uint16_t room;         /* blocks a thread may keep at most, when the class is hot */
    uint8_t batch;         /* blocks per refill; 0: by the room */
    uint8_t room_is_fixed; /* the room was asked for, or follows from a limit: never more */
};

extern struct emp_class emp_classes[EMP_BINS];

/* Class by (size + 7) / 8 for sizes to EMP_SMALL_MAX, already scaled to a bin offset in bytes. */
extern uint16_t emp_small_bin_offset[EMP_SMALL_MAX / 8 + 1];

/* The same by (size - 1) / 128 for sizes above; every class there is a multiple of that. */
#define EMP_MEDIUM_STEP_SHIFT 7u
extern uint16_t emp_medium_bin_offset[EMP_SLAB_MAX >> EMP_MEDIUM_STEP_SHIFT];

/* Fills the table; arena_base must be final. Idempotent. */
void emp_size_class_init(uintptr_t arena_base);

/* Fills the entry of a pool class; size a multiple of 8. */
void emp_size_class_define(uint32_t class_id, uintptr_t arena_base, uint32_t size);

/* Forgets a pool class. */
void emp_size_class_forget(uint32_t class_id);

/* line: every small request is rounded to whole cache lines from now on; or no longer. */
void emp_size_class_round_to_line(bool line);

/* Bytes from a thread's view to the bin of a class: what the tag of its slabs carries. */
static inline uint32_t emp_bin_offset(uint32_t class_id)
{
    return EMP_BINS_OFFSET + class_id * EMP_BIN_BYTES;
}

/* Class of a tag; 0: no slab. Bits 0..15: the offset of the bin, 16..31: shards it is away from. */
static inline uint32_t emp_tag_class(uint32_t tag)
{
    return tag == 0 ? 0 : ((tag & 0xffffu) - EMP_BINS_OFFSET) / EMP_BIN_BYTES;
}

/* Class of a size in 1025 .. EMP_SLAB_MAX. */
static inline uint32_t emp_size_class_medium(size_t size)
{
    size_t last = size - 1;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(last);

    if (exponent < 13) {
        return 34u + (exponent - 10) * 8u + (uint32_t)((last >> (exponent - 3)) & 7u);
    }
    return 58u + (exponent - 13) * 4u + (uint32_t)((last >> (exponent - 2)) & 3u);
}

/* Class of a size in 0 .. EMP_SLAB_MAX. */
static inline uint32_t emp_size_class_of(size_t size)
{
    if (size > EMP_SMALL_MAX) {
        return emp_size_class_medium(size);
    }
    if (size > 512) {
        return 26u + (uint32_t)((size - 513) >> 6);
    }
    if (size > 256) {
        return 18u + (uint32_t)((size - 257) >> 5);
    }
    return size > 8 ? (uint32_t)((size + 15) >> 4) + 1u : 1u;
}

#endif
