/*
 * What: coroutines that wait for channels: rendezvous, full and empty, select, deadlines, and a
 *       cancelled one of each.
 * How:  an executor with one worker, and one with two threads; bodies note what they saw; the pool
 *       must be empty at the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/channel_await.h"
#include "async/coroutine.h"
#include "core/async_memory_pool.h"
#include "sync/atomic.h"

#define MS       1000000u
#define MESSAGES 2000u

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static struct emp_channel *first;
static struct emp_channel *second;
static uint64_t sum;            /* atomic: test. of what was received */
static enum emp_status seen[4]; /* by the bodies, in their order */
static uint64_t value_seen;

static int set_up(void **state)
{
    (void)state;
    sum = 0;
    value_seen = 0;
    memset(seen, 0xff, sizeof seen);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(2, &executor), EMP_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    return 0;
}

static struct emp_channel *make(enum emp_channel_kind kind, uint32_t capacity)
{
    const struct emp_channel_config config = {kind, 8, capacity, NULL};
    struct emp_channel *channel = NULL;

    assert_int_equal(emp_channel_create(pool, &config, &channel), EMP_OK);
    return channel;
}

static struct emp_task *spawn(void (*entry)(void *args))
{
    const struct emp_coroutine_spawn how = {.pool = pool,
                                            .scheduler = emp_executor_scheduler(executor),
                                            .entry = entry,
                                            .site = EMP_SPAWN_SITE()};
    struct emp_task *task = NULL;

    assert_int_equal(emp_coroutine_spawn(&how, NULL, &task), EMP_OK);
    return task;
}

static void run(enum emp_executor_until until)
{
    assert_int_equal(emp_executor_run(executor, until), EMP_OK);
}

static void end(struct emp_channel *channel)
{
    emp_channel_sender_release(channel);
    emp_channel_receiver_release(channel);
}

static void body_sends(void *args)
{
    (void)args;
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        if (emp_channel_send(first, &i) != EMP_OK) {
            return;
        }
    }
    emp_channel_close(first);
}

static void body_receives(void *args)
{
    uint64_t value = 0;

    (void)args;
    while (emp_channel_recv(first, &value) == EMP_OK) {
        emp_fetch_add_relaxed(&sum, value);
    }
}

static void all_messages_arrive_over_every_kind(void **state)
{
    static const struct {
        enum emp_channel_kind kind;
        uint32_t capacity;
    } rows[] = {{EMP_CHANNEL_COMPACT, 0},        {EMP_CHANNEL_COMPACT, 3},
                {EMP_CHANNEL_SPSC, 4},           {EMP_CHANNEL_BOUNDED, 2},
                {EMP_CHANNEL_UNBOUNDED_MPSC, 0}, {EMP_CHANNEL_UNBOUNDED, 0}};

    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        assert_int_equal(threads == 0 ? EMP_OK : emp_executor_start(executor, 1), EMP_OK);
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            first = make(rows[i].kind, rows[i].capacity);
            sum = 0;
            struct emp_task *const receiver = spawn(body_receives);
            struct emp_task *const sender = spawn(body_sends);

            run(EMP_EXECUTOR_UNTIL_DONE);
            assert_true(emp_task_is_complete(receiver) && emp_task_is_complete(sender));
            assert_int_equal(sum, (uint64_t)MESSAGES * (MESSAGES + 1) / 2);
            emp_task_release(receiver);
            emp_task_release(sender);
            end(first);
        }
    }
}

static void body_receives_one(void *args)
{
    (void)args;
    seen[0] = emp_channel_recv(first, &value_seen);
}

static void body_sends_one(void *args)
{
    const uint64_t value = 9;

    (void)args;
    seen[1] = emp_channel_send(first, &value);
}

static void body_selects(void *args)
{
    struct emp_select_case cases[2] = {{first, &value_seen, false}, {second, &value_seen, false}};
    size_t chosen = 7;

    (void)args;
    seen[2] = emp_select(cases, 2, &chosen);
    seen[3] = (enum emp_status)chosen;
}

static void a_cancelled_wait_says_so_and_leaves_nothing(void **state)
{
    void (*const bodies[3])(void *) = {body_receives_one, body_sends_one, body_selects};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        first = make(EMP_CHANNEL_COMPACT, 0);
        second = make(EMP_CHANNEL_BOUNDED, 2);
        struct emp_task *const task = spawn(bodies[i]);

        run(EMP_EXECUTOR_UNTIL_IDLE);
        assert_false(emp_task_is_complete(task));
        assert_true(emp_task_abort(task));
        run(EMP_EXECUTOR_UNTIL_DONE);
        assert_int_equal(seen[i], EMP_ERR_CANCELLED);
        emp_task_release(task);
        uint64_t value = 1;

        assert_int_equal(emp_channel_try_send(first, &value), EMP_ERR_AGAIN);
        assert_int_equal(emp_channel_try_recv(first, &value), EMP_ERR_AGAIN);
        end(first);
        end(second);
    }
}

static void a_select_waits_for_either(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++) {
        first = make(EMP_CHANNEL_COMPACT, 0);
        second = make(EMP_CHANNEL_BOUNDED, 2);
        struct emp_task *const task = spawn(body_selects);
        const uint64_t value = 30 + which;

        run(EMP_EXECUTOR_UNTIL_IDLE);
        assert_int_equal(emp_channel_try_send(which == 0 ? first : second, &value), EMP_OK);
        run(EMP_EXECUTOR_UNTIL_DONE);
        assert_int_equal(seen[2], EMP_OK);
        assert_int_equal((unsigned)seen[3], which);
        assert_int_equal(value_seen, value);
        emp_task_release(task);
        end(first);
        end(second);
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static void body_receives_until(void *args)
{
    (void)args;
    seen[0] = emp_channel_recv_until(first, &value_seen, now_ns() + 20 * MS);
    seen[1] = emp_channel_recv_until(first, &value_seen, now_ns() + 60000ull * MS);
}

static void a_receive_ends_at_its_deadline_or_with_an_element(void **state)
{
    (void)state;
    first = make(EMP_CHANNEL_BOUNDED, 2);
    struct emp_task *const task = spawn(body_receives_until);
    const uint64_t value = 5;

    while (seen[0] != EMP_ERR_TIMED_OUT) {
        run(EMP_EXECUTOR_UNTIL_IDLE);
    }
    assert_int_equal(emp_channel_try_send(first, &value), EMP_OK);
    run(EMP_EXECUTOR_UNTIL_DONE);
    assert_int_equal(seen[1], EMP_OK);
    assert_int_equal(value_seen, 5);
    emp_task_release(task);
    end(first);
}

static void outside_of_a_coroutine_only_what_need_not_wait_is_done(void **state)
{
    (void)state;
    first = make(EMP_CHANNEL_BOUNDED, 1);
    uint64_t value = 6;
    size_t chosen = 9;
    struct emp_select_case one = {first, &value, false};

    assert_int_equal(emp_channel_recv(first, &value), EMP_ERR_STATE);
    assert_int_equal(emp_channel_recv_until(first, &value, 0), EMP_ERR_STATE);
    assert_int_equal(emp_select(&one, 1, &chosen), EMP_ERR_STATE);
    assert_int_equal(emp_channel_send(first, &value), EMP_OK);
    assert_int_equal(emp_channel_send(first, &value), EMP_ERR_STATE);
    assert_int_equal(emp_channel_recv(first, &value), EMP_OK);
    assert_int_equal(emp_channel_send(first, &value), EMP_OK);
    assert_int_equal(emp_select(&one, 1, &chosen), EMP_OK);
    assert_int_equal(chosen, 0);
    end(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_messages_arrive_over_every_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_wait_says_so_and_leaves_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_select_waits_for_either, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_receive_ends_at_its_deadline_or_with_an_element, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(outside_of_a_coroutine_only_what_need_not_wait_is_done,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
