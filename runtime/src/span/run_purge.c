/*
 * Purpose: what maintenance does with runs: parked ones that nobody picked up become free pages,
 *          free pages are purged; and the walks that count and check them.
 * Owner:   span. Threads: any; purges one at a time (the caller's maintenance lock). The span lock
 *          is dropped around system calls.
 * Design:  [span.proto.run] [span.proto.shelf] [span.req.counts]
 * Cost:    O(pages of run chunks) a round.
 */
#include <string.h>

#include "base/bits.h"
#include "base/config.h"
#include "os/os_memory.h"
#include "span/arena.h"
#include "span/arena_internal.h"
#include "span/run.h"
#include "span/run_map.h"
#include "sync/parked_word.h"

/* Ages the parked runs of a chunk; those that were aged, or all, become free; pages. Lock held. */
static size_t run_collect_locked(size_t index, bool all)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;
    size_t collected = 0;
    size_t next = 0;

    for (size_t page = 0; page < EMP_CHUNK_RUN_PAGES; page = next) {
        uint32_t seen = 0;

        next = emp_run_walk(map, page, &seen);
        if ((seen & EMP_PARKED) == 0) {
            continue;
        }
        if (!all && (seen & EMP_PARKED_AGED) == 0) {
            (void)emp_parked_change(&map->state[page], seen, seen | EMP_PARKED_AGED);
        } else if (emp_parked_change(&map->state[page], seen, 0)) {
            /* It has idled as long as aged pages have. */
            emp_run_free_pages_locked(index, page, seen & EMP_PARKED_NUMBER, true);
            collected += seen & EMP_PARKED_NUMBER;
        }
    }
    return collected;
}

/* True for a chunk whose runs may be looked at; lock held. */
static bool run_is_chunk(const struct emp_chunk *chunk)
{
    return chunk->kind == EMP_CHUNK_RUN && chunk->runs != NULL;
}

size_t emp_run_collect(void)
{
    struct emp_span_counts counts;
    size_t pages = 0;

    emp_span_lock();
    for (size_t i = 0; i < emp_span_read_totals(&counts); i++) {
        if (run_is_chunk(&emp_arena.chunks[i])) {
            pages += run_collect_locked(i, true);
            (void)emp_run_end_chunk_locked(i);
        }
    }
    emp_span_unlock();
    return pages * EMP_RUN_PAGE_BYTES;
}

/* Purges the first due run of pages of a chunk; returns bytes, 0 when nothing was due. Lock
   held. */
static size_t run_purge_one_locked(size_t index, const uint64_t *due, size_t *from)
{
    struct emp_run_map *map = emp_arena.chunks[index].runs;
    size_t first = emp_run_bits_next(due, *from, true);

    if (first >= EMP_CHUNK_RUN_PAGES) {
        *from = first;
        return 0;
    }
    size_t end = emp_run_bits_next(due, first, false);
    size_t length = 0;

    while (first + length < end && emp_run_bit(map->free, first + length)) {
        length++;
    }
    *from = first + (length == 0 ? 1 : length);
    if (length == 0) {
        return 0;
    }
    emp_run_bits_fill(map->free, first, length, false);
    map->free_pages -= (uint32_t)length;
    emp_span_unlock();
    bool ok = emp_os_purge(emp_arena_chunk_base(index) + first * EMP_RUN_PAGE_BYTES,
                           length * EMP_RUN_PAGE_BYTES);
    emp_span_lock();
    emp_run_free_pages_locked(index, first, length, false);
    if (ok) {
        emp_run_bits_fill(map->dirty, first, length, false);
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

    (void)run_collect_locked(index, all);
    memcpy(due, all ? chunk->runs->dirty : chunk->runs->aged, sizeof(due));
    memcpy(chunk->runs->aged, chunk->runs->dirty, sizeof(due));
    while (from < EMP_CHUNK_RUN_PAGES && run_is_chunk(chunk)) {
        given += run_purge_one_locked(index, due, &from);
    }
    if (run_is_chunk(chunk)) {
        (void)emp_run_end_chunk_locked(index);
    }
    return given;
}

size_t emp_run_purge(bool all)
{
    struct emp_span_counts counts;
    size_t given = 0;

    emp_span_lock();
    for (size_t i = 0; i < emp_span_read_totals(&counts); i++) {
        if (run_is_chunk(&emp_arena.chunks[i])) {
            given += run_purge_chunk_locked(i, all);
        }
    }
    emp_span_unlock();
    return given;
}

void emp_run_count_locked(size_t index, struct emp_run_counts *out)
{
    const struct emp_run_map *map = emp_arena.chunks[index].runs;
    size_t next = 0;

    *out = (struct emp_run_counts){.free_pages = map->free_pages};
    for (size_t i = 0; i < EMP_RUN_WORDS; i++) {
        out->dirty_pages += emp_bits_count(map->dirty[i]);
    }
    for (size_t page = 0; page < EMP_CHUNK_RUN_PAGES; page = next) {
        uint32_t seen = 0;

        next = emp_run_walk(map, page, &seen);
        if ((seen & EMP_PARKED) != 0) {
            out->free_pages += seen & EMP_PARKED_NUMBER;
            out->dirty_pages += seen & EMP_PARKED_NUMBER;
        } else if (seen != 0) {
            out->runs++;
            out->used_pages += seen;
        }
    }
}

/* True when the map of a run chunk keeps its invariants. */
static bool run_map_is_sound(const struct emp_run_map *map)
{
    size_t free_pages = 0;
    size_t next = 0;

    for (size_t i = 0; i < EMP_RUN_WORDS; i++) {
        free_pages += emp_bits_count(map->free[i]);
        if ((map->dirty[i] & ~map->free[i]) != 0 || (map->aged[i] & ~map->dirty[i]) != 0) {
            return false;
        }
    }
    for (size_t page = 0; page < EMP_CHUNK_RUN_PAGES; page = next) {
        uint32_t seen = 0;

        next = emp_run_walk(map, page, &seen);
        if (seen != 0 &&
            (next > EMP_CHUNK_RUN_PAGES || emp_run_bits_next(map->free, page, true) < next)) {
            return false;
        }
    }
    return free_pages == map->free_pages;
}

size_t emp_run_audit(const void **broken)
{
    struct emp_span_counts counts;
    size_t found = 0;

    emp_span_lock();
    for (size_t i = 0; i < emp_span_read_totals(&counts); i++) {
        if (run_is_chunk(&emp_arena.chunks[i]) && !run_map_is_sound(emp_arena.chunks[i].runs)) {
            *broken = emp_arena_chunk_base(i);
            found++;
        }
    }
    emp_span_unlock();
    return found;
}
