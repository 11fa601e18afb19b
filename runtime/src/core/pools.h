/*
 * Purpose: what core's files need of a pool beyond the public interface.
 * Owner:   core; not installed. Design: [core.proto.pool]
 */
#ifndef EMP_CORE_POOLS_H
#define EMP_CORE_POOLS_H

#include <stddef.h>
#include <stdint.h>

#include "core/pool_types.h"

struct emp_pool;

/* Class of a pool. */
uint32_t emp_pool_class(const struct emp_pool *pool);

/* Object size of a pool, bytes. */
size_t emp_pool_object_size(const struct emp_pool *pool);

#endif
