/*
 * Purpose: event.h.
 * Owner:   monitor; one callback cell, two counts, one byte per thread.
 * Threads: any.
 * Design:  [monitor.req.event] [monitor.inv.event-no-nesting] [monitor.proto.callback]
 */
#include "monitor/event.h"

#include <stddef.h>

#include "base/check.h"
#include "monitor/callback.h"
#include "os/os_clock.h"
#include "os/os_errno.h"
#include "sync/atomic.h"

static const char *const event_type_names[EMP_MONITOR_EVENT_LIMIT] = {
#define EMP_EVENT(name, type_name) [EMP_MONITOR_EVENT_##name] = (type_name),
#include "monitor/event.def"
#undef EMP_EVENT
};

static struct emp_callback_cell event_cell = EMP_CALLBACK_CELL_INIT;
static uint64_t event_count;         /* atomic, relaxed: a count */
static uint64_t event_dropped_count; /* atomic, relaxed: a count */
static EMP_TLS bool is_emitting;

void emp_event_set_sink(emp_event_sink *sink, void *arg)
{
    const struct emp_callback_pair pair = {.function = (emp_callback_fn *)sink, .arg = arg};
    emp_callback_set(&event_cell, pair);
}

bool emp_event_is_wanted(void)
{
    return emp_callback_get(&event_cell).function != NULL;
}

void emp_event_emit(const struct emp_monitor_event *event)
{
    emp_assert(event->type > EMP_MONITOR_EVENT_NONE && event->type < EMP_MONITOR_EVENT_LIMIT);
    const struct emp_callback_pair pair = emp_callback_get(&event_cell);
    if (pair.function == NULL) {
        return;
    }
    if (is_emitting) {
        /* order(event-count): relaxed; a count */
        emp_fetch_add_relaxed(&event_dropped_count, (uint64_t)1);
        return;
    }
    struct emp_monitor_event stamped = *event;
    if (stamped.timestamp_ns == 0) {
        stamped.timestamp_ns = emp_os_now_ns();
    }
    const int saved_errno = emp_os_errno();
    is_emitting = true;
    ((emp_event_sink *)pair.function)(&stamped, pair.arg);
    is_emitting = false;
    emp_os_set_errno(saved_errno);
    /* order(event-count): relaxed; a count */
    emp_fetch_add_relaxed(&event_count, (uint64_t)1);
}

uint64_t emp_event_count(void)
{
    /* order(event-count): relaxed; a count */
    return emp_load_relaxed(&event_count);
}

uint64_t emp_event_dropped_count(void)
{
    /* order(event-count): relaxed; a count */
    return emp_load_relaxed(&event_dropped_count);
}

const char *emp_event_type_name(enum emp_monitor_event_type type)
{
    const bool is_known = type > EMP_MONITOR_EVENT_NONE && type < EMP_MONITOR_EVENT_LIMIT;
    return is_known ? event_type_names[type] : "unknown";
}

void emp_event_reset_in_child(void)
{
    emp_callback_reset_in_child(&event_cell);
}
