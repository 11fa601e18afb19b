/*
 * What: old bugs of those who wait: a lost wake in an eventcount, in a futex mutex and in a park
 *       with acquire and release only; Peterson's lock without seq_cst; locks that pass on too
 *       little; a fork handler that takes locks in an order of its own.
 * How:  as structures.c.
 * Design: docs/design/model.md, "Old bugs"
 * Source: Drepper, "Futexes Are Tricky", 2011 (mutex 1 and 2); Vyukov's eventcount; Peterson 1981;
 *         affinitypool #22 (park by acquire and release).
 */
#include "bugs/bugs.h"
#include "cases.h"

/* Eventcount: a waiter announces itself, looks again, and sleeps on the epoch. */
static struct {
    uint32_t epoch;   /* atomic, futex */
    uint32_t waiters; /* atomic */
    uint32_t ready;   /* atomic: the condition */
} eventcount;

static void eventcount_set_up(void)
{
    eventcount.epoch = 0;
    eventcount.waiters = 0;
    eventcount.ready = 0;
}

static void eventcount_wait(void)
{
    if (MODEL_LOAD(&eventcount.ready, RELAXED) != 0) {
        return;
    }
    MODEL_RMW(&eventcount.waiters, 1, ADD, SEQ_CST);
    const uint32_t epoch = MODEL_LOAD(&eventcount.epoch, ACQUIRE);
    FENCE_IF(SEQ_CST);
    if (!fixed || MODEL_LOAD(&eventcount.ready, ACQUIRE) == 0) {
        model_futex_wait(&eventcount.epoch, epoch);
    }
}

static void eventcount_notify(void)
{
    MODEL_STORE(&eventcount.ready, 1, RELEASE);
    FENCE_IF(SEQ_CST);
    if (MODEL_LOAD(&eventcount.waiters, RELAXED) != 0) {
        MODEL_RMW(&eventcount.epoch, 1, ADD, RELEASE);
        model_futex_wake(&eventcount.epoch, 1);
    }
}

/* Park: "I sleep" against "there is work", each stored and then the other looked at. */
static struct {
    uint32_t asleep; /* atomic, futex */
    uint32_t work;   /* atomic */
} park;

static void park_set_up(void)
{
    park.asleep = 0;
    park.work = 0;
}

static void park_wait(void)
{
    MODEL_STORE(&park.asleep, 1, RELEASE);
    FENCE_IF(SEQ_CST);
    if (MODEL_LOAD(&park.work, ACQUIRE) == 0) {
        model_futex_wait(&park.asleep, 1);
    }
}

static void park_give(void)
{
    MODEL_STORE(&park.work, 1, RELEASE);
    FENCE_IF(SEQ_CST);
    if (MODEL_LOAD(&park.asleep, ACQUIRE) == 1) {
        MODEL_STORE(&park.asleep, 0, RELEASE);
        model_futex_wake(&park.asleep, 1);
    }
}

/* Mutex with "held" and "held, somebody sleeps"; who has slept must assume that others still do. */
static struct {
    uint32_t state; /* atomic, futex: 0 free, 1 held, 2 awaited */
    uint32_t count;
} mutex;

static void mutex_set_up(void)
{
    mutex.state = 0;
    mutex.count = 0;
}

static void mutex_user(void)
{
    uint32_t seen = 0;
    if (!MODEL_CAS(&mutex.state, &seen, 1, ACQUIRE, RELAXED)) {
        uint32_t mine = 2;
        for (;;) {
            seen = 0;
            if (MODEL_CAS(&mutex.state, &seen, mine, ACQUIRE, RELAXED)) {
                break;
            }
            if (seen == 2 || MODEL_CAS(&mutex.state, &(uint32_t){1}, 2, RELAXED, RELAXED)) {
                model_futex_wait(&mutex.state, 2);
                mine = fixed ? 2 : 1;
            }
        }
    }
    mutex.count++;
    if (MODEL_RMW(&mutex.state, 0, EXCHANGE, RELEASE) == 2) {
        model_futex_wake(&mutex.state, 1);
    }
}

static void mutex_finish(void)
{
    model_assert(mutex.count == 3);
}

/* Peterson's lock of two. */
static struct {
    uint32_t wants[2]; /* atomic */
    uint32_t turn;     /* atomic */
    uint32_t inside;
} peterson;

static void peterson_set_up(void)
{
    peterson.wants[0] = 0;
    peterson.wants[1] = 0;
    peterson.turn = 0;
    peterson.inside = 0;
}

static void peterson_user(void)
{
    const uint32_t me = model_self();
    const uint32_t other = 1 - me;
    STORE_IF(&peterson.wants[me], 1, SEQ_CST, RELEASE);
    STORE_IF(&peterson.turn, other, SEQ_CST, RELEASE);
    if (LOAD_IF(&peterson.wants[other], SEQ_CST, ACQUIRE) == 0 ||
        LOAD_IF(&peterson.turn, SEQ_CST, ACQUIRE) == me) {
        peterson.inside++; /* who would have to wait goes home instead */
    }
    MODEL_STORE(&peterson.wants[me], 0, RELEASE);
}

/* Ticket lock whose turn is given on. */
static struct {
    uint32_t next, serving; /* atomic */
    uint32_t count;
} ticket;

static void ticket_set_up(void)
{
    ticket.next = 0;
    ticket.serving = 0;
    ticket.count = 0;
}

static void ticket_user(void)
{
    const uint32_t mine = MODEL_RMW(&ticket.next, 1, ADD, RELAXED);
    model_await_equal(&ticket.serving, mine, ACQUIRE);
    ticket.count++;
    STORE_IF(&ticket.serving, mine + 1, RELEASE, RELAXED);
}

/* Test-and-set lock, taken by an exchange. */
static struct {
    uint32_t held; /* atomic */
    uint32_t count;
} spin;

static void spin_set_up(void)
{
    spin.held = 0;
    spin.count = 0;
}

static void spin_user(void)
{
    const uint32_t before = fixed ? MODEL_RMW(&spin.held, 1, EXCHANGE, ACQUIRE)
                                  : MODEL_RMW(&spin.held, 1, EXCHANGE, RELAXED);
    if (before == 0) {
        spin.count++;
        MODEL_STORE(&spin.held, 0, RELEASE);
    }
}

/* Two locks: a fork handler that takes them in another order than everybody else. */
static struct {
    uint32_t lock[2]; /* atomic */
} order;

static void order_set_up(void)
{
    order.lock[0] = 0;
    order.lock[1] = 0;
}

static void order_lock(unsigned i)
{
    while (MODEL_RMW(&order.lock[i], 1, EXCHANGE, ACQUIRE) != 0) {
        model_await_equal(&order.lock[i], 0, RELAXED);
    }
}

static void order_user(void)
{
    order_lock(0);
    order_lock(1);
    MODEL_STORE(&order.lock[1], 0, RELEASE);
    MODEL_STORE(&order.lock[0], 0, RELEASE);
}

static void order_fork(void)
{
    order_lock(fixed ? 0 : 1);
    order_lock(fixed ? 1 : 0);
    MODEL_STORE(&order.lock[0], 0, RELEASE);
    MODEL_STORE(&order.lock[1], 0, RELEASE);
}

BUG_SET_UPS(order)
BUG_SET_UPS(eventcount)
BUG_SET_UPS(park)
BUG_SET_UPS(mutex)
BUG_SET_UPS(peterson)
BUG_SET_UPS(ticket)
BUG_SET_UPS(spin)

const struct model_case bug_waiting[] = {
    BUG_AND_TWIN("eventcount-lost-wake", eventcount, MODEL_STUCK, NULL,
                 "nobody sleeps beside a true condition", eventcount_wait, eventcount_notify),
    BUG_AND_TWIN("park-acquire-release", park, MODEL_STUCK, NULL, "nobody sleeps beside work",
                 park_wait, park_give),
    BUG_AND_TWIN("mutex-lost-wake", mutex, MODEL_STUCK, mutex_finish,
                 "every sleeper of a mutex is woken", mutex_user, mutex_user, mutex_user),
    BUG_AND_TWIN("peterson-release", peterson, MODEL_RACE, NULL, "one of two is inside",
                 peterson_user, peterson_user),
    BUG_AND_TWIN("ticket-relaxed", ticket, MODEL_RACE, NULL, "the next one sees what the last did",
                 ticket_user, ticket_user, ticket_user),
    BUG_AND_TWIN("spin-relaxed", spin, MODEL_RACE, NULL, "the holder sees what the last did",
                 spin_user, spin_user, spin_user),
    BUG_AND_TWIN("fork-lock-order", order, MODEL_STUCK, NULL,
                 "a fork handler takes the locks in the order of everybody", order_user,
                 order_fork),
    {.name = NULL},
};
