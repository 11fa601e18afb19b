/*
 * Purpose: subtracts the calling thread's cached blocks from the process gauges.
 * Owner:   preload. Threads: any; a thread reads its own cache only.
 * Design:  [preload.req.moving-numbers]
 * Source:  HAProxy src/pool.c: it calls mallinfo2 around a malloc and takes an allocator whose
 *          numbers stand still for a foreign one.
 * Cost:    the hit path counts nothing; reading walks the bins down to their NULL sentinels.
 */
#include "preload/usage.h"

#include <string.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/thread_cache_view.h"

/* Blocks between the top of a bin and the NULL below its lowest entry. */
static uint64_t bin_blocks(const struct emp_bin *bin)
{
    uint64_t count = 0;

    for (void **entry = (void **)bin->top; entry[-1] != NULL; --entry) {
        ++count;
    }
    return count;
}

void emp_usage_read(struct emp_usage *usage)
{
    struct emp_cache_view *cache = emp_cache_current();
    uint32_t classes = emp_size_class_count();
    struct emp_size_class_info info;

    memset(usage, 0, sizeof(*usage));
    if (emp_stats_read(&usage->stats) != EMP_OK) {
        return;
    }
    for (uint32_t index = 1; index <= classes; ++index) {
        uint64_t blocks = bin_blocks(emp_cache_bin(cache, EMP_VIEW_BIN_OFFSET(index)));

        if (blocks != 0 && emp_size_class_describe(index, &info) == EMP_OK) {
            usage->cached_blocks += blocks;
            usage->cached_bytes += blocks * info.block_bytes;
        }
    }
    if (usage->cached_bytes > usage->stats.allocated) {
        usage->cached_bytes = usage->stats.allocated;
    }
    usage->stats.allocated -= usage->cached_bytes;
}
