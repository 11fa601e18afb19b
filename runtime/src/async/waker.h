/*
 * What it is for: the waker, a value of two words that says whom to wake: a task, or anything else.
 * When not to use it: inside a coroutine emp_await and the channel calls do it all.
 * Life cycle: a waker owns what its clone function took; emp_waker_wake or emp_waker_drop ends it,
 *   once. One with vt NULL owns nothing and wakes nobody.
 * Threads: clone, wake and drop may be called by any thread, also beside one another on clones.
 * Errors: emp_waker_custom gives an empty waker when it can't.
 */
#ifndef EMP_ASYNC_WAKER_H
#define EMP_ASYNC_WAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/export.h"
#include "base/status_code.h"

struct emp_async_pool;
struct emp_waker;

/* What a waker does. All four are called without a lock of ours. Static storage. */
struct emp_waker_vtable {
    void *(*clone)(void *data);      /* data of the new waker */
    void (*wake)(void *data);        /* wakes and ends the waker */
    void (*wake_by_ref)(void *data); /* wakes and leaves it */
    void (*drop)(void *data);        /* ends it */
};

/* A waker. Copying the struct moves it: the old copy must not be used any more. */
struct emp_waker {
    const struct emp_waker_vtable *vt; /* NULL: empty */
    void *data;
};

/* Bytes of data that a custom waker holds. */
#define EMP_WAKER_INLINE_BYTES 48

/* What a custom waker does. Static storage. */
struct emp_waker_calls {
    void (*wake)(void *copy); /* called with the address of the copy, by the waking thread */
    void (*drop)(void *copy); /* called once when the last clone ends; may be NULL */
    bool once;                /* wake is called by the first wake of all clones only */
};

EMP_EXTERN_C_BEGIN

/**
 * Makes a waker for a callback, with a copy of data in a pooled object of 64 bytes. Clones share
 * the object; it stays while wake runs, also when that was the last clone.
 * @param pool where the object comes from. @param calls the functions.
 * @param data copied to an address that is a multiple of 16. @param bytes
 * 0..EMP_WAKER_INLINE_BYTES. @param out receives the waker; empty on failure.
 * @returns EMP_OK, EMP_ERR_NOMEM, EMP_ERR_TOO_BIG, EMP_ERR_INVALID. Errors: as returned.
 * Threads: any. Cost: one object. Since: 0.2. Source: row E3.
 */
EMP_API enum emp_status emp_waker_custom(struct emp_async_pool *pool,
                                         const struct emp_waker_calls *calls, const void *data,
                                         size_t bytes, struct emp_waker *out);

EMP_EXTERN_C_END

/**
 * A second waker for the same target.
 * @param waker a waker, may be empty. @returns a waker that the caller owns.
 * Errors: misuse E4003, E4005. Threads: any. Cost: one indirect call. Since: 0.2. Source: row E3.
 */
EMP_INLINE struct emp_waker emp_waker_clone(const struct emp_waker *waker)
{
    struct emp_waker twin = *waker;

    if (twin.vt != NULL) {
        twin.data = twin.vt->clone(twin.data);
    }
    return twin;
}

/**
 * Wakes and ends the waker. @param waker owned by the caller; empty afterwards.
 * Errors: misuse E4002, E4005. Threads: any. Cost: one indirect call. Since: 0.2. Source: row E3.
 */
EMP_INLINE void emp_waker_wake(struct emp_waker *waker)
{
    struct emp_waker old = *waker;

    waker->vt = NULL;
    if (old.vt != NULL) {
        old.vt->wake(old.data);
    }
}

/**
 * Wakes and keeps the waker. @param waker may be empty. Errors: misuse E4002, E4005. Threads: any.
 * Cost: one indirect call. Since: 0.2. Source: row E3.
 */
EMP_INLINE void emp_waker_wake_by_ref(const struct emp_waker *waker)
{
    if (waker->vt != NULL) {
        waker->vt->wake_by_ref(waker->data);
    }
}

/**
 * Ends the waker without waking. @param waker owned by the caller; empty afterwards.
 * Errors: misuse E4002, E4005. Threads: any. Cost: one indirect call. Since: 0.2. Source: row E3.
 */
EMP_INLINE void emp_waker_drop(struct emp_waker *waker)
{
    struct emp_waker old = *waker;

    waker->vt = NULL;
    if (old.vt != NULL) {
        old.vt->drop(old.data);
    }
}

/**
 * Whether two wakers wake the same target, so that a registration may stay as it is.
 * @param a a waker. @param b a waker. @returns true when they surely do. Errors: none. Threads:
 * any.
 * Cost: two comparisons. Since: 0.2. Source: row E3.
 */
EMP_INLINE bool emp_waker_same(const struct emp_waker *a, const struct emp_waker *b)
{
    return a->vt == b->vt && a->data == b->data;
}

#endif
