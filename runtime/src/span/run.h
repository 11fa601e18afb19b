/*
 * Purpose: runs of 4 KiB pages for requests above the slab classes and up to 1 MiB.
 * Owner:   span. A run chunk has a map of free pages and the state of every run at its first page.
 *
 *   free pages --take--> in use --give--> free, dirty --purge--> free, clean
 *   in use --shelf_give--> parked --shelf_take--> in use    parked --collect, purge--> free, dirty
 *
 * Threads: any; the span lock inside. Design of shelves: run_shelf.h.
 * Design:  [span.proto.run] [span.proto.shelf]
 */
#ifndef EMP_SPAN_RUN_H
#define EMP_SPAN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emp_run_map;

/* Takes a run of pages, 1..256, whose address is a multiple of align_pages (power of two); NULL. */
void *emp_run_take(size_t pages, size_t align_pages, bool *zero, bool *limited);

/* Gives a run back; returns its pages, or 0 when ptr is not the start of a run in use. */
size_t emp_run_give(void *ptr);

/* Pages of the run that starts at ptr; 0 when none does. */
size_t emp_run_pages(const void *ptr);

/* Grows or shrinks a run where it is; false when the pages behind it are in use. */
bool emp_run_resize(void *ptr, size_t pages);

/* Ages parked runs and free pages, and purges what was aged; returns bytes given back. */
size_t emp_run_purge(bool all);

/* Makes the pages of all parked runs free; returns their bytes. */
size_t emp_run_collect(void);

/* What a run chunk holds. Parked runs count as free and dirty. */
struct emp_run_counts {
    size_t runs;
    size_t used_pages;
    size_t free_pages;
    size_t dirty_pages;
};

/* Counts one run chunk for statistics; the span lock is held. */
void emp_run_count_locked(size_t index, struct emp_run_counts *out);

/* Checks the maps of all run chunks; returns how many are broken, *broken is one of them. */
size_t emp_run_audit(const void **broken);

#endif
