/*
 * Purpose: events and misuse at the public border: maps the monitor room's types to the public
 *          ones.
 * Owner:   core. Threads: any. Design: [core.req.events]
 */
#include "core/memory_monitor.h"

#include "base/config.h"
#include "base/status.h"
#include "core/runtime.h"
#include "global/budget.h"
#include "monitor/event.h"
#include "monitor/report.h"
#include "sync/atomic.h"
#include "thread/mutex.h"

_Static_assert((int)EMP_EVENT_POOL_EXPANDED == (int)EMP_MONITOR_EVENT_POOL_EXPANDED,
               "event numbers");
_Static_assert((int)EMP_EVENT_ALLOCATION_FAILED == (int)EMP_MONITOR_EVENT_ALLOCATION_FAILED,
               "event numbers");
_Static_assert((int)EMP_ERR_TOO_BIG + 1 == (int)EMP_STATUS_COUNT, "status codes match status.def");

/* The application's function; read as one pair under the options of the monitor room. */
static struct {
    struct emp_mutex lock;
    emp_event_callback *callback; /* guarded by lock */
    void *arg;                    /* guarded by lock */
    /* guarded by lock */
    enum emp_misuse_action (*decide)(const struct emp_misuse *misuse, void *arg);
    void *decide_arg; /* guarded by lock */
} listeners = {.lock = EMP_MUTEX_INIT(LISTENERS)};

static void forward_event(const struct emp_monitor_event *event, void *arg)
{
    (void)arg;
    emp_mutex_lock(&listeners.lock);
    emp_event_callback *callback = listeners.callback;
    void *callback_arg = listeners.arg;
    emp_mutex_unlock(&listeners.lock);
    struct emp_event out = {
        .type = (enum emp_event_type)event->type,
        .type_name = emp_event_type_name(event->type),
        .pool_id = event->pool_id,
        .old_capacity = event->old_capacity,
        .new_capacity = event->new_capacity,
        .expansion_bytes = event->expansion_bytes,
        .requested_bytes = event->requested_bytes,
        .reason = event->reason,
        .timestamp_ns = event->timestamp_ns,
    };

    if (callback != NULL) {
        callback(&out, callback_arg);
    }
}

enum emp_status emp_event_set_callback(emp_event_callback *callback, void *arg)
{
    emp_mutex_lock(&listeners.lock);
    listeners.callback = callback;
    listeners.arg = arg;
    emp_mutex_unlock(&listeners.lock);
    emp_event_set_sink(callback == NULL ? NULL : forward_event, NULL);
    return EMP_OK;
}

void emp_event_after_take(uint32_t class_id, size_t requested, bool failed,
                          const struct emp_central_note *note, const char *reason)
{
    char name[32];

    if ((!note->expanded && !failed) || !emp_event_is_wanted()) {
        return;
    }
    struct emp_monitor_event event = {
        .type = EMP_MONITOR_EVENT_POOL_EXPANDED,
        .pool_id = emp_budget_name(class_id, name, sizeof(name)),
        .old_capacity = note->old_capacity,
        .new_capacity = note->new_capacity,
        .expansion_bytes = note->added_bytes,
        .requested_bytes = requested,
        .reason = failed ? "refill" : reason,
    };

    if (note->expanded) {
        event.reason = reason[0] == 'r' ? reason : "refill";
        emp_event_emit(&event);
    }
    if (failed) {
        /* order(budget): relaxed; a number for the report */
        uint64_t slots = emp_load_relaxed(&emp_budgets[class_id].slots);

        event.type = EMP_MONITOR_EVENT_ALLOCATION_FAILED;
        event.reason = note->limited ? "limit" : "out of memory";
        event.old_capacity = slots;
        event.new_capacity = slots;
        event.expansion_bytes = 0;
        emp_event_emit(&event);
    }
}

void emp_event_large_failed(size_t requested, bool limited)
{
    struct emp_monitor_event event = {
        .type = EMP_MONITOR_EVENT_ALLOCATION_FAILED,
        .pool_id = "large",
        .requested_bytes = requested,
        .reason = requested > EMP_ALLOC_MAX - EMP_CHUNK_BYTES ? "too large"
                  : limited                                   ? "limit"
                                                              : "out of memory",
    };

    emp_event_emit(&event);
}

/* True: continue. */
static bool forward_misuse(const struct emp_report *report, void *arg)
{
    struct emp_misuse misuse = {
        .code = emp_report_code_text(report->code),
        .text = emp_report_text(report->code),
        .pointer = report->pointer,
        .pool = report->pool != NULL    ? report->pool
                : report->class_id != 0 ? "heap"
                                        : "none",
        .block_bytes = report->block_bytes,
        .owner_shard = report->owner_shard,
        .advice = emp_report_advice(report->code),
    };

    (void)arg;
    emp_mutex_lock(&listeners.lock);
    enum emp_misuse_action (*decide)(const struct emp_misuse *, void *) = listeners.decide;
    void *decide_arg = listeners.decide_arg;
    emp_mutex_unlock(&listeners.lock);
    return decide != NULL && decide(&misuse, decide_arg) == EMP_MISUSE_CONTINUE;
}

enum emp_status emp_misuse_set_callback(
    enum emp_misuse_action (*callback)(const struct emp_misuse *misuse, void *arg), void *arg)
{
    emp_report_set_decider(NULL, NULL);
    emp_mutex_lock(&listeners.lock);
    listeners.decide = callback;
    listeners.decide_arg = arg;
    emp_mutex_unlock(&listeners.lock);
    if (callback != NULL) {
        emp_report_set_decider(forward_misuse, NULL);
    }
    return EMP_OK;
}

void emp_listeners_fork_prepare(void)
{
    emp_mutex_lock(&listeners.lock);
}

void emp_listeners_fork_parent(void)
{
    emp_mutex_unlock(&listeners.lock);
}

void emp_listeners_fork_child(void)
{
    emp_mutex_reset_in_child(&listeners.lock);
}

const char *emp_version(void)
{
    return EMP_VERSION_TEXT;
}

const char *emp_status_text(enum emp_status status)
{
    return emp_status_describe((unsigned)status);
}
