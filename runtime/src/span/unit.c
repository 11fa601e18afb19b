/*
 * Purpose: see unit.h. Per chunk one mask of free units; per kind a bitmap of chunks with room.
 * Owner:   span. Threads: any. Cost: O(chunks with room) to find four aligned units, else O(1).
 * Design:  [span.proto.unit]
 */
#include "span/unit.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/config.h"
#include "os/os_memory.h"
#include "span/arena.h"
#include "span/arena_internal.h"

#define EMP_ALL_UNITS   0xffffffffu
#define EMP_WIDE_STARTS 0x11111111u

/* The list of chunks of one kind that have free units, by lowest index known. */
static size_t unit_lowest[2];

size_t emp_unit_limit(void)
{
    emp_span_lock();
    size_t chunks = emp_span_described();
    emp_span_unlock();
    return chunks * EMP_CHUNK_UNITS;
}

/* Mask of the first units of aligned groups of four that are wholly free. */
static uint32_t unit_wide_starts(uint32_t free_units)
{
    return free_units & (free_units >> 1) & (free_units >> 2) & (free_units >> 3) & EMP_WIDE_STARTS;
}

static size_t unit_claim_locked(struct emp_chunk *chunk, unsigned units)
{
    uint32_t starts = units == 1 ? chunk->free_units : unit_wide_starts(chunk->free_units);

    if (starts == 0) {
        return SIZE_MAX;
    }
    unsigned first = emp_bits_lowest(starts);
    uint32_t mask = (uint32_t)emp_bits_mask(units) << first;

    chunk->free_units &= ~mask;
    chunk->dirty_units &= ~mask;
    chunk->aged_units &= ~mask;
    return (size_t)(chunk - emp_arena.chunks) * EMP_CHUNK_UNITS + first;
}

/* Looks in the chunks that are already cut. */
static size_t unit_find_locked(enum emp_chunk_kind kind, unsigned units)
{
    struct emp_span_counts counts;
    size_t frontier = emp_span_read_totals(&counts);
    size_t *lowest = &unit_lowest[kind == EMP_CHUNK_WIDE];

    for (size_t i = *lowest; i < frontier; i++) {
        struct emp_chunk *chunk = &emp_arena.chunks[i];

        if (chunk->kind == kind && chunk->free_units != 0) {
            size_t unit = unit_claim_locked(chunk, units);
            if (unit != SIZE_MAX) {
                *lowest = i;
                return unit;
            }
        }
    }
    *lowest = frontier;
    return SIZE_MAX;
}

size_t emp_unit_take(unsigned units, bool *limited)
{
    enum emp_chunk_kind kind = units == 1 ? EMP_CHUNK_SLAB : EMP_CHUNK_WIDE;
    bool zero = false;

    *limited = false;
    emp_span_lock();
    size_t unit = unit_find_locked(kind, units);
    emp_span_unlock();
    if (unit != SIZE_MAX) {
        return unit;
    }
    size_t index = emp_arena_take(1, kind, &zero, limited);
    if (index == SIZE_MAX) {
        return SIZE_MAX;
    }
    struct emp_chunk *chunk = &emp_arena.chunks[index];

    emp_span_lock();
    chunk->free_units = EMP_ALL_UNITS;
    chunk->dirty_units = zero ? 0 : EMP_ALL_UNITS;
    unit = unit_claim_locked(chunk, units);
    unit_lowest[kind == EMP_CHUNK_WIDE] =
        index < unit_lowest[kind == EMP_CHUNK_WIDE] ? index : unit_lowest[kind == EMP_CHUNK_WIDE];
    emp_span_unlock();
    return unit;
}

void emp_unit_give(size_t unit, unsigned units)
{
    size_t index = unit / EMP_CHUNK_UNITS;
    struct emp_chunk *chunk = &emp_arena.chunks[index];
    uint32_t mask = (uint32_t)emp_bits_mask(units) << (unit % EMP_CHUNK_UNITS);

    emp_span_lock();
    emp_assert((chunk->free_units & mask) == 0);
    chunk->free_units |= mask;
    chunk->dirty_units |= mask;
    chunk->full_ticks = 0;
    size_t *lowest = &unit_lowest[chunk->kind == EMP_CHUNK_WIDE];
    *lowest = index < *lowest ? index : *lowest;
    if (chunk->free_units == EMP_ALL_UNITS) {
        emp_arena_give_locked(index, 1, true);
    }
    emp_span_unlock();
}

/* Purges the runs of units in mask; no lock held, the units are claimed. */
static uint32_t unit_purge_mask(size_t index, uint32_t mask)
{
    uint32_t done = 0;

    while (mask != 0) {
        unsigned first = emp_bits_lowest(mask);
        unsigned length = emp_bits_lowest(~((uint64_t)mask >> first));
        uint32_t run = (uint32_t)emp_bits_mask(length) << first;

        if (emp_os_purge(emp_arena_chunk_base(index) + first * EMP_UNIT_BYTES,
                         length * EMP_UNIT_BYTES)) {
            emp_span_count_purge(length * EMP_UNIT_BYTES);
            done |= run;
        }
        mask &= ~run;
    }
    return done;
}

/* Purges what is due in one chunk; the lock is held on entry and return, dropped in between. */
static size_t unit_purge_chunk_locked(size_t index, bool all)
{
    struct emp_chunk *chunk = &emp_arena.chunks[index];
    uint32_t due = all ? chunk->dirty_units : chunk->aged_units;

    chunk->aged_units = chunk->dirty_units & ~due;
    if (due == 0) {
        return 0;
    }
    chunk->free_units &= ~due;
    chunk->dirty_units &= ~due;
    emp_span_unlock();
    uint32_t done = unit_purge_mask(index, due);
    emp_span_lock();
    chunk->free_units |= due;
    chunk->dirty_units |= due & ~done;
    size_t *lowest = &unit_lowest[chunk->kind == EMP_CHUNK_WIDE];
    *lowest = index < *lowest ? index : *lowest;
    if (chunk->free_units == EMP_ALL_UNITS) {
        emp_arena_give_locked(index, 1, true);
    }
    return emp_bits_count(done) * EMP_UNIT_BYTES;
}

size_t emp_unit_purge(bool all)
{
    struct emp_span_counts counts;
    size_t given = 0;

    emp_span_lock();
    for (size_t i = 0; i < emp_span_read_totals(&counts); i++) {
        uint8_t kind = emp_arena.chunks[i].kind;

        if ((kind == EMP_CHUNK_SLAB || kind == EMP_CHUNK_WIDE) &&
            emp_arena.chunks[i].dirty_units != 0) {
            given += unit_purge_chunk_locked(i, all);
        }
    }
    emp_span_unlock();
    return given;
}

size_t emp_unit_advise_dense(uint32_t ticks)
{
    struct emp_span_counts counts;
    size_t advised = 0;

    emp_span_lock();
    for (size_t i = 0; i < emp_span_read_totals(&counts); i++) {
        struct emp_chunk *chunk = &emp_arena.chunks[i];
        bool full = (chunk->kind == EMP_CHUNK_SLAB || chunk->kind == EMP_CHUNK_WIDE) &&
                    chunk->free_units == 0;

        chunk->full_ticks = full ? chunk->full_ticks + 1 : 0;
        if (chunk->full_ticks < ticks || chunk->advised_huge) {
            continue;
        }
        chunk->advised_huge = 1;
        emp_span_unlock();
        advised += emp_os_advise_huge(emp_arena_chunk_base(i), EMP_CHUNK_BYTES, true);
        emp_span_lock();
    }
    emp_span_unlock();
    return advised;
}
