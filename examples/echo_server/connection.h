/*
 * One connection: a coroutine that reads requests and writes answers, its timer and its handle.
 */
#ifndef ECHO_CONNECTION_H
#define ECHO_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "adapter/uv_stream.h"
#include "async/scheduler.h"

struct worker;

/* Input or output on its way. A head must fit into one. */
#define BUFFER_BYTES 4096u

struct buffer {
    char bytes[BUFFER_BYTES];
};

/* Freed by the last of its two holders, both on the worker's thread: coroutine and handle. */
struct connection {
    uv_tcp_t tcp;
    struct emp_uv_stream stream;
    struct emp_timer timer;
    struct worker *worker;
    struct connection *next; /* in the worker's list */
    struct connection *previous;
    struct emp_task *task; /* a reference, until the coroutine has begun */
    struct buffer *input;  /* NULL while nothing of a request is here */
    struct buffer *output;
    uint32_t begin; /* the bytes of input not yet used: [begin, end) */
    uint32_t end;
    uint32_t output_bytes;
    uint8_t holders;
    bool is_closing; /* uv_close was called */
    bool is_over;    /* the next wait for bytes may last a moment only: what comes is discarded */
    uint64_t active_ms; /* when bytes came last, on the loop's clock */
};

/* Takes over a connected socket of any loop. False: out of memory; the socket is closed. */
bool connection_start(struct worker *worker, int fd);

/* The worker drains: connections that wait for a request may do so for a moment only. */
void connection_hurry(struct connection *connection);

/* Ends it without waiting for anybody. */
void connection_cut(struct connection *connection);

/* Connections and buffers never given back. At the end of the program, once. */
size_t connection_leaks(void);

/* Before libuv is used and the pool exists; false: libuv refused. */
bool connection_memory_begin(void);

/* "pool" or "malloc". */
const char *connection_memory_name(void);

#endif
