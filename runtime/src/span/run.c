/*
 * Purpose: see run.h. First fit by address inside a chunk, lowest chunk first.
 * Owner:   span. Threads: any. Cost: O(run chunks) with a hint of the longest free run per chunk.
 * Design:  [span.proto.run] [span.inv.run-length]
 */
#include "span/run.h"

#include <string.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/config.h"
#include "os/os_memory.h"
#include "span/arena.h"
#include "span/arena_internal.h"
#include "span/meta.h"

#define EMP_RUN_WORDS (EMP_CHUNK_RUN_PAGES / 64)

/*
 * Pages of a run chunk. Owner: span lock. Invariants: length[p] > 0 iff a run in use starts at p,
 * and then pages p..p+length[p]-1 are not free; aged and dirty are subsets of free.
 */
struct emp_run_map {
    uint64_t free[EMP_RUN_WORDS];
    uint64_t dirty[EMP_RUN_WORDS];
    uint64_t aged[EMP_RUN_WORDS];
    uint32_t free_pages;
    uint32_t longest; /* no free run is longer; a hint that only shrinks by a failed search */
    uint16_t length[EMP_CHUNK_RUN_PAGES];
};

static size_t run_lowest; /* guarded by the span lock: no run chunk below has a free page */

static void bits_fill(uint64_t *words, size_t first, size_t count, bool value)
{
    for (size_t i = first; i < first + count;) {
        size_t in_word = 64 - i % 64 < first + count - i ? 64 - i % 64 : first + count - i;
        uint64_t mask = emp_bits_mask((unsigned)in_word) << (i % 64);

        words[i / 64] = value ? words[i / 64] | mask : words[i / 64] & ~mask;
        i += in_word;
    }
}

static bool bit_get(const uint64_t *words, size_t index)
{
    return (words[index / 64] >> (index % 64)) & 1;
}

static bool bits_any(const uint64_t *words, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (bit_get(words, i)) {
            return true;
        }
    }
    return false;
}

/* Index of the first page at or after `from` whose bit is `value`; the page count when none. */
static size_t bits_next(const uint64_t *words, size_t from, bool value)
{
    while (from < EMP_CHUNK_RUN_PAGES) {
        uint64_t word = value ? words[from / 64] : ~words[from / 64];

        word &= ~emp_bits_mask((unsigned)(from % 64));
        if (word != 0) {
            return from / 64 * 64 + emp_bits_lowest(word);
        }
        from = from / 64 * 64 + 64;
    }
    return EMP_CHUNK_RUN_PAGES;
}

/* First page of a fitting free run, or SIZE_MAX; updates the hint. */
static size_t run_find(struct emp_run_map *map, size_t pages, size_t align_pages)
{
    size_t longest = 0;
    size_t at = bits_next(map->free, 0, true);

    while (at < EMP_CHUNK_RUN_PAGES) {
        size_t end = bits_next(map->free, at, false);
        size_t start = (at + align_pages - 1) & ~(align_pages - 1);

        if (start < end && end - start >= pages) {
            return start;
        }
        longest = end - at > longest ? end - at : longest;
        at = bits_next(map->free, end, true);
    }
    map->longest = (uint32_t)longest;
    return SIZE_MAX;
}

static void *run_claim_locked(size_t index, size_t first, size_t pages, bool *zero)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;

    *zero = !bits_any(map->dirty, first, pages);
    bits_fill(map->free, first, pages, false);
    bits_fill(map->dirty, first, pages, false);
    bits_fill(map->aged, first, pages, false);
    map->length[first] = (uint16_t)pages;
    map->free_pages -= (uint32_t)pages;
    return emp_arena_chunk_base(index) + first * EMP_RUN_PAGE_BYTES;
}

static void *run_search_locked(size_t pages, size_t align_pages, bool *zero)
{
    struct emp_span_counts counts;
    size_t frontier = emp_span_read_totals(&counts);
    bool lower_full = true;

    for (size_t i = run_lowest; i < frontier; i++) {
        struct emp_chunk *chunk = &emp_arena.chunks[i];

        if (chunk->kind != EMP_CHUNK_RUN || chunk->runs == NULL || chunk->runs->free_pages == 0) {
            run_lowest = lower_full ? i + 1 : run_lowest;
            continue;
        }
        lower_full = false;
        if (chunk->runs->longest < pages) {
            continue;
        }
        size_t first = run_find(chunk->runs, pages, align_pages);
        if (first != SIZE_MAX) {
            return run_claim_locked(i, first, pages, zero);
        }
    }
    return NULL;
}

static struct emp_run_map *run_map_create(bool zero)
{
    struct emp_run_map *map = emp_meta_alloc(sizeof(*map));

    if (map != NULL) {
        memset(map->free, 0xff, sizeof(map->free));
        memset(map->dirty, zero ? 0 : 0xff, sizeof(map->dirty));
        map->free_pages = EMP_CHUNK_RUN_PAGES;
        map->longest = EMP_CHUNK_RUN_PAGES;
    }
    return map;
}

void *emp_run_take(size_t pages, size_t align_pages, bool *zero, bool *limited)
{
    emp_assert(pages >= 1 && pages <= EMP_CHUNK_RUN_PAGES);
    *limited = false;
    emp_span_lock();
    void *block = run_search_locked(pages, align_pages, zero);
    emp_span_unlock();
    if (block == NULL) {
        bool fresh = false;
        size_t index = emp_arena_take(1, EMP_CHUNK_RUN, &fresh, limited);
        if (index == SIZE_MAX) {
            return NULL;
        }
        struct emp_run_map *map = run_map_create(fresh);
        if (map == NULL) {
            emp_arena_give(index, 1, !fresh);
            return NULL;
        }
        emp_span_lock();
        emp_arena.chunks[index].runs = map;
        run_lowest = index < run_lowest ? index : run_lowest;
        block = run_claim_locked(index, 0, pages, zero);
        emp_span_unlock();
    }
    emp_span_count_large(1, (ptrdiff_t)(pages * EMP_RUN_PAGE_BYTES));
    return block;
}

/* The map and page of an address, or NULL when no run chunk is there; lock held. */
static struct emp_run_map *run_locate(const void *ptr, size_t *page)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;
    struct emp_chunk *chunk = emp_arena_chunk_of((uintptr_t)ptr);

    if (chunk->kind != EMP_CHUNK_RUN || chunk->runs == NULL || offset % EMP_RUN_PAGE_BYTES != 0) {
        return NULL;
    }
    *page = offset % EMP_CHUNK_BYTES / EMP_RUN_PAGE_BYTES;
    return chunk->runs;
}

/* Marks pages free and dirty; gives the chunk back when it is empty. Takes and drops the lock. */
static void run_release_locked(size_t index, size_t first, size_t pages)
{
    struct emp_chunk *chunk = &emp_arena.chunks[index];
    struct emp_run_map *map = chunk->runs;

    bits_fill(map->free, first, pages, true);
    bits_fill(map->dirty, first, pages, true);
    map->free_pages += (uint32_t)pages;
    map->longest = EMP_CHUNK_RUN_PAGES;
    run_lowest = index < run_lowest ? index : run_lowest;
    if (map->free_pages == EMP_CHUNK_RUN_PAGES) {
        chunk->runs = NULL;
        emp_arena_give_locked(index, 1, true);
        emp_span_unlock();
        emp_meta_free(map, sizeof(*map));
    } else {
        emp_span_unlock();
    }
}

size_t emp_run_give(void *ptr)
{
    size_t page = 0;

    emp_span_lock();
    struct emp_run_map *map = run_locate(ptr, &page);
    size_t pages = map != NULL ? map->length[page] : 0;

    if (pages == 0) {
        emp_span_unlock();
        return 0;
    }
    map->length[page] = 0;
    run_release_locked(((uintptr_t)ptr - emp_arena.base) >> EMP_CHUNK_SHIFT, page, pages);
    emp_span_count_large(-1, -(ptrdiff_t)(pages * EMP_RUN_PAGE_BYTES));
    return pages;
}

size_t emp_run_pages(const void *ptr)
{
    size_t page = 0;

    emp_span_lock();
    struct emp_run_map *map = run_locate(ptr, &page);
    size_t pages = map != NULL ? map->length[page] : 0;
    emp_span_unlock();
    return pages;
}

bool emp_run_resize(void *ptr, size_t pages)
{
    size_t page = 0;

    emp_span_lock();
    struct emp_run_map *map = run_locate(ptr, &page);
    size_t old = map != NULL ? map->length[page] : 0;

    if (old == 0 || pages == 0 || page + pages > EMP_CHUNK_RUN_PAGES) {
        emp_span_unlock();
        return false;
    }
    if (pages < old) {
        map->length[page] = (uint16_t)pages;
        run_release_locked(((uintptr_t)ptr - emp_arena.base) >> EMP_CHUNK_SHIFT, page + pages,
                           old - pages);
    } else if (bits_next(map->free, page + old, false) - (page + old) < pages - old) {
        emp_span_unlock();
        return false;
    } else {
        bits_fill(map->free, page + old, pages - old, false);
        bits_fill(map->dirty, page + old, pages - old, false);
        bits_fill(map->aged, page + old, pages - old, false);
        map->length[page] = (uint16_t)pages;
        map->free_pages -= (uint32_t)(pages - old);
        emp_span_unlock();
    }
    emp_span_count_large(0, ((ptrdiff_t)pages - (ptrdiff_t)old) * (ptrdiff_t)EMP_RUN_PAGE_BYTES);
    return true;
}

/* Purges the first due run of pages of a chunk; returns bytes, 0 when nothing was due. Lock
   held. */
static size_t run_purge_one_locked(size_t index, const uint64_t *due, size_t *from)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;
    size_t first = bits_next(due, *from, true);

    if (first >= EMP_CHUNK_RUN_PAGES) {
        *from = first;
        return 0;
    }
    size_t end = bits_next(due, first, false);
    size_t length = 0;

    while (first + length < end && bit_get(map->free, first + length)) {
        length++;
    }
    *from = first + (length == 0 ? 1 : length);
    if (length == 0) {
        return 0;
    }
    bits_fill(map->free, first, length, false);
    map->free_pages -= (uint32_t)length;
    emp_span_unlock();
    bool ok = emp_os_purge(emp_arena_chunk_base(index) + first * EMP_RUN_PAGE_BYTES,
                           length * EMP_RUN_PAGE_BYTES);
    emp_span_lock();
    bits_fill(map->free, first, length, true);
    bits_fill(map->dirty, first, length, !ok);
    bits_fill(map->aged, first, length, false);
    map->free_pages += (uint32_t)length;
    map->longest = EMP_CHUNK_RUN_PAGES;
    run_lowest = index < run_lowest ? index : run_lowest;
    if (ok) {
        emp_span_count_purge(length * EMP_RUN_PAGE_BYTES);
    }
    return ok ? length * EMP_RUN_PAGE_BYTES : 0;
}

/* Ages or purges one run chunk; lock held on entry and return. */
static size_t run_purge_chunk_locked(size_t index, bool all)
{
    struct emp_chunk *chunk = &emp_arena.chunks[index];
    uint64_t due[EMP_RUN_WORDS];
    size_t given = 0;
    size_t from = 0;

    memcpy(due, all ? chunk->runs->dirty : chunk->runs->aged, sizeof(due));
    memcpy(chunk->runs->aged, chunk->runs->dirty, sizeof(due));
    while (from < EMP_CHUNK_RUN_PAGES && chunk->kind == EMP_CHUNK_RUN && chunk->runs != NULL) {
        given += run_purge_one_locked(index, due, &from);
    }
    if (chunk->kind == EMP_CHUNK_RUN && chunk->runs != NULL &&
        chunk->runs->free_pages == EMP_CHUNK_RUN_PAGES) {
        struct emp_run_map *map = chunk->runs;

        chunk->runs = NULL;
        emp_arena_give_locked(index, 1, true);
        emp_span_unlock();
        emp_meta_free(map, sizeof(*map));
        emp_span_lock();
    }
    return given;
}

size_t emp_run_purge(bool all)
{
    struct emp_span_counts counts;
    size_t given = 0;

    emp_span_lock();
    for (size_t i = 0; i < emp_span_read_totals(&counts); i++) {
        if (emp_arena.chunks[i].kind == EMP_CHUNK_RUN && emp_arena.chunks[i].runs != NULL) {
            given += run_purge_chunk_locked(i, all);
        }
    }
    emp_span_unlock();
    return given;
}

size_t emp_run_free_pages(const struct emp_run_map *map)
{
    return map->free_pages;
}

size_t emp_run_dirty_pages(const struct emp_run_map *map)
{
    size_t pages = 0;

    for (size_t i = 0; i < EMP_RUN_WORDS; i++) {
        pages += emp_bits_count(map->dirty[i]);
    }
    return pages;
}
