/*
 * Purpose: select: one node in the list of each channel, one word that the first who serves one of
 *          them claims; losers are unlinked by whoever meets them, at the latest by the waiter.
 * Owner:   async. Group and nodes are the wait's.
 * Threads: any. The nodes are linked with the locks of all channels held, in order of address, so
 *          that two selects that could serve one another see each other; nothing else is done
 *          there.
 * Design:  [async.proto.select]
 * Source:  the order of steps is that of Go's select.
 */
#include "async/select.h"

#include "async/channel_internal.h"
#include "sync/choice.h"

/* The waiter's own claim: nobody may serve it any more. */
#define BY_ITSELF 0xffffu

/* What a poll has come to. */
struct outcome {
    enum emp_status status; /* EMP_ERR_AGAIN: nothing yet */
    size_t chosen;
    struct emp_channel *woken; /* whose wake was used up and may be worth passing on; NULL: none */
    enum emp_channel_side side;
};

static enum emp_channel_side side_of(const struct emp_select_case *one)
{
    return one->is_send ? EMP_SENDING : EMP_RECEIVING;
}

/* ---- all locks ---- */

struct lock_list {
    struct emp_channel *channel[EMP_SELECT_MAX]; /* by address, ascending */
    size_t count;
};

static void lock_list_make(const struct emp_select *select, struct lock_list *list)
{
    list->count = 0;
    for (size_t i = 0; i < select->count; i++) {
        struct emp_channel *channel = select->cases[i].channel;
        size_t at = list->count;

        while (at != 0 && (uintptr_t)list->channel[at - 1] > (uintptr_t)channel) {
            at--;
        }
        if (at != 0 && list->channel[at - 1] == channel) {
            continue;
        }
        for (size_t k = list->count; k > at; k--) {
            list->channel[k] = list->channel[k - 1];
        }
        list->channel[at] = channel;
        list->count++;
    }
}

static void lock_all(const struct lock_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        emp_mutex_lock(&list->channel[i]->lock);
    }
}

static void unlock_all(const struct lock_list *list)
{
    for (size_t i = list->count; i > 0; i--) {
        emp_mutex_unlock(&list->channel[i - 1]->lock);
    }
}

/* ---- the group ---- */

/* Frees nodes that are linked nowhere. */
static void group_free(struct emp_select_group *group)
{
    struct emp_channel_node *node = group->nodes;

    while (node != NULL) {
        struct emp_channel_node *next = node->peer;

        emp_waker_drop(&node->waker);
        emp_channel_node_free(node);
        node = next;
    }
    emp_object_give(group);
}

/* A group with a node for each case, or NULL; sends to compact channels lie in their nodes. */
static struct emp_select_group *group_new(const struct emp_select *select,
                                          const struct emp_waker *waker)
{
    struct emp_select_group *group =
        emp_object_take(select->cases[0].channel->pool, EMP_OBJECT_WAITER);

    if (group == NULL) {
        return NULL;
    }
    emp_choice_open(&group->winner);
    group->count = (uint32_t)select->count;
    group->nodes = NULL;
    for (size_t i = select->count; i > 0; i--) {
        const struct emp_select_case *one = &select->cases[i - 1];
        struct emp_channel_node *node = emp_channel_node_new(one->channel, side_of(one));

        if (node == NULL) {
            group_free(group);
            return NULL;
        }
        node->group = group;
        node->choice = (uint16_t)(i - 1);
        node->peer = group->nodes;
        node->waker = emp_waker_clone(waker);
        group->nodes = node;
        if (one->is_send && one->channel->kind == EMP_CHANNEL_COMPACT) {
            emp_channel_copy(emp_channel_node_value(node), one->value, one->channel->bytes);
        }
    }
    return group;
}

/*
 * Takes all nodes out of their channels and ends the group, whose choice has been made. Returns the
 * winner's node, apart, with what it was in *state; NULL: the waiter itself.
 */
static struct emp_channel_node *group_end(const struct emp_select *select,
                                          struct emp_select_group *group,
                                          enum emp_channel_node_state *state)
{
    uint32_t winner = emp_choice_look(&group->winner);
    struct emp_channel_node *won = NULL;
    struct emp_channel_node *node = group->nodes;
    struct emp_channel_node *losers = NULL;

    while (node != NULL) {
        struct emp_channel_node *next = node->peer;
        enum emp_channel_node_state was =
            emp_channel_node_leave(select->cases[node->choice].channel, node);

        if (winner == node->choice + 1u) {
            won = node;
            *state = was;
        } else {
            node->peer = losers;
            losers = node;
        }
        node = next;
    }
    group->nodes = losers;
    group_free(group);
    return won;
}

/* ---- the steps of a poll ---- */

/* The registrations of the last poll: whether one of them was served; they are over then. */
static void collect(const struct emp_select *select, struct emp_select_wait *wait,
                    struct outcome *outcome)
{
    struct emp_select_group *group = wait->group;
    enum emp_channel_node_state state = EMP_NODE_LINKED;

    (void)emp_choice_claim(&group->winner, BY_ITSELF);
    wait->group = NULL;
    struct emp_channel_node *won = group_end(select, group, &state);

    if (won == NULL) {
        return;
    }
    const struct emp_select_case *one = &select->cases[won->choice];

    emp_assert(state != EMP_NODE_LINKED);
    if (state == EMP_NODE_DONE) {
        if (!one->is_send) {
            emp_channel_copy(one->value, emp_channel_node_value(won), one->channel->bytes);
        }
        outcome->status = EMP_OK;
        outcome->chosen = won->choice;
    } else {
        outcome->woken = one->channel;
        outcome->side = side_of(one);
        wait->turn = won->choice;
    }
    emp_channel_node_free(won);
}

/* Tries each case once. */
static void try_all(const struct emp_select *select, struct emp_select_wait *wait,
                    struct outcome *outcome)
{
    for (size_t i = 0; i < select->count && outcome->status == EMP_ERR_AGAIN; i++) {
        size_t at = (wait->turn + i) % select->count;
        const struct emp_select_case *one = &select->cases[at];

        outcome->status = one->is_send ? emp_channel_try_send(one->channel, one->value)
                                       : emp_channel_try_recv(one->channel, one->value);
        outcome->chosen = at;
    }
    wait->turn++;
}

/* A wake that was used up by this select, although it may have taken something else. */
static void pass_on(const struct outcome *outcome)
{
    if (outcome->woken != NULL && outcome->woken->kind != EMP_CHANNEL_COMPACT &&
        emp_queue_is_worth(emp_channel_large(outcome->woken), outcome->side)) {
        emp_channel_wake(outcome->woken, outcome->side, 1);
    }
}

/* All locks held: a compact channel that can be served now; the index or count. */
static size_t try_compact_locked(const struct emp_select *select, struct outcome *outcome,
                                 struct emp_compact_rest *rest)
{
    for (size_t i = 0; i < select->count; i++) {
        const struct emp_select_case *one = &select->cases[i];

        if (one->channel->kind != EMP_CHANNEL_COMPACT) {
            continue;
        }
        outcome->status = one->is_send ? emp_compact_send_locked(one->channel, one->value, rest)
                                       : emp_compact_recv_locked(one->channel, one->value, rest);
        if (outcome->status != EMP_ERR_AGAIN) {
            return i;
        }
    }
    return select->count;
}

/* Links a node per case, unless a compact channel has become ready meanwhile. */
static void register_all(const struct emp_select *select, struct emp_select_wait *wait,
                         const struct emp_waker *waker, struct outcome *outcome)
{
    struct emp_select_group *group = group_new(select, waker);
    struct emp_compact_rest rest = {0};
    struct lock_list list;

    if (group == NULL) {
        outcome->status = EMP_ERR_NOMEM;
        return;
    }
    lock_list_make(select, &list);
    lock_all(&list);
    outcome->chosen = try_compact_locked(select, outcome, &rest);
    if (outcome->chosen == select->count) {
        for (struct emp_channel_node *node = group->nodes; node != NULL; node = node->peer) {
            emp_channel_link_locked(select->cases[node->choice].channel, node);
        }
        wait->group = group;
    }
    unlock_all(&list);
    emp_compact_rest_end(&rest);
    if (outcome->chosen != select->count) {
        group_free(group);
    }
}

/* After registration: whether a large channel is worth another try. */
static bool is_any_worth(const struct emp_select *select)
{
    for (size_t i = 0; i < select->count; i++) {
        const struct emp_select_case *one = &select->cases[i];

        if (one->channel->kind != EMP_CHANNEL_COMPACT &&
            emp_queue_is_worth(emp_channel_large(one->channel), side_of(one))) {
            return true;
        }
    }
    return false;
}

enum emp_status emp_select_poll(const struct emp_select *select, struct emp_select_wait *wait,
                                const struct emp_waker *waker, size_t *chosen)
{
    struct outcome outcome = {.status = EMP_ERR_AGAIN};

    if (select->count == 0 || select->count > EMP_SELECT_MAX) {
        return EMP_ERR_INVALID;
    }
    /* Another round only after somebody else took what had been there. */
    do {
        outcome.woken = NULL;
        if (wait->group != NULL) {
            collect(select, wait, &outcome);
        }
        if (outcome.status == EMP_ERR_AGAIN) {
            try_all(select, wait, &outcome);
        }
        pass_on(&outcome);
        if (outcome.status == EMP_ERR_AGAIN && waker != NULL) {
            register_all(select, wait, waker, &outcome);
        }
    } while (outcome.status == EMP_ERR_AGAIN && waker != NULL && is_any_worth(select));
    if (outcome.status == EMP_OK || outcome.status == EMP_ERR_CLOSED) {
        *chosen = outcome.chosen;
    }
    return outcome.status;
}

enum emp_status emp_select_forget(const struct emp_select *select, struct emp_select_wait *wait,
                                  size_t *chosen)
{
    struct emp_select_group *group = wait->group;
    enum emp_channel_node_state state = EMP_NODE_LINKED;
    struct emp_compact_rest rest = {0};

    if (group == NULL) {
        return EMP_OK;
    }
    (void)emp_choice_claim(&group->winner, BY_ITSELF);
    wait->group = NULL;
    struct emp_channel_node *won = group_end(select, group, &state);

    if (won == NULL) {
        return EMP_OK;
    }
    const struct emp_select_case *one = &select->cases[won->choice];

    if (state == EMP_NODE_DONE && !one->is_send) {
        emp_mutex_lock(&one->channel->lock);
        emp_compact_put_back_locked(one->channel, won, &rest);
        emp_mutex_unlock(&one->channel->lock);
        emp_compact_rest_end(&rest);
        return EMP_OK;
    }
    pass_on(&(struct outcome){.woken = state == EMP_NODE_WOKEN ? one->channel : NULL,
                              .side = side_of(one)});
    if (state == EMP_NODE_DONE) {
        *chosen = won->choice;
    }
    emp_channel_node_free(won);
    return state == EMP_NODE_DONE ? EMP_ERR_DONE : EMP_OK;
}
