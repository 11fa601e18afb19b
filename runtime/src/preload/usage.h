/*
 * Purpose: the statistics as the malloc family reports them: what the calling thread keeps ready in
 *          its cache counts as free, so that the numbers move with every allocation.
 * Owner:   preload. Threads: any.
 * Design:  [preload.req.moving-numbers]
 */
#ifndef EMP_PRELOAD_USAGE_H
#define EMP_PRELOAD_USAGE_H

#include <stddef.h>

#include "core/pool_types.h"

/* A snapshot: the gauges of the process, allocated without the calling thread's free blocks. */
struct emp_usage {
    struct emp_stats stats;
    uint64_t cached_bytes; /* free blocks in the calling thread's cache */
    uint64_t cached_blocks;
};

/* Takes a snapshot. O(threads + chunks + cached blocks); allocates nothing. */
void emp_usage_read(struct emp_usage *usage);

#endif
