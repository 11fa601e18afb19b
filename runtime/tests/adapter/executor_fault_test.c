/*
 * What: an executor whose n-th thread the system refuses: what was started runs and can be stopped,
 *       the rest of the workers stays free; and one for which there is no memory.
 * How:  a pthread_create of the test itself, before the real one, fails when it is told to; a limit
 *       below what is in use lets no slab come.
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
#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"
#include "core/memory_monitor.h"

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

/* More than lie ready in slabs of any size. */
#define EXECUTORS_MAX 4096u

static void want_of_memory_is_told_by_create_and_leaves_nothing_behind(void **state)
{
    (void)state;
    static struct emp_executor *made[EXECUTORS_MAX];
    static const unsigned workers[] = {1, EMP_EXECUTOR_WORKERS_MAX};

    for (unsigned i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        struct emp_executor *const untouched = (struct emp_executor *)(void *)made;
        struct emp_executor *out = untouched;
        enum emp_status status = EMP_OK;
        unsigned count = 0;

        assert_int_equal(emp_option_set("limit", "1m"), EMP_OK);
        while (status == EMP_OK && count < EXECUTORS_MAX) {
            status = emp_executor_create(workers[i], &made[count]);
            count += status == EMP_OK;
        }
        assert_int_equal(status, EMP_ERR_NOMEM);
        assert_int_equal(emp_executor_create(workers[i], &out), EMP_ERR_NOMEM);
        assert_ptr_equal(out, untouched);
        while (count > 0) {
            assert_int_equal(emp_executor_destroy(made[--count]), EMP_OK);
        }
        assert_int_equal(emp_option_set("limit", "0"), EMP_OK);
        assert_int_equal(emp_executor_create(workers[i], &out), EMP_OK);
        assert_int_equal(emp_executor_destroy(out), EMP_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_thread_leaves_the_others_and_its_worker_free),
        cmocka_unit_test(want_of_memory_is_told_by_create_and_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
