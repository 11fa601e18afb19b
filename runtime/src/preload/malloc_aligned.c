/*
 * Purpose: posix_memalign, aligned_alloc, memalign, valloc and pvalloc, each with the error rules
 *          of its own standard, over emp_aligned_alloc.
 * Owner:   preload. Threads: any. Cost: as emp_aligned_alloc.
 * Design:  [preload.req.family]
 * Source:  POSIX.1-2017 posix_memalign; C17 7.22.3.1; glibc manual "Aligned Memory Blocks".
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/hot_path.h"
#include "preload/malloc_names.h"

#define ALIGN_MAX ((size_t)1 << (sizeof(size_t) * CHAR_BIT - 1))

static bool is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Allocates for a valid alignment; the only error is ENOMEM, also for one larger than we serve. */
static void *aligned_serve(size_t align, size_t size)
{
    void *block = emp_aligned_alloc(align, size);

    if (block == NULL) {
        errno = ENOMEM;
    }
    return block;
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* The smallest power of two that is not below align; align is at most ALIGN_MAX. */
static size_t round_to_power_of_two(size_t align)
{
    size_t power = 1;

    while (power < align) {
        power <<= 1;
    }
    return power;
}

/* Past the cache: keeps errno. */
static EMP_NOINLINE int memalign_slow(void **memptr, size_t alignment, size_t size)
{
    int saved_errno = errno;
    void *block = aligned_serve(alignment, size);

    errno = saved_errno;
    if (block == NULL) {
        return ENOMEM;
    }
    *memptr = block;
    return 0;
}

/* Returns the error and leaves errno and, on failure, *memptr alone. */
EMP_API int posix_memalign(void **memptr, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) {
        return EINVAL;
    }
    void *block = emp_aligned_hot(alignment, size);

    if (emp_unlikely(block == NULL)) {
        return memalign_slow(memptr, alignment, size);
    }
    *memptr = block;
    return 0;
}

/* C17 leaves other alignments undefined; glibc since 2.38 and this refuse them. */
EMP_API void *aligned_alloc(size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    void *block = emp_aligned_hot(alignment, size);

    return emp_likely(block != NULL) ? block : aligned_serve(alignment, size);
}

/* As glibc: an alignment that is no power of two is rounded up to one. */
EMP_API void *memalign(size_t alignment, size_t size)
{
    if (alignment > ALIGN_MAX) {
        errno = EINVAL;
        return NULL;
    }
    return aligned_serve(round_to_power_of_two(alignment), size);
}

EMP_API void *valloc(size_t size)
{
    return aligned_serve(page_bytes(), size);
}

/* Whole pages: the size is rounded up, and zero gives one page. */
EMP_API void *pvalloc(size_t size)
{
    size_t page = page_bytes();

    if (size > SIZE_MAX - (page - 1)) {
        errno = ENOMEM;
        return NULL;
    }
    if (size == 0) {
        size = 1;
    }
    return aligned_serve(page, (size + page - 1) & ~(page - 1));
}

void *__libc_memalign(size_t align, size_t size)
{
    return memalign(align, size);
}

void *__libc_valloc(size_t size)
{
    return valloc(size);
}

void *__libc_pvalloc(size_t size)
{
    return pvalloc(size);
}
