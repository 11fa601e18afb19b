/*
 * What it is for: the part of a thread's cache that inlined fast paths read and write.
 * When not to use it: applications use typed_pool.h; the layout may change with every version and
 *   is tied to the library by static assertions on both sides.
 * Life cycle: the library sets emp_cache_pointer for each thread; before that, and after the
 *   thread's destructors ran, it points at an empty cache whose every operation takes the slow
 *   path.
 * Threads: each thread sees its own. Errors: none.
 */
#ifndef EMP_CORE_THREAD_CACHE_VIEW_H
#define EMP_CORE_THREAD_CACHE_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/export.h"

#define EMP_VIEW_UNIT_SHIFT 16u /* log2 of the bytes that one tag describes */
#define EMP_VIEW_BINS       256u

/* LIFO of free blocks of one class. The entry below the lowest is NULL: the stack's own end
   mark. */
struct emp_bin {
    uintptr_t top;   /* address one past the newest block's slot; owner only */
    uintptr_t limit; /* full when top reaches it; the owner sets it, maintenance may lower it */
};

/* One per thread. Blocks of a line-sharing class carry home bits: only threads at home keep
   them. */
struct emp_cache_view {
    struct emp_bin none;   /* never has a block nor room */
    uintptr_t arena_base;  /* const after init: first byte of the arena */
    uintptr_t arena_bytes; /* const after init: its size; 0 in the empty cache */
    const uint32_t *tags;  /* const after init: one tag per 64 KiB of the arena */
    /* owner only: bit of the shard this thread refills from, in tag position */
    uint32_t home_bit;
    uint32_t attached;                  /* const: 1 in a thread's own cache, 0 in the empty one */
    uint64_t line_rest[2];              /* the library's; keeps the bins on lines of their own */
    struct emp_bin bins[EMP_VIEW_BINS]; /* by class id */
};

#define EMP_VIEW_BIN_OFFSET(class_id) \
    (offsetof(struct emp_cache_view, bins) + (size_t)(class_id) * sizeof(struct emp_bin))

EMP_EXTERN_C_BEGIN

/* The calling thread's cache, never NULL. Read it through emp_cache_current only. */
extern EMP_API __thread struct emp_cache_view *emp_cache_pointer
    __attribute__((tls_model("initial-exec")));

EMP_EXTERN_C_END

/*
 * The calling thread's cache. The compiler may reuse the answer as long as nothing it cannot see
 * has run: the load is tied to *anchor, an object that the library's other functions may write, so
 * every call of unknown code - a coroutine switch above all, which may change the thread - ends the
 * reuse.
 */
#if EMP_PUBLIC_X86_64
#define EMP_CACHE_CURRENT(cache, anchor)                     \
    __asm__("movq emp_cache_pointer@gottpoff(%%rip), %0\n\t" \
            "movq %%fs:(%0), %0"                             \
            : "=r"(cache)                                    \
            : "m"(*(anchor)))
#else
#define EMP_CACHE_CURRENT(cache, anchor)                              \
    do {                                                              \
        uintptr_t emp_cache_scratch;                                  \
        __asm__("mrs %1, tpidr_el0\n\t"                               \
                "adrp %0, :gottprel:emp_cache_pointer\n\t"            \
                "ldr %0, [%0, #:gottprel_lo12:emp_cache_pointer]\n\t" \
                "ldr %0, [%1, %0]"                                    \
                : "=&r"(cache), "=&r"(emp_cache_scratch)              \
                : "m"(*(anchor)));                                    \
    } while (0)
#endif

/**
 * The calling thread's cache, for callers without an anchor of their own.
 * @returns the cache, never NULL; valid until the next call of unknown code.
 * Errors: none. Threads: any, each its own. Cost: two loads. Since: 0.1. Source: row A1.
 */
EMP_INLINE struct emp_cache_view *emp_cache_current(void)
{
    struct emp_cache_view *cache;

    EMP_CACHE_CURRENT(cache, &emp_cache_pointer);
    return cache;
}

/**
 * The bin at a byte offset of a cache.
 * @param cache the calling thread's cache. @param bin_offset bytes, EMP_VIEW_BIN_OFFSET of a class.
 * @returns the bin, part of the cache.
 * Errors: none. Threads: the cache's own. Cost: one addition. Since: 0.1. Source: row A1.
 */
EMP_INLINE struct emp_bin *emp_cache_bin(struct emp_cache_view *cache, size_t bin_offset)
{
    return (struct emp_bin *)(void *)((char *)cache + bin_offset);
}

/**
 * Asks whether an address of the arena lies in blocks whose bin has this offset.
 * @param cache the calling thread's cache. @param offset bytes from the arena's base, below
 * arena_bytes. @param bin_offset bytes, EMP_VIEW_BIN_OFFSET of a class.
 * @returns 1: it does. 0: it does not.
 * Errors: none. Threads: the cache's own. Cost: two loads. Since: 0.1. Source: row A11.
 */
EMP_INLINE int emp_cache_tag_is(const struct emp_cache_view *cache, uintptr_t offset,
                                size_t bin_offset)
{
    int is;

    EMP_PUBLIC_LOW_EQUALS(is, bin_offset, &cache->tags[offset >> EMP_VIEW_UNIT_SHIFT]);
    return is;
}

/**
 * Asks whether a bin takes one more block.
 * @param bin a bin of the calling thread's cache. @param top its top, as loaded.
 * @returns 1: below its limit. 0: full, or somebody wants the slow path to look.
 * Errors: none. Threads: the cache's own. Cost: one load. Since: 0.1. Source: row A1.
 */
EMP_INLINE int emp_cache_bin_takes(const struct emp_bin *bin, void **top)
{
    int is;

    EMP_PUBLIC_IS_BELOW(is, (uintptr_t)top, &bin->limit);
    return is;
}

#endif
