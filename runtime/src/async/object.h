/*
 * Purpose: where the room's objects come from: a pool class per kind, through the hit paths of
 *          local; and the struct behind emp_async_pool.
 * Owner:   async. core creates the classes, sets the hooks once, and owns creation and destruction.
 * Threads: any; take and give touch the calling thread's cache only.
 * Design:  [async.proto.object]
 */
#ifndef EMP_ASYNC_OBJECT_H
#define EMP_ASYNC_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/config.h"
#include "local/fast_path.h"

struct emp_stack_manager;
struct emp_id_table;

/* EMP_OBJECT(kind, name, bytes, alignment): the pools of one emp_async_pool. */
enum emp_object_kind {
#define EMP_OBJECT(kind, name, bytes, align) EMP_OBJECT_##kind,
#include "async/object.def"
#undef EMP_OBJECT
    EMP_OBJECT_KINDS
};

/* AsyncRuntimeMemoryPool of the model. */
struct emp_async_pool {
    uint32_t signature;                  /* EMP_ASYNC_POOL_SIGNATURE while alive */
    uint16_t class_of[EMP_OBJECT_KINDS]; /* const after creation */
    struct emp_stack_manager *stacks;    /* const after creation; NULL: no coroutines */
    struct emp_id_table *ids;            /* const after creation */
    void *owner;                         /* core's part */
};

#define EMP_ASYNC_POOL_SIGNATURE 0x41504d45u /* "EMPA" */

/* The slow sides, which start the library, emit events and report misuse: core's. */
struct emp_object_hooks {
    void *(*take)(const struct emp_async_pool *pool, enum emp_object_kind kind);
    void (*give)(void *object);
    /* a block of the heap, 16-aligned; 64 for multiples of 64, 128 for multiples of 128 */
    void *(*memory_take)(size_t bytes);
    void *(*memory_take_zeroed)(size_t bytes);
    void (*memory_give)(void *block);
    void (*stacks_grew)(void); /* there is something that a tick may park one day */
};

/* Set once by core before the first pool exists. */
extern struct emp_object_hooks emp_object_hooks;

/* By class: whose objects they are. core writes an entry before the first object of the class. */
extern struct emp_async_pool *emp_object_pools[EMP_CLASS_LIMIT - EMP_POOL_CLASS_FIRST];

/* An object of a kind with undefined content, or NULL. */
static inline void *emp_object_take(const struct emp_async_pool *pool, enum emp_object_kind kind)
{
    void *object = EMP_SECURE ? NULL : emp_fast_pop(&emp_l1_current()->bins[pool->class_of[kind]]);

    if (emp_unlikely(object == NULL)) {
        return emp_object_hooks.take(pool, kind);
    }
    return object;
}

/* The pool of an object, found by its address: an object has no room for a pointer to it. */
static inline struct emp_async_pool *emp_object_pool_of(const void *object)
{
    /* Not through the thread's cache: the caller may have none yet. */
    size_t unit = ((uintptr_t)object - emp_arena.base) >> EMP_UNIT_SHIFT;

    /* order(slab-tag): relaxed; the caller holds the object, so its slab cannot end meanwhile */
    return emp_object_pools[emp_tag_class(emp_load_relaxed(&emp_arena.tags[unit])) -
                            EMP_POOL_CLASS_FIRST];
}

/* Gives an object of any pool back. */
static inline void emp_object_give(void *object)
{
    if (EMP_SECURE || emp_unlikely(!emp_fast_free(object))) {
        emp_object_hooks.give(object);
    }
}

/* An empty id table, or NULL: out of memory. */
struct emp_id_table *emp_id_table_new(void);

/* Ends a table that nobody uses; ids that are left name nothing then. NULL is fine. */
void emp_id_table_end(struct emp_id_table *table);

#endif
