/*
 * Purpose: timers by deadline: a hierarchical wheel through the links of the timers themselves,
 *          so that a start needs no memory and no step takes longer because there are many.
 * Owner:   adapter; the caller locks. A timer belongs to its owner, its links to the wheel.
 *
 *   A deadline is a number of ticks, rounded up: eight digits of six bits. `elapsed` is the tick up
 *   to which everything was taken out. A timer lies at the level of the highest digit in which it
 *   differs from elapsed, in the slot of its own digit there:
 *
 *     add --> slot of a level --the slot's time comes--> moving --> slot of a lower level, or due
 *                                                                   due --pop--> out
 *
 * Invariants: an occupied slot of a level is above elapsed's digit there, so the first slot of the
 *   lowest occupied level is what comes next.
 * Cost:    add and remove O(1); a timer moves down at most seven times; a pop moves at most
 *          TIMER_MOVES of them, so that a million that come due together hold nobody up.
 * Design:  [adapter.proto.timers]
 * Source:  Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987; tokio, time/wheel.
 */
#ifndef EMP_ADAPTER_TIMER_WHEEL_H
#define EMP_ADAPTER_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/scheduler.h"

#define TIMER_TICK_SHIFT 16u /* a tick is 65.5 us: what the system's own timers may be late */
#define TIMER_LEVELS     8u
#define TIMER_SLOTS      64u
#define TIMER_MOVES      64u

/*
 * links: NEXT the timer behind; BACK the address of the pointer that points here, NULL: in no
 * wheel; the third is free.
 */
enum wheel_link { WHEEL_NEXT, WHEEL_BACK };

struct timer_wheel {
    uint64_t elapsed;                /* ticks */
    size_t count;                    /* timers in */
    void *due;                       /* timers to be popped */
    void *moving;                    /* timers of a slot whose time has come */
    uint64_t occupied[TIMER_LEVELS]; /* bit per slot that is not empty */
    void *slots[TIMER_LEVELS * TIMER_SLOTS];
};

/* Puts a timer in. */
void timer_wheel_add(struct timer_wheel *wheel, struct emp_timer *timer);

/* Takes out a timer whose deadline is not after now; NULL: none, or more work first: see next. */
struct emp_timer *timer_wheel_pop(struct timer_wheel *wheel, uint64_t now_ns);

/* Takes a timer out; false: it is not in. */
bool timer_wheel_remove(struct timer_wheel *wheel, struct emp_timer *timer);

/* When pop must be called next, or earlier than needed; 0: at once; UINT64_MAX: no timer is in. */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

#endif
