/*
 * Purpose: the hit paths of malloc and free, inlined into every entry point.
 * Owner:   local. Threads: the calling thread's cache only; no atomic, no lock, the block is not
 *          touched.
 * Design:  [local.req.hit-path]. Cost: runtime/bench/golden/hit_path.txt, kept by a check.
 */
#ifndef EMP_LOCAL_FAST_PATH_H
#define EMP_LOCAL_FAST_PATH_H

#include "base/compiler.h"
#include "local/thread_cache.h"
#include "slab/size_class.h"
#include "slab/slab.h"
#include "sync/atomic.h"

/* Bin at a byte offset of the view. */
static inline struct emp_l1_bin *emp_fast_bin(struct emp_l1 *view, uintptr_t offset)
{
    return (struct emp_l1_bin *)(void *)((char *)view + offset);
}

/* Pops from a bin; NULL when it is empty. */
static inline void *emp_fast_pop(struct emp_l1_bin *bin)
{
    void **top = bin->top;
    void *block = top[-1];

    if (emp_likely(block != NULL)) {
        bin->top = top - 1;
    }
    return block;
}

/* A block of size <= EMP_SMALL_MAX from the thread's cache, or NULL. */
static inline void *emp_fast_alloc_small(size_t size)
{
    struct emp_l1 *view = emp_l1_current();

    /* order(small-bins): relaxed; before the start and after a change any entry leads to a bin */
    size_t offset = emp_load_relaxed(&emp_small_bin_offset[(size + 7) >> 3]);

    return emp_fast_pop(emp_fast_bin(view, offset));
}

/* The same for a size above, up to EMP_SLAB_MAX; such blocks start on lines. */
static inline void *emp_fast_alloc_medium(size_t size)
{
    struct emp_l1 *view = emp_l1_current();

    /* order(small-bins): relaxed; before the start any entry leads to a bin */
    size_t offset = emp_load_relaxed(&emp_medium_bin_offset[(size - 1) >> EMP_MEDIUM_STEP_SHIFT]);

    return emp_fast_pop(emp_fast_bin(view, offset));
}

/*
 * A block for align, a power of two, from the bin of the size rounded up to whole multiples of it:
 * what fits EMP_SMALL_MAX that way is a multiple of align in every block of its class
 * ([slab.inv.aligned]). NULL: the bin is empty, or the request is none of these.
 */
static inline void *emp_fast_alloc_aligned(size_t align, size_t size)
{
    size_t rounded = (size + align - 1) & (~align + 1); /* 0 for 0 and when it wraps */

    return emp_likely(rounded - 1 < EMP_SMALL_MAX) ? emp_fast_alloc_small(rounded) : NULL;
}

/*
 * Gives a block past a full bin straight to its slab; offset is that of the block in the arena.
 * False: nothing was done, the slow path must look: at what is wrong, or at the cache as a whole.
 */
static inline bool emp_fast_give(struct emp_l1 *view, uintptr_t offset)
{
    struct emp_slab *slab = NULL;

    if (emp_unlikely(--view->direct_left == 0 || !emp_slab_release(view->slabs, offset, &slab))) {
        return false;
    }
    if (emp_unlikely(emp_inbox_is_quiet(&slab->inbox))) {
        emp_cache_announce(slab);
    }
    return true;
}

/*
 * Pushes a block with this tag into its bin. A full bin that is hot (top is its limit), or one that
 * is not at home, lets it pass to its slab. False: the slow path must take it.
 */
static inline bool emp_fast_push(struct emp_l1 *view, uint32_t tag, uintptr_t offset, void *ptr)
{
    struct emp_l1_bin *bin = emp_fast_bin(view, tag & 0xffffu);
    void **top = bin->top;

    /* order(bin-limit): relaxed; a lowered limit only means a visit to the slow path */
    void **limit = emp_load_relaxed(&bin->limit);

    if (emp_unlikely((tag & view->home_bit) != 0 || top >= limit || top[-1] == ptr)) {
        return top <= limit && top[-1] != ptr && emp_fast_give(view, offset);
    }
    *top = ptr;
    bin->top = top + 1;
    return true;
}

/* Frees a block: into its bin, or past it. False: the slow path must take it. */
static inline bool emp_fast_free(void *ptr)
{
    struct emp_l1 *view = emp_l1_current();
    uintptr_t offset = (uintptr_t)ptr - view->arena_base;

    if (emp_unlikely(offset >= view->arena_bytes)) {
        return false;
    }
    /* order(slab-tag): relaxed; the caller holds the block, so its slab cannot end meanwhile */
    return emp_fast_push(view, emp_load_relaxed(&view->tags[offset >> EMP_UNIT_SHIFT]), offset,
                         ptr);
}

#endif
