/*
 * What it is for: channels: elements of 1 to 4096 bytes, by value, between tasks or threads;
 *   bounded and unbounded, for one or many at either end.
 * When not to use it: for one value, use a future.
 * Life cycle: create makes one reference of each end; retain makes more. Who has given its
 *   reference back must not use the channel; the last of either end closes it, the last of both
 *   frees it.
 * Threads: any, but an SPSC channel has one sender and one receiver at a time, an UNBOUNDED_MPSC
 *   one receiver.
 * Errors: enum emp_status. A send to a closed channel is EMP_ERR_CLOSED and the element stays with
 *   the sender; receivers get what is queued first, then EMP_ERR_CLOSED.
 */
#ifndef EMP_ASYNC_CHANNEL_H
#define EMP_ASYNC_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "async/waker.h"
#include "base/export.h"
#include "base/status_code.h"

struct emp_async_pool;
struct emp_channel;

/* Which queue lies behind a channel. */
enum emp_channel_kind {
    EMP_CHANNEL_COMPACT = 0,    /* 64 bytes and the elements; capacity 0: sender meets receiver */
    EMP_CHANNEL_SPSC,           /* ring of one sender and one receiver */
    EMP_CHANNEL_BOUNDED,        /* ring of many senders and many receivers */
    EMP_CHANNEL_UNBOUNDED_MPSC, /* grows; one receiver */
    EMP_CHANNEL_UNBOUNDED       /* grows; receivers take turns */
};

#define EMP_CHANNEL_ELEMENT_MAX 4096u
#define EMP_CHANNEL_COMPACT_MAX 255u /* elements of a compact channel */
#define EMP_CHANNEL_RING_MAX    ((uint32_t)1 << 24)

/* How a channel is made. Start from a zeroed struct. */
struct emp_channel_config {
    enum emp_channel_kind kind;
    uint32_t element_bytes; /* 1..EMP_CHANNEL_ELEMENT_MAX */
    uint32_t capacity;      /* COMPACT: 0..255; SPSC, BOUNDED: 1.., made a power of two; else 0 */
    void (*drop)(void *element); /* ends an element that nobody received; may be NULL */
};

/*
 * One registration of somebody who waits for a channel. Zero before the first poll, not copied
 * while in use, and ended by a poll that does not say EMP_ERR_AGAIN or by emp_channel_forget:
 * before the reference to the channel is given back.
 */
struct emp_channel_wait {
    void *node;
};

EMP_EXTERN_C_BEGIN

/**
 * Makes a channel. @param pool where it comes from. @param config how.
 * @param out receives it, with one sender's and one receiver's reference, both the caller's.
 * @returns EMP_OK, EMP_ERR_INVALID, EMP_ERR_NOMEM. Errors: as returned; nothing is left behind.
 * Threads: any. Cost: one block, two if it is unbounded. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_create(struct emp_async_pool *pool,
                                           const struct emp_channel_config *config,
                                           struct emp_channel **out);

/**
 * Another sender. @param channel the caller is a sender. @returns channel.
 * Errors: 2^24 references end the process. Threads: any. Cost: one atomic operation. Since: 0.2.
 * Source: row E5.
 */
EMP_API struct emp_channel *emp_channel_sender_retain(struct emp_channel *channel);

/**
 * One sender less; the last one closes the channel. @param channel the caller is a sender, or NULL.
 * Errors: none. Threads: any. Cost: one atomic operation. Since: 0.2. Source: row E5.
 */
EMP_API void emp_channel_sender_release(struct emp_channel *channel);

/**
 * Another receiver. @param channel the caller is a receiver. @returns channel.
 * Errors: 2^24 references end the process. Threads: any. Cost: one atomic operation. Since: 0.2.
 * Source: row E5.
 */
EMP_API struct emp_channel *emp_channel_receiver_retain(struct emp_channel *channel);

/**
 * One receiver less; the last one closes the channel and drops what is queued.
 * @param channel the caller is a receiver, or NULL. Errors: none. Threads: any.
 * Cost: one atomic operation. Since: 0.2. Source: row E5.
 */
EMP_API void emp_channel_receiver_release(struct emp_channel *channel);

/**
 * Closes the channel: no more sends, and all who wait are woken. Again: nothing.
 * @param channel any reference. Errors: none. Threads: any; on an SPSC channel a send that goes on
 * beside a close by another than its sender may still be accepted, and is received or dropped once.
 * Cost: a lock and the wakes. Since: 0.2. Source: row E5.
 */
EMP_API void emp_channel_close(struct emp_channel *channel);

/**
 * Sends without waiting. @param channel the caller is a sender. @param value one element.
 * @returns EMP_OK: it is the channel's; EMP_ERR_AGAIN: full, or nobody is there to meet;
 * EMP_ERR_CLOSED; EMP_ERR_NOMEM (unbounded only). Errors: as returned; then it stays the caller's.
 * Threads: any. Cost: SPSC no atomic read-modify-write, others one or a lock. Since: 0.2.
 * Source: row E5.
 */
EMP_API enum emp_status emp_channel_try_send(struct emp_channel *channel, const void *value);

/**
 * Receives without waiting. @param channel the caller is a receiver. @param value receives it.
 * @returns EMP_OK, EMP_ERR_AGAIN (nothing there yet), EMP_ERR_CLOSED (and nothing left).
 * Errors: as returned. Threads: any. Cost: as emp_channel_try_send. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_try_recv(struct emp_channel *channel, void *value);

/**
 * Sends several in order, without waiting. @param channel the caller is a sender.
 * @param values count elements, one behind the other. @param count elements.
 * @param sent receives how many were sent, the first ones. @returns EMP_OK: all; else why not all,
 * as emp_channel_try_send. Errors: as returned. Threads: any.
 * Cost: one publication, or one ticket, for as many as have room. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_try_send_batch(struct emp_channel *channel, const void *values,
                                                   size_t count, size_t *sent);

/**
 * Receives up to count, without waiting. @param channel the caller is a receiver.
 * @param values room for count elements. @param count elements. @param received receives how many.
 * @returns EMP_OK: at least one; EMP_ERR_AGAIN, EMP_ERR_CLOSED: none. Errors: as returned.
 * Threads: any. Cost: as emp_channel_try_send_batch. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_try_recv_batch(struct emp_channel *channel, void *values,
                                                   size_t count, size_t *received);

/**
 * Sends, or registers to be woken when it is worth trying again. The value must be the same in all
 * polls of one send: a compact channel takes its copy at the first.
 * @param channel the caller is a sender. @param wait of this send. @param waker cloned; NULL: only
 * tries. @param value one element.
 * @returns as emp_channel_try_send; EMP_ERR_AGAIN: registered. EMP_ERR_NOMEM: also when it could
 * not register. Errors: as returned. Threads: any, one at a time for one wait.
 * Cost: as emp_channel_try_send; a lock and a node to register. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_send_poll(struct emp_channel *channel,
                                              struct emp_channel_wait *wait,
                                              const struct emp_waker *waker, const void *value);

/**
 * Receives, or registers to be woken when it is worth trying again.
 * @param channel the caller is a receiver. @param wait of this receive. @param waker cloned; NULL:
 * only tries. @param value receives the element.
 * @returns as emp_channel_try_recv; EMP_ERR_AGAIN: registered; EMP_ERR_NOMEM: could not register.
 * Errors: as returned. Threads: any, one at a time for one wait. Cost: as emp_channel_send_poll.
 * Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_recv_poll(struct emp_channel *channel,
                                              struct emp_channel_wait *wait,
                                              const struct emp_waker *waker, void *value);

/**
 * Withdraws a registration. A wake that it had got goes to the next who waits; an element that it
 * had been handed goes to the next receiver.
 * @param channel of the polls. @param wait of the polls; unused again afterwards.
 * @returns EMP_OK, or EMP_ERR_DONE: the element of this send had been taken. Errors: as returned.
 * Threads: any, one at a time for one wait. Cost: a lock. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_forget(struct emp_channel *channel,
                                           struct emp_channel_wait *wait);

/**
 * SPSC: cells to write elements into, without a copy. A second reserve takes the first one's place.
 * @param channel the caller is its sender. @param wanted cells. @param cells receives the first.
 * @param count receives how many lie there in a row, at most wanted.
 * @returns EMP_OK: at least one; EMP_ERR_AGAIN, EMP_ERR_CLOSED, EMP_ERR_UNSUPPORTED: another kind.
 * Errors: as returned. Threads: the sender. Cost: as emp_channel_try_send. Since: 0.2.
 * Source: row E5.
 */
EMP_API enum emp_status emp_channel_reserve(struct emp_channel *channel, size_t wanted,
                                            void **cells, size_t *count);

/**
 * Sends the first cells of a reserve; the others are not sent. @param channel of the reserve.
 * @param count of them. @returns EMP_OK, EMP_ERR_INVALID: more than were reserved. Errors: as
 * returned. Threads: the sender. Cost: a store. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_commit(struct emp_channel *channel, size_t count);

/**
 * SPSC: the oldest elements in their place, which stay queued until emp_channel_ack.
 * @param channel the caller is its receiver. @param wanted elements. @param cells receives the
 * first.
 * @param count receives how many lie there in a row, at most wanted.
 * @returns EMP_OK: at least one; EMP_ERR_AGAIN, EMP_ERR_CLOSED, EMP_ERR_UNSUPPORTED: another kind.
 * Errors: as returned. Threads: the receiver. Cost: as emp_channel_try_recv. Since: 0.2.
 * Source: row E5.
 */
EMP_API enum emp_status emp_channel_peek(struct emp_channel *channel, size_t wanted, void **cells,
                                         size_t *count);

/**
 * Takes the first elements of a peek out. @param channel of the peek. @param count of them.
 * @returns EMP_OK, EMP_ERR_INVALID: more than were peeked at. Errors: as returned.
 * Threads: the receiver. Cost: a store. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_ack(struct emp_channel *channel, size_t count);

EMP_EXTERN_C_END

#endif
