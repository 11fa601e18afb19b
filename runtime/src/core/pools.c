/*
 * Purpose: pools of one object size: creation, lookup, allocation, destruction (PoolRepository of
 *          the model). Each pool has a class of its own, so its objects never share a slab with
 *          others.
 * Owner:   core. Threads: the repository under the pools lock; allocation and free lock-free in L1.
 * Design:  [core.proto.pool]
 */
#include "core/pools.h"

#include <errno.h>
#include <string.h>

#include "base/align.h"
#include "core/advanced_memory_pool.h"
#include "core/hot_path.h"
#include "core/maintenance.h"
#include "core/runtime.h"
#include "global/budget.h"
#include "global/shard.h"
#include "local/annotate.h"
#include "local/fast_path.h"
#include "monitor/report.h"
#include "slab/slab.h"
#include "span/large.h"
#include "span/meta.h"
#include "span/unit.h"
#include "sync/atomic.h"

#define EMP_POOL_LIMIT (EMP_CLASS_LIMIT - EMP_POOL_CLASS_FIRST)

/* Owner: the pools lock. A slot of the table is in use iff id != 0. */
struct emp_pool {
    uint32_t id;
    uint32_t class_id;
    size_t object_size;
    char name[EMP_POOL_NAME_BYTES];
};

static struct emp_pool pool_table[EMP_POOL_LIMIT]; /* guarded by the pools lock */
static uint32_t pool_next_id = 1;                  /* guarded by the pools lock */

struct emp_pool_config emp_pool_config_default(size_t object_size)
{
    return (struct emp_pool_config){.struct_bytes = sizeof(struct emp_pool_config),
                                    .object_size = object_size};
}

static bool config_is_valid(const struct emp_pool_config *config)
{
    return config != NULL && config->struct_bytes == sizeof(*config) && config->object_size >= 1 &&
           config->object_size <= EMP_SLAB_MAX &&
           (config->object_align == 0 ||
            (emp_align_is_pow2(config->object_align) && config->object_align >= 8 &&
             config->object_align <= 4096)) &&
           config->l1_cache_size <= 512 && config->l2_cache_size <= UINT32_MAX &&
           config->batch_alloc_size <= 128 &&
           (config->max_capacity == 0 || config->initial_capacity <= config->max_capacity);
}

/* Block size of a pool: the object, the canary, the alignment. */
static size_t pool_block_bytes(const struct emp_pool_config *config)
{
    size_t align = config->object_align;
    size_t size = config->object_size + (align <= 16 ? EMP_CANARY_BYTES : 0);

    if (align == 0) {
        align = size < 16 ? 8 : 16;
    }
    return emp_align_up(size, align);
}

/* Finds a pool by id (name NULL) or by name; lock held. */
static struct emp_pool *pool_find_locked(uint32_t id, const char *name)
{
    for (unsigned i = 0; i < EMP_POOL_LIMIT; i++) {
        struct emp_pool *pool = &pool_table[i];

        if (pool->id != 0 && (name != NULL ? strcmp(pool->name, name) == 0 : pool->id == id)) {
            return pool;
        }
    }
    return NULL;
}

void emp_pool_name_number(char *name, const char *prefix, uint32_t number)
{
    char digits[10]; /* of 32 bits */
    size_t count = 0;
    size_t at = strlen(prefix);

    memcpy(name, prefix, at);
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        name[at++] = digits[--count];
    }
    name[at] = '\0';
}

/* Sets the class of a pool up; lock held. */
static void pool_define_locked(struct emp_pool *pool, const struct emp_pool_config *config)
{
    uint32_t class_id = pool->class_id;
    struct emp_budget *budget = &emp_budgets[class_id];
    size_t l1 = config->l1_cache_size;

    *budget = (struct emp_budget){.limit = config->max_capacity, .name = pool->name};
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        struct emp_shard_class *state = &emp_shards[s]->classes[class_id];

        memset(state, 0, sizeof(*state));
        state->keep_blocks = (uint32_t)config->l2_cache_size;
    }

    emp_size_class_define(class_id, emp_arena.base, (uint32_t)pool_block_bytes(config));
    emp_classes[class_id].batch =
        (uint8_t)(config->batch_alloc_size > 64 ? 64 : config->batch_alloc_size);
    emp_classes[class_id].room_is_fixed = l1 != 0 || config->max_capacity != 0;
    if (l1 != 0) {
        emp_classes[class_id].room = (uint16_t)l1;
    }
    /* Blocks in the bins of other threads are out of reach: a limited pool keeps few there. */
    if (config->max_capacity != 0 && emp_classes[class_id].room > config->max_capacity / 16) {
        emp_classes[class_id].room =
            (uint16_t)(config->max_capacity < 16 ? 1 : config->max_capacity / 16);
    }
}

/* Adds slabs until the pool holds count objects. */
static enum emp_status pool_reserve(struct emp_pool *pool, size_t count)
{
    struct emp_central_note note = {0};
    uint32_t shard = emp_shard_current();

    /* order(budget): relaxed; only this call adds slabs while the pool is being created */
    while (emp_load_relaxed(&emp_budgets[pool->class_id].slots) < count) {
        if (!emp_central_expand(pool->class_id, shard, &note)) {
            emp_event_after_take(pool->class_id, pool->object_size, true, &note, "reserve");
            return EMP_ERR_NOMEM;
        }
    }
    if (note.expanded) {
        emp_event_after_take(pool->class_id, pool->object_size, false, &note, "reserve");
    }
    return EMP_OK;
}

enum emp_status emp_pool_create(const struct emp_pool_config *config, struct emp_pool **out)
{
    enum emp_status status = EMP_ERR_LIMIT;
    struct emp_pool *pool = NULL;

    if (!config_is_valid(config) || out == NULL || pool_block_bytes(config) > EMP_SLAB_MAX ||
        (config->name != NULL && strlen(config->name) >= EMP_POOL_NAME_BYTES)) {
        return EMP_ERR_INVALID;
    }
    if (!emp_runtime_start()) {
        return EMP_ERR_NOMEM;
    }
    emp_cache_pools_lock();
    if (config->name != NULL && pool_find_locked(0, config->name) != NULL) {
        emp_cache_pools_unlock();
        return EMP_ERR_EXISTS;
    }
    for (unsigned i = 0; i < EMP_POOL_LIMIT && pool == NULL; i++) {
        pool = pool_table[i].id == 0 ? &pool_table[i] : NULL;
    }
    if (pool != NULL) {
        pool->id = pool_next_id++;
        pool->class_id = EMP_POOL_CLASS_FIRST + (uint32_t)(pool - pool_table);
        pool->object_size = config->object_size;
        if (config->name != NULL) {
            memcpy(pool->name, config->name, strlen(config->name) + 1);
        } else {
            emp_pool_name_number(pool->name, "pool-", pool->id);
        }
        /* The bins first: a thread that sees the class finds its bin closed, never undefined. */
        emp_cache_reset_class(pool->class_id, 1, NULL);
        pool_define_locked(pool, config);
        emp_cache_reset_class(pool->class_id, emp_classes[pool->class_id].room, NULL);
        status = EMP_OK;
    }
    emp_cache_pools_unlock();
    if (status == EMP_OK && pool_reserve(pool, config->initial_capacity) != EMP_OK) {
        (void)emp_pool_destroy(pool, NULL);
        return EMP_ERR_NOMEM;
    }
    if (status == EMP_OK) {
        *out = pool;
    }
    return status;
}

/* What the calling thread keeps of a class goes home: a block freed twice is seen there. */
static void pool_flush_own(uint32_t class_id)
{
    struct emp_l1_bin *bin = &emp_l1_current()->bins[class_id];
    void *block = NULL;

    while ((block = emp_fast_pop(bin)) != NULL) {
        emp_cache_give(class_id, &block, 1, "pool_destroy");
    }
}

void emp_pool_flush(struct emp_pool *pool)
{
    pool_flush_own(pool->class_id);
}

/* Who is shown the objects that are left. */
struct visitor {
    void (*visit)(const void *object, void *arg); /* may be NULL */
    void *arg;
};

/* Shows every block of a retired slab that is in use. */
static void slab_visit(const struct emp_slab *slab, const struct visitor *visitor)
{
    size_t size = emp_classes[slab->class_id].geometry.size;

    for (uint32_t slot = 0; slot < slab->slots && visitor->visit != NULL; slot++) {
        /* order(slot-state): relaxed; the pool is not used any more */
        uint8_t state = emp_load_relaxed(&slab->states[slot]);

        if (state == EMP_SLOT_USED || state >= EMP_SLOT_LIVE) {
            visitor->visit((const void *)(emp_slab_base(slab) + slot * size), visitor->arg);
        }
    }
}

/* Ends every slab of a class; returns how many blocks were not free in them. Pools lock held. */
static uint64_t pool_end_slabs(uint32_t class_id, const struct visitor *visitor)
{
    size_t limit = emp_unit_limit();
    uint64_t live = 0;

    for (size_t unit = 0; unit < limit; unit++) {
        struct emp_slab *slab = emp_slab_at(unit);

        /* order(slab-tag): relaxed; slabs of this class do not come or go during the call */
        if ((emp_tag_class(emp_load_relaxed(&emp_arena.tags[unit]))) != class_id ||
            !emp_slab_exists(slab) || slab->class_id != class_id) {
            continue;
        }
        struct emp_shard *shard = emp_shards[emp_slab_owner(slab)];

        emp_mutex_lock(&shard->lock);
        (void)emp_shard_drain_inbox(shard);
        (void)emp_slab_count(slab);
        emp_shard_unlink(&shard->classes[class_id], slab);
        emp_slab_retire(slab);
        emp_mutex_unlock(&shard->lock);
        live += slab->slots - slab->free_count;
        slab_visit(slab, visitor);
        emp_slab_destroy(slab);
    }
    return live;
}

enum emp_status emp_pool_destroy(struct emp_pool *pool, size_t *live)
{
    return emp_pool_end(pool, live, NULL, NULL);
}

enum emp_status emp_pool_end(struct emp_pool *pool, size_t *live,
                             void (*visit)(const void *object, void *arg), void *arg)
{
    if (pool == NULL || pool->id == 0) {
        return EMP_ERR_INVALID;
    }
    uint32_t class_id = pool->class_id;

    pool_flush_own(class_id);
    /* A round of maintenance may hold slabs of the class outside every list. */
    emp_maintenance_pause();
    emp_cache_pools_lock();
    emp_cache_reset_class(class_id, 0, NULL);
    size_t lost = (size_t)pool_end_slabs(class_id, &(struct visitor){visit, arg});

    emp_size_class_forget(class_id);
    pool->id = 0;
    emp_budgets[class_id] = (struct emp_budget){0};
    emp_cache_pools_unlock();
    emp_maintenance_resume();
    if (live != NULL) {
        *live = lost;
    }
    return lost == 0 ? EMP_OK : EMP_ERR_BUSY;
}

void *emp_pool_alloc(struct emp_pool *pool)
{
    void *block = emp_fast_pop(&emp_l1_current()->bins[pool->class_id]);

    if (emp_unlikely(block == NULL)) {
        block = emp_allocate_class(pool->class_id, pool->object_size);
        if (block == NULL) {
            errno = ENOMEM;
            return NULL;
        }
    }
    if (emp_unlikely(emp_runtime_annotates)) {
        emp_annotate_alloc(block, pool->object_size, false);
    }
    return emp_hand_out(block, pool->object_size);
}

void emp_pool_free(struct emp_pool *pool, void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    if (ptr == NULL) {
        return;
    }
    /* order(slab-tag): relaxed; the caller holds the block */
    if (emp_unlikely(offset >= emp_arena.bytes ||
                     (emp_tag_class(emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]))) !=
                         pool->class_id)) {
        bool is_ours = offset < emp_arena.bytes || emp_large_bytes(ptr) != 0;

        emp_report_pointer(is_ours ? EMP_REPORT_WRONG_POOL : EMP_REPORT_FOREIGN, ptr, "pool_free");
        return;
    }
    emp_release_hot(ptr, "pool_free", EMP_CALLER_PROGRAM);
}

enum emp_status emp_pool_get_stats(struct emp_pool *pool, struct emp_pool_stats *out)
{
    if (pool == NULL || out == NULL || pool->id == 0) {
        return EMP_ERR_INVALID;
    }
    emp_class_stats(pool->class_id, out);
    return EMP_OK;
}

const char *emp_pool_name(const struct emp_pool *pool)
{
    return pool->name;
}

uint32_t emp_pool_id(const struct emp_pool *pool)
{
    return pool->id;
}

uint32_t emp_pool_class(const struct emp_pool *pool)
{
    return pool->class_id;
}

size_t emp_pool_object_size(const struct emp_pool *pool)
{
    return pool->object_size;
}

struct emp_pool *emp_pool_find_id(uint32_t id)
{
    emp_cache_pools_lock();
    struct emp_pool *pool = id == 0 ? NULL : pool_find_locked(id, NULL);
    emp_cache_pools_unlock();
    return pool;
}

struct emp_pool *emp_pool_find_name(const char *name)
{
    emp_cache_pools_lock();
    struct emp_pool *pool = name == NULL ? NULL : pool_find_locked(0, name);
    emp_cache_pools_unlock();
    return pool;
}

size_t emp_pool_enumerate(void (*visit)(struct emp_pool *pool, void *arg), void *arg)
{
    struct emp_pool *found[EMP_POOL_LIMIT];
    size_t count = 0;

    emp_cache_pools_lock();
    for (unsigned i = 0; i < EMP_POOL_LIMIT; i++) {
        if (pool_table[i].id != 0) {
            found[count++] = &pool_table[i];
        }
    }
    emp_cache_pools_unlock();
    for (size_t i = 0; i < count; i++) {
        visit(found[i], arg);
    }
    return count;
}
