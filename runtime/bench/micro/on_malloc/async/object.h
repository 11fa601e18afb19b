/*
 * Purpose: stands before runtime/src/async/object.h when the room async is built to be compared
 *          with: every object and every block comes from malloc by a call of its own, inline, and
 *          goes back by free. Same sources above, no pools below.
 * Owner:   bench. Threads: any.
 *
 * What is fair here: plain malloc and free, which are what a program without pools would call and
 * the fastest that the C library has. They align to 16 bytes, which is all that most kinds need.
 * Tasks and blocks of channels keep counts in the low bits of their addresses and come from
 * aligned_alloc: one for a connection, none for a request.
 * The stacks of coroutines are mapped, kept and parked by the same code in both builds.
 */
#ifndef EMP_ON_MALLOC_OBJECT_H
#define EMP_ON_MALLOC_OBJECT_H

#include <stdlib.h>

#define emp_object_take    emp_object_take_from_pool
#define emp_object_give    emp_object_give_to_pool
#define emp_object_pool_of emp_object_pool_of_address
#include_next "async/object.h"
#undef emp_object_take
#undef emp_object_give
#undef emp_object_pool_of

static inline void *emp_object_take(const struct emp_async_pool *pool, enum emp_object_kind kind)
{
    static const struct {
        uint32_t bytes;
        uint32_t align;
    } kinds[] = {
#define EMP_OBJECT(kind, name, bytes, align) {bytes, align},
#include "async/object.def"
#undef EMP_OBJECT
    };

    (void)pool;
    if (kind == EMP_OBJECT_TASK || kind == EMP_OBJECT_BLOCK) {
        return aligned_alloc(kinds[kind].align, kinds[kind].bytes);
    }
    return malloc(kinds[kind].bytes);
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

static inline void *emp_on_malloc_zeroed(size_t bytes)
{
    return calloc(1, bytes);
}

/* The hooks of core, but for memory; known to the compiler, so that it calls malloc directly. */
static inline struct emp_object_hooks emp_object_hooks_on_malloc(void)
{
    struct emp_object_hooks hooks = emp_object_hooks;

    hooks.memory_take = malloc;
    hooks.memory_take_zeroed = emp_on_malloc_zeroed;
    hooks.memory_give = free;
    return hooks;
}

#define emp_object_hooks (emp_object_hooks_on_malloc())

/* An empty id table, or NULL: out of memory. */
struct emp_id_table *emp_id_table_new(void);

/* Ends a table that nobody uses; ids that are left name nothing then. NULL is fine. */
void emp_id_table_end(struct emp_id_table *table);

#endif
