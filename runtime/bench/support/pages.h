/*
 * Purpose: memory of the harness itself, straight from the system, and readers of resident memory.
 * Owner:   bench/support; any thread.
 */
#ifndef BENCH_SUPPORT_PAGES_H
#define BENCH_SUPPORT_PAGES_H

#include <stddef.h>

/* Zeroed pages that no contestant serves; ends the program when the system has none. */
void *bench_pages_map(size_t bytes);

/* Gives them back. */
void bench_pages_unmap(void *pages, size_t bytes);

/* Writes one byte per page, so that later first touches do not count as the contestant's. */
void bench_pages_touch(void *pages, size_t bytes);

/* Bytes touched so far: part of the resident memory, but the harness's. */
size_t bench_pages_touched_bytes(void);

/* Bytes of this process that are resident now: exact, from the kernel's page tables. */
size_t bench_resident_bytes(void);

/* Starts a new peak, where the kernel allows it. */
void bench_resident_peak_reset(void);

/* Highest resident bytes since the start or the last reset. */
size_t bench_resident_peak_bytes(void);

/* Bytes of page tables of this process; 0 where the system does not say. */
size_t bench_page_table_bytes(void);

#endif
