/*
 * Purpose: malloc, free, calloc and realloc of the drop-in: the hit paths, everything else by a
 *          tail call into core.
 * Owner:   preload. Threads: any. Not async-signal-safe, as in every C library.
 * Design:  [preload.req.contract]. Source: C11 7.22.3, POSIX, glibc manual "Replacing malloc".
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/hot_path.h"
#include "core/runtime.h"
#include "local/fast_path.h"

EMP_EXPORT void *malloc(size_t size);
EMP_EXPORT void free(void *ptr);
EMP_EXPORT void *calloc(size_t count, size_t size);
EMP_EXPORT void *realloc(void *ptr, size_t size);

void *malloc(size_t size)
{
    return emp_allocate_hot(size);
}

void free(void *ptr)
{
    if (EMP_SECURE) {
        emp_release_guarded(ptr, "free", (uintptr_t)__builtin_return_address(0));
    } else if (emp_unlikely(!emp_fast_free(ptr))) {
        /* not emp_release_hot: the hit path would read the return address too */
        emp_release_for(ptr, "free", (uintptr_t)__builtin_return_address(0));
    }
}

void *calloc(size_t count, size_t size)
{
    return emp_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    return emp_realloc(ptr, size);
}
