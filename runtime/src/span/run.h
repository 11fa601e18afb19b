/*
 * Purpose: runs of 4 KiB pages for requests above the slab classes and up to 1 MiB.
 * Owner:   span. A run chunk has a map of free pages and the length of every run at its first page.
 * Threads: any; the span lock inside.
 * Design:  [span.proto.run]
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

/* Ages and purges free pages; returns bytes given back. */
size_t emp_run_purge(bool all);

/* Counts for statistics; the span lock is held. */
size_t emp_run_free_pages(const struct emp_run_map *map);
size_t emp_run_dirty_pages(const struct emp_run_map *map);

#endif
