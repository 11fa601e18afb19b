/*
 * Where the server's own objects come from in the build on malloc: each from the C library, by its
 * own call. on_pool/objects.h is the same on pools.
 */
#ifndef ECHO_OBJECTS_H
#define ECHO_OBJECTS_H

#include <stdlib.h>

#include "connection.h"

#define OBJECTS_FROM "malloc"

static inline struct connection *connection_object_alloc(void)
{
    return malloc(sizeof(struct connection));
}

static inline void connection_object_free(struct connection *connection)
{
    free(connection);
}

static inline struct buffer *buffer_object_alloc(void)
{
    return malloc(sizeof(struct buffer));
}

static inline void buffer_object_free(struct buffer *buffer)
{
    free(buffer);
}

/* libuv's memory comes from malloc unless it is told otherwise. */
static inline bool objects_begin(void)
{
    return true;
}

/* malloc keeps no count of what is out. */
static inline size_t objects_end(void)
{
    return 0;
}

#endif
