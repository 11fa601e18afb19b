/*
 * Purpose: what was left when the pools of an asynchronous runtime ended, in groups.
 * Owner:   core; not installed. Memory: the table is taken before the first pool ends, and may be
 *          missing: then tasks are counted without their spawn sites.
 * Threads: the one that ends the pools. Design: [core.proto.async-pool]
 */
#ifndef EMP_CORE_ASYNC_LEAK_H
#define EMP_CORE_ASYNC_LEAK_H

#include <stdbool.h>
#include <stdint.h>

#include "async/object.h"
#include "core/async_memory_pool.h"

/* Counts of objects that were in use. */
struct emp_async_leaks {
    uint64_t kinds[EMP_OBJECT_KINDS]; /* without a known spawn site */
    uint64_t *tasks;           /* by kind of task object and number of the site; may be NULL */
    enum emp_object_kind kind; /* that is being counted */
    void *blocks;              /* of the heap, that belong to what was left; given back by tell */
};

/* Begins to count. */
void emp_async_leaks_begin(struct emp_async_leaks *leaks);

/* Counts one object of leaks->kind and keeps its blocks; a visitor for emp_pool_end. */
void emp_async_leaks_count(const void *object, void *counts);

/* Tells each group that is not empty, and ends; names are those of the kinds. */
void emp_async_leaks_tell(struct emp_async_leaks *leaks, const char *const *names,
                          void (*leak)(const struct emp_async_leak *leak, void *arg), void *arg);

#endif
