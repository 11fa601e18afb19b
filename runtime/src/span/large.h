/*
 * Purpose: blocks of whole chunks (to 32 MiB) and blocks mapped one by one (above), with the table
 *          that finds the latter again.
 * Owner:   span. Threads: any; the span lock and a mutex of rank LARGE inside.
 * Design:  [span.proto.large]
 */
#ifndef EMP_SPAN_LARGE_H
#define EMP_SPAN_LARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/os_memory.h"

/*
 * Takes a block of at least bytes (> EMP_RUN_MAX, or smaller when run chunks are used up) aligned
 * to align (power of two). *zero: content reads as zero. *limited: the configured limit refused it.
 */
void *emp_large_take(size_t bytes, size_t align, bool *zero, bool *limited);

/* Takes a mapped block on the kind of pages asked for; EMP_OS_PAGES_* falls back as os does. */
void *emp_large_take_pages(size_t bytes, size_t align, enum emp_os_pages pages, bool *limited);

/* Gives a block back; returns its usable bytes, or 0 when ptr is not the start of one in use. */
size_t emp_large_give(void *ptr);

/* Usable bytes of the block that starts at ptr; 0 when none does. */
size_t emp_large_bytes(const void *ptr);

/* Resizes a mapped block, moving pages and not bytes; NULL: not possible, it is as before. */
void *emp_large_resize(void *ptr, size_t bytes);

/* Fork: the lock of the table. */
void emp_large_fork_prepare(void);
void emp_large_fork_parent(void);
void emp_large_fork_child(void);

#endif
