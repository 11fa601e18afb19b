/*
 * Purpose: stands in for runtime/src/async/object.h when the room async is built to be compared
 *          with: every object and every block comes from malloc by a call of its own, inline, and
 *          goes back by free. Same functions, same sources above, no pools below.
 * Owner:   bench. Threads: any.
 *
 * What is fair here: plain malloc and free, which are what a program without pools would call and
 * the fastest that the C library has. They align to 16 bytes, which is all that the room's tags
 * need; aligned_alloc would keep lines apart for tasks, too, and cost more. The stacks of
 * coroutines are mapped and kept by the same code in both builds.
 */
#ifndef EMP_ASYNC_OBJECT_H
#define EMP_ASYNC_OBJECT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/config.h"
#include "local/fast_path.h"

struct emp_stack_manager;
struct emp_id_table;

enum emp_object_kind {
#define EMP_OBJECT(kind, name, bytes, align) EMP_OBJECT_##kind,
#include "async/object.def"
#undef EMP_OBJECT
    EMP_OBJECT_KINDS
};

/* The same struct: core makes it. */
struct emp_async_pool {
    uint32_t signature;
    uint16_t class_of[EMP_OBJECT_KINDS];
    struct emp_stack_manager *stacks;
    struct emp_id_table *ids;
    void *owner;
};

#define EMP_ASYNC_POOL_SIGNATURE 0x41504d45u

struct emp_object_hooks {
    void *(*take)(const struct emp_async_pool *pool, enum emp_object_kind kind);
    void (*give)(void *object);
    void *(*memory_take)(size_t bytes);
    void *(*memory_take_zeroed)(size_t bytes);
    void (*memory_give)(void *block);
    void (*stacks_grew)(void);
};

static inline void *on_malloc_take_zeroed(size_t bytes)
{
    return calloc(1, bytes);
}

/* The scheduler's ticks park stacks; there is no maintenance thread to be told. */
static inline void on_malloc_stacks_grew(void)
{
}

/* Known to the compiler, so that a call through it is a call of malloc. */
static const struct emp_object_hooks on_malloc_hooks = {
    NULL, free, malloc, on_malloc_take_zeroed, free, on_malloc_stacks_grew};

/* A block of a channel keeps counts in the low bits of its address. */
#define EMP_ON_MALLOC_BLOCK_ALIGN 128u

#define emp_object_hooks on_malloc_hooks

static inline void *emp_object_take(const struct emp_async_pool *pool, enum emp_object_kind kind)
{
    static const uint32_t bytes_of[] = {
#define EMP_OBJECT(kind, name, bytes, align) bytes,
#include "async/object.def"
#undef EMP_OBJECT
    };

    (void)pool;
    if (kind ==
        EMP_OBJECT_BLOCK) { /* the one kind whose address has more than three bits to spare */
        return aligned_alloc(EMP_ON_MALLOC_BLOCK_ALIGN, bytes_of[kind]);
    }
    return malloc(bytes_of[kind]);
}

static inline void emp_object_give(void *object)
{
    free(object);
}

/* Nobody needs to know: the kind alone says how many bytes. */
static inline struct emp_async_pool *emp_object_pool_of(const void *object)
{
    (void)object;
    return NULL;
}

#endif
