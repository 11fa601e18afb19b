/*
 * What: harness of monitor/callback.c as it stands: a pair of function and argument that is
 *       replaced while others read it.
 * How:  function and argument carry the same number; a reader that finds two has mixed them.
 * Design: [monitor.proto.callback] [monitor.inv.callback-pair]
 */
#include "monitor/callback.h"

#include "cases.h"
#include "model.h"
#include "protocol/world.h"

static struct emp_callback_cell cell;
static uint32_t prepared[4]; /* plain: what a callback uses, written before it is set */

/* The number of a pair stands for both its halves. */
static struct emp_callback_pair pair_of(uintptr_t number)
{
    struct emp_callback_pair pair = {0};
    pair.function = (__typeof__(pair.function))number;
    pair.arg = (void *)number;
    return pair;
}

static void set_up(void)
{
    world_set_up();
    cell = (struct emp_callback_cell){0};
    emp_mutex_init(&cell.writer, EMP_RANK_CALLBACK);
    for (unsigned i = 0; i < 4; i++) {
        prepared[i] = 0;
    }
}

static void set_1_2(void)
{
    for (uintptr_t i = 1; i < 3; i++) {
        prepared[i] = 1;
        emp_callback_set(&cell, pair_of(i));
    }
}

static void set_1(void)
{
    prepared[1] = 1;
    emp_callback_set(&cell, pair_of(1));
}

static void set_3(void)
{
    prepared[3] = 1;
    emp_callback_set(&cell, pair_of(3));
}

static void set_1_2_3(void)
{
    set_1_2();
    set_3();
}

static void get(void)
{
    const struct emp_callback_pair pair = emp_callback_get(&cell);
    const uintptr_t number = (uintptr_t)pair.arg;
    model_assert((uintptr_t)pair.function == number);
    model_assert(number == 0 || prepared[number] == 1);
}

const struct model_case protocol_callback[] = {
    {.name = "callback/pair",
     .is_protocol = true,
     .property = "a reader gets the halves of one pair, and what was written before it was set",
     .set_up = set_up,
     .thread = {set_1_2_3, get}},
    {.name = "callback/two-writers",
     .is_protocol = true,
     .property = "the same while two writers replace it",
     .set_up = set_up,
     .thread = {set_1, set_3, get}},
    {.name = NULL},
};
