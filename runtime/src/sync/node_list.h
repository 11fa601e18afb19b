/*
 * Purpose: an unbounded queue of nodes that carry their messages, many producers and one consumer;
 *          can be closed.
 * Owner:   sync; nodes are the callers'. Roles: producers push, one consumer at a time pops,
 *          anybody closes.
 *
 *   tail: address of the last node | 0: closed          head: the node before the first message
 *
 *   {last} --push: cas--> {new last}, and then: last.next = new first (until then half-linked)
 *   head --pop: head.next is there--> head.next is the message and the new head; head is returned
 *
 * Invariants: I1 the word tail is the whole truth: whoever swaps it links to the node it names,
 *   which is alive because the consumer keeps the last one as its head (so there is no ABA). I2 a
 *   node is left by the consumer only after its next was written, which is the last access of the
 *   producer behind it. I3 messages of one producer come out in order. I4 after closing nobody
 *   pushes.
 * Linearisation: the successful swap of tail (push); the consumer's step (pop).
 * Order table: node-tail: push is acq_rel: the next node's link comes after the node was made;
 *   close releases, who finds it drained acquires. node-next: the link releases the message, pop
 *   acquires.
 * Progress: push lock-free; a producer stalled between swap and link hides what is behind it, and
 *   pop says "nothing". ABA: none, I1.
 * Does not promise: that pop finds a message while a push before it is in progress.
 * Source: D. Vyukov, "Intrusive MPSC node-based queue"; a swap instead of the exchange lets it be
 *   closed exactly. Threads: see the roles. Design: [sync.proto.node-list]
 */
#ifndef EMP_SYNC_NODE_LIST_H
#define EMP_SYNC_NODE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/atomic.h"

#define EMP_NODE_CLOSED ((uintptr_t)1)

struct emp_node {
    struct emp_node *next; /* atomic: node-next. */
};

/* Before it is shared: one node without a message. */
static inline void emp_node_start(uintptr_t *tail, struct emp_node **head, struct emp_node *stub)
{
    stub->next = NULL;
    *tail = (uintptr_t)stub;
    *head = stub;
}

/* Pushes a chain of nodes, linked by the caller up to last; false: closed. */
static inline bool emp_node_push(uintptr_t *tail, struct emp_node *first, struct emp_node *last)
{
    /* order(node-next): relaxed; published by the swap and by the link before it */
    emp_store_relaxed(&last->next, (struct emp_node *)NULL);
    /* order(node-tail): relaxed; the swap decides */
    uintptr_t seen = emp_load_relaxed(tail);

    do {
        if ((seen & EMP_NODE_CLOSED) != 0) {
            return false;
        }
        /* order(node-tail): acq_rel; last is made before another links to it, and so was seen */
    } while (!emp_cas_acq_rel_relaxed(tail, &seen, (uintptr_t)last));
    /* order(node-next): release; the messages are visible to the consumer */
    emp_store_release(&((struct emp_node *)seen)->next, first);
    return true;
}

/* Consumer: the next message and, in *done, the node that it no longer needs; NULL: nothing. */
static inline struct emp_node *emp_node_pop(struct emp_node **head, struct emp_node **done)
{
    /* order(node-next): acquire; the message */
    struct emp_node *next = emp_load_acquire(&(*head)->next);

    if (next != NULL) {
        *done = *head;
        *head = next;
    }
    return next;
}

/* Consumer: whether there is a message. */
static inline bool emp_node_is_there(const struct emp_node *head)
{
    /* order(node-next): relaxed; who pops the message acquires it */
    return emp_load_relaxed(&head->next) != NULL;
}

/* From now on nobody pushes. */
static inline void emp_node_close(uintptr_t *tail)
{
    /* order(node-tail): release; what the closer did is visible to who finds it drained */
    (void)emp_fetch_or_release(tail, EMP_NODE_CLOSED);
}

/* Consumer: true when nothing will ever come out again. */
static inline bool emp_node_is_drained(const uintptr_t *tail, const struct emp_node *head)
{
    /* order(node-tail): acquire; pairs with emp_node_close */
    return emp_load_acquire(tail) == ((uintptr_t)head | EMP_NODE_CLOSED);
}

#endif
