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
#include "span/arena.h"
#include "span/arena_internal.h"
#include "span/meta.h"
#include "span/run_map.h"
#include "sync/atomic.h"
#include "sync/parked_word.h"

static size_t run_lowest; /* guarded by the span lock: no run chunk below has a free page */

static bool bits_any(const uint64_t *words, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (emp_run_bit(words, i)) {
            return true;
        }
    }
    return false;
}

/* First page of a fitting free run, or SIZE_MAX; updates the hint. */
static size_t run_find(struct emp_run_map *map, size_t pages, size_t align_pages)
{
    size_t longest = 0;
    size_t at = emp_run_bits_next(map->free, 0, true);

    while (at < EMP_CHUNK_RUN_PAGES) {
        size_t end = emp_run_bits_next(map->free, at, false);
        size_t start = (at + align_pages - 1) & ~(align_pages - 1);

        if (start < end && end - start >= pages) {
            return start;
        }
        longest = end - at > longest ? end - at : longest;
        at = emp_run_bits_next(map->free, end, true);
    }
    map->longest = (uint32_t)longest;
    return SIZE_MAX;
}

static void *run_claim_locked(size_t index, size_t first, size_t pages, bool *zero)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;

    *zero = !bits_any(map->dirty, first, pages);
    emp_run_bits_fill(map->free, first, pages, false);
    emp_run_bits_fill(map->dirty, first, pages, false);
    emp_run_bits_fill(map->aged, first, pages, false);
    map->free_pages -= (uint32_t)pages;
    emp_parked_begin(&map->state[first], (uint32_t)pages);
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

static void *run_search(size_t pages, size_t align_pages, bool *zero)
{
    emp_span_lock();
    void *block = run_search_locked(pages, align_pages, zero);
    emp_span_unlock();
    return block;
}

/* The map of a chunk just taken, made at its first time; NULL: no memory. */
static struct emp_run_map *run_map_ready(struct emp_chunk *chunk)
{
    struct emp_run_map *map = emp_run_map_of(chunk);

    if (map == NULL) {
        map = emp_meta_alloc(sizeof(*map));
        if (map != NULL) {
            emp_span_lock(); /* for a search, which looks at every chunk that is to hold runs */
            /* order(run-map): release; readers without the lock find it cleared */
            emp_store_release(&chunk->runs, map);
            emp_span_unlock();
        }
    }
    return map;
}

/* Cuts a run off the front of a chunk just taken; NULL: no memory for the map. */
static void *run_begin_chunk(size_t index, size_t pages, bool *zero)
{
    struct emp_run_map *map = run_map_ready(&emp_arena.chunks[index]);

    if (map == NULL) {
        emp_arena_give(index, 1, !*zero);
        return NULL;
    }
    emp_span_lock();
    memset(map->free, 0xff, sizeof(map->free));
    memset(map->dirty, *zero ? 0 : 0xff, sizeof(map->dirty));
    map->free_pages = EMP_CHUNK_RUN_PAGES;
    map->longest = EMP_CHUNK_RUN_PAGES;
    run_lowest = index < run_lowest ? index : run_lowest;
    void *block = run_claim_locked(index, 0, pages, zero);
    emp_span_unlock();
    return block;
}

void *emp_run_take(size_t pages, size_t align_pages, bool *zero, bool *limited)
{
    emp_assert(pages >= 1 && pages <= EMP_CHUNK_RUN_PAGES);
    *limited = false;
    void *block = run_search(pages, align_pages, zero);

    if (block == NULL) {
        size_t index = emp_arena_take(1, EMP_CHUNK_RUN, zero, limited);

        /* What lay on shelves has been collected by then, without a whole chunk to show for it. */
        block = index != SIZE_MAX ? run_begin_chunk(index, pages, zero)
                                  : run_search(pages, align_pages, zero);
        *limited = *limited && block == NULL;
    }
    return block;
}

void emp_run_free_pages_locked(size_t index, size_t first, size_t pages, bool aged)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;

    emp_run_bits_fill(map->free, first, pages, true);
    emp_run_bits_fill(map->dirty, first, pages, true);
    emp_run_bits_fill(map->aged, first, pages, aged);
    map->free_pages += (uint32_t)pages;
    map->longest = EMP_CHUNK_RUN_PAGES;
    run_lowest = index < run_lowest ? index : run_lowest;
}

bool emp_run_end_chunk_locked(size_t index)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;

    if (map->free_pages != EMP_CHUNK_RUN_PAGES) {
        return false;
    }
    memset(map, 0, offsetof(struct emp_run_map, state)); /* nothing to find until it is a run chunk
                                                            again */
    emp_arena_give_locked(index, 1, true);
    return true;
}

/* The chunk and page of an address that is known to be a multiple of a page. */
static size_t run_chunk_of(const void *ptr, size_t *page)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    *page = offset % EMP_CHUNK_BYTES / EMP_RUN_PAGE_BYTES;
    return offset >> EMP_CHUNK_SHIFT;
}

size_t emp_run_give(void *ptr)
{
    uint16_t *state = emp_run_state((uintptr_t)ptr);
    size_t page = 0;

    if (state == NULL) {
        return 0;
    }
    size_t index = run_chunk_of(ptr, &page);

    emp_span_lock();
    size_t pages = emp_parked_in_use(emp_parked_look(state));

    if (pages == 0 || !emp_parked_change(state, (uint32_t)pages, 0)) {
        pages = 0;
    } else {
        emp_run_free_pages_locked(index, page, pages, false);
        (void)emp_run_end_chunk_locked(index);
    }
    emp_span_unlock();
    return pages;
}

void emp_run_end_parked(uintptr_t address)
{
    uint16_t *state = emp_run_state_known(address);
    size_t page = 0;
    size_t index = run_chunk_of((const void *)address, &page);

    emp_span_lock();
    uint32_t seen = emp_parked_look(state);

    /* Never by way of "in use": a second free must not find it so. */
    if ((seen & EMP_PARKED) != 0 && emp_parked_change(state, seen, 0)) {
        emp_run_free_pages_locked(index, page, seen & EMP_PARKED_NUMBER, false);
        (void)emp_run_end_chunk_locked(index);
    }
    emp_span_unlock();
}

size_t emp_run_pages(const void *ptr)
{
    const uint16_t *state = emp_run_state((uintptr_t)ptr);

    return state != NULL ? emp_parked_in_use(emp_parked_look(state)) : 0;
}

/* True when pages [first, limit) of a chunk are free; parked runs there end. Lock held. */
static bool run_make_free_locked(size_t index, size_t first, size_t limit)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;
    size_t next = 0;

    for (size_t page = first; page < limit; page = next) {
        uint32_t seen = 0;

        next = emp_run_walk(map, page, &seen);
        if ((seen & EMP_PARKED) != 0 && emp_parked_change(&map->state[page], seen, 0)) {
            emp_run_free_pages_locked(index, page, next - page, false);
        } else if (seen != 0 || !emp_run_bit(map->free, page)) {
            return false;
        }
    }
    return true;
}

bool emp_run_resize(void *ptr, size_t pages)
{
    uint16_t *state = emp_run_state((uintptr_t)ptr);
    size_t page = 0;
    bool done = false;

    if (state == NULL || pages == 0) {
        return false;
    }
    size_t index = run_chunk_of(ptr, &page);

    emp_span_lock();
    size_t old = emp_parked_in_use(emp_parked_look(state));
    struct emp_run_map *map = emp_arena.chunks[index].runs;

    if (old == 0 || page + pages > EMP_CHUNK_RUN_PAGES) {
        done = false;
    } else if (pages <= old) {
        done = emp_parked_change(state, (uint32_t)old, (uint32_t)pages);
        if (done && pages < old) {
            emp_run_free_pages_locked(index, page + pages, old - pages, false);
        }
    } else if (run_make_free_locked(index, page + old, page + pages)) {
        done = emp_parked_change(state, (uint32_t)old, (uint32_t)pages);
        if (done) {
            emp_run_bits_fill(map->free, page + old, pages - old, false);
            emp_run_bits_fill(map->dirty, page + old, pages - old, false);
            emp_run_bits_fill(map->aged, page + old, pages - old, false);
            map->free_pages -= (uint32_t)(pages - old);
        }
    }
    emp_span_unlock();
    return done;
}
