/*
 * What: a task in one thread: its life from spawn to the last reference in every order, wakes in
 *       each of its states, abort, results.
 * How:  a scheduler that only queues, a body that says what its polls do and counts its ends; the
 *       pool's own count says whether every object came back.
 * Shows: [async.proto.task]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/object.h"
#include "async/task_core.h"
#include "support/async_pool.h"
#include "support/planned_task.h"

static const struct emp_task_type *const types[] = {&planned_small, &planned_exact, &planned_large,
                                                    &planned_wide, &planned_plain};
#define TYPES (sizeof types / sizeof types[0])

static void task_is_submitted_once_and_runs_to_its_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TYPES; i++) {
        planned_polls = 0;
        planned_body_seen = NULL;
        planned_spawn_detached(types[i], (struct plan){0, 0});
        assert_int_equal(planned_polls, 0);
        assert_int_equal(planned_queue.length, 1);
        assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
        assert_int_equal(planned_polls, 1);
        assert_int_equal(planned_queue.length, 0);
    }
    assert_int_equal(planned_drops, TYPES - 1);
    assert_int_equal(planned_queue.submits[EMP_SUBMIT_SPAWN], TYPES);
}

static void current_is_the_running_task_and_nothing_otherwise(void **state)
{
    (void)state;
    struct emp_task *task = planned_spawn_held(&planned_small, (struct plan){0, 0}, NULL);

    assert_null(emp_task_current());
    (void)task_queue_run(&planned_queue, RUNS);
    assert_ptr_equal(planned_current, task);
    assert_null(emp_task_current());
    emp_task_release(task);
}

static void wake_while_it_runs_submits_once_for_the_end_of_the_queue(void **state)
{
    (void)state;
    planned_spawn_detached(&planned_small, (struct plan){WAKE_SELF, 3});
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_AGAIN);
    assert_int_equal(planned_queue.length, 1);
    assert_int_equal(planned_queue.submits[EMP_SUBMIT_YIELD], 1);
    assert_int_equal(task_queue_run(&planned_queue, RUNS), 3);
    assert_int_equal(planned_polls, 4);
    assert_int_equal(planned_drops, 1);
}

static void task_that_yields_runs_again_behind_the_others_without_a_wake(void **state)
{
    (void)state;
    planned_spawn_detached(&planned_small, (struct plan){YIELD, 2});
    planned_spawn_detached(&planned_large, (struct plan){BE_READY, 0});
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_AGAIN);
    assert_int_equal(planned_queue.length, 2);
    assert_int_equal(planned_queue.submits[EMP_SUBMIT_YIELD], 1);
    planned_body_seen = NULL;
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_AGAIN);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_polls, 4);
    assert_int_equal(planned_drops, 2);
    assert_int_equal(planned_queue.submits[EMP_SUBMIT_WAKE], 0);
}

static void task_that_yields_and_is_woken_is_in_the_queue_once(void **state)
{
    (void)state;
    planned_spawn_detached(&planned_small, (struct plan){YIELD | WAKE_SELF | KEEP_WAKER, 1});
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_AGAIN);
    emp_waker_wake_by_ref(&planned_kept);
    assert_int_equal(planned_queue.length, 1);
    emp_waker_wake(&planned_kept);
    assert_int_equal(planned_queue.length, 1);
    assert_int_equal(task_queue_run(&planned_queue, RUNS), 1);
    assert_int_equal(planned_polls, 2);
    assert_int_equal(planned_drops, 1);
    emp_waker_drop(&planned_kept); /* the last poll took another */
}

static void task_that_yields_ends_when_it_is_aborted(void **state)
{
    (void)state;
    struct emp_task *task = planned_spawn_held(&planned_small, (struct plan){YIELD, 9}, NULL);

    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_AGAIN);
    assert_true(emp_task_abort(task)); /* in the queue again */
    assert_int_equal(planned_queue.length, 1);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_polls, 1);
    emp_task_release(task);
    planned_body_seen = NULL;
    planned_spawn_detached(&planned_small, (struct plan){YIELD | ABORT_SELF, 9}); /* running */
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_polls, 2);
    assert_int_equal(planned_drops, 2);
}

static void wake_of_an_idle_task_submits_it_and_further_wakes_merge(void **state)
{
    (void)state;
    planned_spawn_detached(&planned_small, (struct plan){KEEP_WAKER, 2});
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_PENDING);
    assert_int_equal(planned_queue.length, 0);
    for (unsigned i = 0; i < 3; i++) {
        emp_waker_wake_by_ref(&planned_kept);
    }
    assert_int_equal(planned_queue.length, 1);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_PENDING);
    emp_waker_wake(&planned_kept);
    assert_null(planned_kept.vt);
    assert_int_equal(planned_queue.submits[EMP_SUBMIT_WAKE], 2);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_polls, 3);
    emp_waker_drop(&planned_kept); /* the last poll took another */
}

static void wake_after_the_end_does_not_submit(void **state)
{
    (void)state;
    planned_spawn_detached(&planned_large, (struct plan){KEEP_WAKER | BE_READY, 0});
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_drops, 1);
    emp_waker_wake_by_ref(&planned_kept);
    struct emp_waker twin = emp_waker_clone(&planned_kept);

    emp_waker_wake(&planned_kept);
    emp_waker_drop(&twin);
    assert_int_equal(planned_queue.length, 0);
    assert_int_equal(planned_polls, 1);
}

static void task_that_nobody_can_wake_ends_at_once(void **state)
{
    (void)state;
    struct emp_future *join = NULL;

    planned_spawn_detached(&planned_small, (struct plan){0, 1});
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_polls, 1);
    assert_int_equal(planned_drops, 1);
    emp_task_release(planned_spawn_held(&planned_wide, (struct plan){0, 1}, &join));
    planned_body_seen = NULL;
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_drops, 2);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
}

static void last_waker_dropped_hands_the_body_to_a_runner(void **state)
{
    (void)state;
    planned_spawn_detached(&planned_small, (struct plan){KEEP_WAKER, 1});
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_PENDING);
    emp_waker_drop(&planned_kept);
    assert_int_equal(planned_drops, 0);
    assert_int_equal(planned_queue.length, 1);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_drops, 1);
    assert_int_equal(planned_polls, 1);
}

static void last_handle_released_inside_its_poll_keeps_the_task_until_it_ends(void **state)
{
    (void)state;
    planned_held =
        planned_spawn_held(&planned_large, (struct plan){LEAVE_HANDLE | BE_READY, 0}, NULL);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_drops, 1);
}

static void abort_ends_a_task_with_its_next_run_in_each_state(void **state)
{
    (void)state;
    struct emp_future *join = NULL;
    struct emp_task *task = planned_spawn_held(&planned_small, (struct plan){0, 1}, &join);

    assert_true(emp_task_abort(task)); /* in the queue */
    assert_false(emp_task_abort(task));
    assert_false(emp_task_is_complete(task));
    assert_int_equal(planned_drops, 0);
    assert_int_equal(planned_queue.length, 1);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_polls, 0);
    assert_int_equal(planned_drops, 1);
    assert_true(emp_task_is_complete(task));
    assert_false(emp_task_abort(task));
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
    emp_task_release(task);

    task = planned_spawn_held(&planned_small, (struct plan){0, 1}, NULL);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_PENDING);
    assert_true(emp_task_abort(task)); /* idle */
    assert_int_equal(planned_queue.length, 1);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_polls, 1);
    assert_int_equal(planned_drops, 2);
    emp_task_release(task);

    planned_spawn_detached(&planned_small, (struct plan){ABORT_SELF, 1}); /* running */
    planned_body_seen = NULL;
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_true(planned_told);
    assert_int_equal(planned_drops, 3);
}

static void abort_wins_over_a_result_that_was_set_before(void **state)
{
    (void)state;
    struct emp_future *join = NULL;

    emp_task_release(planned_spawn_held(
        &planned_small, (struct plan){SET_RESULT | ABORT_SELF | BE_READY, 0}, &join));
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
}

static void result_is_seen_at_the_end_and_not_before(void **state)
{
    (void)state;
    struct emp_future *join = NULL;
    unsigned value = 0;
    size_t bytes = 0;

    emp_task_release(planned_spawn_held(&planned_small, (struct plan){SET_RESULT, 0}, &join));
    assert_int_equal(emp_future_poll(join, NULL, &value, sizeof value, &bytes), EMP_ERR_AGAIN);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(emp_future_poll(join, NULL, &value, sizeof value, &bytes), EMP_OK);
    assert_int_equal(bytes, sizeof value);
    assert_int_equal(value, 1);
    emp_future_drop(join);
    emp_task_release(planned_spawn_held(&planned_small, (struct plan){0, 0}, &join));
    (void)task_queue_run(&planned_queue, RUNS);
    assert_int_equal(emp_future_poll(join, NULL, &value, sizeof value, &bytes), EMP_OK);
    assert_int_equal(bytes, 0);
    emp_future_drop(join);
}

static enum emp_poll set_long_result(struct emp_task *task, void *body)
{
    char value[1000];

    (void)body;
    memset(value, 0x5a, sizeof value);
    assert_int_equal(emp_task_set_result(task, value, sizeof value), EMP_OK);
    return EMP_POLL_READY;
}

static void long_result_arrives_whole_or_goes_with_a_join_side_that_left(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"long", 0, 0, set_long_result, NULL};
    struct emp_spawn spawn = {
        .pool = planned_pool, .scheduler = &planned_queue.scheduler, .type = &type};
    struct emp_future *join = NULL;
    unsigned char value[1000];
    size_t bytes = 0;

    for (unsigned stays = 0; stays < 2; stays++) {
        assert_int_equal(emp_task_spawn(&spawn, &join, NULL), EMP_OK);
        if (!stays) {
            emp_future_drop(join);
        }
        assert_int_equal(task_queue_run(&planned_queue, RUNS), 1);
    }
    assert_int_equal(emp_future_poll(join, NULL, value, sizeof value, &bytes), EMP_OK);
    assert_int_equal(bytes, sizeof value);
    assert_int_equal(value[0], 0x5a);
    assert_int_equal(value[999], 0x5a);
    emp_future_drop(join);
}

static void result_of_a_join_side_that_was_cancelled_is_nobodys_error(void **state)
{
    (void)state;
    struct emp_future *join = NULL;

    emp_task_release(planned_spawn_held(&planned_small, (struct plan){SET_RESULT, 0}, &join));
    assert_int_equal(emp_future_cancel(join), EMP_OK);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
}

/* Two tasks that wait for each other's result keep nothing of each other once one has ended. */
static enum emp_poll await_other(struct emp_task *task, void *body)
{
    struct emp_future *other = NULL;
    struct emp_waker own = emp_task_waker(task);

    planned_polls++;
    memcpy(&other, body, sizeof other);
    return emp_future_poll(other, &own, NULL, 0, NULL) == EMP_ERR_AGAIN ? EMP_POLL_PENDING
                                                                        : EMP_POLL_READY;
}

static void drop_other(void *body)
{
    struct emp_future *other = NULL;

    memcpy(&other, body, sizeof other);
    emp_future_drop(other);
    planned_drops++;
}

static void tasks_that_await_each_other_are_freed_when_one_is_aborted(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"ring", 8, 8, await_other, drop_other};
    struct emp_future *promise = emp_future_new(planned_pool);
    struct emp_future *first_join = NULL;
    struct emp_task *first = NULL;
    struct emp_spawn spawn = {.pool = planned_pool,
                              .scheduler = &planned_queue.scheduler,
                              .type = &type,
                              .args = &promise,
                              .args_bytes = sizeof promise};

    assert_int_equal(emp_task_spawn(&spawn, &first_join, &first), EMP_OK);
    spawn.args = &first_join;
    struct emp_future *second_join = NULL;

    assert_int_equal(emp_task_spawn(&spawn, &second_join, NULL), EMP_OK);
    assert_int_equal(task_queue_run(&planned_queue, RUNS), 2);
    assert_true(emp_task_abort(first));
    assert_int_equal(task_queue_run(&planned_queue, RUNS), 2);
    assert_int_equal(planned_drops, 2);
    assert_int_equal(emp_future_poll(second_join, NULL, NULL, 0, NULL), EMP_OK);
    emp_future_drop(second_join);
    emp_task_release(first);
    emp_promise_drop(promise);
}

static void body_apart_goes_back_at_the_end_though_a_handle_stays(void **state)
{
    (void)state;
    struct emp_task *task = planned_spawn_held(&planned_wide, (struct plan){0, 0}, NULL);

    assert_int_equal(async_pool_in_use(planned_pool, "task-header"), 1);
    assert_int_equal(async_pool_in_use(planned_pool, "task"), 0);
    assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
    assert_int_equal(planned_drops, 1);
    assert_null(task->body);
    assert_true(emp_task_is_complete(task));
    emp_task_release(task);
    assert_int_equal(async_pool_in_use(planned_pool, "task-header"), 0);
}

/* What the owner of a handle, a join future and a waker may do with each. */
enum part { HANDLE, JOIN, WAKER, RUN, PARTS };

static void every_order_of_letting_go_frees_everything_once(void **state)
{
    (void)state;
    unsigned orders = 0;

    for (unsigned code = 0; code < PARTS * PARTS * PARTS * PARTS; code++) {
        const unsigned order[PARTS] = {code % PARTS, code / PARTS % PARTS,
                                       code / PARTS / PARTS % PARTS, code / PARTS / PARTS / PARTS};
        struct emp_future *join = NULL;

        if ((1u << order[0] | 1u << order[1] | 1u << order[2] | 1u << order[3]) != 15) {
            continue;
        }
        planned_drops = 0;
        planned_body_seen = NULL;
        struct emp_task *task = planned_spawn_held(&planned_large, (struct plan){0, 1}, &join);
        struct emp_waker waker = emp_task_waker(task);

        waker = emp_waker_clone(&waker);
        for (unsigned i = 0; i < PARTS; i++) {
            if (order[i] == HANDLE) {
                emp_task_release(task);
            } else if (order[i] == JOIN) {
                emp_future_drop(join);
            } else if (order[i] == WAKER) {
                emp_waker_drop(&waker);
            } else {
                (void)task_queue_run(&planned_queue, RUNS);
            }
        }
        (void)task_queue_run(&planned_queue, RUNS);
        assert_int_equal(planned_drops, 1);
        orders++;
    }
    assert_int_equal(orders, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TASK_TEST(task_is_submitted_once_and_runs_to_its_end),
        TASK_TEST(current_is_the_running_task_and_nothing_otherwise),
        TASK_TEST(wake_while_it_runs_submits_once_for_the_end_of_the_queue),
        TASK_TEST(task_that_yields_runs_again_behind_the_others_without_a_wake),
        TASK_TEST(task_that_yields_and_is_woken_is_in_the_queue_once),
        TASK_TEST(task_that_yields_ends_when_it_is_aborted),
        TASK_TEST(wake_of_an_idle_task_submits_it_and_further_wakes_merge),
        TASK_TEST(wake_after_the_end_does_not_submit),
        TASK_TEST(task_that_nobody_can_wake_ends_at_once),
        TASK_TEST(last_waker_dropped_hands_the_body_to_a_runner),
        TASK_TEST(last_handle_released_inside_its_poll_keeps_the_task_until_it_ends),
        TASK_TEST(abort_ends_a_task_with_its_next_run_in_each_state),
        TASK_TEST(abort_wins_over_a_result_that_was_set_before),
        TASK_TEST(result_is_seen_at_the_end_and_not_before),
        TASK_TEST(long_result_arrives_whole_or_goes_with_a_join_side_that_left),
        TASK_TEST(result_of_a_join_side_that_was_cancelled_is_nobodys_error),
        TASK_TEST(tasks_that_await_each_other_are_freed_when_one_is_aborted),
        TASK_TEST(body_apart_goes_back_at_the_end_though_a_handle_stays),
        TASK_TEST(every_order_of_letting_go_frees_everything_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
