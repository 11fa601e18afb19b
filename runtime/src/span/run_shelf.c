/*
 * Purpose: see run_shelf.h. Eight hints on one line per processor; an exact fit or nothing.
 * Owner:   span. Threads: any. Two threads that meet on a shelf, because one was moved or
 *          interrupted, may lose a hint or see it twice: the state of the run decides, and what no
 *          shelf knows of is found by age.
 *
 *   hint:  address of the run, a multiple of 4096 | pages 11-0        0: empty
 *   place: the pages modulo 8; when that is taken, any other; when all are, that one leaves
 *
 * Design:  [span.proto.shelf]. Source: the page heap of gperftools' tcmalloc.
 * Cost:    a compare-and-swap to park, one to pick; neither in a process of one thread.
 */
#include "span/run_shelf.h"

#include <stdbool.h>

#include "base/compiler.h"
#include "base/config.h"
#include "span/run_map.h"
#include "sync/atomic.h"
#include "sync/parked_word.h"
#include "thread/alone.h"
#include "thread/cpu.h"

#define SHELF_HINTS       8u   /* power of two */
#define SHELF_CPUS        64u  /* power of two; processors further apart share */
#define SHELF_SMALL_PAGES 32u  /* runs to 128 KiB go to their place if that is free ... */
#define SHELF_PAGES_MAX   512u /* ... longer ones only while all together stay within 2 MiB */

/* One line per processor. */
struct run_shelf {
    uint64_t hints[SHELF_HINTS]; /* atomic: shelf-hint */
};

_Static_assert(sizeof(struct run_shelf) == EMP_LINE_BYTES, "one line per processor");
_Static_assert(SHELF_PAGES_MAX >= EMP_RUN_MAX / EMP_RUN_PAGE_BYTES, "any run fits an empty shelf");

static struct run_shelf shelves[SHELF_CPUS] __attribute__((aligned(EMP_LINE_BYTES)));

static inline struct run_shelf *shelf_here(void)
{
    return &shelves[emp_cpu_current() & (SHELF_CPUS - 1)];
}

static inline size_t hint_pages(uint64_t hint)
{
    return hint & (EMP_RUN_PAGE_BYTES - 1);
}

static inline uintptr_t hint_address(uint64_t hint)
{
    return hint & ~(uint64_t)(EMP_RUN_PAGE_BYTES - 1);
}

static inline uint64_t hint_read(const uint64_t *slot)
{
    /* order(shelf-hint): relaxed; a hint, the state of the run decides */
    return emp_load_relaxed(slot);
}

static inline void hint_write(uint64_t *slot, uint64_t hint)
{
    /* order(shelf-hint): relaxed; the state of the run is what passes it on */
    emp_store_relaxed(slot, hint);
}

/* Takes a hint off its shelf and the run out of its parking; NULL: the hint was old. */
static inline void *shelf_pick(uint64_t *slot, uint64_t hint)
{
    uintptr_t address = hint_address(hint);

    hint_write(slot, 0);
    return emp_parked_pick(emp_run_state_known(address), (uint32_t)hint_pages(hint),
                           emp_thread_is_alone())
               ? (void *)address
               : NULL;
}

/* Looks at every place. */
static EMP_NOINLINE void *shelf_take_any(struct run_shelf *shelf, size_t pages)
{
    for (unsigned i = 0; i < SHELF_HINTS; i++) {
        uint64_t hint = hint_read(&shelf->hints[i]);

        if (hint_pages(hint) == pages) {
            void *run = shelf_pick(&shelf->hints[i], hint);

            if (run != NULL) {
                return run;
            }
        }
    }
    return NULL;
}

void *emp_run_shelf_take(size_t pages)
{
    struct run_shelf *shelf = shelf_here();
    uint64_t *slot = &shelf->hints[pages % SHELF_HINTS];
    uint64_t hint = hint_read(slot);

    if (emp_likely(hint_pages(hint) == pages)) {
        void *run = shelf_pick(slot, hint);

        if (emp_likely(run != NULL)) {
            return run;
        }
    }
    return shelf_take_any(shelf, pages);
}

/* A place for so many pages, away from which others had to go if need be. */
static uint64_t *shelf_make_room(struct run_shelf *shelf, size_t pages)
{
    uint64_t *slot = NULL;
    size_t total = pages;

    for (unsigned i = 0; i < SHELF_HINTS; i++) {
        uint64_t *other = &shelf->hints[(pages + i) % SHELF_HINTS];

        total += hint_pages(hint_read(other));
        slot = slot == NULL && hint_read(other) == 0 ? other : slot;
    }
    for (unsigned i = 0; i < SHELF_HINTS && (slot == NULL || total > SHELF_PAGES_MAX); i++) {
        uint64_t *leaving = &shelf->hints[(pages + i) % SHELF_HINTS];
        uint64_t hint = hint_read(leaving);

        hint_write(leaving, 0);
        total -= hint_pages(hint);
        slot = leaving;
        if (hint != 0) {
            emp_run_end_parked(hint_address(hint));
        }
    }
    return slot;
}

/* Parks a run where there is room or will be. */
static EMP_NOINLINE size_t shelf_give_any(struct run_shelf *shelf, void *ptr, size_t pages)
{
    uint64_t *slot = shelf_make_room(shelf, pages);

    uint16_t *state = emp_run_state_known((uintptr_t)ptr);

    if (!emp_parked_park(state, (uint32_t)pages, emp_thread_is_alone())) {
        return 0;
    }
    hint_write(slot, (uintptr_t)ptr | pages);
    return pages;
}

size_t emp_run_shelf_give(void *ptr)
{
    struct run_shelf *shelf = shelf_here();
    uint16_t *state = emp_run_state((uintptr_t)ptr);
    size_t pages = state != NULL ? emp_parked_in_use(emp_parked_look(state)) : 0;

    if (emp_unlikely(pages == 0)) {
        return 0;
    }
    uint64_t *slot = &shelf->hints[pages % SHELF_HINTS];

    if (emp_unlikely(hint_read(slot) != 0 || pages > SHELF_SMALL_PAGES)) {
        return shelf_give_any(shelf, ptr, pages);
    }
    if (emp_unlikely(!emp_parked_park(state, (uint32_t)pages, emp_thread_is_alone()))) {
        return 0;
    }
    hint_write(slot, (uintptr_t)ptr | pages);
    return pages;
}
