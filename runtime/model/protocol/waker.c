/*
 * What: harnesses of async/waker.c as it stands, with sync/waker_refs.h, and of
 *       sync/number_table.h.
 * How:  clones of one custom waker in several threads; its drop function overwrites what callbacks
 *       read, so one that still runs is a race. Numbers are looked up as soon as they are known.
 * Design: [async.proto.waker] [sync.proto.number-table]
 */
#include "async/waker.h"

#include "cases.h"
#include "model.h"
#include "sync/number_table.h"

#include <string.h>

static struct emp_waker shared_waker;
static uint32_t callbacks; /* atomic: calls of a custom waker */
static uint32_t waker_use; /* plain: what a callback touches; the drop function reads it alone */
static uint32_t waker_end; /* plain: drop functions that ran */

static void custom_called(void *copy)
{
    uint64_t number = 0;
    memcpy(&number, copy, sizeof number);
    model_assert(number == 7);
    emp_fetch_add_relaxed(&callbacks, 1);
}

static void custom_ended(void *copy)
{
    uint64_t number = 0;
    memset(copy, 0, sizeof number); /* whoever still reads the copy races with this */
    (void)number;
    waker_end += 1 + waker_use;
}

static const struct emp_waker_calls custom = {custom_called, custom_ended, false};
static const struct emp_waker_calls custom_once = {custom_called, custom_ended, true};

static void waker_set_up_with(const struct emp_waker_calls *calls, unsigned threads)
{
    const uint64_t number = 7;
    callbacks = 0;
    waker_use = 0;
    waker_end = 0;
    model_assert(emp_waker_custom((struct emp_async_pool *)&number, calls, &number, sizeof number,
                                  &shared_waker) == EMP_OK);
    for (unsigned i = 1; i < threads; i++) {
        (void)emp_waker_clone(&shared_waker);
    }
}

static void waker_two(void)
{
    waker_set_up_with(&custom, 2);
}

static void waker_three(void)
{
    waker_set_up_with(&custom, 3);
}

static void waker_once(void)
{
    waker_set_up_with(&custom_once, 3);
}

static void waker_any(void)
{
    struct emp_waker own = shared_waker;
    struct emp_waker twin = {0};
    switch (model_choose(4)) {
    case 0:
        emp_waker_drop(&own);
        return;
    case 1:
        emp_waker_wake(&own);
        return;
    case 2:
        emp_waker_wake_by_ref(&own);
        emp_waker_drop(&own);
        return;
    default:
        twin = emp_waker_clone(&own);
        emp_waker_drop(&own);
        emp_waker_wake(&twin);
    }
}

static void waker_drop_or_wake(void)
{
    struct emp_waker own = shared_waker;
    if (model_choose(2) == 0) {
        emp_waker_drop(&own);
    } else {
        emp_waker_wake(&own);
    }
}

static void waker_ended(void)
{
    model_assert(waker_end == 1);
}

static void waker_ended_once(void)
{
    model_assert(waker_end == 1 && callbacks <= 1);
}

static const void *entries[4];
static struct emp_number_table numbers;
static uint32_t number_a; /* atomic: number-table */
static uint32_t number_b; /* atomic: number-table */
static const char thing_a;
static const char thing_b;

static void numbers_set_up(void)
{
    memset(entries, 0, sizeof entries);
    numbers = (struct emp_number_table){entries, 4, 0};
    number_a = 0;
    number_b = 0;
}

static void number_one(const void *thing, uint32_t *number)
{
    const uint32_t given = emp_number_table_give(&numbers, thing, number);
    model_assert(given == 0 || emp_number_table_at(&numbers, given) == thing);
}

static void number_of_a(void)
{
    number_one(&thing_a, &number_a);
}

static void number_of_both(void)
{
    number_one(&thing_b, &number_b);
    number_one(&thing_a, &number_a);
}

static void numbers_hold(void)
{
    model_assert(emp_number_table_at(&numbers, number_a) == &thing_a);
}

const struct model_case protocol_waker[] = {
    {.name = "waker/pairs",
     .is_protocol = true,
     .property = "two clones, whatever is done with them: the object ends once, after every use",
     .set_up = waker_two,
     .thread = {waker_any, waker_any},
     .finish = waker_ended},
    {.name = "waker/triples",
     .is_protocol = true,
     .property = "the same with three",
     .set_up = waker_three,
     .thread = {waker_any, waker_drop_or_wake, waker_drop_or_wake},
     .finish = waker_ended},
    {.name = "waker/once",
     .is_protocol = true,
     .property = "a once waker calls back once",
     .set_up = waker_once,
     .thread = {waker_drop_or_wake, waker_drop_or_wake, waker_drop_or_wake},
     .finish = waker_ended_once},
    {.name = "numbers/first-use",
     .is_protocol = true,
     .property = "a number that is known names its thing, also when two come first at once",
     .set_up = numbers_set_up,
     .thread = {number_of_a, number_of_both},
     .finish = numbers_hold},
    {.name = NULL},
};
