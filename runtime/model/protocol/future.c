/*
 * What: harnesses of async/future.c and waiter.c as they stand, and with them of
 *       sync/future_word.h and future_refs.h: completion against registration, withdrawal, taking
 *       and the end of either side.
 * How:  wakers that count their clones and wakes. A thread that relies on a wake says so, and must
 *       have had one in the end; a value carries a plain note of its maker, which readers look at.
 *       Every thread gives its references back; what is left over is a leak.
 * Design: [async.proto.future] [async.proto.waiter]
 */
#include "async/future.h"

#include "async/future_object.h"
#include "async/object.h"
#include "async/value_type.h"
#include "async/waiter.h"
#include "cases.h"
#include "model.h"

#include <string.h>

#define WAKERS 4u
#define LONG   24u /* bytes of a value in a block */

static struct emp_future *future;
static uint32_t clones[WAKERS]; /* atomic: clones of a waker that live */
static uint32_t wakes[WAKERS];  /* atomic: wakes of it */
static uint32_t relied[WAKERS]; /* atomic: 1: who polled with it waits, and holds on */
static uint32_t winners;        /* atomic: completions that said OK */
static uint32_t takers;         /* atomic: takes that said OK */
static uint32_t ends;           /* atomic: values of the type that were dropped */
static uint32_t typed_wins;     /* atomic: completions with a value of the type */
static uint32_t note[WAKERS];   /* plain: by value, written before it is handed over */

static uint32_t *clones_of(void *data)
{
    return &clones[(uintptr_t)data];
}

static void *count_clone(void *data)
{
    emp_fetch_add_relaxed(clones_of(data), 1);
    return data;
}

static void count_drop(void *data)
{
    model_assert(emp_fetch_sub_relaxed(clones_of(data), 1) > 0);
}

static void count_wake_by_ref(void *data)
{
    emp_fetch_add_relaxed(&wakes[(uintptr_t)data], 1);
}

static void count_wake(void *data)
{
    count_wake_by_ref(data);
    count_drop(data);
}

static const struct emp_waker_vtable counting = {count_clone, count_wake, count_wake_by_ref,
                                                 count_drop};

static struct emp_waker waker_of(uintptr_t number)
{
    return (struct emp_waker){&counting, (void *)number};
}

static void end_value(void *value)
{
    uint64_t number = 0;
    memcpy(&number, value, sizeof number);
    model_assert(number < WAKERS && note[number] == number + 1);
    emp_fetch_add_relaxed(&ends, 1);
}

static struct emp_value_type counted = {"counted", end_value, LONG, 0};

/* The table of types has a program of its own: here there is one, number 1. */
uint32_t emp_value_type_number(struct emp_value_type *type)
{
    return type == &counted ? 1 : 0;
}

const struct emp_value_type *emp_value_type_of(uint32_t number)
{
    return number == 1 ? &counted : NULL;
}

/* A future with one reference of each side for each thread of the case. */
static void set_up_for(unsigned threads)
{
    memset(clones, 0, sizeof clones);
    memset(wakes, 0, sizeof wakes);
    memset(relied, 0, sizeof relied);
    memset(note, 0, sizeof note);
    winners = 0;
    takers = 0;
    ends = 0;
    typed_wins = 0;
    future = emp_future_new(NULL);
    for (unsigned i = 1; i < threads; i++) {
        (void)emp_future_retain(future);
        (void)emp_promise_retain(future);
    }
}

static void two(void)
{
    set_up_for(2);
}

static void three(void)
{
    set_up_for(3);
}

static bool won(enum emp_status status)
{
    model_assert(status == EMP_OK || status == EMP_ERR_DONE);
    if (status == EMP_OK) {
        model_assert(emp_fetch_add_relaxed(&winners, 1) == 0);
    }
    return status == EMP_OK;
}

/* The value of this thread: a number and a note of it elsewhere. */
static uint64_t *own_value(void)
{
    static uint64_t values[WAKERS][LONG / sizeof(uint64_t)];
    const unsigned self = model_self() % WAKERS; /* set_up is no thread */
    values[self][0] = self;
    note[self] = self + 1;
    return values[self];
}

static void resolve(void)
{
    (void)won(emp_future_resolve(future, own_value(), sizeof(uint64_t)));
}

static void resolve_typed(void)
{
    if (won(emp_future_resolve_typed(future, &counted, own_value()))) {
        emp_fetch_add_relaxed(&typed_wins, 1);
    }
}

static void reject(void)
{
    (void)won(emp_future_reject(future, own_value(), LONG));
}

static void cancel(void)
{
    (void)won(emp_future_cancel(future));
}

static void expire(void)
{
    (void)won(emp_future_expire(future));
}

static void prepare_and_announce(void)
{
    const enum emp_status status = emp_future_prepare(future, own_value(), LONG);
    if (won(status)) {
        emp_future_announce(future, false);
    }
}

static void prepare_and_cancel(void)
{
    const enum emp_status status = emp_future_prepare(future, own_value(), LONG);
    if (won(status)) {
        emp_future_announce(future, true);
    }
}

/* What a complete future gave must be whole. */
static void check_value(enum emp_status status, const uint64_t *value)
{
    if (status == EMP_OK || status == EMP_ERR_REJECTED) {
        model_assert(value[0] < WAKERS && note[value[0]] == value[0] + 1);
    }
}

/* Polls with a waker; true: it is registered, or was. */
static bool poll_with(uintptr_t number)
{
    const struct emp_waker waker = waker_of(number);
    uint64_t value[LONG / sizeof(uint64_t)] = {WAKERS};
    const enum emp_status status = emp_future_poll(future, &waker, value, sizeof value, NULL);
    check_value(status, value);
    return status == EMP_ERR_AGAIN;
}

/* A second look, as a task does that was woken for nothing. */
static void poll_of(uintptr_t number)
{
    emp_store_relaxed(&relied[number], poll_with(number) ? 1 : 0);
}

static void poll_own(void)
{
    poll_of(model_self());
}

static void poll_own_twice(void)
{
    if (poll_with(model_self())) {
        poll_own();
    }
}

static void poll_two_wakers(void)
{
    if (poll_with(3)) {
        poll_own();
    }
}

static void poll_and_forget(void)
{
    const uintptr_t self = model_self();
    const struct emp_waker waker = waker_of(self);
    if (poll_with(self) && emp_future_forget(future, &waker)) {
        model_assert(emp_load_relaxed(&wakes[self]) == 0);
    }
}

static void take(void)
{
    uint64_t value[LONG / sizeof(uint64_t)] = {WAKERS};
    const struct emp_waker waker = waker_of(model_self());
    const enum emp_status status = emp_future_take(future, &waker, value, sizeof value, NULL);
    check_value(status, value);
    if (status == EMP_OK || status == EMP_ERR_REJECTED) {
        model_assert(emp_fetch_add_relaxed(&takers, 1) == 0);
    }
}

static void nothing(void)
{
}

static void (*const steps[])(void) = {
    resolve,  resolve_typed,  reject, cancel,          expire,          prepare_and_announce,
    poll_own, poll_own_twice, take,   poll_and_forget, poll_two_wakers, prepare_and_cancel,
    nothing,
};

#define STEPS ((unsigned)(sizeof steps / sizeof *steps))

/* Any step; the references stay until the finish. */
static void any_step(void)
{
    steps[model_choose(STEPS)]();
}

/* The side that waits: one step, then its reference. */
static void consume_and_leave(void)
{
    static void (*const some[])(void) = {poll_own_twice, take, poll_and_forget, cancel, nothing};
    some[model_choose(5)]();
    emp_future_drop(future);
}

static void take_or_poll_and_leave(void)
{
    static void (*const some[])(void) = {poll_own, take};
    some[model_choose(2)]();
    emp_future_drop(future);
}

/* The side that completes: one step, then its reference. */
static void produce_and_leave(void)
{
    static void (*const some[])(void) = {resolve_typed, reject, prepare_and_cancel, nothing};
    some[model_choose(4)]();
    emp_promise_drop(future);
}

static void resolve_and_leave(void)
{
    resolve_typed();
    emp_promise_drop(future);
}

static void complete_or_not_and_leave(void)
{
    static void (*const some[])(void) = {resolve_typed, nothing};
    some[model_choose(2)]();
    emp_promise_drop(future);
}

/* Two consumers hold the future, and one producer. */
static void two_consumers(void)
{
    set_up_for(1);
    (void)emp_future_retain(future);
}

/* Two producers hold the future, and one consumer that waits. */
static void two_producers(void)
{
    set_up_for(1);
    (void)emp_promise_retain(future);
    model_assert(poll_with(3));
}

/* The same behind a completion. */
static void two_consumers_ready(void)
{
    two_consumers();
    resolve_typed();
    emp_promise_drop(future);
}

/* Two that hold the future, and a waiter of neither. */
static void two_listed(void)
{
    set_up_for(2);
    relied[3] = 1;
    model_assert(poll_with(3));
}

static void one_each(void)
{
    set_up_for(1);
}

/* Nobody has a clone any more, and every value of the type ended once: taken or dropped. */
static void all_gone(void)
{
    for (unsigned i = 0; i < WAKERS; i++) {
        model_assert(clones[i] == 0);
    }
    model_assert(ends + (typed_wins != 0 ? takers : 0) == typed_wins);
}

/* Completes what is pending; who relied on a wake has had it. Then all references end. */
static void finish_for(unsigned threads)
{
    (void)emp_future_cancel(future);
    for (unsigned i = 0; i < WAKERS; i++) {
        model_assert(relied[i] == 0 || wakes[i] >= 1);
    }
    for (unsigned i = 0; i < threads; i++) {
        emp_promise_drop(future);
        emp_future_drop(future);
    }
    all_gone();
}

/* Producers have left, so the consumer that waited was woken. */
static void finish_consumer(void)
{
    model_assert(wakes[3] == 1);
    emp_future_drop(future);
    all_gone();
}

static void finish_two(void)
{
    finish_for(2);
}

/* Nobody registered twice, so each was woken once. */
static void finish_listed(void)
{
    finish_two();
    for (unsigned i = 0; i < WAKERS; i++) {
        model_assert(relied[i] == 0 || wakes[i] == 1);
    }
}

static void finish_three(void)
{
    finish_for(3);
}

/* Each waker of three pollers is woken once, though they edited each other's list. */
static void finish_once(void)
{
    finish_for(3);
    for (unsigned i = 0; i < WAKERS; i++) {
        model_assert(relied[i] == 0 || wakes[i] == 1);
    }
}

const struct model_case protocol_future[] = {
    {.name = "future/pairs",
     .is_protocol = true,
     .property = "any two steps at once: one winner, no wake lost, every value and clone ends once",
     .set_up = two,
     .thread = {any_step, any_step},
     .finish = finish_two},
    {.name = "future/sides-leave",
     .is_protocol = true,
     .property = "a waiting and a completing side leave at any moment: all ends once",
     .set_up = one_each,
     .thread = {consume_and_leave, produce_and_leave},
     .finish = all_gone},
    {.name = "future/producers-leave",
     .is_protocol = true,
     .property = "of producers that leave the last cancels what none completed",
     .set_up = two_producers,
     .thread = {complete_or_not_and_leave, complete_or_not_and_leave},
     .finish = finish_consumer},
    {.name = "future/consumers-leave",
     .is_protocol = true,
     .property = "two that read or take leave: the block goes back when nobody reads it",
     .set_up = two_consumers_ready,
     .thread = {take_or_poll_and_leave, take_or_poll_and_leave},
     .finish = all_gone},
    {.name = "future/consumers-leave-complete",
     .is_protocol = true,
     .property = "the same beside the completion",
     .set_up = two_consumers,
     .thread = {take_or_poll_and_leave, take_or_poll_and_leave, resolve_and_leave},
     .finish = all_gone,
     .is_long = true},
    {.name = "future/edit-edit",
     .is_protocol = true,
     .property = "of two that come to a list one edits it, and what the other pushes is kept",
     .set_up = two_listed,
     .thread = {poll_own, poll_own},
     .finish = finish_listed},
    {.name = "future/edit-forget",
     .is_protocol = true,
     .property = "the same when one of them withdraws",
     .set_up = two_listed,
     .thread = {poll_own, poll_and_forget},
     .finish = finish_listed},
    {.name = "future/edit-complete",
     .is_protocol = true,
     .property = "a list that is complete in its editor's hands is woken by him",
     .set_up = two_listed,
     .thread = {poll_own, resolve},
     .finish = finish_listed},
    {.name = "future/register-complete-cancel",
     .is_protocol = true,
     .property = "who registers is woken, whichever of two completions wins",
     .set_up = three,
     .thread = {poll_own, resolve_typed, cancel},
     .finish = finish_three},
    {.name = "future/two-register-complete",
     .is_protocol = true,
     .property = "two that register beside a completion are woken once each",
     .set_up = three,
     .thread = {poll_own, poll_own, resolve},
     .finish = finish_once},
    {.name = "future/edit-register-complete",
     .is_protocol = true,
     .property = "an editor, one that registers, a completion: each is woken once",
     .set_up = three,
     .thread = {poll_own_twice, poll_own, resolve},
     .finish = finish_three,
     .is_long = true},
    {.name = "future/forget-register-complete",
     .is_protocol = true,
     .property = "who withdraws leaves the others registered",
     .set_up = three,
     .thread = {poll_and_forget, poll_own, reject},
     .finish = finish_three,
     .is_long = true},
    {.name = "future/take-take-complete",
     .is_protocol = true,
     .property = "of two that take one has the value",
     .set_up = three,
     .thread = {take, take, resolve_typed},
     .finish = finish_three},
    {.name = NULL},
};
