/*
 * Purpose: memory for the allocator's own structures: descriptors, bitmaps, thread caches. Out of
 *          band: nothing of it lies between user blocks.
 * Owner:   span. Blocks of 64 B .. 1 MiB from a reserved range that is committed as it grows, and
 *          whose pages go back to the system when nothing has been in them for a round. The range
 *          stays mapped for ever, so a late reader of a freed structure reads stale data or zero,
 *          never faults.
 * Threads: any; a mutex of rank META inside, dropped around system calls.
 * Design:  [span.inv.meta-mapped] [span.proto.meta]
 */
#ifndef EMP_SPAN_META_H
#define EMP_SPAN_META_H

#include <stdbool.h>
#include <stddef.h>

/* What the metadata is made of, in bytes. */
struct emp_meta_counts {
    size_t committed; /* so far; never less */
    size_t dirty;     /* of these, free pages that hold old data */
    size_t clean;     /* of these, free pages that were given back */
    size_t unused;    /* of these, pages that were never used */
};

/* Gives the range to cut from, on a unit; once, at start. */
void emp_meta_init(void *base, size_t bytes);

/* A zeroed block of at least bytes, on a line; from 4 KiB on, on a page. NULL: no memory. */
void *emp_meta_alloc(size_t bytes);

/* The same without clearing a reused block: the caller initialises what it reads. */
void *emp_meta_alloc_uncleared(size_t bytes);

/* Takes back a block of emp_meta_alloc(bytes). */
void emp_meta_free(void *block, size_t bytes);

/* Zeroed pages of any size that are never taken back: start-up structures. NULL: no memory. */
void *emp_meta_alloc_pages(size_t bytes);

/* Ages free pages and gives the old ones back; returns bytes given back. all: without waiting. */
size_t emp_meta_purge(bool all);

/* Reads the counts. */
void emp_meta_read_counts(struct emp_meta_counts *out);

/* Checks every page and list; returns NULL or what is broken. */
const char *emp_meta_audit(void);

/* Fork: takes and gives back the lock; child resets it. */
void emp_meta_fork_prepare(void);
void emp_meta_fork_parent(void);
void emp_meta_fork_child(void);

#endif
