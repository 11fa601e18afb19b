/*
 * What it is for: a macro that makes a pool of one C type with inlined allocation and free.
 *     EMP_POOL_DEFINE(conn, struct connection)
 *     struct connection *c = conn_alloc();  ...  conn_free(c);  conn_destroy(NULL);
 * When not to use it: when object sizes are known at run time only; use emp_pool_create.
 * Life cycle: the pool is created at the first allocation; <name>_destroy ends it.
 * Threads: alloc and free by any thread; destroy by one, when no other uses the pool.
 * Errors: alloc returns NULL with errno ENOMEM; misuse is reported as by emp_pool_free.
 */
#ifndef EMP_CORE_TYPED_POOL_H
#define EMP_CORE_TYPED_POOL_H

#include "core/advanced_memory_pool.h"
#include "base/export.h"
#include "core/thread_cache_view.h"

/* A pool that comes into being at its first use. Initialised by EMP_POOL_DEFINE. */
struct emp_typed_pool {
    size_t bin_offset;     /* bytes from the thread's cache to the bin; that of class 0, whose bin
                                never holds a block: not created yet. Any value leads to a bin that
                                is closed, or open by its own thread */
    struct emp_pool *pool; /* NULL: not created yet */
    const char *name;      /* const */
    size_t object_size;    /* const, bytes */
    size_t object_align;   /* const, bytes */
};

EMP_EXTERN_C_BEGIN

/**
 * Slow path of a typed allocation: creates the pool if need be, refills, allocates.
 * @param typed the pool.
 * @returns an object or NULL. Errors: errno ENOMEM. Threads: any. Cost: a refill. Since: 0.1.
 * Source: row E7.
 */
EMP_API void *emp_typed_pool_alloc_slow(struct emp_typed_pool *typed) EMP_API_MALLOC;

/**
 * Slow path of a typed free: full bin, NULL, or misuse.
 * @param typed the pool. @param ptr object or NULL.
 * @returns nothing. Errors: misuse is reported. Threads: any. Cost: O(1). Since: 0.1.
 * Source: row E7.
 */
EMP_API void emp_typed_pool_free_slow(struct emp_typed_pool *typed, void *ptr);

/**
 * Destroys the pool behind a typed pool; it may be used again afterwards.
 * @param typed the pool. @param live receives the objects never freed; may be NULL.
 * @returns as emp_pool_destroy. Errors: EMP_ERR_STATE when it was never used. Threads: one.
 * Cost: O(slabs). Since: 0.1. Source: row C10.
 */
EMP_API enum emp_status emp_typed_pool_destroy(struct emp_typed_pool *typed, size_t *live);

EMP_EXTERN_C_END

/**
 * Takes an object. Inlined: one thread-local load, one branch; the bin is private to the thread.
 * @param typed the pool, created at its first use.
 * @returns an object owned by the caller with undefined content, or NULL.
 * Errors: errno ENOMEM. Threads: any. Cost: O(1); a refill when the thread's bin is empty.
 * Since: 0.1. Source: rows A1, E7.
 */
EMP_INLINE void *emp_typed_pool_alloc(struct emp_typed_pool *typed)
{
    struct emp_cache_view *cache;

    EMP_CACHE_CURRENT(cache, typed);
    struct emp_bin *bin = emp_cache_bin(cache, EMP_PUBLIC_LOAD_DEPENDENT(&typed->bin_offset));
    void **top = (void **)bin->top;
    void *block = top[-1];

    if (EMP_IF_UNLIKELY(block == NULL)) {
        return emp_typed_pool_alloc_slow(typed);
    }
    bin->top = (uintptr_t)(top - 1);
    return block;
}

/**
 * Gives an object back. Inlined: proves by the tag that ptr is of this pool, then pushes it.
 * @param typed the pool. @param ptr a live object of it, or NULL (nothing happens).
 * Errors: misuse is reported. Threads: any. Cost: O(1); a call when the thread's bin is full.
 * Since: 0.1. Source: rows A11, E7.
 */
EMP_INLINE void emp_typed_pool_free(struct emp_typed_pool *typed, void *ptr)
{
    struct emp_cache_view *cache;

    EMP_CACHE_CURRENT(cache, typed);
    uintptr_t offset = (uintptr_t)ptr - cache->arena_base;
    size_t offset_of_bin = EMP_PUBLIC_LOAD_DEPENDENT(&typed->bin_offset);
    struct emp_bin *bin = emp_cache_bin(cache, offset_of_bin);

    if (EMP_IF_LIKELY(offset < cache->arena_bytes)) {
        void **top = (void **)bin->top;

        if (EMP_IF_LIKELY(emp_cache_tag_is(cache, offset, offset_of_bin)) &&
            EMP_IF_LIKELY(emp_cache_bin_takes(bin, top)) && EMP_IF_LIKELY(top[-1] != ptr)) {
            *top = ptr;
            bin->top = (uintptr_t)(top + 1);
            return;
        }
    }
    emp_typed_pool_free_slow(typed, ptr);
}

#define EMP_POOL_DEFINE(pool_name, type)                                                       \
    static struct emp_typed_pool pool_name##_pool = {EMP_VIEW_BIN_OFFSET(0), NULL, #pool_name, \
                                                     sizeof(type), _Alignof(type)};            \
    EMP_INLINE type *pool_name##_alloc(void)                                                   \
    {                                                                                          \
        return (type *)emp_typed_pool_alloc(&pool_name##_pool);                                \
    }                                                                                          \
    EMP_INLINE void pool_name##_free(type *object)                                             \
    {                                                                                          \
        emp_typed_pool_free(&pool_name##_pool, object);                                        \
    }                                                                                          \
    EMP_INLINE enum emp_status pool_name##_destroy(size_t *live)                               \
    {                                                                                          \
        return emp_typed_pool_destroy(&pool_name##_pool, live);                                \
    }

#ifdef __cplusplus
#define _Alignof alignof
#endif

#endif
