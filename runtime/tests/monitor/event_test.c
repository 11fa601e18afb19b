/*
 * Purpose: events arrive whole, with a time, at the function that is registered; events from inside
 *          that function are dropped and counted.
 * Design:  [monitor.req.event] [monitor.inv.event-no-nesting]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "monitor/event.h"
#include "os/os_clock.h"

/* What the sink has got. */
struct got {
    unsigned count;
    struct emp_monitor_event last;
};

static const struct emp_monitor_event expanded = {
    .type = EMP_MONITOR_EVENT_POOL_EXPANDED,
    .pool_id = "class-64",
    .old_capacity = 1024,
    .new_capacity = 2048,
    .expansion_bytes = 65536,
    .requested_bytes = 64,
    .reason = "refill",
};

static void keep(const struct emp_monitor_event *event, void *arg)
{
    struct got *const got = arg;
    got->count++;
    got->last = *event;
    errno = 1;
}

static int remove_sink(void **state)
{
    (void)state;
    emp_event_set_sink(NULL, NULL);
    return 0;
}

static void an_event_arrives_with_all_fields_a_time_and_errno_kept(void **state)
{
    (void)state;
    struct got got = {0};
    const uint64_t count = emp_event_count();
    const uint64_t before_ns = emp_os_now_ns();
    emp_event_set_sink(keep, &got);
    errno = 4711;
    emp_event_emit(&expanded);
    assert_int_equal(errno, 4711);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.last.type, EMP_MONITOR_EVENT_POOL_EXPANDED);
    assert_string_equal(got.last.pool_id, "class-64");
    assert_int_equal(got.last.old_capacity, 1024);
    assert_int_equal(got.last.new_capacity, 2048);
    assert_int_equal(got.last.expansion_bytes, 65536);
    assert_int_equal(got.last.requested_bytes, 64);
    assert_string_equal(got.last.reason, "refill");
    assert_in_range(got.last.timestamp_ns, before_ns, emp_os_now_ns());
    assert_int_equal(emp_event_count(), count + 1);
}

static void a_time_that_the_emitter_knows_is_kept(void **state)
{
    (void)state;
    struct got got = {0};
    struct emp_monitor_event event = expanded;
    event.timestamp_ns = 12345;
    emp_event_set_sink(keep, &got);
    emp_event_emit(&event);
    assert_int_equal(got.last.timestamp_ns, 12345);
}

static void without_a_sink_an_event_is_nothing(void **state)
{
    (void)state;
    const uint64_t count = emp_event_count();
    const uint64_t dropped = emp_event_dropped_count();
    assert_false(emp_event_is_wanted());
    emp_event_emit(&expanded);
    assert_int_equal(emp_event_count(), count);
    assert_int_equal(emp_event_dropped_count(), dropped);
}

static void the_last_sink_gets_the_events(void **state)
{
    (void)state;
    struct got first = {0};
    struct got second = {0};
    emp_event_set_sink(keep, &first);
    assert_true(emp_event_is_wanted());
    emp_event_set_sink(keep, &second);
    emp_event_emit(&expanded);
    assert_int_equal(first.count, 0);
    assert_int_equal(second.count, 1);
}

/* Emits what an allocation inside the callback would emit, and replaces the sink from inside. */
static void emit_again(const struct emp_monitor_event *event, void *arg)
{
    struct got *const got = arg;
    got->count++;
    emp_event_emit(event);
    emp_event_emit(event);
    emp_event_set_sink(keep, got);
}

static void events_from_inside_the_callback_are_dropped_and_counted(void **state)
{
    (void)state;
    struct got got = {0};
    const uint64_t dropped = emp_event_dropped_count();
    emp_event_set_sink(emit_again, &got);
    emp_event_emit(&expanded);
    assert_int_equal(got.count, 1);
    assert_int_equal(emp_event_dropped_count(), dropped + 2);
    emp_event_emit(&expanded);
    assert_int_equal(got.count, 2);
}

static void *emit_body(void *arg)
{
    emp_event_emit(arg);
    return NULL;
}

/* The sink of one thread waits for the event of another: nesting is per thread. */
static void join_another_emitter(const struct emp_monitor_event *event, void *arg)
{
    struct got *const got = arg;
    pthread_t thread;
    struct emp_monitor_event other = *event;
    emp_event_set_sink(keep, got);
    assert_int_equal(pthread_create(&thread, NULL, emit_body, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_thread_inside_the_callback_does_not_stop_the_events_of_others(void **state)
{
    (void)state;
    struct got got = {0};
    emp_event_set_sink(join_another_emitter, &got);
    emp_event_emit(&expanded);
    assert_int_equal(got.count, 1);
}

static void the_type_names_are_those_of_the_model(void **state)
{
    (void)state;
    assert_string_equal(emp_event_type_name(EMP_MONITOR_EVENT_POOL_EXPANDED),
                        "memory.pool.expanded");
    assert_string_equal(emp_event_type_name(EMP_MONITOR_EVENT_ALLOCATION_FAILED),
                        "memory.allocation.failed");
    assert_string_equal(emp_event_type_name(EMP_MONITOR_EVENT_NONE), "unknown");
    assert_string_equal(emp_event_type_name(EMP_MONITOR_EVENT_LIMIT), "unknown");
    assert_int_equal(EMP_MONITOR_EVENT_POOL_EXPANDED, 1);
    assert_int_equal(EMP_MONITOR_EVENT_ALLOCATION_FAILED, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_sink_an_event_is_nothing),
        cmocka_unit_test_teardown(an_event_arrives_with_all_fields_a_time_and_errno_kept,
                                  remove_sink),
        cmocka_unit_test_teardown(a_time_that_the_emitter_knows_is_kept, remove_sink),
        cmocka_unit_test_teardown(the_last_sink_gets_the_events, remove_sink),
        cmocka_unit_test_teardown(events_from_inside_the_callback_are_dropped_and_counted,
                                  remove_sink),
        cmocka_unit_test_teardown(a_thread_inside_the_callback_does_not_stop_the_events_of_others,
                                  remove_sink),
        cmocka_unit_test(the_type_names_are_those_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
