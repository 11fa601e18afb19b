/*
 * What: harnesses of sync/stack_word.h and sync/parting.h: the stack of a coroutine that is run by
 *       two threads in turn while others park it, look at it, or do both; and an alarm that goes
 *       off while its coroutine leaves.
 * How:  stack and copy are plain memory, so that two who have it at one time are a race. A parker
 *       clears the stack, as a purge does; a runner counts its turns on the stack and beside it.
 *       What the word of the task orders is a release and an acquire here.
 * Design: [sync.proto.stack-word] [sync.proto.parting]
 */
#include "cases.h"
#include "model.h"
#include "sync/parting.h"
#include "sync/stack_word.h"

#define BEGUN 7u /* what lies on the stack at first */

static struct {
    _Alignas(64) uint64_t word; /* atomic: stack-word */
    uint32_t stack;             /* plain: the live part */
    uint32_t saved;             /* plain: the copy */
    uint32_t turns;             /* plain: the runners' */
    uint32_t handed;            /* atomic: stands for the word of the task */
    uint32_t parks;             /* plain: the parkers' */
} coroutine;

static uint64_t owner(void)
{
    return (uint64_t)(uintptr_t)&coroutine & EMP_STACK_OWNER;
}

static void set_up(void)
{
    coroutine.word = owner() | EMP_STACK_SLEEPS;
    coroutine.stack = BEGUN;
    coroutine.saved = 0;
    coroutine.turns = 0;
    coroutine.handed = 0;
    coroutine.parks = 0;
}

static void set_up_parked(void)
{
    set_up();
    coroutine.word = owner() | EMP_STACK_PARKED;
    coroutine.saved = coroutine.stack;
    coroutine.stack = 0;
}

/* One run, if no parker has the stack at this moment. */
static void run_once(void)
{
    uint64_t seen = 0;
    const enum emp_stack_wake found = emp_stack_word_wake(&coroutine.word, &seen);

    model_assert(found != EMP_STACK_WRONG);
    model_assert((seen & EMP_STACK_OWNER) == owner());
    if (found == EMP_STACK_TRY_AGAIN) {
        return;
    }
    if (found == EMP_STACK_WOKE_PARKED) {
        model_assert(coroutine.stack == 0);
        coroutine.stack = coroutine.saved;
    }
    model_assert(coroutine.stack == BEGUN + coroutine.turns);
    coroutine.turns++;
    coroutine.stack++;
    emp_stack_word_sleep(&coroutine.word, owner());
}

static void run_and_hand_over(void)
{
    run_once();
    emp_store_release(&coroutine.handed, 1);
}

static void run_after(void)
{
    if (emp_load_acquire(&coroutine.handed) == 1) {
        run_once();
    }
}

/* Ends: the stack is the pool's, and is begun anew by its next owner. */
static void run_and_end(void)
{
    uint64_t seen = 0;

    if (emp_stack_word_wake(&coroutine.word, &seen) == EMP_STACK_TRY_AGAIN) {
        return;
    }
    coroutine.stack = 0;
    emp_stack_word_end(&coroutine.word, 3);
    model_assert(emp_stack_word_look(&coroutine.word) >> EMP_STACK_SHIFT == 3);
    emp_stack_word_begin(&coroutine.word, owner());
    coroutine.stack = BEGUN + coroutine.turns;
    emp_stack_word_sleep(&coroutine.word, owner());
}

static void park_at(uint32_t age)
{
    if (emp_stack_word_claim_old(&coroutine.word, age)) {
        coroutine.saved = coroutine.stack;
        coroutine.stack = 0;
        emp_stack_word_settle(&coroutine.word, owner(), EMP_STACK_PARKED);
    }
}

static void park(void)
{
    park_at(0);
}

static void park_twice(void)
{
    park_at(0);
    park_at(0);
}

/* Older by one at each look: the second or third finds it old. */
static void age_and_park(void)
{
    park_at(1);
    park_at(1);
}

/* A sweep that finds it parked makes it bare. */
static void strip(void)
{
    uint64_t seen = 0;

    if (emp_stack_word_claim_parked(&coroutine.word, &seen)) {
        model_assert(coroutine.stack == 0);
        emp_stack_word_settle(&coroutine.word, owner(), EMP_STACK_PARKED | EMP_STACK_BARE);
    }
}

/* A parker that cannot: the stack is as it was. */
static void refuse(void)
{
    if (emp_stack_word_claim_old(&coroutine.word, 0)) {
        model_assert(coroutine.stack >= BEGUN);
        emp_stack_word_settle(&coroutine.word, owner(), EMP_STACK_SLEEPS | EMP_STACK_AGE);
    }
}

/* A collector, which reads wherever the live part is. */
static void visit(void)
{
    uint64_t seen = 0;

    if (emp_stack_word_claim_parked(&coroutine.word, &seen)) {
        model_assert(coroutine.saved >= BEGUN);
        emp_stack_word_settle(&coroutine.word, owner(), EMP_STACK_PARKED | (seen & EMP_STACK_BARE));
    } else {
        refuse();
    }
}

/* The live part is in one place, and nobody has it. */
static void is_whole(void)
{
    const enum emp_stack_state state = emp_stack_state_of(coroutine.word);

    model_assert(state == EMP_STACK_SLEEPS || state == EMP_STACK_PARKED);
    const uint32_t live = state == EMP_STACK_SLEEPS ? coroutine.stack : coroutine.saved;

    model_assert(live == BEGUN + coroutine.turns);
}

/* An alarm: the timer's side tells, the coroutine's side leaves. */
static struct {
    struct {
        uint32_t parting; /* atomic: parting */
        uint32_t waker;   /* plain: the teller reads it */
        uint32_t news;    /* plain: the teller writes it */
        uint32_t notes;   /* plain: the listener writes it */
    } * alarm;
} clock;

static void alarm_set_up(void)
{
    clock.alarm = model_alloc(sizeof *clock.alarm);
    clock.alarm->waker = 1;
}

static void alarm_fire(void)
{
    model_assert(clock.alarm->waker == 1);
    clock.alarm->news = 1;
    if (emp_parting_tell(&clock.alarm->parting)) {
        model_assert(clock.alarm->notes == 2);
        model_free(clock.alarm);
    }
}

static void alarm_listen(void)
{
    if (emp_parting_is_told(&clock.alarm->parting)) {
        model_assert(clock.alarm->news == 1);
    }
    clock.alarm->notes = 2;
    if (emp_parting_leave(&clock.alarm->parting)) {
        clock.alarm->waker = 0;
        model_assert(clock.alarm->news == 1);
        model_free(clock.alarm);
    }
}

const struct model_case protocol_stack[] = {
    {.name = "stack-word/park-against-wake",
     .is_protocol = true,
     .property = "a stack that is parked at any moment has its content when it runs",
     .set_up = set_up,
     .thread = {run_and_hand_over, run_after, park_twice},
     .finish = is_whole},
    {.name = "stack-word/two-parkers",
     .is_protocol = true,
     .property = "of two parkers one has the stack, and never with the runner",
     .set_up = set_up,
     .thread = {run_once, park, park_twice},
     .finish = is_whole},
    {.name = "stack-word/aged",
     .is_protocol = true,
     .property = "one that grows old is parked with what its last run wrote",
     .set_up = set_up,
     .thread = {run_and_hand_over, run_after, age_and_park},
     .finish = is_whole},
    {.name = "stack-word/parked-and-bare",
     .is_protocol = true,
     .property = "a parked stack is made bare by one sweep while another and the wake come",
     .set_up = set_up_parked,
     .thread = {run_once, strip, park},
     .finish = is_whole},
    {.name = "stack-word/refused",
     .is_protocol = true,
     .property = "a parker that gives up has read before the runner writes again",
     .set_up = set_up,
     .thread = {run_and_hand_over, run_after, refuse},
     .finish = is_whole},
    {.name = "stack-word/visited",
     .is_protocol = true,
     .property = "a collector reads the live part where it is, while it is parked and run",
     .set_up = set_up,
     .thread = {run_once, visit, park},
     .finish = is_whole},
    {.name = "stack-word/used-again",
     .is_protocol = true,
     .property = "a stack that ends and begins anew is parked with what the new owner wrote",
     .set_up = set_up,
     .thread = {run_and_end, park},
     .finish = is_whole},
    {.name = "parting/alarm",
     .is_protocol = true,
     .property = "the last of the two ends the alarm, and has seen all that the other did with it",
     .set_up = alarm_set_up,
     .thread = {alarm_fire, alarm_listen}},
    {.name = NULL},
};
