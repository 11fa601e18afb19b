/*
 * Purpose: see large_freed.h. A table without collisions lists: the newer address wins its place.
 * Owner:   core. Threads: any. Design: [core.req.misuse]
 */
#include "core/large_freed.h"

#include <stddef.h>
#include <stdint.h>

#include "sync/atomic.h"

#define EMP_LARGE_FREED_ENTRIES 1024u /* power of two; 8 KiB, touched as used */

static uintptr_t freed[EMP_LARGE_FREED_ENTRIES]; /* atomic: large-freed */

/* The place of an address; neighbours in memory get neighbouring places. */
static uintptr_t *place_of(uintptr_t address)
{
    return &freed[(address >> 12 ^ address >> 22) % EMP_LARGE_FREED_ENTRIES];
}

void emp_large_freed_note(const void *ptr)
{
    /* order(large-freed): relaxed; only for the text of a report */
    emp_store_relaxed(place_of((uintptr_t)ptr), (uintptr_t)ptr);
}

bool emp_large_freed_lately(const void *ptr)
{
    /* order(large-freed): relaxed; as above */
    return ptr != NULL && emp_load_relaxed(place_of((uintptr_t)ptr)) == (uintptr_t)ptr;
}
