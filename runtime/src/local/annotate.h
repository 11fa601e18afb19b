/*
 * Purpose: tells valgrind and AddressSanitizer which blocks are in use.
 * Owner:   local. Called in checked mode only, so the hit path never pays for it.
 * Threads: any. Design: [local.req.annotate]. Source: valgrind manual 4.7; ASan manual poisoning.
 */
#ifndef EMP_LOCAL_ANNOTATE_H
#define EMP_LOCAL_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

/* True when this process runs under valgrind. */
bool emp_annotate_on_valgrind(void);

/* True when this build poisons for AddressSanitizer. */
bool emp_annotate_asan(void);

/* A block of `bytes` was handed out; zeroed tells whether its content is defined. */
void emp_annotate_alloc(void *block, size_t bytes, bool zeroed);

/* The owner of a block asked how much of it he may use, so all `bytes` of it are his. */
void emp_annotate_widen(const void *block, size_t bytes);

/* A block of `bytes` was given back. */
void emp_annotate_free(void *block, size_t bytes);

#endif
