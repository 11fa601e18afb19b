/*
 * Purpose: the hooks of the room.
 * Owner:   async. Design: [async.proto.object]
 */
#include "async/object.h"

struct emp_object_hooks emp_object_hooks;
