/*
 * Purpose: the shelf of a processor: runs that were freed there lately, to be used again without
 *          the span lock; the hits inlined, they are all that a free and an allocation of such a
 *          block do.
 * Owner:   span. A shelf holds hints; whether a run is parked stands in its state, see run_map.h.
 *
 *   hint:  address of the run, a multiple of 4096 | pages 11-0        0: empty
 *   place: the pages modulo 8; when that is taken, any other; when all are, that one leaves
 *
 * Threads: any; no lock on a hit. Two threads that meet on a shelf, because one was moved or
 *          interrupted, may lose a hint or see it twice: the state of the run decides, and what no
 *          shelf knows of is found by age.
 * Design:  [span.proto.shelf]. Source: the page heap of gperftools' tcmalloc.
 * Cost:    a compare-and-swap to park, one to pick; neither in a process of one thread.
 */
#ifndef EMP_SPAN_RUN_SHELF_H
#define EMP_SPAN_RUN_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/config.h"
#include "span/run_map.h"
#include "sync/atomic.h"
#include "sync/parked_word.h"
#include "thread/alone.h"
#include "thread/cpu.h"

#define EMP_SHELF_HINTS       8u  /* power of two */
#define EMP_SHELF_CPUS        64u /* power of two; processors further apart share */
#define EMP_SHELF_SMALL_PAGES 32u /* runs to 128 KiB go to their place if that is free */

/* One line per processor. */
struct emp_run_shelf {
    uint64_t hints[EMP_SHELF_HINTS]; /* atomic: shelf-hint */
};

_Static_assert(sizeof(struct emp_run_shelf) == EMP_LINE_BYTES, "one line per processor");

extern struct emp_run_shelf emp_run_shelves[EMP_SHELF_CPUS];

/* The place of a length on the shelf of a processor. */
static inline uint64_t *emp_run_shelf_place(uint32_t cpu, size_t pages)
{
    return &emp_run_shelves[cpu % EMP_SHELF_CPUS].hints[pages % EMP_SHELF_HINTS];
}

static inline size_t emp_shelf_hint_pages(uint64_t hint)
{
    return hint & (EMP_RUN_PAGE_BYTES - 1);
}

static inline uint64_t emp_shelf_hint_read(const uint64_t *place)
{
    /* order(shelf-hint): relaxed; a hint, the state of the run decides */
    return emp_load_relaxed(place);
}

static inline void emp_shelf_hint_write(uint64_t *place, uint64_t hint)
{
    /* order(shelf-hint): relaxed; the state of the run is what passes it on */
    emp_store_relaxed(place, hint);
}

/* Takes a hint off its shelf and the run out of its parking; NULL: the hint was old. */
static inline void *emp_run_shelf_pick(uint64_t *place, uint64_t hint)
{
    size_t pages = emp_shelf_hint_pages(hint);
    uintptr_t address = hint - pages;

    emp_shelf_hint_write(place, 0);
    return emp_parked_pick(emp_run_state_known(address), (uint32_t)pages, emp_thread_is_alone())
               ? (void *)address
               : NULL;
}

/*
 * A hit: a parked run of so many pages, now in use; NULL: no run lies at its place, ask
 * emp_run_shelf_take. No call in it: who inlines it has to save nothing.
 */
static inline void *emp_run_shelf_take_hot(size_t pages)
{
    const int32_t cpu = emp_cpu_glance();
    uint64_t *place = emp_run_shelf_place((uint32_t)cpu, pages);

    if (emp_unlikely(cpu < 0)) {
        return NULL;
    }
    uint64_t hint = emp_shelf_hint_read(place);

    return emp_likely(emp_shelf_hint_pages(hint) == pages) ? emp_run_shelf_pick(place, hint) : NULL;
}

/*
 * A hit: parks the run in use that starts at ptr if its place is free. False: nothing was done, ask
 * emp_run_shelf_give.
 */
static inline bool emp_run_shelf_give_hot(void *ptr)
{
    const int32_t cpu = emp_cpu_glance();
    uint16_t *state = emp_run_state((uintptr_t)ptr);

    if (emp_unlikely(cpu < 0 || state == NULL)) {
        return false;
    }
    uint32_t seen = emp_parked_look(state);
    uint64_t *place = emp_run_shelf_place((uint32_t)cpu, seen);

    if (emp_unlikely(seen - 1 >= EMP_SHELF_SMALL_PAGES || emp_shelf_hint_read(place) != 0) ||
        emp_unlikely(!emp_parked_park(state, seen, emp_thread_is_alone()))) {
        return false; /* long, at a place that is taken; or 0, parked, somebody was first */
    }
    emp_shelf_hint_write(place, (uintptr_t)ptr + seen);
    return true;
}

/* A parked run of so many pages from any place, now in use; NULL: none here. */
void *emp_run_shelf_take(size_t pages);

/*
 * Parks the run in use that starts at ptr; returns its pages. 0: no run in use starts there, or
 * another thread was first. Older runs may leave the shelf for it.
 */
size_t emp_run_shelf_give(void *ptr);

#endif
