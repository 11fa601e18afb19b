/*
 * What: the objects of the async room in the checker: each a piece of watched memory.
 * How:  a kind has the size that object.def says; a leak, a second end or a late use is a fault.
 * Design: docs/design/model.md
 */
#include "async/object.h"
#include "model.h"

struct emp_object_hooks emp_object_hooks = {model_alloc, model_alloc, model_free};

static struct emp_async_pool only_pool;

void *emp_object_take(const struct emp_async_pool *pool, enum emp_object_kind kind)
{
    static const size_t bytes[] = {
#define EMP_OBJECT(kind, name, bytes, align) [EMP_OBJECT_##kind] = (bytes),
#include "async/object.def"
#undef EMP_OBJECT
    };

    (void)pool;
    return model_alloc(bytes[kind]);
}

struct emp_async_pool *emp_object_pool_of(const void *object)
{
    (void)object;
    return &only_pool;
}

void emp_object_give(void *object)
{
    model_free(object);
}
