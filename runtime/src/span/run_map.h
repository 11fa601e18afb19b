/*
 * Purpose: the map of a run chunk: which of its pages are free, dirty, aged, and the state of the
 *          run that begins at each; what the files about runs share and nobody else may use.
 * Owner:   span. A map is made when its chunk holds runs for the first time and stays with the
 *          chunk for ever, so that the state of a run can be read, and moved by a compare-and-swap,
 *          without the lock.
 * Threads: bitmaps and counts under the span lock; states as parked_word.h says.
 * Design:  [span.proto.run] [span.inv.run-length]
 */
#ifndef EMP_SPAN_RUN_MAP_H
#define EMP_SPAN_RUN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/config.h"
#include "span/arena.h"
#include "sync/atomic.h"
#include "sync/parked_word.h"

#define EMP_RUN_WORDS (EMP_CHUNK_RUN_PAGES / 64)

/*
 * Invariants: state[p] is not 0 iff a run in use or parked starts at p, and then the pages of that
 * run are not free; aged and dirty are subsets of free. While the chunk is no RUN chunk everything
 * is 0.
 */
struct emp_run_map {
    uint64_t free[EMP_RUN_WORDS];
    uint64_t dirty[EMP_RUN_WORDS];
    uint64_t aged[EMP_RUN_WORDS];
    uint32_t free_pages;
    uint32_t longest; /* no free run is longer; a hint that only shrinks by a failed search */
    uint16_t state[EMP_CHUNK_RUN_PAGES]; /* atomic: parked-word. its number: pages of the run */
};

_Static_assert(EMP_CHUNK_RUN_PAGES <= EMP_PARKED_NUMBER, "the pages of any run are a number");

static inline void emp_run_bits_fill(uint64_t *words, size_t first, size_t count, bool value)
{
    for (size_t i = first; i < first + count;) {
        size_t in_word = 64 - i % 64 < first + count - i ? 64 - i % 64 : first + count - i;
        uint64_t mask = emp_bits_mask((unsigned)in_word) << (i % 64);

        words[i / 64] = value ? words[i / 64] | mask : words[i / 64] & ~mask;
        i += in_word;
    }
}

static inline bool emp_run_bit(const uint64_t *words, size_t index)
{
    return (words[index / 64] >> (index % 64)) & 1;
}

/* Index of the first page at or after `from` whose bit is `value`; the page count when none. */
static inline size_t emp_run_bits_next(const uint64_t *words, size_t from, bool value)
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

/* The map of a chunk; NULL: it never held runs. */
static inline struct emp_run_map *emp_run_map_of(const struct emp_chunk *chunk)
{
    /* order(run-map): acquire; pairs with the release of who made it */
    return emp_load_acquire(&chunk->runs);
}

/*
 * The state of the run that starts at an arena address, in use or not; NULL: none can start there.
 * No lock is needed: a map stays where it is.
 */
static inline uint16_t *emp_run_state(uintptr_t address)
{
    struct emp_run_map *map = emp_run_map_of(emp_arena_chunk_of(address));
    uintptr_t offset = address - emp_arena.base;

    if (map == NULL || offset % EMP_RUN_PAGE_BYTES != 0) {
        return NULL;
    }
    return &map->state[offset % EMP_CHUNK_BYTES / EMP_RUN_PAGE_BYTES];
}

/* The same for an address at which a run has begun at some time: there is a map. */
static inline uint16_t *emp_run_state_known(uintptr_t address)
{
    size_t page = (address - emp_arena.base) >> EMP_RUN_PAGE_SHIFT;

    return &emp_run_map_of(&emp_arena.chunks[page / EMP_CHUNK_RUN_PAGES])
                ->state[page % EMP_CHUNK_RUN_PAGES];
}

/*
 * Page behind the run at `page`, or the next page to look at when none starts there. *seen: its
 * state. For walks with the lock held: `for (page = 0; page < EMP_CHUNK_RUN_PAGES; page = next)`.
 */
static inline size_t emp_run_walk(const struct emp_run_map *map, size_t page, uint32_t *seen)
{
    *seen = emp_parked_look(&map->state[page]);
    if (*seen != 0) {
        return page + (*seen & EMP_PARKED_NUMBER);
    }
    return emp_run_bit(map->free, page) ? emp_run_bits_next(map->free, page, false) : page + 1;
}

/* Makes pages free; `aged`: they are purged at the next round. Lock held. */
void emp_run_free_pages_locked(size_t index, size_t first, size_t pages, bool aged);

/* Makes the pages of the run at address free if it is parked; of one that was a run once. */
void emp_run_end_parked(uintptr_t address);

/* Gives an empty run chunk back; its map stays. True: it was empty. Lock held. */
bool emp_run_end_chunk_locked(size_t index);

#endif
