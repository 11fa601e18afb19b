/*
 * Purpose: how large a stack the coroutines of one spawn site need, from samples.
 * Owner:   async; a table by site number, for the life of the process.
 * Threads: any; a lost update costs a sample.
 * Design:  [async.proto.stack-site]
 * Source:  folly::fibers samples every n-th; golang/go issues 61052 and 18138: an average over all
 *          sites fits nobody. The highest sample counts here, since too small a stack ends a
 *          process.
 * Cost:    two loads per spawn; a sample is a purge before and a look at the pages after.
 */
#ifndef EMP_ASYNC_STACK_SITE_H
#define EMP_ASYNC_STACK_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/stack_pool.h"
#include "async/task.h"

/* The size, by number, for a spawn; wanted 0: what the site has needed twice, 64 KiB at least. */
unsigned emp_stack_site_size(const struct emp_spawn_site *site, size_t wanted);

/* Whether this spawn of the site is a sample. */
bool emp_stack_site_is_sampled(uint16_t site);

/* Before a sample: no page of the stack is left of an earlier use. */
void emp_stack_site_prepare(const struct emp_stack_manager *stacks, unsigned size, uint32_t slot);

/* After a sample: what it has used. */
void emp_stack_site_measure(const struct emp_stack_manager *stacks, unsigned size, uint32_t slot,
                            uint16_t site);

#endif
