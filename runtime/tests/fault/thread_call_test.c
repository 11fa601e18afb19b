/*
 * What:  the thread library refuses: no helper thread, no key for thread ends, no place for its
 *        value. Allocation works all the same, nothing is lost that other threads need, the audit
 *        is clean.
 * How:   a child per refused call; threads that allocate, hand over and end; memory for a helper
 *        to purge.
 * Shows: [thread.req.fault] [core.proto.maintenance]
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "thread/thread_fault.h"

#if EMP_FAULT

#define THREADS 40u
#define BLOCKS  400u

static void *handed_over[THREADS][BLOCKS];

static void *allocate_and_end(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < BLOCKS; i++) {
        handed_over[me][i] = emp_malloc(16 + i * 20);
        emp_free(emp_malloc(i));
    }
    return NULL;
}

/* 0: all well, else the step that failed. */
static int work(void)
{
    for (unsigned t = 0; t < THREADS; t++) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, allocate_and_end, (void *)(uintptr_t)t) != 0 ||
            pthread_join(thread, NULL) != 0) {
            return 1;
        }
    }
    for (unsigned t = 0; t < THREADS; t++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            if (handed_over[t][i] == NULL) {
                return 2;
            }
            memset(handed_over[t][i], 1, 16 + i * 20);
            emp_free(handed_over[t][i]);
        }
    }
    (void)emp_purge();
    return emp_audit() == 0 ? 0 : 3;
}

static void a_refused_call_does_no_harm(void **state)
{
    static const uint32_t calls[] = {EMP_THREAD_CALL_KEY_CREATE, EMP_THREAD_CALL_SET_SPECIFIC,
                                     EMP_THREAD_CALL_ATFORK, EMP_THREAD_CALL_CREATE,
                                     EMP_THREAD_CALL_KEY_CREATE | EMP_THREAD_CALL_CREATE};

    (void)state;
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        int status = 0;

        (void)fflush(NULL);
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            emp_thread_fault_arm(calls[i]);
            int failed = work();

            if (failed == 0 && emp_thread_fault_hits() == 0) {
                failed = 4; /* the call was never made */
            }
            emp_thread_fault_arm(0);
            _exit(failed != 0 ? failed : work() * 10);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0) {
            fail_msg("refused calls %u: status 0x%x", calls[i], (unsigned)status);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_refused_call_does_no_harm)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void only_a_build_with_faults_can_refuse(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_a_build_with_faults_can_refuse)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
