/*
 * What it is for: CompactFuture: one value that comes later, in 32 bytes, lock-free. Any number of
 *   tasks or threads wait; producers race and one wins; every end may be dropped at any time.
 * When not to use it: for a stream of values; use a channel.
 * Life cycle: new makes two references, the producer's and the consumer's. The producer's ends with
 *   emp_promise_drop, the consumer's with emp_future_drop, in any order; a pending future whose
 *   last producer leaves is cancelled.
 * Threads: any for every call. A reference belongs to one holder; emp_future_retain makes more.
 * Errors: enum emp_status.
 */
#ifndef EMP_ASYNC_FUTURE_H
#define EMP_ASYNC_FUTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/waker.h"
#include "base/export.h"
#include "base/status_code.h"

struct emp_async_pool;
struct emp_future; /* 32 bytes, opaque */

/* Bytes of a value that need no block of their own. */
#define EMP_FUTURE_INLINE_BYTES 16

/* The longest value. */
#define EMP_FUTURE_VALUE_BYTES_MAX 65536

/* A value that is more than bytes. Static storage, one object per type, 1023 types at most. */
struct emp_value_type {
    const char *name;
    void (*drop)(void *value); /* called once for a value that nobody took; may be NULL */
    uint32_t bytes;            /* 0..EMP_FUTURE_VALUE_BYTES_MAX */
    uint32_t id;               /* set by the library at the first use; 0: none yet */
};

EMP_EXTERN_C_BEGIN

/**
 * Makes a pending future.
 * @param pool where it comes from. @returns a future with one producer and one consumer reference,
 * both the caller's, or NULL. Errors: NULL: out of memory. Threads: any. Cost: one object.
 * Since: 0.2. Source: row E1.
 */
EMP_API struct emp_future *emp_future_new(struct emp_async_pool *pool);

/**
 * Completes the future with a value and wakes all who wait. Keeps the reference.
 * @param future a producer's reference. @param value copied; may be NULL with 0 bytes.
 * @param bytes up to EMP_FUTURE_INLINE_BYTES inline, more in a block, up to
 * EMP_FUTURE_VALUE_BYTES_MAX.
 * @returns EMP_OK, EMP_ERR_DONE (somebody else completed it: the value stays the caller's),
 * EMP_ERR_NOMEM (still pending), EMP_ERR_TOO_BIG.
 * Errors: as returned. Threads: any. Cost: one or two atomic operations and the wakes.
 * Since: 0.2. Source: row E1.
 */
EMP_API enum emp_status emp_future_resolve(struct emp_future *future, const void *value,
                                           size_t bytes);

/**
 * As emp_future_resolve with a value of a type: moved into the future, which drops it when nobody
 * takes it. When this call does not return EMP_OK the value stays the caller's.
 * @param future a producer's reference. @param type its type. @param value type->bytes, moved.
 * @returns as emp_future_resolve, or EMP_ERR_LIMIT: too many types. Errors: as returned.
 * Threads: any. Cost: as resolve. Since: 0.2. Source: row E1.
 */
EMP_API enum emp_status emp_future_resolve_typed(struct emp_future *future,
                                                 struct emp_value_type *type, const void *value);

/**
 * Completes the future with an error value, which the consumer gets with EMP_ERR_REJECTED.
 * @param future a producer's reference. @param value copied. @param bytes as for resolve.
 * @returns as emp_future_resolve. Errors: as returned. Threads: any. Cost: as resolve. Since: 0.2.
 * Source: row E1.
 */
EMP_API enum emp_status emp_future_reject(struct emp_future *future, const void *value,
                                          size_t bytes);

/**
 * Completes the future without a value: who polls gets EMP_ERR_CANCELLED.
 * @param future any reference. @returns EMP_OK or EMP_ERR_DONE. Errors: as returned. Threads: any.
 * Cost: as resolve. Since: 0.2. Source: row E1.
 */
EMP_API enum emp_status emp_future_cancel(struct emp_future *future);

/**
 * Completes the future without a value: who polls gets EMP_ERR_TIMED_OUT.
 * @param future any reference. @returns EMP_OK or EMP_ERR_DONE. Errors: as returned. Threads: any.
 * Cost: as resolve. Since: 0.2. Source: row E1.
 */
EMP_API enum emp_status emp_future_expire(struct emp_future *future);

/**
 * Asks for the value, without taking it: every consumer may read it, any number of times.
 * @param future a consumer's reference. @param waker cloned and woken once when the future
 * completes; NULL: only look. A second poll with the same waker does not register again. A waker
 * that gives up is withdrawn by emp_future_forget.
 * @param value receives up to capacity bytes; may be NULL. @param capacity bytes.
 * @param bytes receives the length of the value; may be NULL.
 * @returns EMP_OK, EMP_ERR_REJECTED (value is the error), EMP_ERR_CANCELLED, EMP_ERR_TIMED_OUT,
 * EMP_ERR_AGAIN (pending), EMP_ERR_DONE (taken), EMP_ERR_NOMEM (could not register).
 * Errors: as returned. Threads: any. Cost: a load when ready; a node and an atomic operation to
 * register. Since: 0.2. Source: row E1.
 */
EMP_API enum emp_status emp_future_poll(struct emp_future *future, const struct emp_waker *waker,
                                        void *value, size_t capacity, size_t *bytes);

/**
 * As emp_future_poll, and takes the value: later calls get EMP_ERR_DONE, and the value is not
 * dropped with the future.
 * @param future a consumer's reference. @param waker as for poll. @param value receives it.
 * @param capacity bytes; less than the value's length: EMP_ERR_TOO_BIG and nothing is taken.
 * @param bytes receives the length; may be NULL.
 * @returns as emp_future_poll, or EMP_ERR_TOO_BIG. Errors: as returned. Threads: any.
 * Cost: one atomic operation more. Since: 0.2. Source: row E1.
 */
EMP_API enum emp_status emp_future_take(struct emp_future *future, const struct emp_waker *waker,
                                        void *value, size_t capacity, size_t *bytes);

/**
 * Withdraws what emp_future_poll registered for a waker, when its owner waits no longer: a deadline
 * passed, or another future of a select came first. The clone that the future held is dropped.
 * @param future a consumer's reference. @param waker the one that was polled with.
 * @returns true: it was registered, and the future will not wake it. False: it is not registered,
 * was woken, or may still be woken: another thread had the list in hands. Errors: none.
 * Threads: any. Cost: two atomic operations and a look at each waiter. Since: 0.2. Source: row E1.
 */
EMP_API bool emp_future_forget(struct emp_future *future, const struct emp_waker *waker);

/**
 * Another consumer's reference. @param future a consumer's reference. @returns future.
 * Errors: misuse E4004; overflow ends the process. Threads: any. Cost: one atomic operation.
 * Since: 0.2. Source: row E1.
 */
EMP_API struct emp_future *emp_future_retain(struct emp_future *future);

/**
 * Gives a consumer's reference back. @param future reference or NULL. Errors: misuse E4004.
 * Threads: any. Cost: one atomic operation; the last one drops the value. Since: 0.2.
 * Source: row E1.
 */
EMP_API void emp_future_drop(struct emp_future *future);

/**
 * Another producer's reference. @param future a producer's reference. @returns future.
 * Errors: misuse E4004; overflow ends the process. Threads: any. Cost: one atomic operation.
 * Since: 0.2. Source: row E1.
 */
EMP_API struct emp_future *emp_promise_retain(struct emp_future *future);

/**
 * Gives a producer's reference back; the last one cancels a pending future.
 * @param future reference or NULL. Errors: misuse E4004. Threads: any. Cost: one atomic operation.
 * Since: 0.2. Source: row E1.
 */
EMP_API void emp_promise_drop(struct emp_future *future);

EMP_EXTERN_C_END

#endif
