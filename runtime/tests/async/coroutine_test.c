/*
 * What: coroutines on an executor of one worker: arguments, results, waits in every way that they
 *       end, cancellation before the start, in a wait and after it, calls outside of a coroutine,
 *       spawns that are refused, objects that all come back.
 * How:  bodies note what they saw; the pool's own counts say what is left.
 * Shows: [async.proto.coroutine] [async.proto.alarm] [async.inv.coroutine-line]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "core/async_memory_pool.h"
#include "support/async_pool.h"

#define MS 1000000u

static struct emp_async_pool *pool;
static struct emp_executor *executor;

/* What bodies note. */
static struct {
    unsigned runs;
    enum emp_status status[4];
    uint64_t value;
    size_t bytes;
    unsigned char args[EMP_COROUTINE_ARGS_MAX];
    uintptr_t args_at;
    bool inside;
} noted;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static int set_up(void **state)
{
    (void)state;
    memset(&noted, 0, sizeof noted);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
    return 0;
}

/* Nothing may be left: no object, no stack in use. */
static int tear_down(void **state)
{
    struct emp_coroutine_stats stats;

    (void)state;
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(async_pool_in_use(pool, "task"), 0);
    assert_int_equal(async_pool_in_use(pool, "future"), 0);
    assert_int_equal(async_pool_in_use(pool, "waiter"), 0);
    assert_int_equal(async_pool_in_use(pool, "waker"), 0);
    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.slots_used, stats.free_warm + stats.free_cold);
    assert_int_equal(stats.parked, 0);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    return 0;
}

static struct emp_coroutine_spawn how(void (*entry)(void *args))
{
    return (struct emp_coroutine_spawn){
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = entry,
        .site = EMP_SPAWN_SITE(),
    };
}

static struct emp_task *spawn(void (*entry)(void *args), const void *args, size_t bytes)
{
    struct emp_coroutine_spawn it = how(entry);
    struct emp_task *task = NULL;

    it.args = args;
    it.args_bytes = bytes;
    assert_int_equal(emp_coroutine_spawn(&it, NULL, &task), EMP_OK);
    return task;
}

static void run_until(enum emp_executor_until until)
{
    assert_int_equal(emp_executor_run(executor, until), EMP_OK);
}

static void body_notes_args(void *args)
{
    noted.runs++;
    noted.args_at = (uintptr_t)args;
    memcpy(noted.args, args, noted.bytes);
}

static void arguments_of_any_size_are_copied_to_the_stack(void **state)
{
    static const size_t sizes[] = {1, 8, 31, 32, 33, 500, EMP_COROUTINE_ARGS_MAX};
    unsigned char args[EMP_COROUTINE_ARGS_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t at = 0; at < sizeof args; at++) {
            args[at] = (unsigned char)(at * 7 + i);
        }
        noted.bytes = sizes[i];
        struct emp_task *const task = spawn(body_notes_args, args, sizes[i]);
        unsigned char expected[EMP_COROUTINE_ARGS_MAX];

        memcpy(expected, args, sizes[i]);
        memset(args, 0xee, sizeof args); /* the caller's may change at once */
        run_until(EMP_EXECUTOR_UNTIL_DONE);
        assert_memory_equal(noted.args, expected, sizes[i]);
        assert_int_equal(noted.args_at % 16, 0);
        assert_true(emp_task_is_complete(task));
        emp_task_release(task);
    }
}

static void body_result(void *args)
{
    const uint64_t value = *(const uint64_t *)args * 3;

    assert_int_equal(emp_task_set_result(emp_task_current(), &value, sizeof value), EMP_OK);
    (void)emp_yield();
}

static void body_joins(void *args)
{
    struct emp_future *const future = *(struct emp_future **)args;

    noted.status[0] = emp_await(future, &noted.value, sizeof noted.value, &noted.bytes);
    emp_future_drop(future);
}

static void one_awaits_the_result_of_another(void **state)
{
    const uint64_t value = 14;
    struct emp_coroutine_spawn it = how(body_result);
    struct emp_future *join = NULL;

    (void)state;
    it.args = &value;
    it.args_bytes = sizeof value;
    assert_int_equal(emp_coroutine_spawn(&it, &join, NULL), EMP_OK);
    emp_task_release(spawn(body_joins, &join, sizeof join));
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.status[0], EMP_OK);
    assert_int_equal(noted.value, 42);
    assert_int_equal(noted.bytes, sizeof noted.value);
}

static void body_awaits(void *args)
{
    struct emp_future *const future = *(struct emp_future **)args;

    noted.runs++;
    noted.status[0] = emp_await(future, &noted.value, sizeof noted.value, &noted.bytes);
    noted.status[1] = emp_await(future, &noted.value, sizeof noted.value, &noted.bytes);
    noted.status[2] = emp_yield();
    noted.status[3] = emp_coroutine_suspend();
}

static void an_error_of_the_future_is_the_answer(void **state)
{
    struct emp_future *const future = emp_future_new(pool);
    const uint64_t value = 5;

    (void)state;
    struct emp_task *const task = spawn(body_awaits, &future, sizeof future);

    run_until(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(noted.runs, 1);
    assert_int_equal(emp_future_reject(future, &value, sizeof value), EMP_OK);
    run_until(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(noted.status[0], EMP_ERR_REJECTED);
    assert_int_equal(noted.status[1], EMP_ERR_REJECTED);
    assert_int_equal(noted.value, 5);
    assert_int_equal(noted.status[2], EMP_OK);
    const struct emp_waker waker = emp_task_waker(task);

    emp_waker_wake_by_ref(&waker);
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.status[3], EMP_OK);
    emp_task_release(task);
    emp_future_drop(future);
    emp_promise_drop(future);
}

static void cancellation_ends_the_wait_and_all_later_ones(void **state)
{
    struct emp_future *const future = emp_future_new(pool);

    (void)state;
    struct emp_task *const task = spawn(body_awaits, &future, sizeof future);

    run_until(EMP_EXECUTOR_UNTIL_IDLE);
    assert_true(emp_task_abort(task));
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(noted.status[i], EMP_ERR_CANCELLED);
    }
    assert_true(emp_task_is_complete(task));
    emp_task_release(task);
    emp_future_drop(future);
    emp_promise_drop(future);
}

/* What its arguments own would be lost otherwise. */
static void one_that_is_cancelled_before_its_start_runs_and_is_told(void **state)
{
    struct emp_future *const future = emp_future_new(pool);

    (void)state;
    struct emp_task *const task = spawn(body_awaits, &future, sizeof future);

    assert_true(emp_task_abort(task));
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.runs, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(noted.status[i], EMP_ERR_CANCELLED);
    }
    assert_true(emp_task_is_complete(task));
    emp_task_release(task);
    emp_future_drop(future);
    emp_promise_drop(future);
}

static void body_waits_for_a_lost_wake(void *args)
{
    (void)args;
    noted.runs++;
    noted.status[0] = emp_coroutine_suspend();
}

static void one_that_nobody_can_wake_is_cancelled(void **state)
{
    (void)state;
    emp_task_release(spawn(body_waits_for_a_lost_wake, NULL, 0));
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.runs, 1);
    assert_int_equal(noted.status[0], EMP_ERR_CANCELLED);
}

static void body_sleeps(void *args)
{
    const uint64_t begun = now_ns();

    noted.status[0] = emp_sleep_until(begun + *(const uint64_t *)args);
    noted.value = now_ns() - begun;
    noted.status[1] = emp_sleep_until(0); /* long past */
}

static void a_sleep_lasts_as_long_as_it_should(void **state)
{
    const uint64_t length = 20u * MS;

    (void)state;
    emp_task_release(spawn(body_sleeps, &length, sizeof length));
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.status[0], EMP_OK);
    assert_int_equal(noted.status[1], EMP_OK);
    assert_true(noted.value >= length);
}

static void a_sleep_is_ended_by_cancellation(void **state)
{
    const uint64_t length = 3600u * 1000u * (uint64_t)MS;
    const uint64_t begun = now_ns();

    (void)state;
    struct emp_task *const task = spawn(body_sleeps, &length, sizeof length);

    run_until(EMP_EXECUTOR_UNTIL_IDLE);
    assert_true(emp_task_abort(task));
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.status[0], EMP_ERR_CANCELLED);
    assert_int_equal(noted.status[1], EMP_ERR_CANCELLED);
    assert_true(now_ns() - begun < length);
    emp_task_release(task);
}

static void body_awaits_until(void *args)
{
    struct emp_future *const future = *(struct emp_future **)args;

    noted.status[0] =
        emp_await_until(future, &noted.value, sizeof noted.value, &noted.bytes, now_ns() + 5u * MS);
    noted.status[1] = emp_await_until(future, &noted.value, sizeof noted.value, &noted.bytes,
                                      now_ns() + 3600u * 1000u * (uint64_t)MS);
    noted.status[2] = emp_await_until(future, &noted.value, sizeof noted.value, &noted.bytes, 0);
}

static void a_deadline_ends_a_wait_and_a_value_ends_a_deadline(void **state)
{
    struct emp_future *const future = emp_future_new(pool);
    const uint64_t value = 77;

    (void)state;
    emp_task_release(spawn(body_awaits_until, &future, sizeof future));
    while (noted.status[0] == EMP_OK) {
        run_until(EMP_EXECUTOR_UNTIL_IDLE);
    }
    assert_int_equal(noted.status[0], EMP_ERR_TIMED_OUT);
    assert_int_equal(emp_future_resolve(future, &value, sizeof value), EMP_OK);
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.status[1], EMP_OK);
    assert_int_equal(noted.status[2], EMP_OK);
    assert_int_equal(noted.value, 77);
    emp_future_drop(future);
    emp_promise_drop(future);
}

static void body_gives_up(void *args)
{
    struct emp_future *const future = *(struct emp_future **)args;

    noted.status[0] = emp_await_until(future, NULL, 0, NULL, now_ns() + MS);
    noted.status[1] = emp_await(future, NULL, 0, NULL);
}

/* A server awaits one future, its end, in every connection: what has ended must not stay there. */
static void a_wait_that_was_given_up_leaves_nothing_in_a_future_that_lives_on(void **state)
{
    struct emp_future *const future = emp_future_new(pool);
    struct emp_task *task = spawn(body_gives_up, &future, sizeof future);

    (void)state;
    while (noted.status[0] == EMP_OK) {
        run_until(EMP_EXECUTOR_UNTIL_IDLE);
    }
    run_until(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(async_pool_in_use(pool, "waiter"), 1); /* of the second wait */
    assert_true(emp_task_abort(task));
    emp_task_release(task);
    run_until(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(noted.status[0], EMP_ERR_TIMED_OUT);
    assert_int_equal(noted.status[1], EMP_ERR_CANCELLED);
    assert_int_equal(async_pool_in_use(pool, "waiter"), 0);
    assert_int_equal(async_pool_in_use(pool, "task"), 0);
    emp_future_drop(future);
    emp_promise_drop(future);
}

static void body_pins(void *args)
{
    (void)args;
    noted.inside = emp_in_coroutine();
    noted.status[0] = emp_coroutine_unpin();
    for (unsigned i = 0; i < UINT16_MAX; i++) {
        assert_int_equal(emp_coroutine_pin(), EMP_OK);
    }
    noted.status[1] = emp_coroutine_pin();
    for (unsigned i = 0; i < UINT16_MAX; i++) {
        assert_int_equal(emp_coroutine_unpin(), EMP_OK);
    }
    noted.status[2] = emp_coroutine_unpin();
}

static void pins_are_counted(void **state)
{
    (void)state;
    emp_task_release(spawn(body_pins, NULL, 0));
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_true(noted.inside);
    assert_int_equal(noted.status[0], EMP_ERR_STATE);
    assert_int_equal(noted.status[1], EMP_ERR_LIMIT);
    assert_int_equal(noted.status[2], EMP_ERR_STATE);
}

static void waits_outside_of_a_coroutine_are_refused(void **state)
{
    struct emp_future *const future = emp_future_new(pool);

    (void)state;
    assert_false(emp_in_coroutine());
    assert_int_equal(emp_yield(), EMP_ERR_STATE);
    assert_int_equal(emp_coroutine_suspend(), EMP_ERR_STATE);
    assert_int_equal(emp_coroutine_pin(), EMP_ERR_STATE);
    assert_int_equal(emp_coroutine_unpin(), EMP_ERR_STATE);
    assert_int_equal(emp_sleep_until(0), EMP_ERR_STATE);
    assert_int_equal(emp_await(future, NULL, 0, NULL), EMP_ERR_STATE);
    assert_int_equal(emp_await_until(future, NULL, 0, NULL, 0), EMP_ERR_STATE);
    emp_future_drop(future);
    emp_promise_drop(future);
}

static void spawns_that_say_nonsense_are_refused(void **state)
{
    struct emp_coroutine_spawn it = how(body_pins);
    struct emp_coroutine_spawn bad = it;

    (void)state;
    bad.pool = NULL;
    assert_int_equal(emp_coroutine_spawn(&bad, NULL, NULL), EMP_ERR_INVALID);
    bad = it;
    bad.scheduler = NULL;
    assert_int_equal(emp_coroutine_spawn(&bad, NULL, NULL), EMP_ERR_INVALID);
    bad = it;
    bad.entry = NULL;
    assert_int_equal(emp_coroutine_spawn(&bad, NULL, NULL), EMP_ERR_INVALID);
    bad = it;
    bad.args_bytes = 8;
    assert_int_equal(emp_coroutine_spawn(&bad, NULL, NULL), EMP_ERR_INVALID);
    bad = it;
    bad.flags = 0x80000000u;
    assert_int_equal(emp_coroutine_spawn(&bad, NULL, NULL), EMP_ERR_INVALID);
    bad = it;
    bad.args = &it;
    bad.args_bytes = EMP_COROUTINE_ARGS_MAX + 1;
    assert_int_equal(emp_coroutine_spawn(&bad, NULL, NULL), EMP_ERR_TOO_BIG);
    bad = it;
    bad.stack_bytes = 1u << 20;
    assert_int_equal(emp_coroutine_spawn(&bad, NULL, NULL), EMP_ERR_TOO_BIG);
}

/* Writes so much of its stack, in steps that no guard is jumped by. */
static void body_uses_stack(void *args)
{
    const size_t bytes = *(const size_t *)args;
    unsigned char *const top = __builtin_frame_address(0);
    volatile unsigned char *at = top - 512;

    while (at > top - bytes) {
        *at = 1;
        at -= 512;
    }
    noted.runs++;
}

static void each_size_of_stack_holds_what_was_asked_for(void **state)
{
    static const size_t sizes[] = {8u << 10, 12u << 10, 40u << 10, 190u << 10, 950u << 10};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct emp_coroutine_spawn it = how(body_uses_stack);
        const size_t used = sizes[i] - 2048;

        it.stack_bytes = sizes[i];
        it.args = &used;
        it.args_bytes = sizeof used;
        assert_int_equal(emp_coroutine_spawn(&it, NULL, NULL), EMP_OK);
        run_until(EMP_EXECUTOR_UNTIL_DONE);
        assert_int_equal(noted.runs, i + 1);
    }
}

/* A scheduler in front of the executor's, which looks at timers before they start. */
static unsigned links_left; /* of timers that were started: not NULL */

static void looking_submit(struct emp_scheduler *self, struct emp_task *task,
                           enum emp_submit_reason why)
{
    struct emp_scheduler *const real = emp_executor_scheduler(executor);

    (void)self;
    real->submit(real, task, why);
}

static enum emp_status looking_timer_start(struct emp_scheduler *self, struct emp_timer *timer)
{
    struct emp_scheduler *const real = emp_executor_scheduler(executor);

    (void)self;
    for (unsigned i = 0; i < 3; i++) {
        links_left += timer->link[i] != NULL;
    }
    noted.runs++;
    return real->timer_start(real, timer);
}

static bool looking_timer_stop(struct emp_scheduler *self, struct emp_timer *timer)
{
    struct emp_scheduler *const real = emp_executor_scheduler(executor);

    (void)self;
    return real->timer_stop(real, timer);
}

static void wake_nobody(void *copy)
{
    (void)copy;
}

static void body_naps(void *args)
{
    (void)args;
    noted.status[0] = emp_sleep_until(now_ns() + MS);
}

static void timer_of_a_used_object_has_no_links_before_its_start(void **state)
{
    static struct emp_scheduler looking = {looking_submit, looking_timer_start, looking_timer_stop};
    static const struct emp_waker_calls calls = {.wake = wake_nobody};
    struct emp_coroutine_spawn it = how(body_naps);
    unsigned char ones[EMP_WAKER_INLINE_BYTES];
    struct emp_waker waker;

    (void)state;
    links_left = 0;
    memset(ones, 0xff, sizeof ones);
    assert_int_equal(emp_waker_custom(pool, &calls, ones, sizeof ones, &waker), EMP_OK);
    emp_waker_drop(&waker); /* the alarm gets the same object */
    it.scheduler = &looking;
    assert_int_equal(emp_coroutine_spawn(&it, NULL, NULL), EMP_OK);
    run_until(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(noted.status[0], EMP_OK);
    assert_int_equal(noted.runs, 1);
    assert_int_equal(links_left, 0);
}

/* With the largest arguments, on stacks that begin at every offset in their page. */
static void all_of_what_was_asked_for_is_there(void **state)
{
    static const size_t sizes[] = {12u << 10, 48u << 10, 192u << 10, 957u << 10};
    size_t args[EMP_COROUTINE_ARGS_MAX / sizeof(size_t)] = {0};
    unsigned runs = 0;

    (void)state;
    for (size_t i = 0; i < 32 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct emp_coroutine_spawn it = how(body_uses_stack);

        it.stack_bytes = sizes[i / 32];
        it.args = args;
        it.args_bytes = sizeof args;
        args[0] = it.stack_bytes;
        assert_int_equal(emp_coroutine_spawn(&it, NULL, NULL), EMP_OK);
        runs += i % 32 == 31 ? 32 : 0;
        if (i % 32 == 31) {
            run_until(EMP_EXECUTOR_UNTIL_DONE);
        }
        assert_int_equal(noted.runs, runs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arguments_of_any_size_are_copied_to_the_stack, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_awaits_the_result_of_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_of_the_future_is_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancellation_ends_the_wait_and_all_later_ones, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_cancelled_before_its_start_runs_and_is_told,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_nobody_can_wake_is_cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sleep_lasts_as_long_as_it_should, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sleep_is_ended_by_cancellation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timer_of_a_used_object_has_no_links_before_its_start,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_ends_a_wait_and_a_value_ends_a_deadline, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_wait_that_was_given_up_leaves_nothing_in_a_future_that_lives_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pins_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_outside_of_a_coroutine_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(spawns_that_say_nonsense_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_size_of_stack_holds_what_was_asked_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_of_what_was_asked_for_is_there, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
