/*
 * Purpose: the compact channel: everything under its lock; an element goes from sender to receiver
 *          by way of a small buffer, or straight through the node of the one that waits.
 * Owner:   async. Threads: any. Wakers, drop and the heap are called without the lock.
 * Design:  [async.proto.channel]
 * Source:  the hand-off is that of Go's channels, into a node instead of a stack.
 */
#include "async/channel_internal.h"
#include "async/left_over.h"

static bool is_closed(const struct emp_channel *channel)
{
    return emp_ends_is_closed(&channel->ends);
}

static char *buffer_at(const struct emp_channel *channel, unsigned i)
{
    return channel->buffer + (size_t)((channel->first + i) % channel->capacity) * channel->bytes;
}

/* Lock held: the element of a node has been moved; its waker is to be woken. */
static void serve(struct emp_channel_node *node, struct emp_compact_rest *rest)
{
    node->state = EMP_NODE_DONE;
    rest->wake = node->waker;
    node->waker.vt = NULL;
}

enum emp_status emp_compact_send_locked(struct emp_channel *channel, const void *value,
                                        struct emp_compact_rest *rest)
{
    if (is_closed(channel)) {
        return EMP_ERR_CLOSED;
    }
    struct emp_channel_node *receiver = emp_channel_next_locked(channel, EMP_RECEIVING);

    if (receiver != NULL) {
        emp_assert(channel->count == 0);
        emp_channel_copy(emp_channel_node_value(receiver), value, channel->bytes);
        serve(receiver, rest);
        return EMP_OK;
    }
    if (channel->count == channel->capacity) {
        return EMP_ERR_AGAIN;
    }
    emp_channel_copy(buffer_at(channel, channel->count), value, channel->bytes);
    channel->count++;
    return EMP_OK;
}

/* Lock held: an element that a receiver had and left comes before all others. */
static bool orphan_take_locked(struct emp_channel *channel, void *value,
                               struct emp_compact_rest *rest)
{
    struct emp_channel_node *node = channel->waiting[EMP_SENDING];

    if (node == NULL || node->state != EMP_NODE_ORPHAN) {
        return false;
    }
    emp_channel_unlink_locked(channel, node);
    emp_channel_copy(value, emp_channel_node_value(node), channel->bytes);
    rest->spent = node;
    return true;
}

enum emp_status emp_compact_recv_locked(struct emp_channel *channel, void *value,
                                        struct emp_compact_rest *rest)
{
    if (orphan_take_locked(channel, value, rest)) {
        return EMP_OK;
    }
    if (channel->count != 0) {
        emp_channel_copy(value, buffer_at(channel, 0), channel->bytes);
        channel->first = (uint8_t)((channel->first + 1u) % channel->capacity);
        channel->count--;
    } else if (channel->capacity != 0) {
        return is_closed(channel) ? EMP_ERR_CLOSED : EMP_ERR_AGAIN;
    }
    struct emp_channel_node *sender = emp_channel_next_locked(channel, EMP_SENDING);

    if (sender == NULL) {
        if (channel->capacity != 0) {
            return EMP_OK;
        }
        return is_closed(channel) ? EMP_ERR_CLOSED : EMP_ERR_AGAIN;
    }
    if (channel->capacity != 0) {
        emp_channel_copy(buffer_at(channel, channel->count), emp_channel_node_value(sender),
                         channel->bytes);
        channel->count++;
    } else {
        emp_channel_copy(value, emp_channel_node_value(sender), channel->bytes);
    }
    serve(sender, rest);
    return EMP_OK;
}

void emp_compact_put_back_locked(struct emp_channel *channel, struct emp_channel_node *node,
                                 struct emp_compact_rest *rest)
{
    struct emp_channel_node *receiver = emp_channel_next_locked(channel, EMP_RECEIVING);

    if (receiver != NULL) {
        emp_channel_copy(emp_channel_node_value(receiver), emp_channel_node_value(node),
                         channel->bytes);
        serve(receiver, rest);
        rest->spent = node;
        return;
    }
    struct emp_channel_node *head = channel->waiting[EMP_SENDING];

    node->side = EMP_SENDING;
    node->group = NULL;
    emp_channel_link_locked(channel, node);
    node->state = EMP_NODE_ORPHAN;
    if (head != NULL) {
        /* The list is a ring: the one that was linked last is in front of the first. */
        channel->waiting[EMP_SENDING] = node;
    }
}

void emp_compact_rest_end(struct emp_compact_rest *rest)
{
    if (rest->spent != NULL) {
        emp_channel_node_free(rest->spent);
    }
    emp_waker_wake(&rest->wake);
}

static enum emp_status try_locked(struct emp_channel *channel, enum emp_channel_side side,
                                  void *value, struct emp_compact_rest *rest)
{
    return side == EMP_SENDING ? emp_compact_send_locked(channel, value, rest)
                               : emp_compact_recv_locked(channel, value, rest);
}

enum emp_status emp_compact_try(struct emp_channel *channel, enum emp_channel_side side,
                                void *value)
{
    struct emp_compact_rest rest = {0};

    emp_mutex_lock(&channel->lock);
    enum emp_status status = try_locked(channel, side, value, &rest);
    emp_mutex_unlock(&channel->lock);
    emp_compact_rest_end(&rest);
    return status;
}

/* The first poll: try once more under the lock that links the node. */
static enum emp_status compact_register(struct emp_channel *channel, enum emp_channel_side side,
                                        struct emp_channel_wait *wait,
                                        const struct emp_waker *waker, void *value)
{
    struct emp_compact_rest rest = {0};
    struct emp_channel_node *node = emp_channel_node_new(channel, side);

    if (node == NULL) {
        return EMP_ERR_NOMEM;
    }
    struct emp_waker twin = emp_waker_clone(waker);

    if (side == EMP_SENDING) {
        emp_channel_copy(emp_channel_node_value(node), value, channel->bytes);
    }
    emp_mutex_lock(&channel->lock);
    enum emp_status status = try_locked(channel, side, value, &rest);

    if (status == EMP_ERR_AGAIN) {
        node->waker = twin;
        twin.vt = NULL;
        wait->node = node;
        node = NULL;
        emp_channel_link_locked(channel, wait->node);
    }
    emp_mutex_unlock(&channel->lock);
    emp_compact_rest_end(&rest);
    emp_waker_drop(&twin);
    if (node != NULL) {
        emp_channel_node_free(node);
    }
    return status;
}

/* A later poll: what has become of the node; a new waker takes the place of the old one. */
static enum emp_channel_node_state compact_look(struct emp_channel *channel,
                                                struct emp_channel_node *node,
                                                const struct emp_waker *waker)
{
    struct emp_waker twin = {0};

    if (waker != NULL) {
        twin = emp_waker_clone(waker);
    }
    emp_mutex_lock(&channel->lock);
    enum emp_channel_node_state state = node->state;

    if (state == EMP_NODE_LINKED && waker != NULL && !emp_waker_same(&node->waker, &twin)) {
        struct emp_waker old = node->waker;

        node->waker = twin;
        twin = old;
    }
    emp_mutex_unlock(&channel->lock);
    emp_waker_drop(&twin);
    return state;
}

enum emp_status emp_compact_poll(struct emp_channel *channel, enum emp_channel_side side,
                                 struct emp_channel_wait *wait, const struct emp_waker *waker,
                                 void *value)
{
    struct emp_channel_node *node = wait->node;

    if (node != NULL) {
        enum emp_channel_node_state state = compact_look(channel, node, waker);

        if (state == EMP_NODE_LINKED) {
            return EMP_ERR_AGAIN;
        }
        if (state == EMP_NODE_DONE && side == EMP_RECEIVING) {
            emp_channel_copy(value, emp_channel_node_value(node), channel->bytes);
        }
        wait->node = NULL;
        emp_channel_node_free(node);
        if (state == EMP_NODE_DONE) {
            return EMP_OK;
        }
        /* Woken by a close: there may still be something to receive. */
    }
    enum emp_status status = emp_compact_try(channel, side, value);

    if (status != EMP_ERR_AGAIN || waker == NULL) {
        return status;
    }
    return compact_register(channel, side, wait, waker, value);
}

enum emp_status emp_compact_forget(struct emp_channel *channel, struct emp_channel_wait *wait)
{
    struct emp_channel_node *node = wait->node;
    struct emp_compact_rest rest = {0};
    enum emp_status status = EMP_OK;
    enum emp_channel_node_state state = emp_channel_node_leave(channel, node);

    wait->node = NULL;
    if (state == EMP_NODE_DONE && node->side == EMP_RECEIVING) {
        emp_mutex_lock(&channel->lock);
        emp_compact_put_back_locked(channel, node, &rest);
        emp_mutex_unlock(&channel->lock);
        emp_compact_rest_end(&rest);
        return EMP_OK;
    }
    if (state == EMP_NODE_DONE) {
        status = EMP_ERR_DONE;
    }
    emp_channel_node_free(node);
    return status;
}

void emp_compact_drop_all(struct emp_channel *channel)
{
    for (;;) {
        struct emp_compact_rest rest = {0};
        char *element = NULL;

        emp_mutex_lock(&channel->lock);
        struct emp_channel_node *node = channel->waiting[EMP_SENDING];

        if (node != NULL && node->state == EMP_NODE_ORPHAN) {
            emp_channel_unlink_locked(channel, node);
            rest.spent = node;
            element = emp_channel_node_value(node);
        } else if (channel->count != 0) {
            /* Closed: nobody writes to the buffer any more. */
            element = buffer_at(channel, 0);
            channel->first = (uint8_t)((channel->first + 1u) % channel->capacity);
            channel->count--;
        }
        emp_mutex_unlock(&channel->lock);
        if (element == NULL) {
            return;
        }
        if (channel->drop != NULL) {
            channel->drop(element);
        }
        emp_compact_rest_end(&rest);
    }
}

void *emp_left_over_of_channel(const void *object)
{
    const struct emp_channel *const channel = object;

    return emp_channel_is_alive(channel) ? channel->buffer : NULL;
}
