/*
 * A library to preload that counts the calls to malloc, calloc and realloc of a process, those of
 * its libraries included, and passes them on to glibc. For runs that count, not for runs that are
 * timed.
 */
#include <stddef.h>
#include <stdint.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *ptr, size_t size);
uint64_t malloc_counter_calls(void);

static uint64_t calls;

static void count_one(void)
{
    (void)__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    count_one();
    return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
    count_one();
    return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *ptr, size_t size)
{
    count_one();
    return __libc_realloc(ptr, size);
}

__attribute__((visibility("default"))) uint64_t malloc_counter_calls(void)
{
    return __atomic_load_n(&calls, __ATOMIC_RELAXED);
}
