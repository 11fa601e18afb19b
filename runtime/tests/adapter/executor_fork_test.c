/*
 * What: a process that is forked inside of a task: it makes an executor of its own and runs it on
 *       the thread that it has.
 * How:  a poll forks, on the calling thread and on a worker's; the child runs tasks and ends, and
 *       says by its status how far it came.
 * Shows: [adapter.req.executor]
 * ctest-not-under: thread
 *       (it starts no threads in the child of a process that has some)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/task.h"
#include "core/async_memory_pool.h"

#define TASKS 100u

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static unsigned ran;     /* in the child */
static int child_status; /* of the parent's wait */

static enum emp_poll be_ready(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    ran++;
    return EMP_POLL_READY;
}

/* What the child does: 0, or the number of what failed. */
static int child_run(void)
{
    static const struct emp_task_type type = {"ready", 0, 0, be_ready, NULL};
    struct emp_executor *own = NULL;

    if (emp_executor_create(1, &own) != EMP_OK) {
        return 1;
    }
    const struct emp_spawn spawn = {
        .pool = pool, .scheduler = emp_executor_scheduler(own), .type = &type};

    for (unsigned i = 0; i < TASKS; i++) {
        if (emp_task_spawn(&spawn, NULL, NULL) != EMP_OK) {
            return 2;
        }
    }
    if (emp_executor_run(own, EMP_EXECUTOR_UNTIL_DONE) != EMP_OK) {
        return 3;
    }
    if (ran != TASKS) {
        return 4;
    }
    return emp_executor_destroy(own) == EMP_OK ? 0 : 5;
}

static enum emp_poll fork_inside(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    const pid_t child = fork();

    if (child == 0) {
        _exit(child_run());
    }
    (void)waitpid(child, &child_status, 0);
    return EMP_POLL_READY;
}

static void fork_once(unsigned threads)
{
    static const struct emp_task_type type = {"forking", 0, 0, fork_inside, NULL};

    child_status = -1;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(2, &executor), EMP_OK);
    if (threads > 0) {
        assert_int_equal(emp_executor_start(executor, threads), EMP_OK);
    }
    const struct emp_spawn spawn = {
        .pool = pool, .scheduler = emp_executor_scheduler(executor), .type = &type};

    assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
    assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_DRAIN), EMP_OK);
    if (threads == 0) {
        assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    }
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    assert_true(WIFEXITED(child_status));
    assert_int_equal(WEXITSTATUS(child_status), 0);
}

static void child_of_a_task_on_the_calling_thread_runs_an_executor_of_its_own(void **state)
{
    (void)state;
    fork_once(0);
}

static void child_of_a_task_on_a_worker_runs_an_executor_of_its_own(void **state)
{
    (void)state;
    fork_once(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_of_a_task_on_the_calling_thread_runs_an_executor_of_its_own),
        cmocka_unit_test(child_of_a_task_on_a_worker_runs_an_executor_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
