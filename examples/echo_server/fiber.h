/*
 * What the server asks of coroutines: start one on a worker, wait in it for a chunk.
 */
#ifndef ECHO_FIBER_H
#define ECHO_FIBER_H

#include "adapter/uv_stream.h"

struct emp_task;
struct worker;

/* Starts a coroutine that runs body(arg) on the worker's loop. Returns a reference that the caller
   releases, or NULL: out of memory. When there is no stack for it later, it is complete without
   having begun. */
struct emp_task *fiber_start(struct worker *worker, void (*body)(void *arg), void *arg);

/* Waits for a future of adapter/uv_stream.h and drops it. NULL and futures that were cancelled give
   UV_ENOMEM and UV_ECANCELED in bytes. */
struct emp_uv_chunk fiber_wait(struct emp_future *future);

#endif
