/*
 * Purpose: objects of the async room under the model checker: memory whose life is watched, in the
 *          place of pools.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md
 */
#ifndef EMP_ASYNC_OBJECT_H
#define EMP_ASYNC_OBJECT_H

#include <stddef.h>
#include <stdint.h>

/* As in object.def; protocol/objects.c has the sizes from there. */
enum emp_object_kind {
    EMP_OBJECT_FUTURE,
    EMP_OBJECT_WAITER,
    EMP_OBJECT_WAKER,
    EMP_OBJECT_HEADER,
    EMP_OBJECT_TASK,
    EMP_OBJECT_NODE,
    EMP_OBJECT_CHANNEL,
    EMP_OBJECT_BLOCK
};

struct emp_id_table;

struct emp_async_pool {
    uint32_t signature;
    struct emp_id_table *ids;
};

#define EMP_ASYNC_POOL_SIGNATURE 0x41504d45u

struct emp_object_hooks {
    void *(*memory_take)(size_t bytes);
    void *(*memory_take_zeroed)(size_t bytes);
    void (*memory_give)(void *block);
};

extern struct emp_object_hooks emp_object_hooks;

void *emp_object_take(const struct emp_async_pool *pool, enum emp_object_kind kind);
struct emp_async_pool *emp_object_pool_of(const void *object);
void emp_object_give(void *object);

/* An empty id table, or NULL: out of memory. */
struct emp_id_table *emp_id_table_new(void);

/* Ends a table that nobody uses; ids that are left name nothing then. NULL is fine. */
void emp_id_table_end(struct emp_id_table *table);

#endif
