/*
 * Purpose: the pools of an asynchronous runtime as one object: creation from one checked
 *          configuration, snapshot, destruction.
 * Owner:   core. Threads: create and destroy by one thread at a time; the snapshot by any.
 * Design:  [core.proto.async-pool]
 */
#include "core/async_memory_pool.h"

#include <string.h>

#include "async/object.h"
#include "async/stack_process.h"
#include "core/advanced_memory_pool.h"
#include "core/async_leak.h"
#include "core/hot_path.h"
#include "core/maintenance.h"
#include "core/pools.h"
#include "core/runtime.h"
#include "sync/atomic.h"

_Static_assert(EMP_OBJECT_KINDS <= EMP_ASYNC_KINDS_MAX, "a snapshot holds every kind");

#define NAME_BYTES 16
#define NUMBERS    100000u /* of pools without a name of their own: five digits */

/* core's part of an emp_async_pool: one allocation with it. */
struct async_owner {
    struct emp_async_pool pool;
    struct emp_pool *pools[EMP_OBJECT_KINDS];
    char name[NAME_BYTES];
};

static const struct kind_row {
    const char *name;
    uint32_t bytes;
    uint32_t align;
} kind_rows[] = {
#define EMP_OBJECT(kind, name, bytes, align) {name, bytes, align},
#include "async/object.def"
#undef EMP_OBJECT
};

static uint32_t async_next_id = 1; /* atomic: async-id. names pools that were given none */

static struct async_owner *owner_of(const struct emp_async_pool *pool)
{
    return pool->owner;
}

static void *hook_take(const struct emp_async_pool *pool, enum emp_object_kind kind)
{
    return emp_pool_alloc(owner_of(pool)->pools[kind]);
}

static void hook_give(void *object)
{
    emp_release_hot(object, "async_free", EMP_CALLER_PROGRAM);
}

static void *hook_memory_take(size_t bytes)
{
    const size_t line = bytes % 128 == 0 ? 128 : bytes % 64 == 0 ? 64 : 0;

    /* Classes keep the promise by their size, unless a canary or a red zone is added to it. */
    return line != 0 && (EMP_SECURE || emp_runtime_annotates) ? emp_aligned_alloc(line, bytes)
                                                              : emp_malloc(bytes);
}

static void *hook_memory_take_zeroed(size_t bytes)
{
    return emp_calloc(1, bytes);
}

static void hook_memory_give(void *block)
{
    emp_free(block);
}

void emp_async_hooks_init(void)
{
    emp_object_hooks = (struct emp_object_hooks){
        .take = hook_take,
        .give = hook_give,
        .memory_take = hook_memory_take,
        .memory_take_zeroed = hook_memory_take_zeroed,
        .memory_give = hook_memory_give,
        .stacks_grew = emp_maintenance_offer_for_stacks,
    };
}

struct emp_async_pool_config emp_async_pool_config_default(void)
{
    return (struct emp_async_pool_config){.struct_bytes = sizeof(struct emp_async_pool_config)};
}

/* The limits that a kind is made with. */
static const struct emp_async_limits *limits_of(const struct emp_async_pool_config *config,
                                                enum emp_object_kind kind)
{
    switch (kind) {
    case EMP_OBJECT_FUTURE:
    case EMP_OBJECT_WAITER:
        return &config->future_pool;
    case EMP_OBJECT_TASK:
    case EMP_OBJECT_HEADER:
        return &config->task_pool;
    case EMP_OBJECT_WAKER:
        return &config->waker_pool;
    default:
        return &config->channel_pool;
    }
}

static bool limits_are_valid(const struct emp_async_limits *limits)
{
    return limits->l1_cache_size <= 512 &&
           (limits->max_capacity == 0 || limits->initial_capacity <= limits->max_capacity);
}

static bool config_is_valid(const struct emp_async_pool_config *config)
{
    return config->struct_bytes == sizeof(*config) &&
           (config->name == NULL ||
            (config->name[0] != '\0' && strlen(config->name) < NAME_BYTES)) &&
           limits_are_valid(&config->future_pool) && limits_are_valid(&config->task_pool) &&
           limits_are_valid(&config->waker_pool) && limits_are_valid(&config->channel_pool) &&
           config->slab_config.l2_cache_size <= UINT32_MAX &&
           config->slab_config.batch_alloc_size <= 128 &&
           (config->reclamation_config == NULL || config->reclamation_config->parks_per_tick != 0);
}

/* Makes the pool of one kind: "<name>.<kind>". */
static enum emp_status kind_create(struct async_owner *owner, enum emp_object_kind kind,
                                   const struct emp_async_pool_config *wanted)
{
    const struct emp_async_limits *limits = limits_of(wanted, kind);
    char name[EMP_POOL_NAME_BYTES];
    size_t head = strlen(owner->name);
    struct emp_pool_config config = emp_pool_config_default(kind_rows[kind].bytes);

    memcpy(name, owner->name, head);
    name[head] = '.';
    memcpy(name + head + 1, kind_rows[kind].name, strlen(kind_rows[kind].name) + 1);
    config.name = name;
    config.object_align = kind_rows[kind].align;
    config.initial_capacity = limits->initial_capacity;
    config.max_capacity = limits->max_capacity;
    config.l1_cache_size = limits->l1_cache_size;
    config.l2_cache_size = wanted->slab_config.l2_cache_size;
    config.batch_alloc_size = wanted->slab_config.batch_alloc_size;
    enum emp_status status = emp_pool_create(&config, &owner->pools[kind]);

    if (status == EMP_OK) {
        uint32_t class_id = emp_pool_class(owner->pools[kind]);

        owner->pool.class_of[kind] = (uint16_t)class_id;
        emp_object_pools[class_id - EMP_POOL_CLASS_FIRST] = &owner->pool;
    }
    return status;
}

/* Ends what was made; true when nothing was in use. */
static bool owner_end(struct async_owner *owner, struct emp_async_leaks *leaks)
{
    bool clean = true;

    emp_stack_manager_end(owner->pool.stacks);
    for (unsigned kind = 0; kind < EMP_OBJECT_KINDS; kind++) {
        leaks->kind = (enum emp_object_kind)kind;
        if (owner->pools[kind] != NULL &&
            emp_pool_end(owner->pools[kind], NULL, emp_async_leaks_count, leaks) != EMP_OK) {
            clean = false;
        }
    }
    emp_id_table_end(owner->pool.ids);
    owner->pool.signature = 0;
    emp_free(owner);
    return clean;
}

enum emp_status emp_async_pool_create(const struct emp_async_pool_config *config,
                                      struct emp_async_pool **out)
{
    struct emp_async_pool_config standard = emp_async_pool_config_default();
    enum emp_status status = EMP_OK;

    if (config == NULL) {
        config = &standard;
    }
    if (out == NULL || !config_is_valid(config)) {
        return EMP_ERR_INVALID;
    }
    struct async_owner *owner = emp_calloc(1, sizeof(*owner));

    if (owner == NULL) {
        return EMP_ERR_NOMEM;
    }
    owner->pool.owner = owner;
    if (config->name != NULL) {
        memcpy(owner->name, config->name, strlen(config->name) + 1);
    } else {
        /* order(async-id): relaxed; a number, it publishes nothing */
        uint32_t id = emp_fetch_add_relaxed(&async_next_id, 1u);

        emp_pool_name_number(owner->name, "async-", id % NUMBERS);
    }
    owner->pool.ids = emp_id_table_new();
    status = owner->pool.ids == NULL ? EMP_ERR_NOMEM : EMP_OK;
    for (unsigned kind = 0; kind < EMP_OBJECT_KINDS && status == EMP_OK; kind++) {
        status = kind_create(owner, kind, config);
    }
    if (status == EMP_OK) {
        owner->pool.stacks = emp_stack_manager_new(&owner->pool);
        status = owner->pool.stacks == NULL ? EMP_ERR_NOMEM : EMP_OK;
    }
    if (status == EMP_OK && config->reclamation_config != NULL) {
        status = emp_coroutine_set_policy(&owner->pool, config->reclamation_config);
    }
    if (status != EMP_OK) {
        (void)owner_end(owner, &(struct emp_async_leaks){0});
        return status;
    }
    owner->pool.signature = EMP_ASYNC_POOL_SIGNATURE;
    *out = &owner->pool;
    return EMP_OK;
}

enum emp_status emp_async_pool_destroy(struct emp_async_pool *pool,
                                       void (*leak)(const struct emp_async_leak *leak, void *arg),
                                       void *arg)
{
    if (pool == NULL || pool->signature != EMP_ASYNC_POOL_SIGNATURE) {
        return EMP_ERR_INVALID;
    }
    const char *names[EMP_OBJECT_KINDS];
    struct emp_async_leaks leaks;

    for (unsigned kind = 0; kind < EMP_OBJECT_KINDS; kind++) {
        names[kind] = kind_rows[kind].name;
    }
    emp_async_leaks_begin(&leaks);
    bool clean = owner_end(owner_of(pool), &leaks);

    emp_async_leaks_tell(&leaks, names, leak, arg);
    return clean ? EMP_OK : EMP_ERR_BUSY;
}

enum emp_status emp_async_pool_get_stats(struct emp_async_pool *pool, struct emp_async_stats *out)
{
    if (pool == NULL || out == NULL || pool->signature != EMP_ASYNC_POOL_SIGNATURE) {
        return EMP_ERR_INVALID;
    }
    memset(out, 0, sizeof(*out));
    out->kinds = EMP_OBJECT_KINDS;
    for (unsigned kind = 0; kind < EMP_OBJECT_KINDS; kind++) {
        struct emp_pool_stats stats;

        emp_pool_flush(owner_of(pool)->pools[kind]);
        (void)emp_pool_get_stats(owner_of(pool)->pools[kind], &stats);
        out->kind[kind] = (struct emp_async_kind_stats){
            .name = kind_rows[kind].name,
            .object_bytes = stats.object_bytes,
            .in_use = stats.total_allocated,
            .free = stats.total_free,
            .capacity = stats.capacity,
            .allocations = stats.allocations,
        };
        out->resident_bytes += stats.capacity * stats.object_bytes;
    }
    return EMP_OK;
}
