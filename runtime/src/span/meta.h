/*
 * Purpose: memory for the allocator's own structures: descriptors, bitmaps, thread caches. Out of
 *          band: nothing of it lies between user blocks.
 * Owner:   span. Blocks of 64 B .. 512 KiB, four sizes per doubling, cut from a reserved range that
 *          is committed as it grows; freed blocks are kept by size for reuse and stay mapped for
 *          ever, so a late reader of a freed structure reads stale data, never faults.
 * Threads: any; a mutex of rank META inside.
 * Design:  [span.inv.meta-mapped]
 */
#ifndef EMP_SPAN_META_H
#define EMP_SPAN_META_H

#include <stdbool.h>
#include <stddef.h>

/* Gives the range to cut from; once, at start. */
void emp_meta_init(void *base, size_t bytes);

/* A zeroed block of at least bytes, on a line; from 4 KiB on, on a page. NULL: no memory. */
void *emp_meta_alloc(size_t bytes);

/* The same without clearing a reused block: the caller initialises what it reads. */
void *emp_meta_alloc_uncleared(size_t bytes);

/* Takes back a block of emp_meta_alloc(bytes). */
void emp_meta_free(void *block, size_t bytes);

/* Zeroed pages of any size that are never taken back: start-up structures. NULL: no memory. */
void *emp_meta_alloc_pages(size_t bytes);

/* Bytes committed so far. */
size_t emp_meta_committed_bytes(void);

/* Fork: takes and gives back the lock; child resets it. */
void emp_meta_fork_prepare(void);
void emp_meta_fork_parent(void);
void emp_meta_fork_child(void);

#endif
