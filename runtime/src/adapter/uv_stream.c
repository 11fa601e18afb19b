/*
 * Purpose: reads and writes of a libuv stream as futures.
 * Owner:   adapter. Threads: the loop's.
 * Design:  [adapter.req.uv-stream] [adapter.proto.uv-stream]
 */
#include "adapter/uv_stream.h"

#include <string.h>
#include <uv.h>

#include "core/advanced_memory_pool.h"

_Static_assert(sizeof(struct emp_uv_chunk) <= EMP_FUTURE_INLINE_BYTES, "a chunk needs no block");

/* A write that the system did not take at once. Freed when it has ended. */
struct pending_write {
    uv_write_t request;
    struct emp_future *done; /* the producer's reference */
};

/* Completes a future with a chunk. False: the future is cancelled, nobody will take the value. */
static bool chunk_resolve(struct emp_future *producer, struct emp_uv_chunk chunk)
{
    bool is_taken = emp_future_resolve(producer, &chunk, sizeof(chunk)) == EMP_OK;

    emp_promise_drop(producer);
    return is_taken;
}

/* Memory is asked for when there are bytes to read and somebody waits for them: a loop of reads
   must not run ahead of the reader. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct emp_uv_stream *stream = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(NULL, 0);
    if (stream->reader != NULL) {
        struct emp_uv_chunk chunk = stream->calls->buffer(stream);

        *buffer = uv_buf_init(chunk.data, (unsigned)chunk.bytes);
    }
}

static void reading_stop(struct emp_uv_stream *stream)
{
    if (stream->is_reading) {
        (void)uv_read_stop(stream->handle);
        stream->is_reading = false;
    }
}

/* Bytes came and nobody waits. Most readers are back before the loop polls again; stopping and
   starting would cost two system calls. Who is not back by the second time is not waited for. */
static void reading_rest(struct emp_uv_stream *stream)
{
    if (stream->is_resting) {
        reading_stop(stream);
    }
    stream->is_resting = true;
}

/* Hands a chunk to the read that waits, or keeps it and stops reading until there is one. */
static void chunk_deliver(struct emp_uv_stream *stream, struct emp_uv_chunk chunk)
{
    struct emp_future *reader = stream->reader;

    stream->reader = NULL;
    if (reader != NULL && chunk_resolve(reader, chunk)) {
        return;
    }
    stream->early = chunk;
    reading_stop(stream);
}

static void on_read(uv_stream_t *handle, ssize_t bytes, const uv_buf_t *buffer)
{
    struct emp_uv_stream *stream = handle->data;

    if (bytes > 0) {
        chunk_deliver(stream, (struct emp_uv_chunk){buffer->base, bytes});
        return;
    }
    if (buffer->base != NULL) {
        stream->calls->unused(stream, buffer->base);
    }
    if (bytes == UV_ENOBUFS && stream->reader == NULL) {
        reading_rest(stream);
    } else if (bytes < 0) {
        reading_stop(stream);
        chunk_deliver(stream, (struct emp_uv_chunk){NULL, bytes});
    }
}

void emp_uv_stream_init(struct emp_uv_stream *stream, struct uv_stream_s *handle,
                        struct emp_async_pool *pool, const struct emp_uv_stream_calls *calls)
{
    *stream = (struct emp_uv_stream){.handle = handle, .pool = pool, .calls = calls};
    handle->data = stream;
}

struct emp_future *emp_uv_stream_read(struct emp_uv_stream *stream)
{
    struct emp_future *future = stream->reader == NULL ? emp_future_new(stream->pool) : NULL;
    struct emp_uv_chunk early = stream->early;

    if (future == NULL) {
        return NULL;
    }
    if (early.bytes != 0) {
        /* The end stays the answer; all else is handed out once. */
        stream->early = early.bytes == UV_EOF ? early : (struct emp_uv_chunk){NULL, 0};
        (void)chunk_resolve(future, early);
        return future;
    }
    if (!stream->is_reading) {
        int code = uv_read_start(stream->handle, on_alloc, on_read);

        if (code != 0) {
            (void)chunk_resolve(future, (struct emp_uv_chunk){NULL, code});
            return future;
        }
        stream->is_reading = true;
    }
    stream->is_resting = false;
    stream->reader = future;
    return future;
}

bool emp_uv_stream_interrupt(struct emp_uv_stream *stream, int64_t code)
{
    struct emp_future *reader = stream->reader;

    if (reader == NULL) {
        return false;
    }
    stream->reader = NULL;
    (void)chunk_resolve(reader, (struct emp_uv_chunk){NULL, code});
    return true;
}

static void on_written(uv_write_t *request, int code)
{
    struct pending_write *write = request->data;

    (void)chunk_resolve(write->done, (struct emp_uv_chunk){NULL, code});
    emp_free(write);
}

enum emp_status emp_uv_stream_write(struct emp_uv_stream *stream, void *data, size_t bytes,
                                    struct emp_future **rest)
{
    uv_buf_t buffer = {.base = data, .len = bytes}; /* uv_buf_init has 32 bits */
    int written = uv_try_write(stream->handle, &buffer, 1);

    *rest = NULL;
    if (written >= 0 && (size_t)written == bytes) {
        return EMP_OK;
    }
    if (written < 0 && written != UV_EAGAIN) {
        return EMP_ERR_CLOSED;
    }
    size_t done = written > 0 ? (size_t)written : 0;
    struct pending_write *write = emp_malloc(sizeof(*write));
    struct emp_future *future = write == NULL ? NULL : emp_future_new(stream->pool);

    if (future == NULL) {
        emp_free(write);
        return EMP_ERR_NOMEM;
    }
    write->request.data = write;
    write->done = future;
    buffer = (uv_buf_t){.base = (char *)data + done, .len = bytes - done};
    if (uv_write(&write->request, stream->handle, &buffer, 1, on_written) != 0) {
        emp_promise_drop(future);
        emp_future_drop(future);
        emp_free(write);
        return EMP_ERR_CLOSED;
    }
    *rest = future;
    return EMP_ERR_AGAIN;
}

void emp_uv_stream_end(struct emp_uv_stream *stream)
{
    reading_stop(stream);
    (void)emp_uv_stream_interrupt(stream, UV_ECANCELED);
    if (stream->early.data != NULL) {
        stream->calls->unused(stream, stream->early.data);
    }
    stream->early = (struct emp_uv_chunk){NULL, 0};
}
