/*
 * Purpose: what every entry point adds to the hit paths of local: the guard of the secure build,
 *          and the way to the slow paths. Outside the secure build it compiles to nothing.
 * Owner:   core; not installed. Threads: any.
 * Design:  [core.req.misuse] [slab.proto.guard]
 */
#ifndef EMP_CORE_HOT_PATH_H
#define EMP_CORE_HOT_PATH_H

#include "base/config.h"
#include "core/runtime.h"
#include "local/fast_path.h"
#include "slab/block_guard.h"
#include "thread/alone.h"

/*
 * A block of a slab that left the thread's cache for `requested` bytes: its guard begins. Without
 * canary under valgrind, which watches those bytes itself.
 */
static inline void *emp_hand_out(void *block, size_t requested)
{
    if (EMP_SECURE && emp_unlikely(emp_runtime_annotates)) {
        emp_block_guard_begin(block, emp_guard_of((uintptr_t)block)->guard.size);
    } else if (EMP_SECURE) {
        emp_block_guard_begin(block, requested == 0 ? 1 : requested);
    }
    return block;
}

/* A plain request: from the thread's cache, or by a tail call. Sets errno when it fails. */
static inline void *emp_allocate_hot(size_t size)
{
    void *block = NULL;

    if (emp_likely(size <= EMP_SMALL_MAX - EMP_CANARY_BYTES)) {
        block = emp_fast_alloc_small(size + EMP_CANARY_BYTES);
    } else if (emp_likely(size <= EMP_SLAB_MAX - EMP_CANARY_BYTES)) {
        block = emp_fast_alloc_medium(size + EMP_CANARY_BYTES);
    } else {
        return emp_allocate_large(size);
    }
    return emp_likely(block != NULL) ? emp_hand_out(block, size) : emp_allocate_plain(size);
}

/* What the thread's cache has for an alignment, a power of two; NULL: the long way. */
static inline void *emp_aligned_hot(size_t align, size_t size)
{
    if (EMP_SECURE && align <= 16) {
        return NULL; /* such a block has a canary */
    }
    void *block = emp_fast_alloc_aligned(align, size);

    return emp_likely(block != NULL) ? emp_hand_out(block, size) : NULL;
}

/* A free in the secure build: the guard ends, then the block is cached as in every build. */
static inline void emp_release_guarded(void *ptr, const char *call, uintptr_t caller)
{
    struct emp_l1 *view = emp_l1_current();
    uintptr_t offset = (uintptr_t)ptr - view->arena_base;
    uint32_t tag = 0;

    if (emp_likely(offset < view->arena_bytes)) {
        /* order(slab-tag): relaxed; for a live block the tag cannot change */
        tag = emp_load_relaxed(&view->tags[offset >> EMP_UNIT_SHIFT]);
    }
    if (emp_unlikely(tag == 0)) {
        emp_release_for(ptr, call, caller);
        return;
    }
    enum emp_report_code fault = emp_block_guard_end(ptr, emp_thread_is_alone());

    if (emp_unlikely(fault != EMP_REPORT_COUNT)) {
        emp_release_faulty(ptr, call, fault);
    } else if (emp_unlikely(!emp_fast_push(view, tag, offset, ptr))) {
        emp_release_ended(ptr, call, caller);
    }
}

/* A free of any kind that needs no further check. */
static inline void emp_release_hot(void *ptr, const char *call, uintptr_t caller)
{
    if (EMP_SECURE) {
        emp_release_guarded(ptr, call, caller);
    } else if (emp_unlikely(!emp_fast_free(ptr))) {
        emp_release_for(ptr, call, caller);
    }
}

#endif
