/*
 * Purpose: the structs behind struct emp_channel, and what its files offer one another: the queues
 *          (channel_queue.c), the compact channel (channel_compact.c), who waits (channel_wait.c).
 * Owner:   async. A channel is made by emp_channel_create and freed by the last of both ends.
 * Threads: any; what is the lock's says so.
 * Design:  [async.proto.channel]
 */
#ifndef EMP_ASYNC_CHANNEL_INTERNAL_H
#define EMP_ASYNC_CHANNEL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "async/channel.h"
#include "async/object.h"
#include "base/check.h"
#include "base/compiler.h"
#include "base/status_code.h"
#include "sync/block_list.h"
#include "sync/ends.h"
#include "sync/gate.h"
#include "sync/mpmc.h"
#include "sync/node_list.h"
#include "sync/spsc.h"
#include "thread/mutex.h"

#define EMP_CHANNEL_SIGNATURE 0x4843u /* "CH" */
#define EMP_CHANNEL_APART     128u    /* between what the two ends write */

/* The ends, as indices. */
enum emp_channel_side { EMP_SENDING = 0, EMP_RECEIVING = 1, EMP_CHANNEL_SIDES };

/*
 * What a node of somebody who waits is doing; changed under the channel's lock.
 *
 *   LINKED --wake: an element or room may be there--> WOKEN --poll again--> LINKED
 *   LINKED --the other end takes or brings the element (compact)--> DONE
 *   DONE --forget by a receiver--> ORPHAN: linked as a sender that nobody waits for
 */
enum emp_channel_node_state { EMP_NODE_LINKED = 1, EMP_NODE_WOKEN, EMP_NODE_DONE, EMP_NODE_ORPHAN };

/* The choice among the nodes of one select. Owner: the wait of the select. */
struct emp_select_group {
    uint32_t winner; /* atomic: select. 0: open, else 1 + index of the case */
    uint32_t count;
    struct emp_channel_node *nodes; /* the waiter's, by their peer */
};

#define EMP_NODE_INLINE 40u

/* One that waits. Owner: its emp_channel_wait, or the channel while it is an orphan. */
struct emp_channel_node {
    struct emp_channel_node *next; /* the lock's, a ring */
    struct emp_channel_node *prev;
    struct emp_waker waker;         /* the lock's; empty once it was woken */
    struct emp_select_group *group; /* const; NULL: not of a select */
    struct emp_channel_node *peer;  /* the next of the same group */
    uint16_t choice;                /* const: index of the case in the group */
    uint8_t state;                  /* the lock's: enum emp_channel_node_state */
    uint8_t side;                   /* the lock's: whose list it is on */
    uint32_t is_boxed;              /* const: the element has a block of its own */
    union {
        char bytes[EMP_NODE_INLINE];
        void *box;
    } value; /* compact channels: the element on its way */
};

_Static_assert(sizeof(struct emp_channel_node) == 96, "a channel-node object");

/* What all kinds have, and all that a compact channel has. */
struct emp_channel {
    uint16_t signature; /* EMP_CHANNEL_SIGNATURE while alive */
    uint16_t bytes;     /* const: of an element */
    uint8_t kind;       /* const: enum emp_channel_kind */
    uint8_t capacity;   /* const; compact */
    uint8_t first;      /* the lock's; compact: index of the oldest element */
    uint8_t count;      /* the lock's; compact: elements in the buffer */
    struct emp_mutex lock;
    uint64_t ends; /* atomic: ends. */
    struct emp_async_pool *pool;
    void (*drop)(void *element);
    struct emp_channel_node *waiting[EMP_CHANNEL_SIDES]; /* the lock's: oldest first */
    char *buffer; /* compact: capacity elements; NULL when there are none */
};

_Static_assert(sizeof(struct emp_channel) == 64, "a channel object");

/* What senders write, and look at after each send. */
struct emp_channel_producer {
    union {
        struct emp_spsc_producer spsc;
        uint64_t position;
        uintptr_t last;
    } at;
    struct emp_gate receivers; /* those who wait for elements */
};

/* What receivers write, and look at after each receive. */
struct emp_channel_consumer {
    union {
        struct emp_spsc_consumer spsc;
        uint64_t position;
        struct emp_block_cursor cursor;
        struct emp_node *head;
    } at;
    struct emp_gate senders; /* those who wait for room */
    struct emp_mutex taker;  /* UNBOUNDED: whose turn it is */
};

/* CacheAwareChannel of the model: all kinds but the compact one. */
struct emp_channel_large {
    struct emp_channel channel;
    char *cells;    /* const: rings */
    uint32_t room;  /* const: cells of a ring */
    uint32_t small; /* const, unbounded: elements are words in blocks, not messages in nodes */
    struct emp_mpmc mpmc; /* const */
    uint32_t reserved;    /* SPSC, the producer's: cells given out by reserve */
    uint32_t peeked;      /* SPSC, the consumer's: cells given out by peek */
    struct emp_channel_producer EMP_ALIGNED(EMP_CHANNEL_APART) producer;
    struct emp_channel_consumer EMP_ALIGNED(EMP_CHANNEL_APART) consumer;
    struct emp_block *EMP_ALIGNED(EMP_CHANNEL_APART) spare; /* atomic: block-spare. */
};

/* A message of more than 8 bytes in an unbounded channel: a node object, or a block if larger. */
struct emp_message {
    struct emp_node node;
    char bytes[];
};

#define EMP_MESSAGE_INLINE (96u - sizeof(struct emp_message))

static inline struct emp_channel_large *emp_channel_large(struct emp_channel *channel)
{
    return (struct emp_channel_large *)channel;
}

static inline bool emp_channel_is_alive(const struct emp_channel *channel)
{
    return channel != NULL && channel->signature == EMP_CHANNEL_SIGNATURE;
}

/* Moves one element; words without a call. */
static EMP_ALWAYS_INLINE void emp_channel_copy(void *to, const void *from, uint32_t bytes)
{
    if (emp_likely(bytes == 8)) {
        memcpy(to, from, 8);
    } else {
        memcpy(to, from, bytes);
    }
}

/* Bytes from one cell of a ring to the next. */
static inline uint32_t emp_channel_stride(enum emp_channel_kind kind, uint32_t bytes)
{
    return kind == EMP_CHANNEL_BOUNDED
               ? (uint32_t)sizeof(struct emp_mpmc_cell) + ((bytes + 7) & ~7u)
               : bytes;
}

/* channel_queue.c: the queue of a large channel. NULL as values drops what is taken, in its place.
 * */
enum emp_status emp_queue_create(struct emp_channel_large *large, uint32_t cells);
void emp_queue_destroy(struct emp_channel_large *large);
enum emp_status emp_queue_put(struct emp_channel_large *large, const char *values, size_t count,
                              size_t *done);
enum emp_status emp_queue_take(struct emp_channel_large *large, char *values, size_t count,
                               size_t *done);
void emp_queue_close_locked(struct emp_channel_large *large);

/* Whether a receive, or a send, would not say "again". */
bool emp_queue_is_worth(struct emp_channel_large *large, enum emp_channel_side side);

/*
 * channel_compact.c. What an operation under the lock leaves to do without it: the waker of who was
 * served, and an orphan that is used up.
 */
struct emp_compact_rest {
    struct emp_waker wake;
    struct emp_channel_node *spent;
};
enum emp_status emp_compact_send_locked(struct emp_channel *channel, const void *value,
                                        struct emp_compact_rest *rest);
enum emp_status emp_compact_recv_locked(struct emp_channel *channel, void *value,
                                        struct emp_compact_rest *rest);
void emp_compact_put_back_locked(struct emp_channel *channel, struct emp_channel_node *node,
                                 struct emp_compact_rest *rest);
void emp_compact_rest_end(struct emp_compact_rest *rest);

/* One operation; value is only read when sending. */
enum emp_status emp_compact_try(struct emp_channel *channel, enum emp_channel_side side,
                                void *value);
enum emp_status emp_compact_poll(struct emp_channel *channel, enum emp_channel_side side,
                                 struct emp_channel_wait *wait, const struct emp_waker *waker,
                                 void *value);
enum emp_status emp_compact_forget(struct emp_channel *channel, struct emp_channel_wait *wait);

/* The caller is the last receiver, or alone: everything queued is dropped. */
void emp_compact_drop_all(struct emp_channel *channel);

/* channel_wait.c: a node for a registration, or NULL. */
struct emp_channel_node *emp_channel_node_new(struct emp_channel *channel,
                                              enum emp_channel_side side);
void emp_channel_node_free(struct emp_channel_node *node);

/* Where the element of a node lies. */
static inline void *emp_channel_node_value(struct emp_channel_node *node)
{
    return node->is_boxed != 0 ? node->value.box : node->value.bytes;
}

/* Lock held. Link puts at the end and arms the gate; unlink disarms it with the last one. */
void emp_channel_link_locked(struct emp_channel *channel, struct emp_channel_node *node);
void emp_channel_unlink_locked(struct emp_channel *channel, struct emp_channel_node *node);

/* Lock held: unlinks the oldest that still waits, with the claim of its select; or NULL. */
struct emp_channel_node *emp_channel_next_locked(struct emp_channel *channel,
                                                 enum emp_channel_side side);

/* Takes a node out of the channel, if it is linked, and drops its waker; returns what it was. */
enum emp_channel_node_state emp_channel_node_leave(struct emp_channel *channel,
                                                   struct emp_channel_node *node);

/* A large channel: try, register, and try again; value is only read when sending. */
enum emp_status emp_queue_poll(struct emp_channel *channel, enum emp_channel_side side,
                               struct emp_channel_wait *wait, const struct emp_waker *waker,
                               void *value);

/* The wait of a large channel is over; a wake that it had got goes on if it is worth something. */
void emp_queue_wait_end(struct emp_channel *channel, struct emp_channel_wait *wait);

/* Wakes up to count that wait; takes the lock. */
void emp_channel_wake(struct emp_channel *channel, enum emp_channel_side side, size_t count);

/* The part of emp_channel_tell that has something to do. */
void emp_channel_tell_slow(struct emp_channel *channel, enum emp_channel_side side,
                           enum emp_gate_news news, size_t count);

static inline struct emp_gate *emp_channel_gate(struct emp_channel_large *large,
                                                enum emp_channel_side side)
{
    return side == EMP_RECEIVING ? &large->producer.receivers : &large->consumer.senders;
}

/* After count elements, or cells, were published for the other side. */
static EMP_ALWAYS_INLINE void emp_channel_tell(struct emp_channel_large *large,
                                               enum emp_channel_side side, size_t count)
{
    enum emp_gate_news news = emp_gate_signal(emp_channel_gate(large, side));

    if (emp_unlikely(news != EMP_GATE_NOTHING)) {
        emp_channel_tell_slow(&large->channel, side, news, count);
    }
}

#endif
