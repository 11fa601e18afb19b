/*
 * Purpose: a failed check reaches the hook with its text and place and ends the process without a
 *          hook; assertions are evaluated in debug builds only.
 * Design:  [base.req.check]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

#define HOOK_EXIT 42

/* Ends the child with a code that tells whether the texts were right. */
static void exit_hook(const char *what, const char *where)
{
    const char *const file = "check_test.c:";
    const bool is_right = strcmp(what, "1 + 1 == 3") == 0 &&
                          strncmp(where, file, strlen(file)) == 0 && where[strlen(file)] >= '1';
    _exit(is_right ? HOOK_EXIT : 1);
}

static void fail_check(void)
{
    emp_check(1 + 1 == 3);
}

static void fail_assert(void)
{
    emp_assert(1 + 1 == 3);
}

static void fail_check_without_hook(void)
{
    emp_check_set_hook(NULL);
    emp_check(1 + 1 == 3);
}

/* Wait status of a child that runs body under the hook. */
static int status_of(void (*body)(void))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        emp_check_set_hook(exit_hook);
        body();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_failed_check_tells_the_hook_the_condition_and_the_place(void **state)
{
    (void)state;
    const int status = status_of(fail_check);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HOOK_EXIT);
}

static void a_failed_check_without_a_hook_ends_the_process(void **state)
{
    (void)state;
    assert_true(WIFSIGNALED(status_of(fail_check_without_hook)));
}

static void a_failed_assertion_ends_debug_builds_only(void **state)
{
    (void)state;
    const int status = status_of(fail_assert);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EMP_DEBUG ? HOOK_EXIT : 0);
}

static void conditions_are_evaluated_once_by_checks_and_never_by_release_assertions(void **state)
{
    (void)state;
    int checked = 0;
    int asserted = 0;
    emp_check(++checked > 0);
    emp_assert(++asserted > 0);
    assert_int_equal(checked, 1);
    assert_int_equal(asserted, EMP_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_check_tells_the_hook_the_condition_and_the_place),
        cmocka_unit_test(a_failed_check_without_a_hook_ends_the_process),
        cmocka_unit_test(a_failed_assertion_ends_debug_builds_only),
        cmocka_unit_test(conditions_are_evaluated_once_by_checks_and_never_by_release_assertions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
