/*
 * Purpose: events of the allocator, handed to one registered function.
 * Owner:   monitor. An event lives on its emitter's stack, the callback copies what it keeps.
 * Threads: any; the emitter holds no lock of ours. The callback may allocate and free: events that
 *          this causes in the same thread are counted and dropped: it cannot call itself for ever.
 * Design:  [monitor.req.event] [monitor.inv.event-no-nesting]
 * Cost:    without a callback four loads; with one, a clock reading and the call.
 */
#ifndef EMP_MONITOR_EVENT_H
#define EMP_MONITOR_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* One per line of event.def, from 1. */
enum emp_monitor_event_type {
    EMP_MONITOR_EVENT_NONE = 0,
#define EMP_EVENT(name, type_name) EMP_MONITOR_EVENT_##name,
#include "monitor/event.def"
#undef EMP_EVENT
    EMP_MONITOR_EVENT_LIMIT
};

/* What happened. The texts live during the callback only. */
struct emp_monitor_event {
    enum emp_monitor_event_type type;
    const char *pool_id;      /* pool name, or "class-<block bytes>" */
    uint64_t old_capacity;    /* objects before */
    uint64_t new_capacity;    /* objects after */
    uint64_t expansion_bytes; /* bytes added */
    uint64_t requested_bytes; /* size of the request that failed or caused the expansion */
    const char *reason;       /* "refill", "reserve", "limit", "out of memory", "too large" */
    uint64_t timestamp_ns;    /* monotonic; 0: emit reads the clock */
};

/* Receives events. */
typedef void emp_event_sink(const struct emp_monitor_event *event, void *arg);

/* Registers the function; NULL removes it. An event in flight may still reach the old one. */
void emp_event_set_sink(emp_event_sink *sink, void *arg);

/* True when somebody listens, for those who would have to build a text first. */
bool emp_event_is_wanted(void);

/* Hands the event to the registered function. No lock of ours may be held. errno is preserved. */
void emp_event_emit(const struct emp_monitor_event *event);

/* Events handed over, and events dropped because they came from inside the callback. */
uint64_t emp_event_count(void);
uint64_t emp_event_dropped_count(void);

/* "memory.pool.expanded" and so on; "unknown" for a number that is no event. */
const char *emp_event_type_name(enum emp_monitor_event_type type);

/* In a forked child: forgets a thread that was replacing the function. */
void emp_event_reset_in_child(void);

#endif
