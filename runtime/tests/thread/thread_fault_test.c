/*
 * Purpose: what happens when the thread library refuses: no key, no fork hook, no thread. Runs
 *          only in builds that can make it refuse.
 * Design:  [thread.req.fault] [thread.proto.lifecycle]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "thread/lifecycle.h"
#include "thread/thread_fault.h"

#if EMP_FAULT

static unsigned rounds;
static unsigned last_rounds;

static void on_exit_round(void *arg, bool last)
{
    (void)arg;
    rounds++;
    last_rounds += last ? 1 : 0;
}

static void on_fork(void)
{
}

static const struct emp_fork_hooks hooks = {on_fork, on_fork, on_fork};

static void body(void *arg)
{
    (void)arg;
}

static void without_a_key_init_and_attach_say_no(void **state)
{
    (void)state;
    emp_thread_fault_arm(EMP_THREAD_CALL_KEY_CREATE);
    assert_false(emp_lifecycle_init(on_exit_round, &hooks));
    emp_thread_fault_arm(0);
    assert_false(emp_lifecycle_attach(&rounds));
    assert_int_equal(emp_thread_fault_hits(), 1);
}

static void without_fork_hooks_init_says_no_and_attach_still_works(void **state)
{
    (void)state;
    emp_thread_fault_arm(EMP_THREAD_CALL_ATFORK);
    assert_false(emp_lifecycle_init(on_exit_round, &hooks));
    emp_thread_fault_arm(EMP_THREAD_CALL_SET_SPECIFIC);
    assert_false(emp_lifecycle_attach(&rounds));
    emp_thread_fault_arm(0);
}

static void *refused_rearm_body(void *arg)
{
    const bool is_attached = emp_lifecycle_attach(arg);
    emp_thread_fault_arm(EMP_THREAD_CALL_SET_SPECIFIC);
    return (void *)(uintptr_t)is_attached;
}

static void a_round_that_cannot_be_repeated_is_the_last_one(void **state)
{
    (void)state;
    pthread_t thread;
    void *is_attached = NULL;
    assert_true(emp_lifecycle_init(on_exit_round, &hooks));
    rounds = last_rounds = 0;
    assert_int_equal(pthread_create(&thread, NULL, refused_rearm_body, &rounds), 0);
    assert_int_equal(pthread_join(thread, &is_attached), 0);
    emp_thread_fault_arm(0);
    assert_non_null(is_attached);
    assert_int_equal(rounds, 1);
    assert_int_equal(last_rounds, 1);
}

static void a_refused_thread_leaves_no_slot_taken_and_restores_mask_and_errno(void **state)
{
    (void)state;
    sigset_t now;
    emp_thread_fault_arm(EMP_THREAD_CALL_CREATE);
    errno = 4711;
    for (int i = 0; i < 100; i++) {
        assert_false(emp_lifecycle_spawn(body, NULL, "no"));
    }
    assert_int_equal(errno, 4711);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_int_equal(sigismember(&now, SIGUSR1), 0);
    emp_thread_fault_arm(0);
    assert_true(emp_lifecycle_spawn(body, NULL, "yes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_key_init_and_attach_say_no),
        cmocka_unit_test(without_fork_hooks_init_says_no_and_attach_still_works),
        cmocka_unit_test(a_round_that_cannot_be_repeated_is_the_last_one),
        cmocka_unit_test(a_refused_thread_leaves_no_slot_taken_and_restores_mask_and_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void faults_need_a_fault_build(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults_need_a_fault_build)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
