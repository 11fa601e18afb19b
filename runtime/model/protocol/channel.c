/*
 * What: harnesses of channels as they stand: async/channel.c, its queues, the compact channel and
 *       who waits, select; with mutexes and all.
 * How:  a waiter waits for its waker to be called; if that never comes, the execution is stuck.
 *       Elements are numbers that must come out once, or be dropped once, when they were accepted.
 * Design: [async.proto.channel] [async.proto.select]
 */
#include "async/channel.h"

#include "async/object.h"
#include "async/select.h"
#include "cases.h"
#include "model.h"
#include "protocol/world.h"

#include <string.h>

#define ITEMS 4u

static struct emp_async_pool pool;
static struct emp_channel *channel;
static struct emp_channel *other;
static uint32_t accepted[ITEMS]; /* atomic */
static uint32_t ended[ITEMS];    /* atomic: received or dropped */
static uint32_t rounds[2];       /* atomic: how often a waiter was woken */

static void end_item(uint64_t item)
{
    model_assert(item < ITEMS);
    model_assert(emp_fetch_add_relaxed(&ended[item], 1) == 0);
}

static void drop_item(void *element)
{
    uint64_t item = 0;
    memcpy(&item, element, sizeof item);
    end_item(item);
}

static struct emp_channel *make(enum emp_channel_kind kind, uint32_t capacity)
{
    struct emp_channel *made = NULL;
    const struct emp_channel_config config = {kind, sizeof(uint64_t), capacity, drop_item};
    model_assert(emp_channel_create(&pool, &config, &made) == EMP_OK);
    return made;
}

static void start(enum emp_channel_kind kind, uint32_t capacity)
{
    world_set_up();
    world_set_cpus(1);
    pool.signature = EMP_ASYNC_POOL_SIGNATURE;
    memset(accepted, 0, sizeof accepted);
    memset(ended, 0, sizeof ended);
    memset(rounds, 0, sizeof rounds);
    other = NULL;
    channel = make(kind, capacity);
}

static void end_channel(struct emp_channel *one)
{
    emp_channel_sender_release(one);
    emp_channel_receiver_release(one);
}

/* Accepted is received or dropped, once; nothing else is; no memory is left. */
static void finish(void)
{
    end_channel(channel);
    if (other != NULL) {
        end_channel(other);
    }
    for (unsigned i = 0; i < ITEMS; i++) {
        model_assert(ended[i] == accepted[i]);
    }
}

/* The receiving end was given back by a thread. */
static void finish_receiver_released(void)
{
    emp_channel_sender_release(channel);
    for (unsigned i = 0; i < ITEMS; i++) {
        model_assert(ended[i] == accepted[i]);
    }
}

/* Both ends were given back by the threads. */
static void finish_released(void)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        model_assert(ended[i] == accepted[i]);
    }
}

/* ---- wakers: data is the number of the waiter ---- */

static void *waker_clone(void *data)
{
    return data;
}

static void waker_wake(void *data)
{
    emp_fetch_add_acq_rel(&rounds[(uintptr_t)data], 1);
}

static void waker_drop(void *data)
{
    (void)data;
}

static const struct emp_waker_vtable waker_vt = {waker_clone, waker_wake, waker_wake, waker_drop};

static struct emp_waker waker_of(uintptr_t number)
{
    return (struct emp_waker){&waker_vt, (void *)number};
}

/* ---- what threads do ---- */

static void send(uint64_t item)
{
    if (emp_channel_try_send(channel, &item) == EMP_OK) {
        emp_store_relaxed(&accepted[item], 1);
    }
}

static void send_0(void)
{
    send(0);
}

static void send_batch(void)
{
    static const uint64_t items[2] = {0, 1};
    size_t sent = 0;
    (void)emp_channel_try_send_batch(channel, items, 2, &sent);
    for (size_t i = 0; i < sent; i++) {
        emp_store_relaxed(&accepted[i], 1);
    }
}

static void send_0_and_leave(void)
{
    send(0);
    emp_channel_sender_release(channel);
}

static void sender_leaves(void)
{
    emp_channel_sender_release(channel);
}

static void receiver_leaves(void)
{
    emp_channel_receiver_release(channel);
}

static void close_it(void)
{
    emp_channel_close(channel);
}

static enum emp_status recv_waiting(uintptr_t number)
{
    const struct emp_waker waker = waker_of(number);
    struct emp_channel_wait wait = {0};
    uint64_t item = ITEMS;
    enum emp_status status = EMP_ERR_AGAIN;
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t seen = emp_load_relaxed(&rounds[number]);
        status = emp_channel_recv_poll(channel, &wait, &waker, &item);
        if (status != EMP_ERR_AGAIN) {
            break;
        }
        (void)model_await_other(&rounds[number], seen, ACQUIRE);
    }
    model_assert(status != EMP_ERR_AGAIN && wait.node == NULL);
    if (status == EMP_OK) {
        end_item(item);
    }
    return status;
}

/* Receives one, waiting. */
static void recv_one(void)
{
    (void)recv_waiting(0);
}

/* Receives until it is closed. */
static void recv_all(void)
{
    while (recv_waiting(0) == EMP_OK) {
    }
}

/* Two receivers registered before the threads start; the first one is cancelled. */
static struct emp_channel_wait registered[2];

static void register_two(void)
{
    uint64_t item = ITEMS;
    for (uintptr_t i = 0; i < 2; i++) {
        const struct emp_waker waker = waker_of(i);
        registered[i].node = NULL;
        model_assert(emp_channel_recv_poll(channel, &registered[i], &waker, &item) ==
                     EMP_ERR_AGAIN);
    }
}

static void cancel_first(void)
{
    model_assert(emp_channel_forget(channel, &registered[0]) == EMP_OK);
}

/* The second one was woken, and finds the element. */
static void finish_second_has_it(void)
{
    uint64_t item = ITEMS;
    model_assert(rounds[1] == 1);
    model_assert(emp_channel_recv_poll(channel, &registered[1], NULL, &item) == EMP_OK);
    end_item(item);
    finish();
}

static void send_0_and_close(void)
{
    send(0);
    emp_channel_close(channel);
}

static void send_waiting(void)
{
    const struct emp_waker waker = waker_of(1);
    struct emp_channel_wait wait = {0};
    const uint64_t item = 1;
    enum emp_status status = EMP_ERR_AGAIN;
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t seen = emp_load_relaxed(&rounds[1]);
        status = emp_channel_send_poll(channel, &wait, &waker, &item);
        if (status != EMP_ERR_AGAIN) {
            break;
        }
        (void)model_await_other(&rounds[1], seen, ACQUIRE);
    }
    model_assert(status != EMP_ERR_AGAIN && wait.node == NULL);
    emp_store_relaxed(&accepted[1], status == EMP_OK ? 1u : 0u);
}

static void recv_try(void)
{
    uint64_t item = ITEMS;
    if (emp_channel_try_recv(channel, &item) == EMP_OK) {
        end_item(item);
    }
}

/* ---- select: two parties over two rendezvous ---- */

static void select_waiting(struct emp_select_case *cases, uintptr_t number)
{
    const struct emp_waker waker = waker_of(number);
    const struct emp_select select = {cases, 2};
    struct emp_select_wait wait = {0};
    enum emp_status status = EMP_ERR_AGAIN;
    size_t chosen = 0;
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t seen = emp_load_relaxed(&rounds[number]);
        status = emp_select_poll(&select, &wait, &waker, &chosen);
        if (status != EMP_ERR_AGAIN) {
            break;
        }
        (void)model_await_other(&rounds[number], seen, ACQUIRE);
    }
    model_assert(status == EMP_OK && wait.group == NULL);
    if (cases[chosen].is_send) {
        emp_store_relaxed(&accepted[number], 1);
    } else {
        end_item(*(uint64_t *)cases[chosen].value);
    }
}

static void select_left(void)
{
    uint64_t item = 0;
    uint64_t got = ITEMS;
    struct emp_select_case cases[2] = {{channel, &item, true}, {other, &got, false}};
    select_waiting(cases, 0);
}

static void select_right(void)
{
    uint64_t item = 1;
    uint64_t got = ITEMS;
    struct emp_select_case cases[2] = {{other, &item, true}, {channel, &got, false}};
    select_waiting(cases, 1);
}

/* Receives from either. */
static void select_recv(void)
{
    uint64_t got[2] = {ITEMS, ITEMS};
    struct emp_select_case cases[2] = {{channel, &got[0], false}, {other, &got[1], false}};
    select_waiting(cases, 0);
}

/* A select registered before the threads start: two serve it at once, or one and its end. */
static struct emp_select_wait select_wait;
static uint64_t select_got[2];
static struct emp_select_case select_cases[2];
static const struct emp_select select_registered = {select_cases, 2};

static void register_select(void)
{
    const struct emp_waker waker = waker_of(0);
    size_t chosen = 0;
    select_wait = (struct emp_select_wait){0};
    for (unsigned i = 0; i < 2; i++) {
        select_got[i] = ITEMS;
        select_cases[i] = (struct emp_select_case){i == 0 ? channel : other, &select_got[i], false};
    }
    model_assert(emp_select_poll(&select_registered, &select_wait, &waker, &chosen) ==
                 EMP_ERR_AGAIN);
}

static void send_1_to_other(void)
{
    const uint64_t item = 1;
    if (emp_channel_try_send(other, &item) == EMP_OK) {
        emp_store_relaxed(&accepted[1], 1);
    }
}

static void forget_select(void)
{
    size_t chosen = 0;
    (void)emp_select_forget(&select_registered, &select_wait, &chosen);
}

/* It was woken once, has one of the elements, and is gone from both channels. */
static void finish_one_won(void)
{
    size_t chosen = 2;
    model_assert(rounds[0] == 1);
    model_assert(emp_select_poll(&select_registered, &select_wait, NULL, &chosen) == EMP_OK);
    end_item(select_got[chosen]);
    finish();
}

/* ---- set-ups ---- */

static void compact_empty(void)
{
    start(EMP_CHANNEL_COMPACT, 1);
}

static void compact_two_registered(void)
{
    compact_empty();
    register_two();
}

static void compact_full(void)
{
    start(EMP_CHANNEL_COMPACT, 1);
    send(0);
}

static void compact_full_closed(void)
{
    compact_full();
    emp_channel_close(channel);
}

static void rendezvous_two(void)
{
    start(EMP_CHANNEL_COMPACT, 0);
    other = make(EMP_CHANNEL_COMPACT, 0);
}

static void spsc_empty(void)
{
    start(EMP_CHANNEL_SPSC, 1);
}

static void spsc_full(void)
{
    start(EMP_CHANNEL_SPSC, 1);
    send(0);
}

static void spsc_full_closed(void)
{
    spsc_full();
    emp_channel_close(channel);
}

static void bounded_empty(void)
{
    start(EMP_CHANNEL_BOUNDED, 2);
}

static void bounded_two_registered(void)
{
    bounded_empty();
    register_two();
}

static void unbounded_two_registered(void)
{
    start(EMP_CHANNEL_UNBOUNDED, 0);
    register_two();
}

static void bounded_full(void)
{
    start(EMP_CHANNEL_BOUNDED, 1);
    send(0);
}

static void bounded_full_closed(void)
{
    bounded_full();
    emp_channel_close(channel);
}

static void unbounded_empty(void)
{
    start(EMP_CHANNEL_UNBOUNDED, 0);
}

static void unbounded_mpsc_empty(void)
{
    start(EMP_CHANNEL_UNBOUNDED_MPSC, 0);
}

static void rendezvous_select(void)
{
    rendezvous_two();
    register_select();
}

static void bounded_select(void)
{
    start(EMP_CHANNEL_BOUNDED, 1);
    other = make(EMP_CHANNEL_BOUNDED, 1);
    register_select();
}

static void bounded_two(void)
{
    start(EMP_CHANNEL_BOUNDED, 1);
    other = make(EMP_CHANNEL_BOUNDED, 1);
}

#define CASE(name_, property_, set_up_, finish_, ...)                                 \
    {                                                                                 \
        .name = name_, .is_protocol = true, .property = property_, .set_up = set_up_, \
        .thread = {__VA_ARGS__}, .finish = finish_, .rereads = 20                     \
    }

#define LONG_CASE(name_, property_, set_up_, finish_, ...)                           \
    {                                                                                \
        .name = name_, .is_long = true, .is_protocol = true, .property = property_,  \
        .set_up = set_up_, .thread = {__VA_ARGS__}, .finish = finish_, .rereads = 20 \
    }

const struct model_case protocol_channel[] = {
    CASE("channel/compact-wait", "a receiver that waits gets the element", compact_empty, finish,
         send_0, recv_one),
    CASE("channel/compact-close", "send against close: what was accepted comes out", compact_empty,
         finish, send_0, close_it),
    CASE("channel/compact-full-close", "a sender parked at full is woken by the close",
         compact_full, finish, send_waiting, close_it),
    CASE("channel/compact-cancelled", "of two receivers one is cancelled: the other gets it",
         compact_two_registered, finish_second_has_it, send_0, cancel_first),
    CASE("channel/compact-drop", "receiver drop against send: dropped once", compact_empty,
         finish_receiver_released, send_0, receiver_leaves),
    CASE("channel/compact-both-leave",
         "both ends of a closed channel leave: dropped once, freed once", compact_full_closed,
         finish_released, sender_leaves, receiver_leaves),
    CASE("channel/spsc-wait", "a receiver that waits gets the element", spsc_empty, finish, send_0,
         recv_one),
    CASE("channel/spsc-full", "a sender parked at full is woken by a receive", spsc_full, finish,
         send_waiting, recv_try),
    CASE("channel/spsc-drop", "receiver drop against send: dropped once", spsc_empty,
         finish_receiver_released, send_0, receiver_leaves),
    CASE("channel/spsc-both-leave", "both ends of a closed channel leave: dropped once, freed once",
         spsc_full_closed, finish_released, sender_leaves, receiver_leaves),
    CASE("channel/bounded-wait", "a receiver that waits gets the element", bounded_empty, finish,
         send_0, recv_one),
    CASE("channel/bounded-close", "send against close", bounded_empty, finish, send_0, close_it),
    LONG_CASE("channel/bounded-end", "a receiver that waits for the end gets there", bounded_empty,
              finish, send_0_and_close, recv_all),
    CASE("channel/bounded-batch-close", "batch against close", bounded_empty, finish, send_batch,
         close_it),
    LONG_CASE("channel/bounded-full-close", "a sender parked at full is woken by the close",
              bounded_full, finish, send_waiting, close_it),
    CASE("channel/bounded-full", "a sender parked at full is woken by a receive", bounded_full,
         finish, send_waiting, recv_try),
    CASE("channel/bounded-cancelled", "of two receivers one is cancelled: the wake is passed on",
         bounded_two_registered, finish_second_has_it, send_0, cancel_first),
    CASE("channel/unbounded-cancelled", "the same for the unbounded channel",
         unbounded_two_registered, finish_second_has_it, send_0, cancel_first),
    CASE("channel/bounded-drop", "receiver drop against send: dropped once", bounded_empty,
         finish_receiver_released, send_0, receiver_leaves),
    CASE("channel/bounded-both-leave",
         "both ends of a closed channel leave: dropped once, freed once", bounded_full_closed,
         finish_released, sender_leaves, receiver_leaves),
    LONG_CASE("channel/spsc-ends", "both ends close and leave: dropped once, freed once", spsc_full,
              finish_released, sender_leaves, receiver_leaves),
    LONG_CASE("channel/bounded-ends", "both ends close and leave: dropped once, freed once",
              bounded_full, finish_released, sender_leaves, receiver_leaves),
    CASE("channel/unbounded-wait", "a receiver that waits gets the element", unbounded_empty,
         finish, send_0, recv_one),
    CASE("channel/unbounded-close", "send against close", unbounded_mpsc_empty, finish, send_0,
         close_it),
    LONG_CASE("channel/unbounded-end", "a receiver that waits for the end gets there",
              unbounded_mpsc_empty, finish, send_0_and_close, recv_all),
    LONG_CASE("channel/unbounded-drop", "receiver drop against a batch", unbounded_mpsc_empty,
              finish_released, send_0_and_leave, receiver_leaves),
    CASE("select/one-wins", "of two that serve a select at once one does; its element is received",
         rendezvous_select, finish_one_won, send_0, send_1_to_other),
    CASE("select/one-wins-bounded", "of two that wake a select at once one does, none is lost",
         bounded_select, finish_one_won, send_0, send_1_to_other),
    CASE("select/forget", "a select that ends beside a send loses nothing", rendezvous_select,
         finish, send_0, forget_select),
    LONG_CASE("select/two-parties", "each offers what the other wants: both meet in one channel",
              rendezvous_two, finish, select_left, select_right),
    LONG_CASE("select/two-channels",
              "a send beside a select that registers with two channels is received", bounded_two,
              finish, select_recv, send_1_to_other),
    {.name = NULL},
};
