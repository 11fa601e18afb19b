/*
 * What: tasks and timers on a libuv loop (adapter/uv_adapter.h).
 * How:  a loop of its own for each test; at its end uv_loop_close says that no handle was left, and
 *       the pool that no task was. Timers are compared with a plain array. Seed printed.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <unistd.h>
#include <uv.h>

#include "adapter/timer_wheel.h"
#include "adapter/uv_adapter.h"
#include "async/task.h"
#include "core/async_memory_pool.h"
#include "support/random_stream.h"

#define NS_PER_MS 1000000u

static uv_loop_t loop;
static struct emp_uv *uv;
static struct emp_async_pool *pool;

static int loop_begin(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(emp_uv_create(&loop, &uv), EMP_OK);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    return 0;
}

static void closed_count(void *arg)
{
    (*(unsigned *)arg)++;
}

static int loop_end(void **state)
{
    unsigned closed = 0;

    (void)state;
    assert_int_equal(emp_uv_close(uv, closed_count, &closed), EMP_OK);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    return 0;
}

/* Turns the loop until *count is at least wanted. */
static void turn_until(const uint64_t *count, uint64_t wanted)
{
    uint64_t patience = uv_hrtime() + (uint64_t)20000 * NS_PER_MS;

    while (__atomic_load_n(count, __ATOMIC_RELAXED) < wanted) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        assert_true(uv_hrtime() < patience);
    }
}

/* Closes a handle of the stack and waits until libuv has let go of it. */
static void timer_close(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

/* ---- tasks ---- */

static uint64_t ran;
static unsigned order[16];
static uv_thread_t ran_on;

static enum emp_poll poll_count(struct emp_task *task, void *body)
{
    (void)task;
    if (ran < 16) {
        order[ran] = *(unsigned *)body;
    }
    ran++;
    ran_on = uv_thread_self();
    return EMP_POLL_READY;
}

static bool is_enough; /* ends the tasks that wake themselves */

/* Wakes itself until it has run so often as its body says, or it is enough. */
static enum emp_poll poll_again(struct emp_task *task, void *body)
{
    unsigned *left = body;

    ran++;
    if (--*left == 0 || is_enough) {
        return EMP_POLL_READY;
    }
    struct emp_waker waker = emp_task_waker(task);

    emp_waker_wake_by_ref(&waker);
    return EMP_POLL_PENDING;
}

static enum emp_poll poll_nested(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    ran += 1 + emp_uv_run_ready(uv);
    return EMP_POLL_READY;
}

static const struct emp_task_type count_type = {
    .name = "count", .body_bytes = sizeof(unsigned), .body_align = 4, .poll = poll_count};
static const struct emp_task_type again_type = {
    .name = "again", .body_bytes = sizeof(unsigned), .body_align = 4, .poll = poll_again};
static const struct emp_task_type nested_type = {
    .name = "nested", .body_bytes = sizeof(unsigned), .body_align = 4, .poll = poll_nested};

static void spawn(const struct emp_task_type *type, unsigned number)
{
    struct emp_spawn how = {.pool = pool,
                            .scheduler = emp_uv_scheduler(uv),
                            .type = type,
                            .args = &number,
                            .args_bytes = sizeof(number)};

    assert_int_equal(emp_task_spawn(&how, NULL, NULL), EMP_OK);
}

static void tasks_run_in_the_order_of_their_submission(void **state)
{
    (void)state;
    ran = 0;
    for (unsigned i = 0; i < 16; i++) {
        spawn(&count_type, i);
    }
    assert_int_equal(ran, 0);
    turn_until(&ran, 16);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(order[i], i);
    }
}

static void run_ready_goes_ahead_without_events_and_not_within_a_task(void **state)
{
    (void)state;
    ran = 0;
    spawn(&nested_type, 0);
    spawn(&count_type, 1);
    assert_int_equal(emp_uv_run_ready(uv), 2);
    assert_int_equal(ran, 2); /* the nested call ran nothing */
    assert_int_equal(emp_uv_run_ready(uv), 0);
}

static void on_event(uv_timer_t *timer)
{
    (*(uint64_t *)timer->data)++;
}

static void a_task_that_wakes_itself_does_not_keep_events_away(void **state)
{
    uint64_t events = 0;
    uv_timer_t timer;

    (void)state;
    ran = 0;
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    timer.data = &events;
    assert_int_equal(uv_timer_start(&timer, on_event, 1, 1), 0);
    is_enough = false;
    spawn(&again_type, UINT32_MAX);
    turn_until(&events, 3);
    assert_true(ran > 0);
    uint64_t before = ran;

    assert_in_range(emp_uv_run_ready(uv), 1, 1000);
    assert_true(ran > before);
    is_enough = true;
    assert_int_equal(emp_uv_run_ready(uv), 1);
    timer_close(&timer);
}

static void a_queue_that_is_not_empty_keeps_poll_from_waiting(void **state)
{
    uint64_t events = 0;
    uv_timer_t timer;

    (void)state;
    ran = 0;
    is_enough = false;
    spawn(&again_type, 10000);
    /* The only event, each 100 ms: forty turns that waited for it would take four seconds. */
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    timer.data = &events;
    assert_int_equal(uv_timer_start(&timer, on_event, 100, 100), 0);
    while (ran < 10000) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_in_range(events, 0, 20);
    timer_close(&timer);
}

enum { THREADS = 4, EACH = 2000 };

static void spawn_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < EACH; i++) {
        spawn(&count_type, i);
    }
}

static void tasks_of_other_threads_run_on_the_loop(void **state)
{
    uv_thread_t threads[THREADS];
    struct emp_uv_stats stats;

    (void)state;
    ran = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(uv_thread_create(&threads[i], spawn_many, NULL), 0);
    }
    turn_until(&ran, THREADS * EACH);
    uv_thread_t self = uv_thread_self();

    assert_true(uv_thread_equal(&ran_on, &self));
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
    }
    assert_int_equal(emp_uv_get_stats(uv, &stats), EMP_OK);
    assert_int_equal(stats.far_submits, THREADS * EACH);
    assert_int_equal(stats.runs, THREADS * EACH);
    assert_in_range(stats.far_wakes, 1, THREADS * EACH);
    assert_int_equal(stats.queued, 0);
}

static bool is_slow_send;    /* atomic: the next send takes its time */
static unsigned sends_begun; /* atomic */
static unsigned sends_ended; /* atomic */

/* Stands before libuv's. */
int uv_async_send(uv_async_t *handle)
{
    int (*next)(uv_async_t * handle);

    *(void **)&next = dlsym(RTLD_NEXT, "uv_async_send");
    __atomic_fetch_add(&sends_begun, 1, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&is_slow_send, false, __ATOMIC_SEQ_CST)) {
        (void)usleep(100000);
    }
    __atomic_fetch_add(&sends_ended, 1, __ATOMIC_SEQ_CST);
    return next(handle);
}

static void spawn_one(void *arg)
{
    (void)arg;
    spawn(&count_type, 0);
}

/* An event that was on its way may bring the loop the task of another thread before that thread has
   sent its own: if the loop could go on to close then, the send would touch what is freed. */
static void nobody_sends_to_a_loop_that_has_seen_his_task(void **state)
{
    uv_thread_t thread;
    struct emp_uv_stats stats;

    (void)state;
    ran = 0;
    sends_begun = sends_ended = 0;
    is_slow_send = true;
    assert_int_equal(uv_thread_create(&thread, spawn_one, NULL), 0);
    do {
        assert_int_equal(emp_uv_get_stats(uv, &stats), EMP_OK);
    } while (stats.queued == 0);
    assert_int_equal(__atomic_load_n(&sends_begun, __ATOMIC_SEQ_CST), 1);
    assert_int_equal(__atomic_load_n(&sends_ended, __ATOMIC_SEQ_CST), 1);
    assert_int_equal(uv_thread_join(&thread), 0);
    turn_until(&ran, 1);
}

/* ---- timers ---- */

enum { TIMERS = 300 };

struct clock_timer {
    struct emp_timer timer;
    uint64_t fired_ns;
    unsigned again; /* starts itself anew so often */
};

static struct clock_timer timers[TIMERS];
static uint64_t fired;
static uint64_t last_deadline;

static void timer_start(struct emp_timer *timer, uint64_t after_ns)
{
    timer->deadline_ns = uv_hrtime() + after_ns;
    assert_int_equal(emp_uv_scheduler(uv)->timer_start(emp_uv_scheduler(uv), timer), EMP_OK);
}

static bool timer_stop(struct emp_timer *timer)
{
    return emp_uv_scheduler(uv)->timer_stop(emp_uv_scheduler(uv), timer);
}

static void on_fire(struct emp_timer *timer)
{
    struct clock_timer *one = (struct clock_timer *)timer;

    one->fired_ns = uv_hrtime();
    assert_true(one->fired_ns >= timer->deadline_ns);
    fired++;
    if (one->again > 0) {
        one->again--;
        timer_start(timer, 0);
    }
}

/* Timers of one tick of the wheel fire in any order. */
static void on_fire_in_order(struct emp_timer *timer)
{
    const uint64_t tick_ns = (uint64_t)1 << TIMER_TICK_SHIFT;

    assert_true(timer->deadline_ns + tick_ns > last_deadline);
    last_deadline = timer->deadline_ns > last_deadline ? timer->deadline_ns : last_deadline;
    on_fire(timer);
}

static void timers_fire_in_order_and_never_early(void **state)
{
    struct random_stream random = {random_seed("uv_adapter")};

    (void)state;
    memset(timers, 0, sizeof(timers));
    fired = last_deadline = 0;
    uint64_t stopped = 0;

    for (unsigned i = 0; i < TIMERS; i++) {
        timers[i].timer.fire = on_fire_in_order;
        timer_start(&timers[i].timer, random_below(&random, 60) * NS_PER_MS);
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        if (random_below(&random, 3) == 0) {
            assert_true(timer_stop(&timers[i].timer));
            assert_false(timer_stop(&timers[i].timer));
            timers[i].fired_ns = 1;
            stopped++;
        }
    }
    turn_until(&fired, TIMERS - stopped);
    for (unsigned i = 0; i < TIMERS; i++) {
        assert_true(timers[i].fired_ns != 0);
        assert_false(timer_stop(&timers[i].timer));
    }
    assert_int_equal(fired, TIMERS - stopped);
    struct emp_uv_stats stats;

    assert_int_equal(emp_uv_get_stats(uv, &stats), EMP_OK);
    assert_int_equal(stats.timers_fired, TIMERS - stopped);
    assert_int_equal(stats.timers, 0);
}

static void a_timer_that_starts_itself_anew_lets_others_through(void **state)
{
    uint64_t events = 0;
    uv_timer_t timer;

    (void)state;
    memset(timers, 0, sizeof(timers));
    fired = 0;
    timers[0].timer.fire = on_fire;
    timers[0].again = 1000000000;
    timer_start(&timers[0].timer, 0);
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    timer.data = &events;
    assert_int_equal(uv_timer_start(&timer, on_event, 1, 0), 0);
    turn_until(&events, 1);
    turn_until(&fired, 3);
    assert_true(timer_stop(&timers[0].timer));
    timer_close(&timer);
}

static void a_later_timer_fires_after_the_earlier_was_stopped(void **state)
{
    (void)state;
    memset(timers, 0, sizeof(timers));
    fired = 0;
    timers[0].timer.fire = timers[1].timer.fire = on_fire;
    timer_start(&timers[1].timer, 30 * NS_PER_MS);
    timer_start(&timers[0].timer, 5 * NS_PER_MS);
    assert_true(timer_stop(&timers[0].timer));
    turn_until(&fired, 1);
    assert_int_equal(timers[0].fired_ns, 0);
    assert_true(timers[1].fired_ns != 0);
}

static void start_from_afar(void *arg)
{
    struct emp_scheduler *scheduler = emp_uv_scheduler(uv);

    *(enum emp_status *)arg = scheduler->timer_start(scheduler, &timers[0].timer);
    if (scheduler->timer_stop(scheduler, &timers[1].timer)) {
        *(enum emp_status *)arg = EMP_ERR_BUSY;
    }
}

static void another_thread_may_not_start_or_stop_timers(void **state)
{
    enum emp_status status = EMP_OK;
    uv_thread_t thread;

    (void)state;
    memset(timers, 0, sizeof(timers));
    timers[1].timer.fire = on_fire;
    timer_start(&timers[1].timer, (uint64_t)3600000 * NS_PER_MS);
    assert_int_equal(uv_thread_create(&thread, start_from_afar, &status), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(status, EMP_ERR_STATE);
    assert_true(timer_stop(&timers[1].timer));
}

/* ---- life ---- */

static void close_refuses_while_something_waits(void **state)
{
    (void)state;
    memset(timers, 0, sizeof(timers));
    ran = 0;
    spawn(&count_type, 0);
    assert_int_equal(emp_uv_close(uv, NULL, NULL), EMP_ERR_BUSY);
    turn_until(&ran, 1);
    timers[0].timer.fire = on_fire;
    timer_start(&timers[0].timer, (uint64_t)3600000 * NS_PER_MS);
    assert_int_equal(emp_uv_close(uv, NULL, NULL), EMP_ERR_BUSY);
    assert_true(timer_stop(&timers[0].timer));
}

static void close_from_afar(void *arg)
{
    *(enum emp_status *)arg = emp_uv_close(uv, NULL, NULL);
}

static void misuse_is_refused(void **state)
{
    struct emp_uv_stats stats;
    struct emp_uv *other = NULL;
    enum emp_status status = EMP_OK;
    uv_thread_t thread;

    (void)state;
    assert_int_equal(emp_uv_create(NULL, &other), EMP_ERR_INVALID);
    assert_int_equal(emp_uv_create(&loop, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_uv_close(NULL, NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_uv_get_stats(NULL, &stats), EMP_ERR_INVALID);
    assert_int_equal(emp_uv_get_stats(uv, NULL), EMP_ERR_INVALID);
    assert_int_equal(uv_thread_create(&thread, close_from_afar, &status), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(status, EMP_ERR_INVALID);
}

int main(void)
{
#define WITH_LOOP(name) cmocka_unit_test_setup_teardown(name, loop_begin, loop_end)
    const struct CMUnitTest tests[] = {
        WITH_LOOP(tasks_run_in_the_order_of_their_submission),
        WITH_LOOP(run_ready_goes_ahead_without_events_and_not_within_a_task),
        WITH_LOOP(a_task_that_wakes_itself_does_not_keep_events_away),
        WITH_LOOP(a_queue_that_is_not_empty_keeps_poll_from_waiting),
        WITH_LOOP(tasks_of_other_threads_run_on_the_loop),
        WITH_LOOP(nobody_sends_to_a_loop_that_has_seen_his_task),
        WITH_LOOP(timers_fire_in_order_and_never_early),
        WITH_LOOP(a_timer_that_starts_itself_anew_lets_others_through),
        WITH_LOOP(a_later_timer_fires_after_the_earlier_was_stopped),
        WITH_LOOP(another_thread_may_not_start_or_stop_timers),
        WITH_LOOP(close_refuses_while_something_waits),
        WITH_LOOP(misuse_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
