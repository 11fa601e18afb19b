/*
 * What it is for: the memory of an asynchronous runtime in one object (AsyncRuntimeMemoryPool):
 *   pools for futures, tasks, wakers, channels and coroutine stacks, one create, one snapshot, one
 *   destroy that says what leaked.
 * When not to use it: for memory that is no asynchronous object; see advanced_memory_pool.h.
 * Life cycle: emp_async_pool_create -> use -> emp_async_pool_destroy, when no object is in use.
 * Threads: create and destroy by one thread; everything else by any.
 * Errors: enum emp_status.
 */
#ifndef EMP_CORE_ASYNC_MEMORY_POOL_H
#define EMP_CORE_ASYNC_MEMORY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/coroutine_memory.h"
#include "async/future.h"
#include "async/scheduler.h"
#include "async/task.h"
#include "async/waker.h"
#include "base/export.h"
#include "base/status_code.h"
#include "core/pool_types.h"

struct emp_async_pool;

/* Bounds and sizes of one kind of object; zero means "choose for me". */
struct emp_async_limits {
    size_t initial_capacity; /* objects made ready at creation */
    size_t max_capacity;     /* objects, hard limit; 0: none */
    size_t l1_cache_size;    /* objects kept per thread, 1..512 */
};

/* How slabs of every kind are used; zero means "choose for me". */
struct emp_async_slab_config {
    size_t l2_cache_size;    /* free objects per kind and CPU shard that stay resident when idle */
    size_t batch_alloc_size; /* objects moved per refill, 1..128 */
};

/* IndustrialMemoryPoolConfig of the model, checked as a whole before anything is made. */
struct emp_async_pool_config {
    size_t struct_bytes; /* set by emp_async_pool_config_default */
    const char *name;    /* copied, at most 15 bytes; NULL: "async-<id>" */
    struct emp_async_limits future_pool;
    struct emp_async_limits task_pool;
    struct emp_async_limits waker_pool;
    struct emp_async_limits channel_pool;
    struct emp_async_slab_config slab_config;
    /* when sleeping and free stacks give their pages back; copied; NULL: the default */
    const struct emp_coroutine_policy *reclamation_config;
};

/* One kind in a snapshot. Counts of objects. */
struct emp_async_kind_stats {
    const char *name;      /* "future", "waiter", "waker", "task-header", "task", ... */
    uint64_t object_bytes; /* size of an object */
    uint64_t in_use;       /* in use, or cached by other threads than the caller */
    uint64_t free;         /* ready in slabs */
    uint64_t capacity;     /* in all slabs */
    uint64_t allocations;  /* that left the shared tiers, total */
};

#define EMP_ASYNC_KINDS_MAX 12

/* Everything about one pool at one moment. */
struct emp_async_stats {
    uint32_t kinds; /* entries in use below */
    struct emp_async_kind_stats kind[EMP_ASYNC_KINDS_MAX];
    uint64_t resident_bytes; /* bytes of slabs of all kinds */
};

/* A group of objects that were never given back. Strings live during the call only. */
struct emp_async_leak {
    const char *kind;     /* "task", "future", ... */
    const char *file;     /* where the tasks were spawned; NULL: unknown */
    const char *function; /* NULL: unknown */
    uint32_t line;
    uint64_t objects;
};

EMP_EXTERN_C_BEGIN

/**
 * The configuration to start from. @returns one with every choice left to the library.
 * Errors: none. Threads: any. Cost: O(1). Since: 0.2. Source: row E9.
 */
EMP_API struct emp_async_pool_config emp_async_pool_config_default(void);

/**
 * Makes the pools of an asynchronous runtime.
 * @param config NULL for the default. @param out receives the pool; the caller destroys it.
 * @returns EMP_OK, EMP_ERR_INVALID, EMP_ERR_EXISTS, EMP_ERR_NOMEM, EMP_ERR_LIMIT.
 * Errors: as returned; nothing is left behind. Threads: any. Cost: some system calls. Since: 0.2.
 * Source: rows E7, E9.
 */
EMP_API enum emp_status emp_async_pool_create(const struct emp_async_pool_config *config,
                                              struct emp_async_pool **out);

/**
 * Ends the pools. Objects that are still in use are gone with them; each group is told.
 * @param pool as created; no other call uses it any more. @param leak called for each group of
 * objects in use; may be NULL. @param arg handed to leak.
 * @returns EMP_OK; EMP_ERR_BUSY when something had leaked. Errors: EMP_ERR_INVALID.
 * Threads: one. Cost: O(slabs). Since: 0.2. Source: row E7.
 */
EMP_API enum emp_status emp_async_pool_destroy(struct emp_async_pool *pool,
                                               void (*leak)(const struct emp_async_leak *leak,
                                                            void *arg),
                                               void *arg);

/**
 * A snapshot. @param pool the pool. @param out receives it.
 * @returns EMP_OK or EMP_ERR_INVALID. Errors: as returned. Threads: any. Cost: a walk over slabs.
 * Since: 0.2. Source: rows E7, F1.
 */
EMP_API enum emp_status emp_async_pool_get_stats(struct emp_async_pool *pool,
                                                 struct emp_async_stats *out);

EMP_EXTERN_C_END

#endif
