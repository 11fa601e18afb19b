/*
 * Purpose: the wheel of timers.
 * Owner:   adapter. Design: [adapter.proto.timers] [adapter.req.timers]
 */
#include "adapter/timer_wheel.h"

#define DIGIT_BITS 6u
#define TICK_MASK  (((uint64_t)1 << TIMER_TICK_SHIFT) - 1)
#define TICK_LAST  (UINT64_MAX >> TIMER_TICK_SHIFT)

_Static_assert(64 - TIMER_TICK_SHIFT <= TIMER_LEVELS * DIGIT_BITS, "every tick has a level");

/* The tick at whose begin a deadline is over; what no clock reaches comes with the last one. */
static uint64_t tick_of(uint64_t deadline_ns)
{
    const uint64_t tick = deadline_ns >> TIMER_TICK_SHIFT;

    return tick + ((deadline_ns & TICK_MASK) != 0 && tick < TICK_LAST);
}

/* The first tick of a slot, given what has elapsed. */
static uint64_t slot_begin(uint64_t elapsed, unsigned level, unsigned slot)
{
    const unsigned shift = level * DIGIT_BITS;
    const uint64_t above = elapsed >> shift >> DIGIT_BITS << DIGIT_BITS << shift;

    return above | (uint64_t)slot << shift;
}

static void list_push(void **list, struct emp_timer *timer)
{
    struct emp_timer *first = *list;

    timer->link[WHEEL_NEXT] = first;
    timer->link[WHEEL_BACK] = list;
    if (first != NULL) {
        first->link[WHEEL_BACK] = &timer->link[WHEEL_NEXT];
    }
    *list = timer;
}

static void list_take(struct emp_timer *timer)
{
    void **back = timer->link[WHEEL_BACK];
    struct emp_timer *next = timer->link[WHEEL_NEXT];

    *back = next;
    if (next != NULL) {
        next->link[WHEEL_BACK] = back;
    }
    timer->link[WHEEL_NEXT] = NULL;
    timer->link[WHEEL_BACK] = NULL;
}

/* Puts a timer where it belongs, given what has elapsed. */
static void wheel_place(struct timer_wheel *wheel, struct emp_timer *timer)
{
    const uint64_t tick = tick_of(timer->deadline_ns);

    if (tick <= wheel->elapsed) {
        list_push(&wheel->due, timer);
        return;
    }
    const unsigned top = 63u - (unsigned)__builtin_clzll(wheel->elapsed ^ tick);
    const unsigned level = top / DIGIT_BITS;
    const unsigned slot = (unsigned)(tick >> (level * DIGIT_BITS)) % TIMER_SLOTS;

    list_push(&wheel->slots[level * TIMER_SLOTS + slot], timer);
    wheel->occupied[level] |= (uint64_t)1 << slot;
}

/* The level whose first slot comes next; TIMER_LEVELS: every slot is empty. */
static unsigned wheel_next_level(const struct timer_wheel *wheel)
{
    unsigned level = 0;

    while (level < TIMER_LEVELS && wheel->occupied[level] == 0) {
        level++;
    }
    return level;
}

/* Goes on to the next slot if its time has come, else to now. False: there is no such slot. */
static bool wheel_advance(struct timer_wheel *wheel, uint64_t now_tick)
{
    const unsigned level = wheel_next_level(wheel);

    if (level < TIMER_LEVELS) {
        const unsigned slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
        const uint64_t begin = slot_begin(wheel->elapsed, level, slot);

        if (begin <= now_tick) {
            struct emp_timer *first = wheel->slots[level * TIMER_SLOTS + slot];

            wheel->elapsed = begin;
            wheel->slots[level * TIMER_SLOTS + slot] = NULL;
            wheel->occupied[level] &= wheel->occupied[level] - 1;
            wheel->moving = first;
            first->link[WHEEL_BACK] = &wheel->moving;
            return true;
        }
    }
    if (now_tick > wheel->elapsed) {
        wheel->elapsed = now_tick;
    }
    return false;
}

void timer_wheel_add(struct timer_wheel *wheel, struct emp_timer *timer)
{
    wheel_place(wheel, timer);
    wheel->count++;
}

struct emp_timer *timer_wheel_pop(struct timer_wheel *wheel, uint64_t now_ns)
{
    const uint64_t now_tick = now_ns >> TIMER_TICK_SHIFT;

    for (unsigned moves = 0; wheel->due == NULL && moves < TIMER_MOVES; moves++) {
        struct emp_timer *timer = wheel->moving;

        if (timer != NULL) {
            list_take(timer);
            wheel_place(wheel, timer);
        } else if (!wheel_advance(wheel, now_tick)) {
            break;
        }
    }
    struct emp_timer *due = wheel->due;

    if (due != NULL) {
        list_take(due);
        wheel->count--;
    }
    return due;
}

bool timer_wheel_remove(struct timer_wheel *wheel, struct emp_timer *timer)
{
    void **back = timer->link[WHEEL_BACK];

    if (back == NULL) {
        return false;
    }
    list_take(timer);
    wheel->count--;
    /* A slot that is empty now is not occupied; the other lists have no bit. */
    if (*back == NULL && back >= wheel->slots &&
        back < wheel->slots + (size_t)TIMER_LEVELS * TIMER_SLOTS) {
        const size_t index = (size_t)(back - wheel->slots);

        wheel->occupied[index / TIMER_SLOTS] &= ~((uint64_t)1 << index % TIMER_SLOTS);
    }
    return true;
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
    const unsigned level = wheel_next_level(wheel);

    if (wheel->due != NULL || wheel->moving != NULL) {
        return 0;
    }
    if (level == TIMER_LEVELS) {
        return UINT64_MAX;
    }
    const unsigned slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
    return slot_begin(wheel->elapsed, level, slot) << TIMER_TICK_SHIFT;
}
