/*
 * What it is for: coroutines: tasks whose body is a stack, so that a function can wait in its
 *   middle. The stack has an address of its own for life, grows in place up to its size, and is
 *   parked when it sleeps long (async/coroutine_memory.h).
 * When not to use it: for a million of one small thing; a task with a poll function is smaller.
 * Life cycle: spawn -> runs on a scheduler's threads, on one at a time -> entry returns. Until its
 *   first run it has no stack. Cancelled before that, entry runs all the same, so that it can end
 *   what its arguments own, and is told at its first wait.
 * Threads: spawn by any; all other calls by the coroutine itself. Between two of them it may come
 *   to another thread: keep no address of a thread-local variable, nor of errno, over such a call.
 * Memory: while it sleeps, other threads must not touch its stack unless it is pinned.
 * Errors: enum emp_status. An overflow is reported as E4101 and ends the process.
 */
#ifndef EMP_ASYNC_COROUTINE_H
#define EMP_ASYNC_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/future.h"
#include "async/scheduler.h"
#include "async/task.h"
#include "base/export.h"
#include "base/status_code.h"

/* Bytes of arguments, at most; up to 32 need no block of their own. */
#define EMP_COROUTINE_ARGS_MAX 1024

/* How a coroutine is made. Start from a zeroed struct. */
struct emp_coroutine_spawn {
    struct emp_async_pool *pool;
    struct emp_scheduler *scheduler;
    void (*entry)(void *args);   /* args: the copy, on the coroutine's stack */
    void (*abandon)(void *args); /* called instead of entry when no stack can be had; may be NULL */
    const void *args;            /* copied; NULL with 0 bytes */
    size_t args_bytes;           /* 0..EMP_COROUTINE_ARGS_MAX */
    size_t stack_bytes;          /* what it needs at most, up to 957 KiB; 0: as its site needed */
    uint32_t flags;              /* enum emp_coroutine_flag */
    struct emp_spawn_site *site; /* may be NULL; named in reports */
};

enum emp_coroutine_flag {
    EMP_COROUTINE_PINNED = 1, /* begins with one emp_coroutine_pin */
    /*
     * Runs on one of a few stacks that it shares with others (policy: run_slots), for life the same
     * one; while it sleeps and another runs there, its live part is in a block of the heap. For
     * many that sleep much: asleep it costs the live part alone, at once. It cannot be pinned, and
     * must not block its thread until another shared one has run: that one may need its stack.
     * stack_bytes: up to 190 KiB. abandon is not called.
     */
    EMP_COROUTINE_SHARED = 2
};

EMP_EXTERN_C_BEGIN

/**
 * Makes a coroutine and submits it. Its result is set with
 * emp_task_set_result(emp_task_current(), ...) before entry returns.
 * @param spawn how. @param join receives a future for the result that the caller drops; NULL: none.
 * @param task receives a reference that the caller releases; NULL: none.
 * @returns EMP_OK, EMP_ERR_NOMEM, EMP_ERR_INVALID, EMP_ERR_TOO_BIG (args or stack),
 * EMP_ERR_UNSUPPORTED (the pool has no stacks; shared and pinned). Errors: as returned; then
 * nothing happened. When there is no stack for the first run, abandon is called and the coroutine
 * is cancelled.
 * Threads: any. Cost: one object and a submit; a stack at the first run. Since: 0.2. Source: row
 *   E6.
 */
EMP_API enum emp_status emp_coroutine_spawn(const struct emp_coroutine_spawn *spawn,
                                            struct emp_future **join, struct emp_task **task);

/**
 * Whether the caller is a coroutine. @returns true on a coroutine's stack. Errors: none.
 * Threads: any. Cost: one call. Since: 0.2. Source: row E6.
 */
EMP_API bool emp_in_coroutine(void);

/**
 * Waits for a future, without taking its value.
 * @param future a consumer's reference. @param value receives up to capacity bytes; may be NULL.
 * @param capacity bytes. @param bytes receives the length; may be NULL.
 * @returns what emp_future_poll says when it is not pending; EMP_ERR_CANCELLED also when the
 * coroutine itself is cancelled, from then on at once; EMP_ERR_STATE outside of a coroutine.
 * Errors: as returned. Threads: a coroutine. Cost: a poll; two switches when it has to wait.
 * Since: 0.2. Source: rows E1, E6.
 */
EMP_API enum emp_status emp_await(struct emp_future *future, void *value, size_t capacity,
                                  size_t *bytes);

/**
 * As emp_await, until a moment at most. @param future a consumer's reference.
 * @param value receives the value. @param capacity bytes. @param bytes receives the length.
 * @param deadline_ns CLOCK_MONOTONIC. @returns as emp_await; EMP_ERR_TIMED_OUT when the moment came
 * first; EMP_ERR_NOMEM, EMP_ERR_UNSUPPORTED (the scheduler has no timers). Errors: as returned.
 * Threads: a coroutine. Cost: as emp_await, one object and a timer. Since: 0.2. Source: rows E1,
 *   E6.
 */
EMP_API enum emp_status emp_await_until(struct emp_future *future, void *value, size_t capacity,
                                        size_t *bytes, uint64_t deadline_ns);

/**
 * Lets others run. @returns EMP_OK, EMP_ERR_CANCELLED, EMP_ERR_STATE outside of a coroutine.
 * Errors: as returned. Threads: a coroutine. Cost: two switches and a submit. Since: 0.2.
 * Source: row E6.
 */
EMP_API enum emp_status emp_yield(void);

/**
 * Sleeps until a moment. @param deadline_ns CLOCK_MONOTONIC.
 * @returns EMP_OK, EMP_ERR_CANCELLED, EMP_ERR_NOMEM, EMP_ERR_UNSUPPORTED, EMP_ERR_STATE.
 * Errors: as returned. Threads: a coroutine. Cost: one object and a timer. Since: 0.2.
 * Source: row E6.
 */
EMP_API enum emp_status emp_sleep_until(uint64_t deadline_ns);

/**
 * Sleeps until somebody wakes the coroutine through a waker, perhaps for nothing: look again.
 * Arrange for the wake first: with emp_task_waker(emp_task_current()).
 * @returns EMP_OK, EMP_ERR_CANCELLED, EMP_ERR_STATE outside of a coroutine. Errors: as returned.
 * Threads: a coroutine. Cost: two switches. Since: 0.2. Source: rows E3, E6.
 */
EMP_API enum emp_status emp_coroutine_suspend(void);

/**
 * Keeps the stack where it is, also while it sleeps, so that others may hold addresses in it.
 * Counts.
 * @returns EMP_OK, EMP_ERR_STATE outside of a coroutine, EMP_ERR_LIMIT (65535 times),
 * EMP_ERR_UNSUPPORTED in a shared one, whose neighbours would wait for it. Errors: as returned.
 * Threads: a coroutine. Cost: a store. Since: 0.2. Source: row E6.
 */
EMP_API enum emp_status emp_coroutine_pin(void);

/**
 * Ends one emp_coroutine_pin. @returns EMP_OK, EMP_ERR_STATE without a pin. Errors: as returned.
 * Threads: a coroutine. Cost: a store. Since: 0.2. Source: row E6.
 */
EMP_API enum emp_status emp_coroutine_unpin(void);

EMP_EXTERN_C_END

#endif
