/*
 * Purpose: C23's sized frees, the usable size, and glibc's second names of malloc and free.
 * Owner:   preload. Threads: any. Cost: as the emp_ function each calls.
 * Design:  [preload.req.family]
 * Source:  C23 7.24.3.4-5; glibc malloc/malloc.c (strong aliases).
 */
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/advanced_memory_pool.h"
#include "preload/malloc_names.h"

void free_sized(void *ptr, size_t size)
{
    emp_free_sized(ptr, size);
}

void free_aligned_sized(void *ptr, size_t align, size_t size)
{
    emp_free_aligned_sized(ptr, align, size);
}

EMP_API size_t malloc_usable_size(void *ptr)
{
    return emp_usable_size(ptr);
}

void *__libc_malloc(size_t size)
{
    return emp_malloc(size);
}

void *__libc_calloc(size_t count, size_t size)
{
    return emp_calloc(count, size);
}

void *__libc_realloc(void *ptr, size_t size)
{
    return emp_realloc(ptr, size);
}

void __libc_free(void *ptr)
{
    emp_free(ptr);
}
