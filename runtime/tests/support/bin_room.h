/*
 * Purpose: how many blocks the calling thread's bin of a class may keep now, read from the slow
 *          side of the bin.
 * Owner:   test support. Threads: any, each its own bins.
 */
#ifndef EMP_TESTS_SUPPORT_BIN_ROOM_H
#define EMP_TESTS_SUPPORT_BIN_ROOM_H

#include "local/cache_internal.h"

/* Room in blocks; 0 when the bin is cold or closed, or the thread has no cache. */
static inline unsigned bin_room(uint32_t class_id)
{
    struct emp_cache *cache = emp_cache_of(emp_l1_current());

    return cache == NULL ? 0 : emp_cache_state(cache, class_id)->room;
}

#endif
