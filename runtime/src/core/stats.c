/*
 * Purpose: reads statistics: of a class over all shards, and of the process.
 * Owner:   core. Threads: any; shard locks in turn. Nothing here is paid for on the hit path.
 * Design:  [core.req.stats]
 */
#include "core/memory_monitor.h"
#include "core/options.h"
#include "core/runtime.h"
#include "global/budget.h"
#include "global/shard.h"
#include "local/thread_cache.h"
#include "monitor/stopwatch.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/meta.h"
#include "sync/atomic.h"

/* Adds what one shard knows of a class; holder. */
static void stats_add_shard(struct emp_pool_stats *out, const struct emp_shard_class *state,
                            uint64_t *empty_slots)
{
    out->l2_hits += state->l2_hits;
    out->l3_hits += state->l3_hits;
    out->allocations += state->taken;
    out->frees += state->given;
    out->borrowed += state->borrowed;
    out->total_free += (uint64_t)state->free_blocks;
    for (uint32_t item = state->list[EMP_LIST_EMPTY]; item != 0;
         item = emp_slab_at(item - 1)->next) {
        *empty_slots += emp_slab_at(item - 1)->slots;
    }
}

void emp_class_stats(uint32_t class_id, struct emp_pool_stats *out)
{
    const struct emp_budget *budget = &emp_budgets[class_id];
    uint64_t empty = 0;

    *out = (struct emp_pool_stats){.object_bytes = emp_classes[class_id].geometry.size};
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        struct emp_shard *shard = emp_shards[s];

        emp_shard_recount_all(shard, class_id);
        emp_mutex_lock(&shard->lock);
        stats_add_shard(out, &shard->classes[class_id], &empty);
        emp_mutex_unlock(&shard->lock);
    }
    /* order(budget): relaxed; statistics, each for itself */
    out->capacity = emp_load_relaxed(&budget->slots);
    out->expansions = emp_load_relaxed(&budget->expansions);
    out->shrinks = emp_load_relaxed(&budget->shrinks);
    /* order(budget): relaxed; statistics, each for itself */
    out->failures = emp_load_relaxed(&budget->failures);
    out->gc_count = emp_load_relaxed(&budget->tick_rounds);
    out->last_gc_time_ns = emp_load_relaxed(&budget->tick_time);
    /* Shards are read one after the other: a slab that changed hands meanwhile was seen twice. */
    out->total_free = out->total_free < out->capacity ? out->total_free : out->capacity;
    out->slabs = out->expansions - out->shrinks;
    out->total_allocated = out->capacity > out->total_free ? out->capacity - out->total_free : 0;
    out->cached = emp_cache_count(class_id);
    out->l1_hits = out->allocations > out->cached ? out->allocations - out->cached : 0;
    uint64_t used_capacity = out->capacity > empty ? out->capacity - empty : 0;

    if (used_capacity > out->total_allocated) {
        out->fragmentation_rate = 1.0 - (double)out->total_allocated / (double)used_capacity;
    }
}

enum emp_status emp_stats_read(struct emp_stats *out)
{
    struct emp_span_counts span;
    struct emp_meta_counts meta;

    if (out == NULL) {
        return EMP_ERR_INVALID;
    }
    *out = (struct emp_stats){0};
    if (!emp_runtime_is_started()) {
        return EMP_OK;
    }
    for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
        struct emp_pool_stats one;

        if (emp_classes[c].geometry.size == 0) {
            continue;
        }
        emp_class_stats(c, &one);
        out->allocated += one.total_allocated * one.object_bytes;
        out->expansions += one.expansions;
        out->shrinks += one.shrinks;
        out->failures += one.failures;
        out->allocations += one.allocations;
        out->frees += one.frees;
        out->l2_hits += one.l2_hits;
        out->l3_hits += one.l3_hits;
        out->borrowed += one.borrowed;
    }
    emp_arena_read_counts(&span);
    out->partitions = out->expansions;
    out->aligns = emp_aligned_requests();
    out->allocated += span.large_bytes;
    out->large_blocks = span.large_blocks;
    out->large_bytes = span.large_bytes;
    out->active = span.used_bytes;
    emp_meta_read_counts(&meta);
    out->metadata = meta.committed;
    out->mapped = span.mapped_bytes;
    out->dirty = span.dirty_bytes;
    out->retained = span.free_bytes;
    out->resident = span.used_bytes + span.dirty_bytes + meta.committed - meta.clean - meta.unused;
    out->purged = span.purged_bytes;
    out->purge_calls = span.purge_calls;
    out->threads = emp_cache_threads();
    out->limit_bytes = emp_arena_limit();
    return EMP_OK;
}
