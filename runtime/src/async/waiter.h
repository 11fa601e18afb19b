/*
 * Purpose: waiters: the pooled registrations of a future, 32 bytes each, and what is done with a
 *          list of them that was taken out of the future's word.
 * Owner:   async. A list that was taken out belongs to one thread: none of these functions needs an
 *          atomic. Those that wake or drop call other people's functions: with nothing half done.
 * Threads: whoever holds the list.
 * Design:  [async.proto.waiter]
 */
#ifndef EMP_ASYNC_WAITER_H
#define EMP_ASYNC_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include "async/object.h"
#include "async/waker.h"
#include "sync/future_word.h"

/* One registration. Plain: belongs to who holds the list it is in. */
struct emp_waiter {
    struct emp_future_link link; /* newest first */
    struct emp_waker waker;      /* owned */
    uint32_t count;              /* of the newest of a list: waiters from here on */
    uint32_t limit;              /* of the newest of a list: at how many it is sifted */
};

_Static_assert(sizeof(struct emp_waiter) == 32, "EMP_OBJECT_WAITER");

#define EMP_WAITER_LOOK 16u /* the newest so many are looked at for the same waker */

/* A waiter with a clone of the waker, or NULL. */
struct emp_waiter *emp_waiter_new(struct emp_async_pool *pool, const struct emp_waker *waker);

/* Ends a waiter that was not linked, or has been taken out; its waker is not called. */
void emp_waiter_drop(struct emp_waiter *waiter);

/* Wakes all of a list, oldest first, and ends them. */
void emp_waiters_wake(struct emp_future_link *list);

/* Ends all of a list without waking. */
void emp_waiters_drop(struct emp_future_link *list);

/* Whether one of the newest EMP_WAITER_LOOK has this waker. */
bool emp_waiters_know(const struct emp_future_link *list, const struct emp_waker *waker);

/*
 * Puts one in front of a list, which may be empty. A list that has outgrown its limit is sifted: of
 * those with one waker the oldest stays. Returns the list; *dropped receives what is to be dropped.
 */
struct emp_future_link *emp_waiters_add(struct emp_future_link *list, struct emp_waiter *waiter,
                                        struct emp_future_link **dropped);

/* Puts all of a list in front of another. */
struct emp_future_link *emp_waiters_join(struct emp_future_link *fresh,
                                         struct emp_future_link *list);

/* Takes those with this waker out; *dropped receives them. Returns what stays. */
struct emp_future_link *emp_waiters_remove(struct emp_future_link *list,
                                           const struct emp_waker *waker,
                                           struct emp_future_link **dropped);

#endif
