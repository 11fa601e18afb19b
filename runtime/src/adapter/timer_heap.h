/*
 * Purpose: timers by deadline: a pairing heap through the links of the timers themselves, so that a
 *          start needs no memory and cannot fail.
 * Owner:   adapter; the caller locks. A timer belongs to its owner, its links to the heap while in.
 * Cost:    start O(1); pop and stop O(log n) amortised.
 * Design:  [adapter.proto.timers]
 * Source:  Fredman, Sedgewick, Sleator, Tarjan, "The Pairing Heap", 1986.
 */
#ifndef EMP_ADAPTER_TIMER_HEAP_H
#define EMP_ADAPTER_TIMER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/scheduler.h"

/*
 * links: CHILD the first child; NEXT the next sibling; BACK the
 * parent of a first child, else the sibling before. A timer that is in no heap has BACK NULL.
 */
enum timer_link { TIMER_CHILD, TIMER_NEXT, TIMER_BACK };

struct timer_heap {
    struct emp_timer *root; /* the earliest; its BACK is itself */
    size_t count;
};

/* Puts a timer in. True: it is the earliest now. */
bool timer_heap_add(struct timer_heap *heap, struct emp_timer *timer);

/* Takes the earliest out. */
struct emp_timer *timer_heap_pop(struct timer_heap *heap);

/* Takes a timer out; false: it is not in. */
bool timer_heap_remove(struct timer_heap *heap, struct emp_timer *timer);

#endif
