/*
 * Purpose: takes the place of async/object.h in builds of the model checker: every object is memory
 *          whose life the checker watches.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md
 */
#ifndef EMP_ASYNC_OBJECT_H
#define EMP_ASYNC_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/config.h"

/* From the checker's memory; of model.h only these, which the product's files may not know. */
void *model_alloc(size_t bytes);
void model_free(void *memory);

/* EMP_OBJECT(kind, name, bytes, alignment): as in the product. */
enum emp_object_kind {
#define EMP_OBJECT(kind, name, bytes, align) EMP_OBJECT_##kind,
#include "async/object.def"
#undef EMP_OBJECT
    EMP_OBJECT_KINDS
};

struct emp_async_pool {
    uint32_t signature;
};

#define EMP_ASYNC_POOL_SIGNATURE 0x41504d45u

struct emp_object_hooks {
    void *(*memory_take)(size_t bytes);
    void (*memory_give)(void *block);
};

static const struct emp_object_hooks emp_object_hooks = {model_alloc, model_free};

static inline void *emp_object_take(const struct emp_async_pool *pool, enum emp_object_kind kind)
{
    static const size_t bytes[] = {
#define EMP_OBJECT(kind, name, bytes, align) bytes,
#include "async/object.def"
#undef EMP_OBJECT
    };

    (void)pool;
    return model_alloc(bytes[kind]);
}

static inline void emp_object_give(void *object)
{
    model_free(object);
}

#endif
