/*
 * Purpose: see run_shelf.h. What is not a hit: other places, and who leaves for whom.
 * Owner:   span. Threads: any. Cost: O(8); the span lock when a run has to leave.
 * Design:  [span.proto.shelf]
 */
#include "span/run_shelf.h"

#define SHELF_PAGES_MAX 512u /* long runs stay only while all together stay within 2 MiB */

_Static_assert(SHELF_PAGES_MAX >= EMP_RUN_MAX / EMP_RUN_PAGE_BYTES, "any run fits an empty shelf");

struct emp_run_shelf emp_run_shelves[EMP_SHELF_CPUS] __attribute__((aligned(EMP_LINE_BYTES)));

static struct emp_run_shelf *shelf_here(void)
{
    return &emp_run_shelves[emp_cpu_current() & (EMP_SHELF_CPUS - 1)];
}

void *emp_run_shelf_take(size_t pages)
{
    struct emp_run_shelf *shelf = shelf_here();

    for (unsigned i = 0; i < EMP_SHELF_HINTS; i++) {
        uint64_t hint = emp_shelf_hint_read(&shelf->hints[i]);

        if (emp_shelf_hint_pages(hint) == pages) {
            void *run = emp_run_shelf_pick(&shelf->hints[i], hint);

            if (run != NULL) {
                return run;
            }
        }
    }
    return NULL;
}

/* A place for so many pages, away from which others had to go if need be. */
static uint64_t *shelf_make_room(struct emp_run_shelf *shelf, size_t pages)
{
    uint64_t *place = NULL;
    size_t total = pages;

    for (unsigned i = 0; i < EMP_SHELF_HINTS; i++) {
        uint64_t *other = &shelf->hints[(pages + i) % EMP_SHELF_HINTS];

        total += emp_shelf_hint_pages(emp_shelf_hint_read(other));
        place = place == NULL && emp_shelf_hint_read(other) == 0 ? other : place;
    }
    for (unsigned i = 0; i < EMP_SHELF_HINTS && (place == NULL || total > SHELF_PAGES_MAX); i++) {
        uint64_t *leaving = &shelf->hints[(pages + i) % EMP_SHELF_HINTS];
        uint64_t hint = emp_shelf_hint_read(leaving);

        emp_shelf_hint_write(leaving, 0);
        total -= emp_shelf_hint_pages(hint);
        place = leaving;
        if (hint != 0) {
            emp_run_end_parked(hint - emp_shelf_hint_pages(hint));
        }
    }
    return place;
}

size_t emp_run_shelf_give(void *ptr)
{
    uint16_t *state = emp_run_state((uintptr_t)ptr);
    size_t pages = state != NULL ? emp_parked_in_use(emp_parked_look(state)) : 0;

    if (pages == 0) {
        return 0;
    }
    struct emp_run_shelf *shelf = shelf_here();
    uint64_t *place = &shelf->hints[pages % EMP_SHELF_HINTS];

    if (pages > EMP_SHELF_SMALL_PAGES || emp_shelf_hint_read(place) != 0) {
        place = shelf_make_room(shelf, pages);
    }

    if (!emp_parked_park(state, (uint32_t)pages, emp_thread_is_alone())) {
        return 0;
    }
    emp_shelf_hint_write(place, (uintptr_t)ptr | pages);
    return pages;
}
