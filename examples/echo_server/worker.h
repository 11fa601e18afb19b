/*
 * A worker: a thread with a libuv loop, the connections that were handed to it, and its counts.
 */
#ifndef ECHO_WORKER_H
#define ECHO_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "adapter/uv_adapter.h"

struct emp_async_pool;
struct connection;
struct emp_channel;

/* What the command line says. */
struct settings {
    uint16_t port; /* 0: a free one */
    unsigned workers;
    unsigned idle_ms;  /* silence that ends a connection */
    unsigned drain_ms; /* longest end */
    unsigned quiet_ms; /* silence that ends a connection of a draining server */
    bool shows_stats;
};

/* Counts of one worker. */
struct counts {
    uint64_t accepted;
    uint64_t requests; /* answered with 200, and echoed pieces */
    uint64_t refused;  /* answered with another status */
    uint64_t timeouts;
    uint64_t vanished; /* ended by the other side within a request */
    uint64_t bytes_in;
    uint64_t bytes_out;
};

struct worker {
    uv_loop_t loop;
    struct emp_uv *uv;
    struct emp_async_pool *pool;
    const struct settings *settings;
    struct emp_channel *sockets; /* handed over; the acceptor sends, closing it stops the server */
    struct connection *connections; /* list of those that live */
    size_t live;
    bool is_draining; /* the channel was closed */
    bool is_failed;
    uv_timer_t last_call; /* ends what is left when draining takes too long */
    unsigned index;
    struct counts counts;
    uv_thread_t thread;
    uv_sem_t ready;
};

/* Makes the channel, starts the thread, waits until its loop stands. False: nothing is left. */
bool worker_start(struct worker *worker);

/* Hands a socket over; by the acceptor. False: out of memory, the socket stays ours. */
bool worker_send(struct worker *worker, int fd);

/* No socket will come any more: those that were sent are served, then it ends. Once. */
void worker_stop(struct worker *worker);

/* Waits for its end, which worker_stop brings about. True: it ended in order. */
bool worker_join(struct worker *worker);

/* The last connection of a draining worker is gone, or its channel was closed. */
void worker_check_end(struct worker *worker);

/* Calls to malloc, calloc and realloc of the whole process, when a counter is preloaded, else 0. */
uint64_t worker_mallocs(void);

/* The counts as one line of JSON. Returns its length. */
size_t worker_counts_text(const struct counts *counts, char *out, size_t bytes);

#endif
