/*
 * Purpose: the deep check of everything: bits, counts, tags, lists; and the description of classes.
 * Owner:   core. Threads: any; each shard's lock in turn. Cost: O(slabs).
 * Design:  [core.req.audit]
 */
#include "core/advanced_memory_pool.h"
#include "core/maintenance.h"
#include "core/runtime.h"
#include "global/budget.h"
#include "global/shard.h"
#include "local/thread_cache.h"
#include "monitor/report.h"
#include "slab/slab.h"
#include "span/arena.h"
#include "span/meta.h"
#include "span/run.h"
#include "span/unit.h"
#include "sync/atomic.h"

/* Reports an inconsistency of a slab. */
static void audit_report(const struct emp_slab *slab)
{
    struct emp_report report = {.code = EMP_REPORT_AUDIT,
                                .pointer = (const void *)emp_slab_base(slab),
                                .class_id = slab->class_id,
                                .block_bytes = emp_classes[slab->class_id].geometry.size,
                                .call = "audit"};

    emp_report_misuse(&report);
}

/* Checks the slabs of one shard; returns how many are broken, *broken one of them. */
static size_t audit_shard(uint32_t shard_index, size_t limit, const struct emp_slab **broken)
{
    struct emp_shard *shard = emp_shards[shard_index];
    int64_t free_blocks[EMP_BINS] = {0};
    size_t found = 0;

    emp_mutex_lock(&shard->lock);
    (void)emp_shard_drain_inbox(shard);
    for (size_t unit = 0; unit < limit; unit++) {
        const struct emp_slab *slab = emp_slab_at(unit);

        if (!emp_slab_exists(slab) || emp_slab_owner(slab) != shard_index ||
            slab->list == EMP_LIST_DETACHED) {
            continue;
        }
        free_blocks[slab->class_id] += slab->free_count;
        if (emp_slab_audit(slab) != NULL) {
            *broken = slab;
            found++;
        }
    }
    for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
        found += shard->classes[c].free_blocks < free_blocks[c];
    }
    emp_mutex_unlock(&shard->lock);
    return found;
}

size_t emp_audit(void)
{
    size_t found = 0;

    if (!emp_runtime_is_started()) {
        return 0;
    }
    emp_cache_flush("audit");
    size_t limit = emp_unit_limit();

    for (uint32_t s = 0; s < emp_shard_count; s++) {
        const struct emp_slab *broken = NULL;

        found += audit_shard(s, limit, &broken);
        if (broken != NULL) {
            audit_report(broken);
        }
    }
    const void *run_chunk = NULL;

    emp_maintenance_pause(); /* a round that purges holds pages outside their map */
    size_t run_chunks = emp_run_audit(&run_chunk);
    size_t metadata = emp_meta_audit() != NULL;

    emp_maintenance_resume();

    found += run_chunks + metadata;
    if (metadata != 0) {
        emp_report_pointer(EMP_REPORT_AUDIT, NULL, "audit");
    }
    if (run_chunks != 0) {
        emp_report_pointer(EMP_REPORT_AUDIT, run_chunk, "audit");
    }
    return found;
}

uint32_t emp_size_class_count(void)
{
    return EMP_SIZE_CLASSES;
}

enum emp_status emp_size_class_describe(uint32_t index, struct emp_size_class_info *out)
{
    if (index == 0 || index > EMP_SIZE_CLASSES || out == NULL || !emp_runtime_start()) {
        return EMP_ERR_INVALID;
    }
    const struct emp_class *info = &emp_classes[index];
    uint32_t size = info->geometry.size;

    *out = (struct emp_size_class_info){
        .index = index,
        .block_bytes = size,
        .align_bytes = size & (~size + 1) & 0xffffu,
        .slab_bytes = info->geometry.slab_mask + 1,
        .slab_blocks = info->geometry.slots,
        .l1_blocks = info->room,
    };
    return EMP_OK;
}

enum emp_status emp_slab_configure(const struct emp_slab_config *config)
{
    struct emp_central_note note = {0};

    if (config == NULL || config->block_size == 0 || config->block_size > EMP_SLAB_MAX ||
        !emp_runtime_start()) {
        return EMP_ERR_INVALID;
    }
    uint32_t class_id = emp_size_class_of(config->block_size);
    uint64_t slots = emp_classes[class_id].geometry.slots;
    uint64_t limit = (config->maximum_blocks + slots - 1) / slots * slots;

    /* order(budget): relaxed; holds from the next slab on */
    emp_store_relaxed(&emp_budgets[class_id].limit, limit);
    /* order(budget): relaxed; another thread may add slabs meanwhile, which is as good */
    while (emp_load_relaxed(&emp_budgets[class_id].slots) < config->initial_blocks) {
        if (!emp_central_expand(class_id, emp_shard_current(), &note)) {
            return note.limited ? EMP_ERR_INVALID : EMP_ERR_NOMEM;
        }
    }
    return EMP_OK;
}
