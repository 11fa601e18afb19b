/*
 * Purpose: what the drop-in does with pointers of another allocator, by policy, and with its
 *          summary when standard error is not what it was.
 * Owner:   tests of the drop-in. [preload.req.foreign] [preload.req.summary]
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/program_run.h"

static struct program_result result;

/* Runs a case of foreign_child with one more variable. */
static void run(const char *name, const char *variable)
{
    const char *const argv[] = {program_beside("foreign_child"), name, NULL};
    const char *const environment[] = {program_preload(), variable, NULL};
    struct program_request request = {argv, environment, NULL, 0};

    assert_true(program_run(&request, &result));
    assert_false(result.timed_out);
}

static void by_default_a_foreign_pointer_is_reported_and_the_program_aborts(void **state)
{
    (void)state;
    run("free_foreign_blocks", NULL);
    assert_int_equal(result.exit_code, 128 + SIGABRT);
    assert_non_null(strstr(result.errors, "E1005 foreign pointer"));
    assert_non_null(strstr(result.errors, "ECHOMEM_FOREIGN_FREE=forward"));
    assert_null(strstr(result.output, "went on"));
}

static void forward_hands_it_to_the_next_free(void **state)
{
    (void)state;
    run("free_foreign_blocks", "ECHOMEM_FOREIGN_FREE=forward");
    assert_int_equal(result.exit_code, 0);
    assert_string_equal(result.output, "went on\n");
    assert_string_equal(result.errors, "");
}

static void ignore_leaves_it_alone(void **state)
{
    (void)state;
    run("free_foreign_blocks", "ECHOMEM_FOREIGN_FREE=ignore");
    assert_int_equal(result.exit_code, 0);
    assert_string_equal(result.output, "went on\n");
    assert_string_equal(result.errors, "");
}

static void a_stack_address_is_foreign_too(void **state)
{
    (void)state;
    run("free_a_stack_address", NULL);
    assert_int_equal(result.exit_code, 128 + SIGABRT);
    assert_non_null(strstr(result.errors, "E1005"));
}

static void continue_reports_and_goes_on(void **state)
{
    (void)state;
    run("free_a_stack_address", "ECHOMEM_ON_ERROR=continue");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.errors, "E1005"));
    assert_string_equal(result.output, "went on\n");
}

static void a_handler_of_sigabrt_may_allocate(void **state)
{
    (void)state;
    run("allocate_in_the_handler_of_a_report", NULL);
    assert_int_equal(result.exit_code, 7);
    assert_non_null(strstr(result.errors, "E1005"));
}

/* The number 2 belongs to a file of the program by then: the summary must not end up in it. */
static void the_summary_never_lands_in_a_file_of_the_program(void **state)
{
    char text[16];
    FILE *file;

    (void)state;
    run("leave_standard_error_to_others", "ECHOMEM_STATS=1");
    assert_int_equal(result.exit_code, 0);
    assert_true(program_served(result.errors) > 0);
    result.output[strcspn(result.output, "\n")] = '\0';
    file = fopen(result.output, "r");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof(text), file), 0);
    (void)fclose(file);
    (void)unlink(result.output);
}

static void the_summary_survives_closed_descriptors(void **state)
{
    (void)state;
    run("close_everything", "ECHOMEM_STATS=1");
    assert_int_equal(result.exit_code, 0);
    run("close_everything", "ECHOMEM_STATS=json");
    assert_int_equal(result.exit_code, 0);
}

static void json_and_openmetrics_are_pure(void **state)
{
    (void)state;
    run("leave_standard_error_to_others", "ECHOMEM_STATS=json");
    (void)unlink(strtok(result.output, "\n"));
    assert_int_equal(result.errors[0], '{');
    run("leave_standard_error_to_others", "ECHOMEM_STATS=openmetrics");
    (void)unlink(strtok(result.output, "\n"));
    assert_int_equal(result.errors[0], '#');
    assert_non_null(strstr(result.errors, "# EOF"));
}

static void without_the_option_nothing_is_written(void **state)
{
    (void)state;
    run("leave_standard_error_to_others", NULL);
    (void)unlink(strtok(result.output, "\n"));
    assert_int_equal(result.error_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_default_a_foreign_pointer_is_reported_and_the_program_aborts),
        cmocka_unit_test(forward_hands_it_to_the_next_free),
        cmocka_unit_test(ignore_leaves_it_alone),
        cmocka_unit_test(a_stack_address_is_foreign_too),
        cmocka_unit_test(continue_reports_and_goes_on),
        cmocka_unit_test(a_handler_of_sigabrt_may_allocate),
        cmocka_unit_test(the_summary_never_lands_in_a_file_of_the_program),
        cmocka_unit_test(the_summary_survives_closed_descriptors),
        cmocka_unit_test(json_and_openmetrics_are_pure),
        cmocka_unit_test(without_the_option_nothing_is_written),
    };

    return cmocka_run_group_tests_name("dropin foreign pointers and summary", tests, NULL, NULL);
}
