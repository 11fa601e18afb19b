/*
 * Purpose: what the files of the span room share and nobody else may use.
 * Owner:   span. Threads: callers hold the span lock.
 * Design:  [span.req.counts]
 */
#ifndef EMP_SPAN_ARENA_INTERNAL_H
#define EMP_SPAN_ARENA_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "span/arena.h"

/* Fills the counters that are kept as numbers; returns the frontier in chunks. Lock held. */
size_t emp_span_read_totals(struct emp_span_counts *out);

/* Chunks whose slab descriptors can be read. Lock held. */
size_t emp_span_described(void);

/* emp_arena_give for callers that hold the lock. */
void emp_arena_give_locked(size_t index, size_t count, bool dirty);

#endif
