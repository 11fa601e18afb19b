/*
 * What: misuse of tasks that the state word shows, told by the call: a run without a submit, a run
 *       of a task that has ended, references given back or used once too often, too many of them;
 *       a resume of a coroutine that does not sleep.
 * How:  a misuse callback that counts by code and continues; afterwards the task is as it was.
 * Shows: [async.proto.task] [async.proto.coroutine]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/coroutine.h"
#include "async/task_core.h"
#include "core/async_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/async_pool.h"
#include "support/task_queue.h"

static struct emp_async_pool *pool;
static struct task_queue_test queue;
static char codes[8][8]; /* reported, in order */
static unsigned reports;
static const void *pointer; /* of the last report */

static enum emp_misuse_action note_report(const struct emp_misuse *misuse, void *arg)
{
    (void)arg;
    assert_true(reports < 8);
    (void)strncpy(codes[reports++], misuse->code, 7);
    pointer = misuse->pointer;
    return EMP_MISUSE_CONTINUE;
}

static enum emp_poll wait_once(struct emp_task *task, void *body)
{
    unsigned *left = body;

    (void)task;
    return (*left)-- == 0 ? EMP_POLL_READY : EMP_POLL_PENDING;
}

static const struct emp_task_type type = {"misused", 8, 8, wait_once, NULL};

static int begin(void **state)
{
    (void)state;
    memset(codes, 0, sizeof codes);
    reports = 0;
    pointer = NULL;
    task_queue_init(&queue);
    return emp_misuse_set_callback(note_report, NULL) == EMP_OK &&
                   emp_async_pool_create(NULL, &pool) == EMP_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

static struct emp_task *spawn_waiting(unsigned polls)
{
    const struct emp_spawn spawn = {.pool = pool,
                                    .scheduler = &queue.scheduler,
                                    .type = &type,
                                    .args = &polls,
                                    .args_bytes = sizeof polls};
    struct emp_task *task = NULL;

    assert_int_equal(emp_task_spawn(&spawn, NULL, &task), EMP_OK);
    return task;
}

static void check_report(const char *code, const void *of)
{
    assert_int_equal(reports, 1);
    assert_string_equal(codes[0], code);
    assert_ptr_equal(pointer, of);
    reports = 0;
}

static void run_of_a_task_that_was_not_submitted_is_told(void **state)
{
    (void)state;
    struct emp_task *task = spawn_waiting(1);

    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    assert_int_equal(emp_task_run(task), EMP_RUN_PENDING); /* idle */
    check_report("E4001", task);
    struct emp_waker waker = emp_task_waker(task);

    emp_waker_wake_by_ref(&waker);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(emp_task_run(task), EMP_RUN_PENDING); /* complete */
    check_report("E4001", task);
    emp_task_release(task);
}

static enum emp_poll run_self(struct emp_task *task, void *body)
{
    (void)body;
    assert_int_equal(emp_task_run(task), EMP_RUN_PENDING);
    return EMP_POLL_READY;
}

static void run_of_a_task_inside_its_poll_is_told(void **state)
{
    (void)state;
    static const struct emp_task_type nested = {"nested", 0, 0, run_self, NULL};
    const struct emp_spawn spawn = {.pool = pool, .scheduler = &queue.scheduler, .type = &nested};
    struct emp_task *task = NULL;

    assert_int_equal(emp_task_spawn(&spawn, NULL, &task), EMP_OK);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    check_report("E4001", task);
    emp_task_release(task);
}

static void reference_given_back_twice_is_told_and_the_queue_keeps_its_own(void **state)
{
    (void)state;
    struct emp_task *task = spawn_waiting(0);

    emp_task_release(task);
    emp_task_release(task);
    check_report("E4002", task);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(async_pool_in_use(pool, "task"), 0);
}

static void use_of_a_dead_task_is_told_by_each_call(void **state)
{
    (void)state;
    struct emp_task dead = {.state = EMP_TASK_COMPLETE, .type = &type};
    struct emp_waker waker = emp_task_waker(&dead);

    emp_waker_wake_by_ref(&waker);
    check_report("E4002", &dead);
    emp_waker_wake(&waker);
    check_report("E4002", &dead);
    emp_task_release(&dead);
    check_report("E4002", &dead);
    assert_false(emp_task_abort(&dead));
    check_report("E4002", &dead);
    assert_int_equal(emp_task_run(&dead), EMP_RUN_PENDING);
    check_report("E4001", &dead);
    (void)emp_task_retain(&dead);
    check_report("E4003", &dead);
    assert_int_equal(queue.length, 0);
}

static void too_many_references_are_told_long_before_they_wrap(void **state)
{
    (void)state;
    struct emp_task *task = spawn_waiting(0);
    const uint64_t real = task->state;

    task->state = (real & (EMP_TASK_REF - 1)) | (EMP_TASK_REFS_MAX - 2) << EMP_TASK_REF_SHIFT;
    (void)emp_task_retain(task);
    assert_int_equal(reports, 0);
    (void)emp_task_retain(task);
    (void)emp_task_retain(task);
    assert_int_equal(reports, 1);
    check_report("E4003", task);
    task->state = real;
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    emp_task_release(task);
}

#define MISUSE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static enum emp_poll answer;

/* What a runner that keeps no order would do: runs the coroutine on whose stack it is. */
static void body_runs_itself(void *args)
{
    struct emp_task *const self = emp_task_current();

    (void)args;
    answer = self->type->poll(self, self->body);
    (void)emp_yield();
}

static void a_resume_of_a_coroutine_that_runs_is_told_and_does_nothing(void **state)
{
    const struct emp_coroutine_spawn spawn = {
        .pool = pool, .scheduler = &queue.scheduler, .entry = body_runs_itself};
    struct emp_task *task = NULL;

    (void)state;
    assert_int_equal(emp_coroutine_spawn(&spawn, NULL, &task), EMP_OK);
    answer = EMP_POLL_READY;
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_AGAIN);
    assert_int_equal(answer, EMP_POLL_PENDING);
    check_report("E4102", task->body);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_true(emp_task_is_complete(task));
    assert_int_equal(reports, 0);
    emp_task_release(task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MISUSE_TEST(run_of_a_task_that_was_not_submitted_is_told),
        MISUSE_TEST(run_of_a_task_inside_its_poll_is_told),
        MISUSE_TEST(reference_given_back_twice_is_told_and_the_queue_keeps_its_own),
        MISUSE_TEST(use_of_a_dead_task_is_told_by_each_call),
        MISUSE_TEST(too_many_references_are_told_long_before_they_wrap),
        MISUSE_TEST(a_resume_of_a_coroutine_that_runs_is_told_and_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
