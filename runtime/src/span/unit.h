/*
 * Purpose: spans for slabs: one unit (64 KiB), or four units (256 KiB, aligned), inside chunks.
 * Owner:   span. Threads: any; the span lock inside.
 * Design:  [span.proto.unit]
 */
#ifndef EMP_SPAN_UNIT_H
#define EMP_SPAN_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span/arena.h"

/*
 * Takes 1 or EMP_WIDE_UNITS units; returns the number of the first unit of the arena, or SIZE_MAX.
 * *limited is set when the configured limit was the cause. Lowest address first.
 */
size_t emp_unit_take(unsigned units, bool *limited);

/* Gives units back; their pages count as dirty. */
void emp_unit_give(size_t unit, unsigned units);

/* Ages and purges free units in chunks that are partly in use; returns bytes given back. */
size_t emp_unit_purge(bool all);

/* Asks for huge pages on chunks that have been full for `ticks` rounds; returns chunks advised. */
size_t emp_unit_advise_dense(uint32_t ticks);

/*
 * Takes the advice back from the chunk of an address in the arena, before some of its pages are
 * given back: the kernel would fill the holes again. True: the chunk had been advised.
 */
bool emp_unit_withdraw_advice(const void *inside);

/* The same for every advised chunk that is no longer full of slabs; returns how many there were. */
size_t emp_unit_withdraw_sparse(void);

/* Number of units below the highest chunk ever used; for walks. */
size_t emp_unit_limit(void);

/* First byte of a unit. */
static inline char *emp_unit_base(size_t unit)
{
    return (char *)emp_arena.base + (unit << EMP_UNIT_SHIFT);
}

#endif
