/*
 * Purpose: chooses the variant of the bitmap operations once, at start.
 * Owner:   slab; owns the table emp_bitmap_ops: written by the initialising thread, then read.
 * Threads: init and force run while no other thread uses the table.
 * Design:  [slab.req.bitmap-dispatch]
 * Cost:    one indirect call per batch of up to 64 blocks. No ifunc: its resolver would run before
 *          the relocations of a preloaded library are done.
 */
#include "slab/bitmap_expand.h"

#include <string.h>

#define PLAIN_OPS                                                                              \
    {                                                                                          \
        .name = "c", .expand = emp_bitmap_expand_c, .find_nonzero = emp_bitmap_find_nonzero_c, \
        .run = emp_bitmap_run_c, .turn = emp_bitmap_turn_c, .lowest = emp_bitmap_lowest_c,     \
        .gather = emp_bitmap_gather_c, .next = emp_bitmap_next_c                               \
    }

static const struct emp_bitmap_ops plain_ops = PLAIN_OPS;

/* A full table from the first instruction on: a call before the choice is slower, never wrong. */
struct emp_bitmap_ops emp_bitmap_ops = PLAIN_OPS;

void emp_bitmap_dispatch_init(void)
{
    if (emp_bitmap_vector_usable()) {
        emp_bitmap_ops = emp_bitmap_vector_ops;
    }
}

bool emp_bitmap_dispatch_force(const char *name)
{
    if (strcmp(name, plain_ops.name) == 0) {
        emp_bitmap_ops = plain_ops;
        return true;
    }
    if (strcmp(name, emp_bitmap_vector_ops.name) == 0 && emp_bitmap_vector_usable()) {
        emp_bitmap_ops = emp_bitmap_vector_ops;
        return true;
    }
    return false;
}
