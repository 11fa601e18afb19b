/*
 * Purpose: see size_class.h. Builds the table from the steps of docs/adr/0005.
 * Owner:   slab. Threads: start-up, and pool creation for its own entry.
 * Design:  [slab.req.classes]
 */
#include "slab/size_class.h"

#include "base/check.h"
#include "sync/atomic.h"

#define EMP_ROOM_SMALL 128u   /* most blocks a thread keeps of a class to 1 KiB ... */
#define EMP_ROOM_BYTES 65536u /* ... and above: so many bytes, at least two blocks */

struct emp_class emp_classes[EMP_BINS];
uint16_t emp_small_bin_offset[EMP_SMALL_MAX / 8 + 1];
uint16_t emp_medium_bin_offset[EMP_SLAB_MAX >> EMP_MEDIUM_STEP_SHIFT];

/* The next class size above `size`: 8, 16, 32, then steps that keep the mean waste near 5 %. */
static uint32_t class_next(uint32_t size)
{
    if (size < 16) {
        return size * 2;
    }
    if (size < 256) {
        return size == 16 ? 32 : size + 16;
    }
    if (size < 512) {
        return size + 32;
    }
    if (size < 1024) {
        return size + 64;
    }
    unsigned exponent = 31u - (unsigned)__builtin_clz(size);

    return size + (size < EMP_NARROW_MAX ? 1u << (exponent - 3) : 1u << (exponent - 2));
}

static uint16_t class_room(uint32_t size)
{
    uint32_t room = EMP_ROOM_BYTES / size;

    if (size <= EMP_SMALL_MAX) {
        return EMP_ROOM_SMALL;
    }
    return (uint16_t)(room < 2 ? 2 : room);
}

void emp_size_class_define(uint32_t class_id, uintptr_t arena_base, uint32_t size)
{
    struct emp_class *entry = &emp_classes[class_id];
    uint32_t units = size > EMP_NARROW_MAX ? EMP_WIDE_UNITS : 1u;

    entry->geometry =
        emp_bitmap_geometry_make(arena_base, (uint32_t)(units * EMP_UNIT_BYTES), size);
    entry->units = (uint8_t)units;
    /* Bytes behind the last slot have a state too: that of no slot. */
    bool has_rest = (size_t)entry->geometry.slots * size != units * EMP_UNIT_BYTES;

    entry->words = (uint16_t)((entry->geometry.slots + has_rest + 63u) / 64u);
    /* Not pools: the inlined calls of typed pools do not look where a block is at home. */
    entry->shares_lines = size < EMP_LINE_BYTES && class_id <= EMP_SIZE_CLASSES;
    entry->room = class_room(size);
    entry->batch = 0;
    entry->room_is_fixed = 0;
}

void emp_size_class_forget(uint32_t class_id)
{
    emp_assert(class_id >= EMP_POOL_CLASS_FIRST);
    emp_classes[class_id] = (struct emp_class){0};
}

void emp_size_class_round_to_line(bool line)
{
    for (uint32_t index = 0; index <= EMP_SMALL_MAX / 8; index++) {
        size_t size = index == 0 ? 8 : (size_t)index * 8;

        size = line ? (size + EMP_LINE_BYTES - 1) & ~(size_t)(EMP_LINE_BYTES - 1) : size;
        /* order(small-bins): relaxed; a thread that reads the old entry gets the old rounding */
        emp_store_relaxed(&emp_small_bin_offset[index],
                          (uint16_t)emp_bin_offset(emp_size_class_of(size)));
    }
}

/* Entries below those of EMP_SMALL_MAX stay 0: the way to the bin `none`. */
static void fill_medium_offsets(void)
{
    for (uint32_t index = EMP_SMALL_MAX >> EMP_MEDIUM_STEP_SHIFT;
         index < EMP_SLAB_MAX >> EMP_MEDIUM_STEP_SHIFT; index++) {
        size_t largest = (size_t)(index + 1) << EMP_MEDIUM_STEP_SHIFT;

        /* order(small-bins): relaxed; a thread that reads the old entry takes the slow path */
        emp_store_relaxed(&emp_medium_bin_offset[index],
                          (uint16_t)emp_bin_offset(emp_size_class_of(largest)));
    }
}

void emp_size_class_init(uintptr_t arena_base)
{
    uint32_t size = 8;

    for (uint32_t id = 1; id <= EMP_SIZE_CLASSES; id++) {
        emp_size_class_define(id, arena_base, size);
        size = class_next(size);
    }
    emp_check(emp_classes[EMP_SIZE_CLASSES].geometry.size == EMP_SLAB_MAX);
    emp_check(emp_classes[33].geometry.size == EMP_SMALL_MAX);
    emp_size_class_round_to_line(false);
    fill_medium_offsets();
}
