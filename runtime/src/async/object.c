/*
 * Purpose: the hooks of the room, and whose a class is.
 * Owner:   async. Design: [async.proto.object]
 */
#include "async/object.h"

struct emp_object_hooks emp_object_hooks;

struct emp_async_pool *emp_object_pools[EMP_CLASS_LIMIT - EMP_POOL_CLASS_FIRST];
