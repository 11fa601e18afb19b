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

#include "base/compiler.h"

enum emp_object_kind {
#define EMP_OBJECT(kind, name, bytes, align) EMP_OBJECT_##kind,
#include "async/object.def"
#undef EMP_OBJECT
    EMP_OBJECT_KINDS
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

#endif
