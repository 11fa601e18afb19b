/*
 * Purpose: interposes munmap, madvise and mprotect the way tracing tools do: it looks up the next
 *          definition and allocates, inside the call. An allocator that asked the C library for
 *          memory would come back to itself here.
 * Owner:   tests of the drop-in; preloaded by loading_test.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>

static void *next(const char *name)
{
    free(malloc(100));
    return dlsym(RTLD_NEXT, name);
}

__attribute__((visibility("default"))) int munmap(void *address, size_t bytes)
{
    int (*real)(void *, size_t) = (int (*)(void *, size_t))next("munmap");

    return real(address, bytes);
}

__attribute__((visibility("default"))) int madvise(void *address, size_t bytes, int advice)
{
    int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))next("madvise");

    return real(address, bytes, advice);
}

__attribute__((visibility("default"))) int mprotect(void *address, size_t bytes, int protection)
{
    int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))next("mprotect");

    return real(address, bytes, protection);
}
