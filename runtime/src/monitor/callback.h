/*
 * Purpose: a function and its argument, replaced and read as one value, read without a lock.
 * Owner:   monitor. One cell per callback, static.
 * Threads: get: any, async-signal-safe. set: any, not from a signal handler.
 * Design:  [monitor.proto.callback] [monitor.inv.callback-pair]
 * Source:  the version check of a sequence lock, on two slots so that a reader never waits for a
 *          writer that was interrupted.
 * Cost:    get: four loads.
 *
 * Roles: many readers, writers one at a time (mutex).
 * States: version v says that slot v % 2 is current; the other one may be under construction.
 *
 *      v --set writes slot (v+1) % 2, then publishes--> v+1
 *
 * A reader of slot v % 2 may be disturbed only by the writer of v+2, who begins after v+1 was
 * published; so a reader that finds v again after reading has read a whole pair.
 * Not promised: a get before a set may still call the old pair afterwards.
 */
#ifndef EMP_MONITOR_CALLBACK_H
#define EMP_MONITOR_CALLBACK_H

#include <stdint.h>

#include "thread/mutex.h"

/* Any function; cast back to its own type before the call. */
typedef void emp_callback_fn(void);

/* What is called, with what. function NULL: nothing is. */
struct emp_callback_pair {
    emp_callback_fn *function; /* atomic: callback, inside a cell */
    void *arg;                 /* atomic: callback, inside a cell */
};

/* A replaceable pair. */
struct emp_callback_cell {
    uint64_t version;                 /* atomic: callback */
    struct emp_callback_pair slot[2]; /* guarded by writer, read by the version check */
    struct emp_mutex writer;          /* rank CALLBACK */
};

#define EMP_CALLBACK_CELL_INIT             \
    {                                      \
        .writer = EMP_MUTEX_INIT(CALLBACK) \
    }

/* Replaces the pair. */
void emp_callback_set(struct emp_callback_cell *cell, struct emp_callback_pair pair);

/* The pair that is current. */
struct emp_callback_pair emp_callback_get(const struct emp_callback_cell *cell);

/* In a forked child: a writer that does not exist there is forgotten. */
void emp_callback_reset_in_child(struct emp_callback_cell *cell);

#endif
