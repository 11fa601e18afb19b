/*
 * Purpose: free in all its forms: the slow path, sized and aligned forms, realloc, usable
 *          size; finds misuse that can be found in the call.
 * Owner:   core. Threads: any. errno is kept by every form of free.
 * Design:  [core.proto.release] [core.req.misuse]
 */
#include <errno.h>
#include <string.h>

#include "base/align.h"
#include "core/advanced_memory_pool.h"
#include "core/foreign.h"
#include "core/hot_path.h"
#include "core/large_freed.h"
#include "core/maintenance.h"
#include "core/runtime.h"
#include "global/budget.h"
#include "global/central.h"
#include "local/annotate.h"
#include "local/fast_path.h"
#include "monitor/report.h"
#include "slab/block_guard.h"
#include "slab/slab.h"
#include "span/arena.h"
#include "span/large.h"
#include "span/run.h"
#include "span/run_shelf.h"
#include "sync/atomic.h"

static void (*foreign_forward)(void *ptr); /* set before threads start */
enum emp_foreign_policy emp_foreign_policy = EMP_FOREIGN_ABORT;

void emp_foreign_set_forward(void (*forward)(void *ptr))
{
    foreign_forward = forward;
}

/* Class of an address by its tag; 0: not in a slab of ours. */
static uint32_t class_of(const void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    if (offset >= emp_arena.bytes) {
        return 0;
    }
    /* order(slab-tag): relaxed; for a live block the tag cannot change */
    return emp_tag_class(emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]));
}

void emp_report_pointer(enum emp_report_code code, const void *ptr, const char *call)
{
    uint32_t class_id = class_of(ptr);
    char name[32];
    struct emp_report report = {.code = code, .pointer = ptr, .class_id = class_id, .call = call};

    if (class_id != 0) {
        const struct emp_class *info = &emp_classes[class_id];
        const struct emp_slab *slab = emp_slab_at(emp_slab_number_of((uintptr_t)ptr, info));
        uintptr_t offset = (uintptr_t)ptr - emp_slab_base(slab);

        report.block_bytes = info->geometry.size;
        report.block = (const void *)((uintptr_t)ptr - offset % info->geometry.size);
        /* order(slab-owner): relaxed; for the text of the report */
        report.owner_shard = emp_load_relaxed(&slab->owner);
        report.pool =
            class_id >= EMP_POOL_CLASS_FIRST ? emp_budget_name(class_id, name, sizeof(name)) : NULL;
    }
    emp_report_misuse(&report);
}

/* A block of a slab that was the program's goes into the cache. */
static void cache_block(uint32_t class_id, void *ptr, const char *call)
{
    if (emp_unlikely(emp_runtime_annotates)) {
        emp_annotate_free(ptr, emp_classes[class_id].geometry.size);
    }
    emp_cache_free_slow(class_id, ptr, call);
}

/* A block of a slab. */
static void release_slab(uint32_t class_id, void *ptr, const char *call)
{
    const struct emp_l1_bin *bin = &emp_l1_current()->bins[class_id];

    if (emp_unlikely(bin->top[-1] == ptr)) {
        emp_report_pointer(EMP_REPORT_DOUBLE_FREE, ptr, call);
        return;
    }
    if (EMP_SECURE) {
        enum emp_report_code fault = emp_block_guard_end(ptr, false);

        if (fault != EMP_REPORT_COUNT) {
            emp_report_pointer(fault, ptr, call);
            return;
        }
    } else if (emp_unlikely(emp_local_options.checked)) {
        int code = emp_central_probe(class_id, ptr);

        if (code != EMP_PROBE_GOOD) {
            emp_report_pointer((enum emp_report_code)code, ptr, call);
            return;
        }
    }
    cache_block(class_id, ptr, call);
}

/* What a pointer is where no large block begins. */
static enum emp_report_code large_fault(const void *ptr)
{
    if (emp_large_freed_lately(ptr)) {
        return EMP_REPORT_DOUBLE_FREE;
    }
    return emp_arena_contains(ptr) ? EMP_REPORT_INVALID : EMP_REPORT_FOREIGN;
}

/* A pointer outside the arena that is no mapped block. */
static void release_foreign(void *ptr, const char *call)
{
    if (emp_foreign_policy == EMP_FOREIGN_FORWARD && foreign_forward != NULL) {
        foreign_forward(ptr);
    } else if (emp_foreign_policy != EMP_FOREIGN_IGNORE) {
        emp_report_pointer(large_fault(ptr), ptr, call);
    }
}

/* A run, a chunk block, a mapped block, or nothing of ours. */
static void release_large(void *ptr, const char *call)
{
    if (emp_unlikely(emp_runtime_annotates)) {
        size_t usable = emp_large_bytes(ptr);

        if (emp_arena_contains(ptr) && usable == 0) {
            usable = emp_run_pages(ptr) * EMP_RUN_PAGE_BYTES;
        }
        if (usable != 0) {
            /* A block of its own mapping is unmapped: its address may soon be somebody else's. */
            emp_annotate_free(ptr, emp_arena_contains(ptr) ? usable : 0);
        }
    }
    if (!emp_arena_contains(ptr)) {
        if (emp_large_give(ptr) == 0) {
            release_foreign(ptr, call);
        } else {
            emp_large_freed_note(ptr);
        }
        return;
    }
    /* Else the shelf was asked before. Under a checker a block is not used again so soon. */
    bool was_run = emp_runtime_annotates && emp_run_give(ptr) != 0;

    if (!was_run && emp_large_give(ptr) == 0) {
        emp_report_pointer((uintptr_t)ptr % 16 != 0 ? EMP_REPORT_MISALIGNED : large_fault(ptr), ptr,
                           call);
        return;
    }
    emp_large_freed_note(ptr);
    emp_cache_call_free_hook();
}

void emp_release_slow(void *ptr, const char *call)
{
    emp_release_for(ptr, call, EMP_CALLER_PROGRAM);
}

/* Any free that the hit paths left over. */
static EMP_NOINLINE void release_any(void *ptr, const char *call)
{
    if (ptr == NULL) {
        return;
    }
    int saved = errno;

    if (emp_runtime_start()) {
        uint32_t class_id = class_of(ptr);

        if (class_id != 0) {
            release_slab(class_id, ptr, call);
        } else {
            release_large(ptr, call);
        }
    } else {
        release_foreign(ptr, call);
    }
    errno = saved;
}

/* A run that found no place of its own on the shelf, or anything else. */
static EMP_NOINLINE void release_unshelved(void *ptr, const char *call, uintptr_t caller)
{
    emp_maintenance_caller = caller;
    if (emp_arena_contains(ptr) && class_of(ptr) == 0 && !emp_runtime_annotates &&
        emp_run_shelf_give(ptr) != 0) {
        emp_large_freed_note(ptr);
        emp_maintenance_offer();
        return;
    }
    release_any(ptr, call);
}

void emp_release_for(void *ptr, const char *call, uintptr_t caller)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    /* order(slab-tag): relaxed; for a live block the tag cannot change */
    if (offset < emp_arena.bytes &&
        emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]) == 0 &&
        !emp_runtime_annotates && emp_likely(emp_run_shelf_give_hot(ptr))) {
        /* A run lies on its shelf; neither that nor the offer touches errno. */
        emp_large_freed_note(ptr);
        emp_maintenance_offer_for(caller);
        return;
    }
    release_unshelved(ptr, call, caller);
}

void emp_release_ended(void *ptr, const char *call, uintptr_t caller)
{
    int saved = errno;

    emp_maintenance_caller = caller;
    cache_block(class_of(ptr), ptr, call);
    errno = saved;
}

void emp_release_faulty(void *ptr, const char *call, enum emp_report_code fault)
{
    int saved = errno;

    emp_report_pointer(fault, ptr, call);
    errno = saved;
}

void emp_free(void *ptr)
{
    emp_release_hot(ptr, "free", EMP_CALLER_PROGRAM);
}

/*
 * True when a block of class_id may be the answer to a request, or what realloc left of one: blocks
 * borrowed from a larger class count, so do small blocks that are not worth a move, and those that
 * the option align=line made larger at the time.
 */
static bool block_fits(uint32_t class_id, size_t size, size_t align)
{
    uint64_t block = emp_classes[class_id].geometry.size;
    uint64_t own = emp_classes[emp_request_class(size, align)].geometry.size;

    if (own * 3 < block * 2 && block > EMP_LINE_BYTES && align < EMP_LINE_BYTES) {
        own = emp_classes[emp_request_class_line(size)].geometry.size;
    }
    if (EMP_SECURE && own > block && size <= block) {
        own = block; /* it was aligned: such blocks may have no canary */
    }
    return own != 0 && own <= block && (own * 3 >= block * 2 || block <= EMP_LINE_BYTES);
}

/* Usable bytes of a run, a chunk block or a mapped block; 0: none starts there. */
static size_t large_bytes(const void *ptr)
{
    size_t bytes = emp_arena_contains(ptr) ? emp_run_pages(ptr) * EMP_RUN_PAGE_BYTES : 0;

    return bytes != 0 ? bytes : emp_large_bytes(ptr);
}

/* What is wrong with a sized free of a block; EMP_REPORT_COUNT: nothing that could be seen here. */
static enum emp_report_code sized_fault(const void *ptr, size_t align, size_t size)
{
    uint32_t class_id = class_of(ptr);
    size_t usable = 0;

    if (class_id == 0) {
        usable = emp_runtime_is_started() ? large_bytes(ptr) : 0;
    }
    if (class_id >= EMP_POOL_CLASS_FIRST || (class_id == 0 && usable == 0)) {
        return EMP_REPORT_COUNT;
    }
    if ((uintptr_t)ptr % align != 0) {
        return EMP_REPORT_ALIGN_MISMATCH;
    }
    bool fits = class_id != 0 ? block_fits(class_id, size, align)
                              : size <= usable && emp_request_class(size, align) == 0;

    return fits ? EMP_REPORT_COUNT : EMP_REPORT_SIZE_MISMATCH;
}

/* A sized free of any kind; align 1 when it was not aligned. */
static void release_sized(void *ptr, size_t align, size_t size, const char *call)
{
    enum emp_report_code fault = ptr == NULL ? EMP_REPORT_COUNT : sized_fault(ptr, align, size);

    if (emp_unlikely(fault != EMP_REPORT_COUNT)) {
        emp_report_pointer(fault, ptr, call);
    } else {
        emp_release_hot(ptr, call, EMP_CALLER_PROGRAM);
    }
}

void emp_free_sized(void *ptr, size_t size)
{
    release_sized(ptr, 1, size, "free_sized");
}

void emp_free_aligned_sized(void *ptr, size_t align, size_t size)
{
    if (ptr != NULL && !emp_align_is_pow2(align)) {
        emp_report_pointer(EMP_REPORT_ALIGN_MISMATCH, ptr, "free_aligned_sized");
        return;
    }
    release_sized(ptr, align, size, "free_aligned_sized");
}

/* Usable bytes of a block; 0: reported as misuse of `call`, or a block of another allocator. */
static size_t usable_bytes(const void *ptr, const char *call)
{
    uint32_t class_id = class_of(ptr);
    size_t bytes = 0;

    if (class_id != 0 && EMP_SECURE) {
        enum emp_report_code fault = EMP_REPORT_COUNT;

        bytes = emp_block_guard_usable(ptr, &fault);
        if (bytes == 0) {
            emp_report_pointer(fault, ptr, call);
            return 0;
        }
    } else if (class_id != 0) {
        int code = emp_local_options.checked ? emp_central_probe(class_id, ptr)
                                             : emp_central_probe_start(class_id, ptr);

        if (emp_unlikely(code != EMP_PROBE_GOOD)) {
            emp_report_pointer((enum emp_report_code)code, ptr, call);
            return 0;
        }
        bytes = emp_classes[class_id].geometry.size;
    } else {
        bytes = large_bytes(ptr);
    }
    if (bytes != 0 && emp_unlikely(emp_runtime_annotates)) {
        emp_annotate_widen(ptr, bytes);
    }
    if (bytes == 0 && emp_foreign_policy == EMP_FOREIGN_ABORT) {
        emp_report_pointer(large_fault(ptr), ptr, call);
    }
    return bytes;
}

size_t emp_usable_of(uint32_t class_id, size_t requested)
{
    size_t size = emp_classes[class_id].geometry.size;

    if (!EMP_SECURE || emp_runtime_annotates) {
        return size;
    }
    return size - requested > EMP_GUARD_SLACK_MAX ? size - EMP_GUARD_SLACK_MAX : requested;
}

size_t emp_usable_size(const void *ptr)
{
    return ptr == NULL || !emp_runtime_start() ? 0 : usable_bytes(ptr, "usable_size");
}

/* Tries to resize where the block is; NULL: it must move. */
static void *resize_in_place(void *ptr, size_t usable, size_t size)
{
    uint32_t class_id = class_of(ptr);

    if (class_id != 0) {
        bool fits = size + EMP_CANARY_BYTES <= emp_classes[class_id].geometry.size;

        if (!fits || !block_fits(class_id, size, 1)) {
            return NULL;
        }
        if (EMP_SECURE && emp_unlikely(!emp_block_guard_is_whole(ptr))) {
            emp_report_pointer(EMP_REPORT_CANARY, ptr, "realloc"); /* a new end hides it */
        }
        return emp_hand_out(ptr, size);
    }
    if (size <= EMP_SLAB_MAX || emp_runtime_annotates) {
        return NULL;
    }
    if (emp_arena_contains(ptr) && usable <= EMP_RUN_MAX) {
        if (size <= usable && size > usable - usable / 8) {
            return ptr;
        }
        size_t pages = emp_align_up(size, EMP_RUN_PAGE_BYTES) / EMP_RUN_PAGE_BYTES;

        return size <= EMP_RUN_MAX && emp_run_resize(ptr, pages) ? ptr : NULL;
    }
    if (emp_arena_contains(ptr)) {
        return size <= usable && size > EMP_RUN_MAX && usable - size < EMP_CHUNK_BYTES ? ptr : NULL;
    }
    void *moved = size > EMP_CHUNKED_MAX ? emp_large_resize(ptr, size) : NULL;

    if (moved != NULL && moved != ptr) {
        emp_large_freed_note(ptr);
    }
    return moved;
}

void *emp_realloc(void *ptr, size_t size)
{
    if (ptr == NULL) {
        return emp_malloc(size);
    }
    if (size == 0) {
        emp_free(ptr);
        return NULL;
    }
    size_t usable = emp_runtime_start() ? usable_bytes(ptr, "realloc") : 0;

    if (usable == 0) {
        errno = EINVAL;
        return NULL;
    }
    if (size > EMP_ALLOC_MAX - EMP_CHUNK_BYTES) {
        errno = ENOMEM;
        return NULL;
    }
    int saved = errno;
    void *same = resize_in_place(ptr, usable, size);

    errno = saved;
    if (same != NULL) {
        return same;
    }
    void *moved = emp_malloc(size);

    if (moved != NULL) {
        memcpy(moved, ptr, usable < size ? usable : size);
        /* Behind the name realloc the C library may be the caller, with locks held. */
        emp_release_hot(ptr, "realloc", EMP_CALLER_NOBODY);
    }
    return moved;
}
