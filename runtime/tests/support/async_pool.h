/*
 * What: how many objects of a kind a pool of async objects has out.
 * How:  its own snapshot, after the calling thread's cache was emptied.
 */
#ifndef EMP_TESTS_SUPPORT_ASYNC_POOL_H
#define EMP_TESTS_SUPPORT_ASYNC_POOL_H

#include <stdint.h>
#include <string.h>

#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"
#include "local/thread_cache.h"
#include "support/settled.h"

/* Objects in use or cached by other threads; UINT64_MAX: no such kind. */
static inline uint64_t async_pool_in_use(struct emp_async_pool *pool, const char *kind)
{
    struct emp_async_stats stats;

    emp_cache_flush("test");
    emp_maintenance_pause(); /* as in settled.h */
    (void)emp_async_pool_get_stats(pool, &stats);
    emp_maintenance_resume();
    for (uint32_t i = 0; i < stats.kinds; i++) {
        if (strcmp(stats.kind[i].name, kind) == 0) {
            return stats.kind[i].in_use;
        }
    }
    return UINT64_MAX;
}

#endif
