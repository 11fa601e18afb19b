/*
 * Purpose: jemalloc's extended calls with flags: mallocx, rallocx, xallocx, sallocx, dallocx,
 *          sdallocx, nallocx. The flags' cache and arena numbers are accepted and have no effect.
 * Owner:   preload. Threads: any. Cost: as the emp_ function each calls.
 * Design:  [preload.req.jemalloc-facade]
 * Source:  jemalloc(3), "Non-standard API".
 */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/advanced_memory_pool.h"
#include "core/runtime.h"
#include "preload/malloc_names.h"

#define NATURAL_ALIGN 8u /* of the smallest blocks */
#define CLASS_ALIGN \
    4096u /* up to here an alignment selects a size class that is a multiple of it */

/* Alignment a caller asked for; 1 when it did not. */
static size_t flags_align(int flags)
{
    return (size_t)1 << ((unsigned)flags & EMP_JE_LG_ALIGN_MASK);
}

/* Zero has no meaning for these calls; it is served as one byte, so that a block comes back. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

static void *serve(size_t size, size_t align, int flags)
{
    void *block;

    if (align > NATURAL_ALIGN) {
        block = emp_aligned_alloc(align, size);
        if (block != NULL && (flags & EMP_JE_ZERO) != 0) {
            memset(block, 0, size);
        }
        return block;
    }
    return (flags & EMP_JE_ZERO) != 0 ? emp_calloc(1, size) : emp_malloc(size);
}

void *mallocx(size_t size, int flags)
{
    return serve(at_least_one(size), flags_align(flags), flags);
}

/* Moves a block whose alignment emp_realloc would not keep. */
static void *move_aligned(void *ptr, size_t size, size_t align, size_t old_bytes)
{
    void *block = emp_aligned_alloc(align, size);

    if (block == NULL) {
        return NULL;
    }
    memcpy(block, ptr, size < old_bytes ? size : old_bytes);
    emp_free(ptr);
    return block;
}

/* With the zero flag, the usable bytes that the block did not have before read as zero. */
void *rallocx(void *ptr, size_t size, int flags)
{
    size_t align = flags_align(flags);
    size_t old_bytes = emp_usable_size(ptr);
    void *block = ptr;

    size = at_least_one(size);
    if (align <= NATURAL_ALIGN) {
        block = emp_realloc(ptr, size);
    } else if (((uintptr_t)ptr & (align - 1)) != 0 || size > old_bytes ||
               nallocx(size, flags) < old_bytes / 3 * 2) {
        block = move_aligned(ptr, size, align, old_bytes);
    }
    if (block != NULL && (flags & EMP_JE_ZERO) != 0) {
        size_t new_bytes = emp_usable_size(block);

        if (new_bytes > old_bytes) {
            memset((char *)block + old_bytes, 0, new_bytes - old_bytes);
        }
    }
    return block;
}

/* Blocks never change their size in place here, so the answer is the size there is. */
size_t xallocx(void *ptr, size_t size, size_t extra, int flags)
{
    (void)size;
    (void)extra;
    (void)flags;
    return emp_usable_size(ptr);
}

size_t sallocx(const void *ptr, int flags)
{
    (void)flags;
    return emp_usable_size(ptr);
}

void dallocx(void *ptr, int flags)
{
    (void)flags;
    emp_free(ptr);
}

void sdallocx(void *ptr, size_t size, int flags)
{
    size_t align = flags_align(flags);

    size = at_least_one(size);
    if (align > NATURAL_ALIGN) {
        emp_free_aligned_sized(ptr, align, size);
    } else {
        emp_free_sized(ptr, size);
    }
}

/* The least that a block will have; borrowed from a larger class it has more. */
size_t nallocx(size_t size, int flags)
{
    size_t align = flags_align(flags);
    size_t step = align < CLASS_ALIGN ? align : CLASS_ALIGN;

    size = at_least_one(size);
    if (align > (size_t)PTRDIFF_MAX || size > (size_t)PTRDIFF_MAX - (align - 1)) {
        return 0;
    }
    /* The secure build lets nobody use what he did not ask for. */
    return emp_good_size(EMP_CANARY_BYTES != 0 ? size : (size + step - 1) & ~(step - 1));
}
