/*
 * Purpose: remembers the addresses of the large blocks freed last, so that a second free of one is
 *          told from a pointer that never was a block.
 * Owner:   core; not installed. Threads: any; no lock. A hint: an address is forgotten when another
 *          of the same place is freed, and may be a new block's by the time it is asked for.
 * Cost:    one store for each large block freed. Design: [core.req.misuse]
 */
#ifndef EMP_CORE_LARGE_FREED_H
#define EMP_CORE_LARGE_FREED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/atomic.h"

#define EMP_LARGE_FREED_ENTRIES 1024u /* power of two; 8 KiB, touched as used */

extern uintptr_t emp_large_freed[EMP_LARGE_FREED_ENTRIES]; /* atomic: large-freed */

/* The place of an address; neighbours in memory get neighbouring places. */
static inline uintptr_t *emp_large_freed_place(uintptr_t address)
{
    return &emp_large_freed[(address >> 12 ^ address >> 22) % EMP_LARGE_FREED_ENTRIES];
}

/* A large block at this address was freed or has moved away. */
static inline void emp_large_freed_note(const void *ptr)
{
    /* order(large-freed): relaxed; only for the text of a report */
    emp_store_relaxed(emp_large_freed_place((uintptr_t)ptr), (uintptr_t)ptr);
}

/* True when the last large block of this address was freed not long ago. */
bool emp_large_freed_lately(const void *ptr);

#endif
