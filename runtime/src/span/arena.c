/*
 * Purpose: see arena.h. A bitmap of free chunks below a frontier; lowest address first.
 * Owner:   span. Threads: any. Cost: O(frontier / 64) worst case, a few words usually.
 * Design:  [span.proto.chunk] [span.inv.tag-readable] [span.req.limit]
 */
#include "span/arena.h"

#include "base/align.h"
#include "base/bits.h"
#include "base/check.h"
#include "os/os_memory.h"
#include "span/arena_internal.h"
#include "span/meta.h"
#include "span/run.h"
#include "sync/atomic.h"
#include "thread/mutex.h"

_Static_assert(sizeof(struct emp_chunk) == 64, "one line per chunk");

struct emp_arena emp_arena;

static struct {
    struct emp_mutex lock;
    uint64_t *free_map;    /* guarded by lock: bit set: chunk is FREE */
    size_t frontier;       /* guarded by lock: chunks ever taken */
    size_t lowest_free;    /* guarded by lock: no free chunk below */
    size_t desc_committed; /* guarded by lock: chunks whose slab descriptors are committed */
    uint32_t huge_always;  /* atomic: span-count */
    size_t limit_bytes;    /* atomic: span-count */
    size_t purged_bytes;   /* atomic: span-count */
    size_t purge_calls;    /* atomic: span-count */
    size_t large_blocks;   /* atomic: span-count */
    size_t large_bytes;    /* atomic: span-count */
} span = {.lock = EMP_MUTEX_INIT(SPAN)};

struct emp_span_mapped emp_span_mapped;

#define EMP_DESC_STEP_CHUNKS 32u

void emp_span_lock(void)
{
    emp_mutex_lock(&span.lock);
}

void emp_span_unlock(void)
{
    emp_mutex_unlock(&span.lock);
}

void emp_span_fork_child(void)
{
    emp_mutex_reset_in_child(&span.lock);
}

void emp_span_count_purge(size_t bytes)
{
    /* order(span-count): relaxed; statistics */
    emp_fetch_add_relaxed(&span.purged_bytes, bytes);
    /* order(span-count): relaxed; statistics */
    emp_fetch_add_relaxed(&span.purge_calls, 1);
}

void emp_span_count_large(ptrdiff_t blocks, ptrdiff_t bytes)
{
    /* order(span-count): relaxed; statistics */
    emp_fetch_add_relaxed(&span.large_blocks, (size_t)blocks);
    /* order(span-count): relaxed; statistics */
    emp_fetch_add_relaxed(&span.large_bytes, (size_t)bytes);
}

/* Reserves data and metadata for an arena of `bytes`; everything or nothing. */
static bool arena_reserve(size_t bytes)
{
    size_t chunks = bytes >> EMP_CHUNK_SHIFT;
    size_t units = bytes >> EMP_UNIT_SHIFT;
    size_t tag_bytes = emp_align_up(units * sizeof(uint32_t), EMP_UNIT_BYTES);
    size_t chunk_bytes = emp_align_up(chunks * sizeof(struct emp_chunk), EMP_UNIT_BYTES);
    size_t map_bytes = emp_align_up(chunks / 8 + 8, EMP_UNIT_BYTES);
    size_t desc_bytes = emp_align_up(units * EMP_SLAB_DESCRIPTOR_BYTES, EMP_UNIT_BYTES);
    size_t heap_bytes = bytes / 64 + ((size_t)1 << 20);
    size_t table_bytes = tag_bytes + chunk_bytes + map_bytes;
    char *data = emp_os_reserve(bytes, EMP_CHUNK_BYTES);
    char *side = NULL;

    if (data == NULL) {
        return false;
    }
    side = emp_os_reserve(table_bytes + desc_bytes + heap_bytes, EMP_UNIT_BYTES);
    if (side == NULL || !emp_os_commit(side, table_bytes)) {
        goto fail_side;
    }
    emp_os_name_range(side, table_bytes, "echomem-tables");
    emp_arena.base = (uintptr_t)data;
    emp_arena.tags = (uint32_t *)(void *)side;
    emp_arena.chunks = (struct emp_chunk *)(void *)(side + tag_bytes);
    span.free_map = (uint64_t *)(void *)(side + tag_bytes + chunk_bytes);
    emp_arena.slab_descriptors = side + table_bytes;
    emp_arena.chunk_count = chunks;
    emp_meta_init(side + table_bytes + desc_bytes, heap_bytes);
    emp_arena.bytes = bytes;
    return true;

fail_side:
    if (side != NULL) {
        (void)emp_os_unmap(side, table_bytes + desc_bytes + heap_bytes);
    }
    (void)emp_os_unmap(data, bytes);
    return false;
}

bool emp_arena_init(void)
{
    size_t limit = emp_os_address_limit();
    size_t bytes = EMP_ARENA_BYTES_MAX;

    if (emp_arena.bytes != 0) {
        return true;
    }
    if (limit / 8 * 5 < bytes) {
        bytes = emp_align_down(limit / 8 * 5, EMP_CHUNK_BYTES);
    }
    while (bytes >= EMP_ARENA_BYTES_MIN) {
        if (arena_reserve(bytes)) {
            return true;
        }
        bytes = emp_align_down(bytes / 2, EMP_CHUNK_BYTES);
    }
    return false;
}

void emp_arena_set_huge(bool always)
{
    /* order(span-count): relaxed; a setting for chunks to come */
    emp_store_relaxed(&span.huge_always, always);
}

void emp_arena_set_limit(size_t bytes)
{
    /* order(span-count): relaxed; takes effect at the next check */
    emp_store_relaxed(&span.limit_bytes, bytes);
}

size_t emp_arena_limit(void)
{
    /* order(span-count): relaxed; a number that may change at any time */
    return emp_load_relaxed(&span.limit_bytes);
}

bool emp_arena_charge(size_t bytes)
{
    size_t limit = emp_arena_limit();
    /* order(span-count): relaxed; the sum alone decides */
    size_t before = emp_fetch_add_relaxed(&emp_span_mapped.outside_bytes, bytes);
    /* order(span-count): relaxed; see above */
    size_t total = before + bytes + emp_load_relaxed(&emp_span_mapped.committed_bytes);

    if (limit != 0 && total > limit) {
        emp_arena_uncharge(bytes);
        return false;
    }
    return true;
}

void emp_arena_uncharge(size_t bytes)
{
    /* order(span-count): relaxed; statistics */
    emp_fetch_sub_relaxed(&emp_span_mapped.outside_bytes, bytes);
}

static bool map_test(size_t index)
{
    return (span.free_map[index / 64] >> (index % 64)) & 1;
}

static void map_set(size_t index, size_t count, bool is_free)
{
    for (size_t i = index; i < index + count; i++) {
        uint64_t bit = (uint64_t)1 << (i % 64);

        span.free_map[i / 64] =
            is_free ? span.free_map[i / 64] | bit : span.free_map[i / 64] & ~bit;
    }
}

/* First of `count` adjacent free chunks below the frontier, or SIZE_MAX. */
static size_t arena_find_locked(size_t count)
{
    size_t length = 0;

    for (size_t i = span.lowest_free; i < span.frontier; i++) {
        if (i % 64 == 0 && span.free_map[i / 64] == 0) {
            length = 0;
            i += 63;
            continue;
        }
        length = map_test(i) ? length + 1 : 0;
        if (length == count) {
            return i + 1 - count;
        }
    }
    return SIZE_MAX;
}

static void arena_mark_locked(size_t index, size_t count, enum emp_chunk_kind kind)
{
    for (size_t i = index; i < index + count; i++) {
        struct emp_chunk *chunk = &emp_arena.chunks[i];

        chunk->free_units = 0;
        chunk->dirty_units = 0;
        chunk->aged_units = 0;
        chunk->full_ticks = 0;
        chunk->kind = (uint8_t)kind;
    }
}

/* Commits data and descriptors of chunks just claimed at the frontier; no lock held. */
static bool arena_commit(size_t index, size_t count, size_t desc_from, size_t desc_to)
{
    size_t stride = (size_t)EMP_SLAB_DESCRIPTOR_BYTES * EMP_CHUNK_UNITS;

    if (desc_to > desc_from && !emp_os_commit(emp_arena.slab_descriptors + desc_from * stride,
                                              (desc_to - desc_from) * stride)) {
        return false;
    }
    if (!emp_os_commit(emp_arena_chunk_base(index), count << EMP_CHUNK_SHIFT)) {
        return false;
    }
    emp_os_name_range(emp_arena_chunk_base(index), count << EMP_CHUNK_SHIFT, "echomem-heap");
    /* order(span-count): relaxed; a setting */
    if (emp_load_relaxed(&span.huge_always) != 0) {
        (void)emp_os_advise_huge(emp_arena_chunk_base(index), count << EMP_CHUNK_SHIFT, true);
    }
    return true;
}

/* Takes chunks at the frontier; the lock is held on entry and on return, dropped in between. */
static size_t arena_extend_locked(size_t count, bool *limited)
{
    size_t index = span.frontier;
    size_t bytes = count << EMP_CHUNK_SHIFT;
    size_t limit = emp_arena_limit();
    /* order(span-count): relaxed; the sum alone decides */
    size_t used = emp_load_relaxed(&emp_span_mapped.committed_bytes) +
                  emp_load_relaxed(&emp_span_mapped.outside_bytes);

    if (limit != 0 && used + bytes > limit) {
        *limited = true;
        return SIZE_MAX;
    }
    if (index + count > emp_arena.chunk_count) {
        return SIZE_MAX;
    }
    size_t desc_from = span.desc_committed;
    size_t desc_to = emp_align_up(index + count, EMP_DESC_STEP_CHUNKS);

    desc_to = desc_to > emp_arena.chunk_count ? emp_arena.chunk_count : desc_to;
    span.frontier = index + count;
    emp_span_unlock();
    bool ok = arena_commit(index, count, desc_from, desc_to);
    emp_span_lock();
    if (!ok) {
        /* The range stays NONE; when nobody went further it is offered again. */
        span.frontier = span.frontier == index + count ? index : span.frontier;
        return SIZE_MAX;
    }
    span.desc_committed = desc_to > span.desc_committed ? desc_to : span.desc_committed;
    /* order(span-count): relaxed; statistics */
    emp_fetch_add_relaxed(&emp_span_mapped.committed_bytes, bytes);
    return index;
}

/* One try of emp_arena_take. */
static size_t arena_take_once(size_t count, enum emp_chunk_kind kind, bool *zero, bool *limited)
{
    emp_span_lock();
    size_t index = arena_find_locked(count);

    *zero = true;
    *limited = false;
    if (index == SIZE_MAX) {
        index = arena_extend_locked(count, limited);
        if (index == SIZE_MAX) {
            emp_span_unlock();
            return SIZE_MAX;
        }
    } else {
        map_set(index, count, false);
        if (index == span.lowest_free) {
            span.lowest_free = index + count;
        }
    }
    for (size_t i = index; i < index + count; i++) {
        *zero = *zero && emp_arena.chunks[i].dirty == 0;
    }
    arena_mark_locked(index, count, kind);
    if (kind == EMP_CHUNK_LARGE) {
        arena_mark_locked(index + 1, count - 1, EMP_CHUNK_LARGE_REST);
        emp_arena.chunks[index].large_chunks = (uint32_t)count;
    }
    emp_span_unlock();
    return index;
}

size_t emp_arena_take(size_t count, enum emp_chunk_kind kind, bool *zero, bool *limited)
{
    size_t index = arena_take_once(count, kind, zero, limited);

    if (emp_unlikely(index == SIZE_MAX) && emp_run_collect() != 0) {
        index = arena_take_once(count, kind, zero, limited); /* a parked run was in the way */
    }
    return index;
}

void emp_arena_give_locked(size_t index, size_t count, bool dirty)
{
    arena_mark_locked(index, count, EMP_CHUNK_FREE);
    for (size_t i = index; i < index + count; i++) {
        emp_arena.chunks[i].dirty = emp_arena.chunks[i].dirty || dirty;
        emp_arena.chunks[i].aged = 0;
    }
    map_set(index, count, true);
    if (index < span.lowest_free) {
        span.lowest_free = index;
    }
}

void emp_arena_give(size_t index, size_t count, bool dirty)
{
    emp_span_lock();
    emp_arena_give_locked(index, count, dirty);
    emp_span_unlock();
}

/* Next free dirty chunk from `from` on that may be purged now, taken out of the map; or
   SIZE_MAX. */
static size_t arena_claim_dirty_locked(size_t from, bool all)
{
    for (size_t i = from; i < span.frontier; i++) {
        struct emp_chunk *chunk = &emp_arena.chunks[i];

        if (!map_test(i) || !chunk->dirty) {
            continue;
        }
        if (all || chunk->aged) {
            map_set(i, 1, false);
            return i;
        }
        chunk->aged = 1;
    }
    return SIZE_MAX;
}

size_t emp_arena_purge(bool all)
{
    size_t given = 0;
    size_t next = 0;

    emp_span_lock();
    for (;;) {
        size_t index = arena_claim_dirty_locked(next, all);

        if (index == SIZE_MAX) {
            break;
        }
        next = index + 1;
        emp_span_unlock();
        bool ok = emp_os_purge(emp_arena_chunk_base(index), EMP_CHUNK_BYTES);
        if (ok) {
            emp_span_count_purge(EMP_CHUNK_BYTES);
            given += EMP_CHUNK_BYTES;
        }
        emp_span_lock();
        emp_arena.chunks[index].dirty = !ok;
        emp_arena.chunks[index].aged = 0;
        map_set(index, 1, true);
        span.lowest_free = index < span.lowest_free ? index : span.lowest_free;
    }
    emp_span_unlock();
    return given;
}

size_t emp_span_described(void)
{
    return span.desc_committed < span.frontier ? span.desc_committed : span.frontier;
}

size_t emp_span_read_totals(struct emp_span_counts *out)
{
    /* order(span-count): relaxed; statistics, each for itself */
    out->mapped_bytes = emp_load_relaxed(&emp_span_mapped.committed_bytes) +
                        emp_load_relaxed(&emp_span_mapped.outside_bytes);
    /* order(span-count): relaxed; statistics */
    out->purged_bytes = emp_load_relaxed(&span.purged_bytes);
    out->purge_calls = emp_load_relaxed(&span.purge_calls);
    /* order(span-count): relaxed; statistics */
    out->large_blocks = emp_load_relaxed(&span.large_blocks);
    out->large_bytes = emp_load_relaxed(&span.large_bytes);
    return span.frontier;
}
