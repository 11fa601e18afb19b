/*
 * Purpose: what core's files need of a pool beyond the public interface.
 * Owner:   core; not installed. Design: [core.proto.pool]
 */
#ifndef EMP_CORE_POOLS_H
#define EMP_CORE_POOLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status_code.h"
#include "core/pool_types.h"

struct emp_pool;

/* Class of a pool. */
uint32_t emp_pool_class(const struct emp_pool *pool);

/* Object size of a pool, bytes. */
size_t emp_pool_object_size(const struct emp_pool *pool);

/* Writes prefix and number to name, which has room for ten digits and the end mark. */
void emp_pool_name_number(char *name, const char *prefix, uint32_t number);

/* Gives what the calling thread keeps of a pool to the slabs. */
void emp_pool_flush(struct emp_pool *pool);

/*
 * As emp_pool_destroy; visits every object that is still in use before its slab ends. The pools
 * lock is held meanwhile: the visitor reads, and takes no lock and no memory.
 */
enum emp_status emp_pool_end(struct emp_pool *pool, size_t *live,
                             void (*visit)(const void *object, void *arg), void *arg);

#endif
