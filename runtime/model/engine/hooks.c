/*
 * Purpose: the hooks that a compiler's -fsanitize=thread leaves in the code under test, handed to
 *          the checker. The sanitizer's own library is not linked.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Plain memory"
 * Source:  the calls that gcc (gcc/sanitizer.def) and clang (ThreadSanitizer pass) emit.
 */
#include "engine/engine.h"

#include <string.h>

#define CALLER() __builtin_return_address(0)

#define PLAIN_HOOK(name, bytes, is_write)                  \
    void name(void *place);                                \
    void name(void *place)                                 \
    {                                                      \
        model_plain(place, (bytes), (is_write), CALLER()); \
    }

PLAIN_HOOK(__tsan_read1, 1, false)
PLAIN_HOOK(__tsan_read2, 2, false)
PLAIN_HOOK(__tsan_read4, 4, false)
PLAIN_HOOK(__tsan_read8, 8, false)
PLAIN_HOOK(__tsan_read16, 16, false)
PLAIN_HOOK(__tsan_write1, 1, true)
PLAIN_HOOK(__tsan_write2, 2, true)
PLAIN_HOOK(__tsan_write4, 4, true)
PLAIN_HOOK(__tsan_write8, 8, true)
PLAIN_HOOK(__tsan_write16, 16, true)
PLAIN_HOOK(__tsan_unaligned_read2, 2, false)
PLAIN_HOOK(__tsan_unaligned_read4, 4, false)
PLAIN_HOOK(__tsan_unaligned_read8, 8, false)
PLAIN_HOOK(__tsan_unaligned_read16, 16, false)
PLAIN_HOOK(__tsan_unaligned_write2, 2, true)
PLAIN_HOOK(__tsan_unaligned_write4, 4, true)
PLAIN_HOOK(__tsan_unaligned_write8, 8, true)
PLAIN_HOOK(__tsan_unaligned_write16, 16, true)

void __tsan_read_range(void *place, unsigned long bytes);
void __tsan_write_range(void *place, unsigned long bytes);
void __tsan_init(void);
void *model_memset(void *place, int value, unsigned long bytes);
void *model_memcpy(void *place, const void *source, unsigned long bytes);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);

void __tsan_read_range(void *place, unsigned long bytes)
{
    model_plain(place, (uint32_t)bytes, false, CALLER());
}

void __tsan_write_range(void *place, unsigned long bytes)
{
    model_plain(place, (uint32_t)bytes, true, CALLER());
}

/* The compiler leaves no hook at a call of memset: the code under test calls this one. */
void *model_memset(void *place, int value, unsigned long bytes)
{
    if (bytes != 0) {
        model_plain(place, (uint32_t)bytes, true, CALLER());
    }
    return memset(place, value, bytes);
}

/* Nor at one of memcpy. */
void *model_memcpy(void *place, const void *source, unsigned long bytes)
{
    if (bytes != 0) {
        model_plain((void *)(uintptr_t)source, (uint32_t)bytes, false, CALLER());
        model_plain(place, (uint32_t)bytes, true, CALLER());
    }
    return memcpy(place, source, bytes);
}

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void)
{
}
