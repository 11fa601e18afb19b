/*
 * Purpose: the slow paths of EMP_POOL_DEFINE: creation at first use, refill, full bins, misuse.
 * Owner:   core. Threads: any; creation is decided by the pool repository (names are unique per
 *          address), so two threads that race create one pool.
 * Design:  [core.proto.pool]
 */
#include "core/typed_pool.h"

#include <errno.h>

#include "core/advanced_memory_pool.h"
#include "core/pools.h"
#include "core/runtime.h"
#include "sync/atomic.h"
#include "thread/mutex.h"

/* Offset of a bin that is always empty without room: what the inlined paths see before creation. */
#define NOT_CREATED EMP_VIEW_BIN_OFFSET(0)

static struct emp_mutex typed_lock = EMP_MUTEX_INIT(TYPED);

/* Creates the pool behind a typed pool; false with errno set. */
static bool typed_create(struct emp_typed_pool *typed)
{
    enum emp_status status = emp_runtime_start() ? EMP_OK : EMP_ERR_NOMEM;

    emp_mutex_lock(&typed_lock);
    if (typed->pool == NULL && status == EMP_OK) {
        struct emp_pool_config config = emp_pool_config_default(typed->object_size);
        struct emp_pool *pool = NULL;

        config.object_align = typed->object_align < 8 ? 0 : typed->object_align;
        config.name = typed->name;
        status = emp_pool_create(&config, &pool);
        if (status == EMP_ERR_EXISTS) { /* two files may define pools of the same name */
            config.name = NULL;
            status = emp_pool_create(&config, &pool);
        }
        if (status == EMP_OK) {
            typed->pool = pool;
            /* order(typed-pool): release; who sees the offset may use the bin */
            emp_store_release(&typed->bin_offset, EMP_VIEW_BIN_OFFSET(emp_pool_class(pool)));
        }
    }
    emp_mutex_unlock(&typed_lock);
    if (status != EMP_OK) {
        errno = ENOMEM;
    }
    return status == EMP_OK;
}

void *emp_typed_pool_alloc_slow(struct emp_typed_pool *typed)
{
    /* order(typed-pool): acquire; pairs with the release in typed_create */
    if (emp_load_acquire(&typed->bin_offset) == NOT_CREATED && !typed_create(typed)) {
        return NULL;
    }
    return emp_pool_alloc(typed->pool);
}

void emp_typed_pool_free_slow(struct emp_typed_pool *typed, void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    /* order(typed-pool): acquire; pairs with the release in typed_create */
    if (emp_load_acquire(&typed->bin_offset) == NOT_CREATED) {
        emp_report_pointer(EMP_REPORT_WRONG_POOL, ptr, "typed_free");
        return;
    }
    emp_pool_free(typed->pool, ptr);
}

void emp_typed_fork_prepare(void)
{
    emp_mutex_lock(&typed_lock);
}

void emp_typed_fork_parent(void)
{
    emp_mutex_unlock(&typed_lock);
}

void emp_typed_fork_child(void)
{
    emp_mutex_reset_in_child(&typed_lock);
}

enum emp_status emp_typed_pool_destroy(struct emp_typed_pool *typed, size_t *live)
{
    emp_mutex_lock(&typed_lock);
    struct emp_pool *pool = typed->pool;

    typed->pool = NULL;
    /* order(typed-pool): relaxed; nobody else uses the pool during destroy */
    emp_store_relaxed(&typed->bin_offset, NOT_CREATED);
    emp_mutex_unlock(&typed_lock);
    return pool == NULL ? EMP_ERR_STATE : emp_pool_destroy(pool, live);
}
