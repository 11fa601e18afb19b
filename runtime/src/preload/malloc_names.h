/*
 * Purpose: declares the names of the malloc family that the headers of Debian 12 lack: C23's sized
 *          frees, glibc's internal aliases, and the extended calls of jemalloc.
 * Owner:   preload. Threads: any.
 * Design:  [preload.req.family]
 * Source:  C23 7.24.3.4-5; glibc malloc/malloc.c; jemalloc(3).
 */
#ifndef EMP_PRELOAD_MALLOC_NAMES_H
#define EMP_PRELOAD_MALLOC_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/export.h"

/* Frees a block of malloc, calloc or realloc; size is the one asked for. */
EMP_API void free_sized(void *ptr, size_t size);

/* Frees a block of aligned_alloc; align and size are those asked for. */
EMP_API void free_aligned_sized(void *ptr, size_t align, size_t size);

/* Second names of the family, which interposers and old replacements call. */
EMP_API void *__libc_malloc(size_t size);
EMP_API void *__libc_calloc(size_t count, size_t size);
EMP_API void *__libc_realloc(void *ptr, size_t size);
EMP_API void __libc_free(void *ptr);
EMP_API void *__libc_memalign(size_t align, size_t size);
EMP_API void *__libc_valloc(size_t size);
EMP_API void *__libc_pvalloc(size_t size);

/* jemalloc: log2 of the alignment in the low six bits of flags, and this bit for zeroed memory. */
#define EMP_JE_LG_ALIGN_MASK 0x3f
#define EMP_JE_ZERO          0x40

/* Allocates, resizes, frees with flags; the usable size now, or the one a request would get. */
EMP_API void *mallocx(size_t size, int flags);
EMP_API void *rallocx(void *ptr, size_t size, int flags);
EMP_API size_t xallocx(void *ptr, size_t size, size_t extra, int flags);
EMP_API size_t sallocx(const void *ptr, int flags);
EMP_API void dallocx(void *ptr, int flags);
EMP_API void sdallocx(void *ptr, size_t size, int flags);
EMP_API size_t nallocx(size_t size, int flags);

/*
 * The last two arguments of jemalloc's mallctlbymib, newp and newlen. Both calling conventions we
 * support pass a struct of two words, as the fifth argument, in the registers of two words.
 */
struct emp_je_input {
    void *ptr;    /* value to write, or NULL */
    size_t bytes; /* its size */
};

/* Reads, writes or starts what a name says; the same by numbers; prints the statistics. */
EMP_API int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
EMP_API int mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp);
EMP_API int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                         struct emp_je_input input);
EMP_API void malloc_stats_print(void (*write_cb)(void *arg, const char *text), void *arg,
                                const char *options);

#endif
