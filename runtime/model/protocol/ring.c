/*
 * What: harnesses of sync/ring.h: empty, full, at the wrap of its cells and of its positions.
 * How:  set_up brings the ring to where it is to be looked at; items are numbers that must come out
 *       once each, in the order of one pusher.
 * Design: [sync.proto.ring]
 */
#include "cases.h"
#include "model.h"
#include "sync/ring.h"

#include <string.h>

#define ITEMS 24u

static struct emp_ring ring;
static uint32_t popped[ITEMS]; /* atomic: how often an item came out */
static uint32_t refused;       /* atomic: pushes that found the ring full */

/* An empty ring whose next position is the given one, with `count` items inside. */
static void ring_at(uint32_t position, unsigned count)
{
    memset(&ring, 0, sizeof ring);
    memset(popped, 0, sizeof popped);
    refused = 0;
    ring.tail = position;
    ring.head = position;
    for (uint32_t i = 0; i < EMP_RING_CELLS; i++) {
        /* The next position that the cell serves, less the index. */
        ring.cells[i].seq = position + ((i - position) & (EMP_RING_CELLS - 1)) - i;
    }
    for (uint32_t i = 0; i < count; i++) {
        model_assert(emp_ring_push(&ring, i));
    }
}

static void empty_ring(void)
{
    ring_at(0, 0);
}

static void ring_before_wrap(void)
{
    ring_at(0u - 1u, 0);
}

static void ring_almost_full(void)
{
    ring_at(EMP_RING_CELLS - 1, EMP_RING_CELLS - 1);
}

static void push(uint32_t item)
{
    if (!emp_ring_push(&ring, item)) {
        emp_fetch_add_relaxed(&refused, 1);
    }
}

static void push_20(void)
{
    push(20);
}

static void push_21(void)
{
    push(21);
}

static void push_20_21(void)
{
    push(20);
    push(21);
}

static void pop(void)
{
    uint32_t item = 0;
    if (emp_ring_pop(&ring, &item)) {
        model_assert(item < ITEMS);
        model_assert(emp_fetch_add_relaxed(&popped[item], 1) == 0);
    }
}

static void pop_twice(void)
{
    uint32_t last = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t item = 0;
        if (emp_ring_pop(&ring, &item)) {
            model_assert(emp_fetch_add_relaxed(&popped[item], 1) == 0);
            model_assert(item >= last); /* in order, where one thread pushes and one pops */
            last = item;
        }
    }
}

/* An empty ring takes as many as it has cells, whatever it has been through. */
static void refill(void)
{
    for (uint32_t i = 0; i < EMP_RING_CELLS; i++) {
        model_assert(emp_ring_push(&ring, i));
    }
    model_assert(!emp_ring_push(&ring, 0));
}

/* Every item that went in came out once or is still inside. */
static void all_accounted(unsigned before)
{
    uint32_t item = 0;
    unsigned out = 0;
    unsigned inside = 0;
    while (emp_ring_pop(&ring, &item)) {
        popped[item]++;
        inside++;
    }
    model_assert(inside <= EMP_RING_CELLS);
    for (unsigned i = 0; i < ITEMS; i++) {
        model_assert(popped[i] <= 1);
        out += popped[i];
    }
    model_assert(out + refused == before + 2);
    refill();
}

static void two_accounted(void)
{
    model_assert(refused == 0);
    all_accounted(0);
}

static void full_accounted(void)
{
    all_accounted(EMP_RING_CELLS - 1);
}

const struct model_case protocol_ring[] = {
    {.name = "ring/push-push-pop",
     .is_protocol = true,
     .property = "of two items pushed at once each comes out once",
     .set_up = empty_ring,
     .thread = {push_20, push_21, pop},
     .finish = two_accounted},
    {.name = "ring/push-pop-pop",
     .is_protocol = true,
     .property = "two poppers never take one item",
     .set_up = empty_ring,
     .thread = {push_20_21, pop, pop},
     .finish = two_accounted},
    {.name = "ring/order",
     .is_protocol = true,
     .property = "one pusher's items come out in order to one popper",
     .set_up = empty_ring,
     .thread = {push_20_21, pop_twice},
     .finish = two_accounted},
    {.name = "ring/wrap",
     .is_protocol = true,
     .property = "the same where the position passes 2^32",
     .set_up = ring_before_wrap,
     .thread = {push_20_21, pop, pop},
     .finish = two_accounted},
    {.name = "ring/full",
     .is_protocol = true,
     .property = "at most 16 items are inside, and a cell is not written before it was read",
     .set_up = ring_almost_full,
     .thread = {push_20, push_21, pop},
     .finish = full_accounted},
    {.name = "ring/two-by-two",
     .is_protocol = true,
     .property = "two pushers and two poppers: each item once",
     .set_up = empty_ring,
     .thread = {push_20, push_21, pop, pop},
     .finish = two_accounted},
    {.name = "ring/full-pop-pop",
     .is_protocol = true,
     .property = "the same with two poppers",
     .set_up = ring_almost_full,
     .thread = {push_20_21, pop, pop},
     .finish = full_accounted},
    {.name = NULL},
};
