/*
 * Purpose: allocation by size: small and medium classes through the thread's cache, runs, chunks
 *          and mappings above; alignment; zeroing. MemoryAllocationCoordinator of the model, steps
 *          1-6.
 * Owner:   core. Threads: any. Errors: NULL with errno ENOMEM or EINVAL.
 * Design:  [core.proto.allocate]
 */
#include <errno.h>
#include <string.h>

#include "base/align.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/hot_path.h"
#include "core/options.h"
#include "core/runtime.h"
#include "local/annotate.h"
#include "local/fast_path.h"
#include "monitor/stopwatch.h"
#include "os/os_memory.h"
#include "span/arena.h"
#include "span/large.h"
#include "span/run.h"
#include "span/run_shelf.h"
#include "sync/atomic.h"

#define EMP_COLLECT_MS 100u /* between two collections before a failure */

static uint64_t aligned_requests; /* atomic: align-count */

/* A failed request: errno, events. */
static void *allocate_failed(size_t size, bool limited)
{
    emp_event_large_failed(size, limited);
    errno = ENOMEM;
    return NULL;
}

/* Before a failure: what idles in empty slabs of other classes is collected, ten times a second. */
static void *allocate_after_collecting(uint32_t class_id, struct emp_central_note *note)
{
    static uint32_t last_ms; /* atomic: collect-time */
    uint32_t now_ms = emp_stopwatch_coarse_ms();

    /* order(collect-time): relaxed; two threads that collect at once do no harm */
    if (now_ms - emp_load_relaxed(&last_ms) < EMP_COLLECT_MS) {
        return NULL;
    }
    /* order(collect-time): relaxed; as above */
    emp_store_relaxed(&last_ms, now_ms);
    (void)emp_purge();
    return emp_cache_refill(class_id, note);
}

void *emp_allocate_class(uint32_t class_id, size_t requested)
{
    struct emp_central_note note = {0};
    void *block = emp_cache_refill(class_id, &note); /* keeps errno, as every room below does */

    if (emp_likely(block != NULL && !note.expanded)) {
        return block;
    }
    int saved = errno;

    if (block == NULL && (class_id < EMP_POOL_CLASS_FIRST || !note.limited)) {
        block = allocate_after_collecting(class_id, &note);
    }

    emp_event_after_take(class_id, requested, block == NULL, &note,
                         note.limited ? "limit" : "out of memory");
    errno = saved;
    return block;
}

/* Pages of a run for `size`; above 64 KiB rounded to an eighth of the power of two below. */
static size_t run_pages(size_t size)
{
    size_t pages = emp_align_up(size, EMP_RUN_PAGE_BYTES) / EMP_RUN_PAGE_BYTES;
    size_t step = pages > 16 ? ((size_t)1 << (63 - __builtin_clzll(pages - 1))) / 8 : 1;

    return emp_align_up(pages, step);
}

/* Blocks above the slab classes for which there was no run; limited: why not. Sets errno. */
static void *allocate_chunks(size_t size, size_t align, bool *zero, bool limited)
{
    uint64_t huge = emp_option_value(EMP_OPTION_huge_pages);
    void *block = NULL;

    if (size > EMP_ALLOC_MAX - EMP_CHUNK_BYTES) {
        return allocate_failed(size, false);
    }
    int saved = errno;

    if (!limited && huge != 0 && size > EMP_CHUNKED_MAX) {
        *zero = true;
        block = emp_large_take_pages(size, align, (enum emp_os_pages)huge, &limited);
    }
    if (block == NULL && !limited) {
        block = emp_large_take(size, align, zero, &limited);
    }
    if (block == NULL) {
        return allocate_failed(size, limited);
    }
    errno = saved;
    return block;
}

/* Blocks above the slab classes. Keeps errno, as every room below does, or sets it. */
static void *allocate_large(size_t size, size_t align, bool zero)
{
    bool is_zero = false;
    bool limited = false;
    void *block = NULL;

    if (size <= EMP_RUN_MAX && align <= EMP_RUN_MAX) {
        size_t align_pages = align <= EMP_RUN_PAGE_BYTES ? 1 : align / EMP_RUN_PAGE_BYTES;

        block = emp_run_take(run_pages(size), align_pages, &is_zero, &limited);
    }
    if (emp_unlikely(block == NULL)) {
        block = allocate_chunks(size, align, &is_zero, limited);
        if (block == NULL) {
            return NULL;
        }
    }
    if (emp_unlikely(emp_runtime_annotates)) {
        emp_annotate_alloc(block, size, zero);
    }
    if (zero && !is_zero) {
        memset(block, 0, size);
    }
    return block;
}

/* A request of a slab class; the hit path failed or was skipped. */
static void *allocate_slab(uint32_t class_id, size_t size, bool zero)
{
    void *block = emp_fast_pop(&emp_l1_current()->bins[class_id]);

    if (block == NULL) {
        block = emp_allocate_class(class_id, size);
        if (emp_unlikely(block == NULL)) {
            errno = ENOMEM;
            return NULL;
        }
    }
    (void)emp_hand_out(block, size);
    if (emp_unlikely(emp_runtime_annotates)) {
        emp_annotate_alloc(block, emp_usable_size(block), zero);
    }
    return zero ? memset(block, 0, size) : block;
}

/* Class whose blocks are all aligned to align ([slab.inv.aligned]); 0: none. */
static uint32_t class_for_aligned(size_t size, size_t align)
{
    size_t rounded = emp_align_up(size, align);

    return align > 4096 || rounded > EMP_SLAB_MAX ? 0 : emp_size_class_of(rounded);
}

uint32_t emp_request_class(size_t size, size_t align)
{
    size_t least = size == 0 ? 1 : size; /* nobody's usable size is 0 */
    size_t want = least + EMP_CANARY_BYTES;

    if (align > 16) { /* a canary only where there is room: blocks do not double for it */
        return size > EMP_SLAB_MAX ? 0 : class_for_aligned(least, align);
    }
    if (size > EMP_SLAB_MAX || want > EMP_SLAB_MAX) {
        return 0;
    }
    return emp_size_class_of(align > 8 && want < 16 ? 16 : want);
}

uint32_t emp_request_class_line(size_t size)
{
    return emp_request_class(size + EMP_CANARY_BYTES, EMP_LINE_BYTES);
}

/* Any request, from the start of the library on. */
static EMP_NOINLINE void *allocate_any(size_t size, size_t align, bool zero)
{
    if (emp_unlikely(!emp_runtime_start())) {
        errno = ENOMEM;
        return NULL;
    }
    if (emp_unlikely(size > EMP_ALLOC_MAX - EMP_CHUNK_BYTES)) {
        return allocate_failed(size, false);
    }
    bool rounds = align < EMP_LINE_BYTES && emp_option_value(EMP_OPTION_align) != 0;

    align = rounds ? EMP_LINE_BYTES : align;
    if (align > 16) {
        /* order(align-count): relaxed; a statistic */
        emp_fetch_add_relaxed(&aligned_requests, 1);
    }
    uint32_t class_id = rounds ? emp_request_class_line(size) : emp_request_class(size, align);

    if (class_id != 0) {
        return allocate_slab(class_id, size, zero);
    }
    return allocate_large(size == 0 ? 1 : size, align, zero);
}

/*
 * A run that was freed here lately, for a request above the slab classes; NULL: the long way. Under
 * a checker and before the start nothing lies on a shelf; the secure build uses nothing again so
 * soon.
 */
static void *allocate_shelved(size_t size)
{
    return !EMP_SECURE && size <= EMP_RUN_MAX ? emp_run_shelf_take(run_pages(size)) : NULL;
}

/* The slow path of every allocation: size of any kind, alignment 1 for natural. Sets errno. */
static void *allocate_slow(size_t size, size_t align, bool zero)
{
    if (size > EMP_SLAB_MAX && align <= EMP_RUN_PAGE_BYTES) {
        void *block = allocate_shelved(size);

        if (emp_likely(block != NULL)) {
            return zero ? memset(block, 0, size) : block;
        }
    }
    return allocate_any(size, align, zero);
}

void *emp_allocate_large(size_t size)
{
    if (!EMP_SECURE && emp_likely(size <= EMP_RUN_MAX)) {
        void *block = emp_run_shelf_take_hot(run_pages(size));

        if (emp_likely(block != NULL)) {
            return block;
        }
    }
    return allocate_slow(size, 1, false);
}

uint64_t emp_aligned_requests(void)
{
    /* order(align-count): relaxed; a statistic */
    return emp_load_relaxed(&aligned_requests);
}

void *emp_allocate_plain(size_t size)
{
    size_t want = size == 0 ? 1 : size;

    /* The usual case of allocate_slow: a thread with a cache, nothing special asked for. */
    if (emp_likely(emp_l1_current()->attached != 0 && !emp_runtime_annotates &&
                   emp_option_value(EMP_OPTION_align) == 0)) {
        void *block = emp_allocate_class(emp_size_class_of(want + EMP_CANARY_BYTES), size);

        if (emp_unlikely(block == NULL)) {
            errno = ENOMEM; /* the failure is counted and told: no second try */
            return NULL;
        }
        return emp_hand_out(block, want);
    }
    return allocate_slow(size, 1, false);
}

void *emp_malloc(size_t size)
{
    return emp_allocate_hot(size);
}

void *emp_calloc(size_t count, size_t size)
{
    size_t bytes = 0;

    if (emp_unlikely(!emp_align_mul(count, size, &bytes))) {
        errno = ENOMEM;
        return NULL;
    }
    if (emp_likely(bytes <= EMP_SLAB_MAX - EMP_CANARY_BYTES)) {
        void *block = bytes <= EMP_SMALL_MAX - EMP_CANARY_BYTES
                          ? emp_fast_alloc_small(bytes + EMP_CANARY_BYTES)
                          : emp_fast_alloc_medium(bytes + EMP_CANARY_BYTES);

        if (emp_likely(block != NULL)) {
            return memset(emp_hand_out(block, bytes), 0, bytes);
        }
    }
    return allocate_slow(bytes, 1, true);
}

void *emp_aligned_alloc(size_t align, size_t size)
{
    if (!emp_align_is_pow2(align) || align > ((size_t)1 << 30)) {
        errno = EINVAL;
        return NULL;
    }
    void *block = emp_aligned_hot(align, size);

    return emp_likely(block != NULL) ? block : allocate_slow(size, align, false);
}

size_t emp_good_size(size_t size)
{
    if (size > EMP_ALLOC_MAX - EMP_CHUNK_BYTES || !emp_runtime_start()) {
        return 0;
    }
    bool lines = emp_option_value(EMP_OPTION_align) != 0;
    uint32_t class_id = lines ? emp_request_class_line(size) : emp_request_class(size, 1);

    if (class_id != 0) {
        return emp_usable_of(class_id, size == 0 ? 1 : size);
    }
    if (size <= EMP_RUN_MAX) {
        return run_pages(size) * EMP_RUN_PAGE_BYTES;
    }
    if (size <= EMP_CHUNKED_MAX || emp_option_value(EMP_OPTION_huge_pages) != 0) {
        return emp_align_up(size, EMP_CHUNK_BYTES);
    }
    return emp_align_up(size, emp_os_page_bytes());
}
