/*
 * Purpose: the environment is the one that setenv changes; an ordinary process is not privileged.
 * Design:  [os.req.process]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "os/os_process.h"

static void environment_shows_what_setenv_did(void **state)
{
    (void)state;
    const char *const entry = "EMP_OS_PROCESS_TEST=seen";
    bool is_found = false;

    assert_int_equal(setenv("EMP_OS_PROCESS_TEST", "seen", 1), 0);
    for (char *const *at = emp_os_environment(); at != NULL && *at != NULL; at++) {
        is_found = is_found || strcmp(*at, entry) == 0;
    }
    assert_true(is_found);
}

static void test_program_has_no_more_rights_than_its_user(void **state)
{
    (void)state;
    assert_false(emp_os_is_privileged());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_shows_what_setenv_did),
        cmocka_unit_test(test_program_has_no_more_rights_than_its_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
