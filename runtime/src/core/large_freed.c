/*
 * Purpose: see large_freed.h. A table without collisions lists: the newer address wins its place.
 * Owner:   core. Threads: any. Design: [core.req.misuse]
 */
#include "core/large_freed.h"

uintptr_t emp_large_freed[EMP_LARGE_FREED_ENTRIES];

bool emp_large_freed_lately(const void *ptr)
{
    /* order(large-freed): relaxed; as in emp_large_freed_note */
    return ptr != NULL && emp_load_relaxed(emp_large_freed_place((uintptr_t)ptr)) == (uintptr_t)ptr;
}
