/*
 * Purpose: every result code has a text of its own, and other numbers have one too.
 * Design:  [base.req.status]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/status.h"

static void every_code_has_a_text_that_no_other_code_has(void **state)
{
    (void)state;
    assert_string_equal(emp_status_describe(0), "success");
    for (unsigned i = 0; i < EMP_STATUS_COUNT; i++) {
        assert_true(strlen(emp_status_describe(i)) > 0);
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(emp_status_describe(i), emp_status_describe(j));
        }
    }
}

static void numbers_that_are_no_code_say_so(void **state)
{
    (void)state;
    assert_string_equal(emp_status_describe(EMP_STATUS_COUNT), "unknown status");
    assert_string_equal(emp_status_describe(UINT32_MAX), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_text_that_no_other_code_has),
        cmocka_unit_test(numbers_that_are_no_code_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
