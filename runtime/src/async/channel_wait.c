/*
 * Purpose: who waits for a channel: nodes, the two lists, wakes, and the two polls.
 * Owner:   async. A node is its wait's; while it is linked the channel's lock guards it.
 * Threads: any. Wakers are cloned, woken and dropped without the lock.
 * Design:  [async.proto.channel]
 */
#include "async/channel_internal.h"

#include "sync/choice.h"
#include "thread/heavy_fence.h"

/* Wakers that are woken after one hold of the lock. */
#define WAKES_AT_ONCE 16u

struct emp_channel_node *emp_channel_node_new(struct emp_channel *channel,
                                              enum emp_channel_side side)
{
    struct emp_channel_node *node = emp_object_take(channel->pool, EMP_OBJECT_NODE);

    if (node == NULL) {
        return NULL;
    }
    node->waker = (struct emp_waker){NULL, NULL};
    node->group = NULL;
    node->peer = NULL;
    node->choice = 0;
    node->state = 0;
    node->side = (uint8_t)side;
    node->is_boxed = channel->kind == EMP_CHANNEL_COMPACT && channel->bytes > EMP_NODE_INLINE;
    if (node->is_boxed != 0) {
        node->value.box = emp_object_hooks.memory_take(channel->bytes);
        if (node->value.box == NULL) {
            emp_object_give(node);
            return NULL;
        }
    }
    return node;
}

void emp_channel_node_free(struct emp_channel_node *node)
{
    emp_assert(node->waker.vt == NULL);
    if (node->is_boxed != 0) {
        emp_object_hooks.memory_give(node->value.box);
    }
    emp_object_give(node);
}

void emp_channel_link_locked(struct emp_channel *channel, struct emp_channel_node *node)
{
    struct emp_channel_node **list = &channel->waiting[node->side];

    node->state = EMP_NODE_LINKED;
    if (*list == NULL) {
        node->next = node;
        node->prev = node;
        *list = node;
    } else {
        node->next = *list;
        node->prev = (*list)->prev;
        node->prev->next = node;
        node->next->prev = node;
    }
    if (channel->kind != EMP_CHANNEL_COMPACT &&
        emp_gate_arm(emp_channel_gate(emp_channel_large(channel), node->side))) {
        emp_fence_heavy();
    }
}

void emp_channel_unlink_locked(struct emp_channel *channel, struct emp_channel_node *node)
{
    struct emp_channel_node **list = &channel->waiting[node->side];

    if (node->next == node) {
        *list = NULL;
        if (channel->kind != EMP_CHANNEL_COMPACT) {
            emp_gate_disarm(emp_channel_gate(emp_channel_large(channel), node->side));
        }
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    if (*list == node) {
        *list = node->next;
    }
}

/* The oldest node that somebody waits with; orphans stand in front of those. */
static struct emp_channel_node *oldest_linked(const struct emp_channel *channel,
                                              enum emp_channel_side side)
{
    struct emp_channel_node *head = channel->waiting[side];
    struct emp_channel_node *node = head;

    while (node != NULL && node->state == EMP_NODE_ORPHAN) {
        node = node->next == head ? NULL : node->next;
    }
    return node;
}

struct emp_channel_node *emp_channel_next_locked(struct emp_channel *channel,
                                                 enum emp_channel_side side)
{
    struct emp_channel_node *node = oldest_linked(channel, side);

    while (node != NULL) {
        emp_channel_unlink_locked(channel, node);
        node->state = EMP_NODE_WOKEN;
        if (node->group == NULL || emp_choice_claim(&node->group->winner, node->choice)) {
            return node;
        }
        /* Its select has chosen another case: it finds the node unlinked. */
        node = oldest_linked(channel, side);
    }
    return NULL;
}

void emp_channel_wake(struct emp_channel *channel, enum emp_channel_side side, size_t count)
{
    struct emp_waker wakers[WAKES_AT_ONCE];
    size_t got = 0;

    do {
        size_t wanted = count < WAKES_AT_ONCE ? count : WAKES_AT_ONCE;

        got = 0;
        emp_mutex_lock(&channel->lock);
        while (got < wanted) {
            struct emp_channel_node *node = emp_channel_next_locked(channel, side);

            if (node == NULL) {
                break;
            }
            wakers[got++] = node->waker;
            node->waker.vt = NULL;
        }
        emp_mutex_unlock(&channel->lock);
        for (size_t i = 0; i < got; i++) {
            emp_waker_wake(&wakers[i]);
        }
        count -= got;
    } while (got == WAKES_AT_ONCE && count != 0);
}

EMP_COLD void emp_channel_tell_slow(struct emp_channel *channel, enum emp_channel_side side,
                                    enum emp_gate_news news, size_t count)
{
    if (news == EMP_GATE_WAKE) {
        emp_channel_wake(channel, side, count);
        return;
    }
    emp_mutex_lock(&channel->lock);
    emp_gate_relax(emp_channel_gate(emp_channel_large(channel), side));
    emp_mutex_unlock(&channel->lock);
}

enum emp_channel_node_state emp_channel_node_leave(struct emp_channel *channel,
                                                   struct emp_channel_node *node)
{
    struct emp_waker waker = {0};

    emp_mutex_lock(&channel->lock);
    enum emp_channel_node_state state = node->state;

    if (state == EMP_NODE_LINKED) {
        emp_channel_unlink_locked(channel, node);
    }
    waker = node->waker;
    node->waker.vt = NULL;
    emp_mutex_unlock(&channel->lock);
    emp_waker_drop(&waker);
    return state;
}

void emp_queue_wait_end(struct emp_channel *channel, struct emp_channel_wait *wait)
{
    struct emp_channel_node *node = wait->node;
    enum emp_channel_side side = node->side;
    enum emp_channel_node_state state = emp_channel_node_leave(channel, node);

    emp_channel_node_free(node);
    wait->node = NULL;
    if (state == EMP_NODE_WOKEN && emp_queue_is_worth(emp_channel_large(channel), side)) {
        emp_channel_wake(channel, side, 1);
    }
}

/* True when the wait is linked with this very waker. */
static bool is_registered(struct emp_channel *channel, const struct emp_channel_wait *wait,
                          const struct emp_waker *waker)
{
    const struct emp_channel_node *node = wait->node;

    if (node == NULL) {
        return false;
    }
    emp_mutex_lock(&channel->lock);
    bool same = node->state == EMP_NODE_LINKED && emp_waker_same(&node->waker, waker);
    emp_mutex_unlock(&channel->lock);
    return same;
}

/* Links the node of a wait, or gives it the new waker. */
static void node_register(struct emp_channel *channel, struct emp_channel_node *node,
                          const struct emp_waker *waker)
{
    struct emp_waker twin = emp_waker_clone(waker);

    emp_mutex_lock(&channel->lock);
    struct emp_waker old = node->waker;

    node->waker = twin;
    if (node->state != EMP_NODE_LINKED) {
        emp_channel_link_locked(channel, node);
    }
    emp_mutex_unlock(&channel->lock);
    emp_waker_drop(&old);
}

static enum emp_status queue_try(struct emp_channel_large *large, enum emp_channel_side side,
                                 void *value)
{
    size_t done = 0;

    return side == EMP_SENDING ? emp_queue_put(large, value, 1, &done)
                               : emp_queue_take(large, value, 1, &done);
}

/* Poll of a large channel: try, register, and try again; value is const when sending. */
enum emp_status emp_queue_poll(struct emp_channel *channel, enum emp_channel_side side,
                               struct emp_channel_wait *wait, const struct emp_waker *waker,
                               void *value)
{
    struct emp_channel_large *large = emp_channel_large(channel);
    enum emp_status status = queue_try(large, side, value);

    if (status == EMP_ERR_AGAIN) {
        if (waker == NULL || is_registered(channel, wait, waker)) {
            return EMP_ERR_AGAIN;
        }
        if (wait->node == NULL) {
            wait->node = emp_channel_node_new(channel, side);
        }
        if (wait->node == NULL) {
            return EMP_ERR_NOMEM;
        }
        node_register(channel, wait->node, waker);
        status = queue_try(large, side, value);
    }
    if (status != EMP_ERR_AGAIN && wait->node != NULL) {
        emp_queue_wait_end(channel, wait);
    }
    return status;
}
