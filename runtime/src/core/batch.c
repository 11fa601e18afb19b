/*
 * Purpose: whole batches: what the thread's bin holds first, the rest straight from and to the
 *          shared tiers, up to 64 (take) or 128 (give) blocks under one lock, past the thread's
 *          cache.
 * Owner:   core. Threads: any. errno is kept by the frees.
 * Design:  [core.proto.batch]. Source: row A4, BR-MEM-016.
 * Cost:    about 2 ns per block; single calls cost a bin operation each and a refill per batch.
 */
#include <errno.h>
#include <string.h>

#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/options.h"
#include "core/pools.h"
#include "core/runtime.h"
#include "global/central.h"
#include "local/fast_path.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "sync/atomic.h"

#define EMP_BATCH_LARGE 128u /* blocks of a batch that counts as much as many slow paths */

/* Blocks of a batch must pass the checks of single calls one by one. */
static bool batch_is_plain(void)
{
    return !EMP_SECURE && emp_runtime_start() && !emp_local_options.checked;
}

/* Pops up to `count` blocks of a class out of the thread's bin; returns how many. */
static size_t batch_pop(uint32_t class_id, void **ptrs, size_t count)
{
    struct emp_l1_bin *bin = &emp_l1_current()->bins[class_id];
    size_t done = 0;

    while (done < count && (ptrs[done] = emp_fast_pop(bin)) != NULL) {
        done++;
    }
    return done;
}

/* Takes up to EMP_TAKE_MAX blocks past the cache; sends the events. ptrs has room for `left`. */
static size_t batch_take(uint32_t class_id, size_t requested, void **ptrs, size_t left)
{
    void *aside[EMP_TAKE_ROOM];
    void **out = left >= EMP_TAKE_ROOM ? ptrs : aside;
    struct emp_central_note note = {0};
    uint32_t home = 0;
    unsigned want = left < EMP_TAKE_MAX ? (unsigned)left : EMP_TAKE_MAX;
    int saved = errno;
    unsigned got = emp_central_take(class_id, out, want, &home, &note);

    errno = saved;
    if (out == aside) {
        memcpy(ptrs, aside, got * sizeof(void *));
    }
    emp_event_after_take(class_id, requested, got == 0, &note,
                         note.limited ? "limit" : "out of memory");
    return got;
}

/* Blocks of one class; errno ENOMEM when fewer than wanted. */
static size_t batch_alloc_class(uint32_t class_id, size_t requested, void **ptrs, size_t count)
{
    size_t done = batch_pop(class_id, ptrs, count);
    size_t got = 1;

    while (done < count && got != 0) {
        got = batch_take(class_id, requested, ptrs + done, count - done);
        done += got;
    }
    if (done < count) {
        errno = ENOMEM;
    }
    return done;
}

size_t emp_batch_alloc(size_t size, void **ptrs, size_t count)
{
    size_t done = 0;

    if (size <= EMP_SLAB_MAX && count > 1 && batch_is_plain() &&
        emp_option_value(EMP_OPTION_align) == 0) {
        return batch_alloc_class(emp_size_class_of(size), size, ptrs, count);
    }
    while (done < count && (ptrs[done] = emp_malloc(size)) != NULL) {
        done++;
    }
    return done;
}

/* Class of an address by its tag; 0: not in a slab. */
static uint32_t batch_class_of(const void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    if (offset >= emp_arena.bytes) {
        return 0;
    }
    /* order(slab-tag): relaxed; the caller holds the block */
    return emp_tag_class(emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]));
}

/*
 * Gives one block back to its slab, past the bin: a batch would only push older blocks out of it.
 * A block that lies on top of the bin was freed already. The last of a batch is freed as any other,
 * so that freeing it again is seen in the call.
 */
static void batch_give(uint32_t class_id, void *ptr, const char *call)
{
    if (emp_unlikely(ptr == emp_l1_current()->bins[class_id].top[-1])) {
        emp_report_pointer(EMP_REPORT_DOUBLE_FREE, ptr, call);
    } else {
        emp_cache_give(class_id, &ptr, 1, call);
    }
}

/* After a batch that was large: starts maintenance when it gave enough back. */
static void batch_end(size_t count)
{
    if (count >= EMP_BATCH_LARGE) {
        emp_cache_call_free_hook();
    }
}

static void batch_free_one(void *ptr)
{
    uint32_t class_id = batch_class_of(ptr);
    int code = class_id != 0 ? emp_central_probe(class_id, ptr) : EMP_PROBE_GOOD;

    if (emp_unlikely(code != EMP_PROBE_GOOD)) {
        emp_report_pointer((enum emp_report_code)code, ptr, "batch_free");
    } else if (EMP_SECURE || !emp_fast_free(ptr)) {
        emp_release_slow(ptr, "batch_free");
    }
}

void emp_batch_free(void **ptrs, size_t count)
{
    int saved = errno;

    for (size_t i = 0; i < count; i++) {
        uint32_t class_id = batch_class_of(ptrs[i]);

        if (class_id != 0 && i + 1 < count && batch_is_plain()) {
            batch_give(class_id, ptrs[i], "batch_free");
        } else {
            batch_free_one(ptrs[i]);
        }
    }
    batch_end(count);
    errno = saved;
}

size_t emp_pool_alloc_batch(struct emp_pool *pool, void **ptrs, size_t count)
{
    size_t done = 0;

    if (count > 1 && batch_is_plain()) {
        return batch_alloc_class(emp_pool_class(pool), emp_pool_object_size(pool), ptrs, count);
    }
    while (done < count && (ptrs[done] = emp_pool_alloc(pool)) != NULL) {
        done++;
    }
    return done;
}

void emp_pool_free_batch(struct emp_pool *pool, void **ptrs, size_t count)
{
    uint32_t class_id = emp_pool_class(pool);
    int saved = errno;

    for (size_t i = 0; i < count; i++) {
        if (batch_class_of(ptrs[i]) == class_id && i + 1 < count && batch_is_plain()) {
            batch_give(class_id, ptrs[i], "pool_free_batch");
        } else {
            emp_pool_free(pool, ptrs[i]);
        }
    }
    batch_end(count);
    errno = saved;
}
