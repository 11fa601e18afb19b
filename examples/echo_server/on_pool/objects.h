/*
 * Where the server's own objects come from in the build on pools: a typed pool for each kind, taken
 * from and given back inline. on_malloc/objects.h is the same on malloc.
 */
#ifndef ECHO_OBJECTS_H
#define ECHO_OBJECTS_H

#include "adapter/uv_adapter.h"
#include "connection.h"
#include "core/typed_pool.h"

#define OBJECTS_FROM "pool"

EMP_POOL_DEFINE(connection_object, struct connection)
EMP_POOL_DEFINE(buffer_object, struct buffer)

/* Before anything else: libuv's memory comes from the pools, too, and both pools exist before there
   are threads to race for making them. */
static inline bool objects_begin(void)
{
    struct connection *connection = connection_object_alloc();
    struct buffer *buffer = buffer_object_alloc();
    bool is_made = connection != NULL && buffer != NULL;

    buffer_object_free(buffer);
    connection_object_free(connection);
    return is_made && emp_uv_use_pools() == EMP_OK;
}

/* At the end. Returns how many objects were never given back. */
static inline size_t objects_end(void)
{
    size_t connections = 0;
    size_t buffers = 0;

    (void)connection_object_destroy(&connections);
    (void)buffer_object_destroy(&buffers);
    return connections + buffers;
}

#endif
