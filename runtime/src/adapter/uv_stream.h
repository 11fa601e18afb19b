/*
 * What it is for: a libuv stream read and written through futures, so that a task or a coroutine
 *   can wait for its bytes. No memory is held for a read until there are bytes to read.
 * When not to use it: for callbacks; then use uv_read_start as it is.
 * Life cycle: emp_uv_stream_init on a stream of the loop -> read, write -> emp_uv_stream_end -> the
 *   program closes the handle. The struct is part of an object of the program, which outlives the
 *   handle.
 * Threads: the loop's.
 * Errors: libuv's negative codes travel in emp_uv_chunk.bytes; enum emp_status for the rest.
 */
#ifndef EMP_ADAPTER_UV_STREAM_H
#define EMP_ADAPTER_UV_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/future.h"
#include "base/export.h"
#include "base/status_code.h"

struct emp_async_pool;
struct uv_stream_s;
struct emp_uv_stream;

/* Bytes; the value of a future of this header, which it fits in without a block. */
struct emp_uv_chunk {
    void *data;    /* NULL when bytes is no length */
    int64_t bytes; /* a length, or a code of libuv: UV_EOF, UV_ECANCELED, ... */
};

/* Where the bytes of reads go. Static storage. */
struct emp_uv_stream_calls {
    /* Memory for the next bytes; the reader owns it once it got them. {NULL, 0}: out of memory. */
    struct emp_uv_chunk (*buffer)(struct emp_uv_stream *stream);
    /* Takes memory of buffer back that no bytes came for. */
    void (*unused)(struct emp_uv_stream *stream, void *data);
};

/* A stream. Zeroed, then initialised; its fields are the library's. */
struct emp_uv_stream {
    struct uv_stream_s *handle;
    struct emp_async_pool *pool;
    const struct emp_uv_stream_calls *calls;
    struct emp_future *reader; /* the producer's reference of the read that waits, or NULL */
    struct emp_uv_chunk
        early;       /* came for a read that was cancelled, or the end; 0 bytes: nothing */
    bool is_reading; /* between uv_read_start and uv_read_stop */
    bool is_resting; /* bytes were there when nobody waited */
};

EMP_EXTERN_C_BEGIN

/**
 * Makes a stream ready. Uses the data field of the handle.
 * @param stream zeroed. @param handle a connected stream. @param pool where futures come from.
 * @param calls where bytes go. Errors: none. Threads: the loop's. Cost: O(1). Since: 0.2.
 * Source: row E8.
 */
EMP_API void emp_uv_stream_init(struct emp_uv_stream *stream, struct uv_stream_s *handle,
                                struct emp_async_pool *pool,
                                const struct emp_uv_stream_calls *calls);

/**
 * Asks for the next bytes. One read at a time.
 * @param stream the stream. @returns a future whose value is a struct emp_uv_chunk; the caller
 * takes the value and drops the future. NULL: out of memory, or a read waits already.
 * Errors: as returned; those of the connection come as the value. Threads: the loop's.
 * Cost: one object; no system call when it follows the read before. Since: 0.2. Source: row E8.
 */
EMP_API struct emp_future *emp_uv_stream_read(struct emp_uv_stream *stream);

/**
 * Ends the read that waits with a code instead of bytes; for timeouts. The stream stays usable.
 * @param stream the stream. @param code negative, as of libuv. @returns false when none waited.
 * Errors: none. Threads: the loop's. Cost: O(1). Since: 0.2. Source: row E8.
 */
EMP_API bool emp_uv_stream_interrupt(struct emp_uv_stream *stream, int64_t code);

/**
 * Writes, without waiting where the system takes all at once.
 * @param stream the stream. @param data bytes, untouched until the write has ended.
 * @param bytes length. @param rest receives NULL, or with EMP_ERR_AGAIN a future whose value is a
 * chunk with 0 or a code in bytes; the caller drops it.
 * @returns EMP_OK, EMP_ERR_AGAIN (rest says when), EMP_ERR_CLOSED (the other side is gone),
 * EMP_ERR_NOMEM. Errors: as returned. Threads: the loop's.
 * Cost: one system call; one block and one object when it must wait. Since: 0.2. Source: row E8.
 */
EMP_API enum emp_status emp_uv_stream_write(struct emp_uv_stream *stream, void *data, size_t bytes,
                                            struct emp_future **rest);

/**
 * Stops reading and gives back bytes that nobody asked for. Before the handle is closed.
 * @param stream the stream; a read that waits ends with UV_ECANCELED. Errors: none.
 * Threads: the loop's. Cost: O(1). Since: 0.2. Source: row E8.
 */
EMP_API void emp_uv_stream_end(struct emp_uv_stream *stream);

EMP_EXTERN_C_END

#endif
