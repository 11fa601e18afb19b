/*
 * Purpose: the canary behind every block of the secure build (BlockHeader of the model, row B3,
 *          moved behind the block): eight bytes at the end of the slot, derived from its address.
 * Owner:   slab. Used only when EMP_SECURE is 1. Threads: whoever holds the block.
 * Design:  [slab.req.canary]
 */
#ifndef EMP_SLAB_BLOCK_GUARD_H
#define EMP_SLAB_BLOCK_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the canary of the slot that starts at block. */
void emp_block_guard_set(void *block);

/* True when the canary of the slot is whole. */
bool emp_block_guard_check(const void *block);

/* Sets the key, once, at start. */
void emp_block_guard_init(void);

#endif
