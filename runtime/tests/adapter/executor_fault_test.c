/*
 * What: an executor whose n-th thread the system refuses: what was started runs and can be stopped,
 *       the rest of the workers stays free.
 * How:  a pthread_create of the test itself, before the real one, fails when it is told to.
 * Shows: [adapter.proto.executor]
 * ctest-not-under: thread address
 *       (they have a pthread_create of their own)
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/task.h"
#include "core/async_memory_pool.h"

#define WORKERS 4u

static bool is_counting;
static unsigned creates_left; /* while counting: those that succeed */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");

    memcpy(&real, &symbol, sizeof real);
    if (is_counting && creates_left-- == 0) {
        return EAGAIN;
    }
    return real(thread, attributes, body, arg);
}

static enum emp_poll be_ready(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    return EMP_POLL_READY;
}

static void refused_thread_leaves_the_others_and_its_worker_free(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"ready", 0, 0, be_ready, NULL};

    for (unsigned allowed = 0; allowed < WORKERS; allowed++) {
        struct emp_async_pool *pool = NULL;
        struct emp_executor *executor = NULL;
        struct emp_executor_stats stats;

        assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
        assert_int_equal(emp_executor_create(WORKERS, &executor), EMP_OK);
        creates_left = allowed;
        is_counting = true;
        assert_int_equal(emp_executor_start(executor, WORKERS), EMP_ERR_NOMEM);
        is_counting = false;
        const struct emp_spawn spawn = {
            .pool = pool, .scheduler = emp_executor_scheduler(executor), .type = &type};

        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
        assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
        assert_int_equal(emp_executor_get_stats(executor, &stats), EMP_OK);
        assert_int_equal(stats.alive, 0);
        assert_int_equal(emp_executor_start(executor, WORKERS - allowed), EMP_OK);
        assert_int_equal(emp_executor_start(executor, 1), EMP_ERR_BUSY);
        assert_int_equal(emp_executor_destroy(executor), EMP_OK);
        assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_thread_leaves_the_others_and_its_worker_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
