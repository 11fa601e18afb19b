/*
 * What: threads that use the library for the first time at the same moment: each gets a cache that
 *       ends with it, whoever of them started the library.
 * How:  many children, each a fresh process in which the library has not started; eight threads
 *       meet at a barrier, allocate and free, and end; the child then counts caches and bytes in
 *       use.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/settled.h"

#define CHILDREN 60
#define THREADS  8

static pthread_barrier_t barrier;

static void *first_user(void *arg)
{
    void *blocks[40];

    (void)arg;
    (void)pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = emp_malloc(16 + i * 24);
    }
    for (size_t i = 0; i < 40; i++) {
        emp_free(blocks[i]);
    }
    return NULL;
}

/* The child: returns the caches that are left, 100 when blocks are, 200 when a thread could not
   start. */
static int run_child(void)
{
    pthread_t threads[THREADS];
    struct emp_stats stats;

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, first_user, NULL) != 0) {
            return 200;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    (void)settled_stats_read(&stats);
    return stats.allocated != 0 ? 100 : (int)stats.threads;
}

static void caches_of_the_first_threads_end_with_them(void **state)
{
    (void)state;
    for (int child = 0; child < CHILDREN; child++) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
            _exit(run_child());
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) != 0) {
            fail_msg("child %d ended with %d: caches left, 100: blocks left", child,
                     WEXITSTATUS(status));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(caches_of_the_first_threads_end_with_them)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
