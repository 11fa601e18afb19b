/*
 * Purpose: the shelf of a processor: runs that were freed there lately, to be used again without
 *          the span lock.
 * Owner:   span. A shelf holds hints; whether a run is parked stands in its state, see run_map.h.
 * Threads: any; no lock on a hit.
 * Design:  [span.proto.shelf]
 */
#ifndef EMP_SPAN_RUN_SHELF_H
#define EMP_SPAN_RUN_SHELF_H

#include <stddef.h>
#include <stdint.h>

/* A parked run of so many pages, now in use; NULL: none here. Before the start there is none. */
void *emp_run_shelf_take(size_t pages);

/*
 * Parks the run in use that starts at ptr; returns its pages. 0: no run in use starts there, or
 * another thread was first. Older runs may leave the shelf for it.
 */
size_t emp_run_shelf_give(void *ptr);

#endif
