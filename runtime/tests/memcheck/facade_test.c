/*
 * What: checkers see the facade program as it is: nothing wrong in the self-test, and each planted
 *       error reported exactly, once, where it was made.
 * How:  runs advanced_memory_pool_test under valgrind --leak-check=full; in a build with
 *       AddressSanitizer as it is. Skipped where valgrind is missing or cannot be used (another
 *       sanitizer).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "support/program_run.h"

#define PROGRAM     "../advanced_memory_pool_test"
#define ERROR_FOUND 99

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

static struct program_result result;

/* Runs the program under valgrind; skips the test where that is not possible. */
static void run_under_valgrind(const char *argument)
{
    const char *const argv[] = {"valgrind",
                                "--leak-check=full",
                                "--show-leak-kinds=all",
                                "--errors-for-leak-kinds=definite,indirect,possible",
                                "--error-exitcode=99",
                                program_beside(PROGRAM),
                                argument,
                                NULL};
    const struct program_request request = {.argv = argv, .limit_seconds = 110};

    if (HAS_SANITIZER || !program_exists("valgrind")) {
        printf("valgrind cannot be used here\n");
        skip();
    }
    assert_true(program_run(&request, &result));
    assert_false(result.timed_out);
}

/* How often a text occurs. */
static unsigned occurrences(const char *text, const char *wanted)
{
    unsigned count = 0;

    for (; (text = strstr(text, wanted)) != NULL; text += strlen(wanted)) {
        count++;
    }
    return count;
}

static void expect_text(const char *text, unsigned times)
{
    unsigned found = occurrences(result.errors, text);

    if (found != times) {
        fail_msg("\"%s\" occurs %u times, wanted %u, in:\n%s", text, found, times, result.errors);
    }
}

static void valgrind_finds_nothing_in_the_self_test(void **state)
{
    (void)state;
    run_under_valgrind(NULL);
    expect_text("ERROR SUMMARY: 0 errors", 1);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "self-test passed"));
}

static void valgrind_finds_exactly_the_leaked_block(void **state)
{
    (void)state;
    run_under_valgrind("--seed=leak");
    expect_text("in 1 blocks are definitely lost in loss record", 1);
    expect_text("leak_one_block", 1);
    expect_text("ERROR SUMMARY: 1 errors from 1 contexts", 1);
    assert_int_equal(result.exit_code, ERROR_FOUND);
}

static void valgrind_finds_exactly_the_write_to_a_freed_block(void **state)
{
    (void)state;
    run_under_valgrind("--seed=use-after-free");
    expect_text("Invalid write of size 1", 1);
    expect_text("is 5 bytes inside a block of size", 1);
    expect_text("ERROR SUMMARY: 1 errors from 1 contexts", 1);
    assert_int_equal(result.exit_code, ERROR_FOUND);
}

static void address_sanitizer_stops_at_the_write_to_a_freed_block(void **state)
{
    const char *const argv[] = {program_beside(PROGRAM), "--seed=use-after-free", NULL};
    const struct program_request request = {.argv = argv};

    (void)state;
    if (!HAS_ASAN) {
        skip();
    }
    assert_true(program_run(&request, &result));
    expect_text("AddressSanitizer: use-after-poison", 2); /* the error and its summary */
    expect_text("WRITE of size 1", 1);
    assert_true(occurrences(result.errors, "write_after_free") >= 1);
    assert_int_not_equal(result.exit_code, 0);
}

static void the_program_counts_its_own_leaked_block(void **state)
{
    const char *const argv[] = {program_beside(PROGRAM), "--seed=leak", NULL};
    const struct program_request request = {.argv = argv};

    (void)state;
    assert_true(program_run(&request, &result));
    assert_int_equal(result.exit_code, 0);
    assert_string_equal(result.output, "planted leak: 112 bytes in use that were not before\n");
}

static void the_command_line_is_checked(void **state)
{
    static const char *const wrong[] = {"--concurrency=0", "--concurrency=99999", "--duration=5",
                                        "--duration=xs",   "--seed=nothing",      "--unknown"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *const argv[] = {program_beside(PROGRAM), wrong[i], NULL};
        const struct program_request request = {.argv = argv};

        assert_true(program_run(&request, &result));
        assert_int_equal(result.exit_code, 2);
        assert_non_null(strstr(result.errors, wrong[i]));
    }
    const char *const argv[] = {program_beside(PROGRAM), "--help", NULL};
    const struct program_request request = {.argv = argv};

    assert_true(program_run(&request, &result));
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "--concurrency=N"));
}

static void a_short_stress_reports_its_numbers(void **state)
{
    const char *const argv[] = {program_beside(PROGRAM), "--concurrency=8", "--duration=300ms",
                                NULL};
    const struct program_request request = {.argv = argv};

    (void)state;
    assert_true(program_run(&request, &result));
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "threads 8"));
    assert_non_null(strstr(result.output, "corrupt 0, lost blocks 0"));
    assert_non_null(strstr(result.output, "passed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valgrind_finds_nothing_in_the_self_test),
        cmocka_unit_test(valgrind_finds_exactly_the_leaked_block),
        cmocka_unit_test(valgrind_finds_exactly_the_write_to_a_freed_block),
        cmocka_unit_test(address_sanitizer_stops_at_the_write_to_a_freed_block),
        cmocka_unit_test(the_program_counts_its_own_leaked_block),
        cmocka_unit_test(the_command_line_is_checked),
        cmocka_unit_test(a_short_stress_reports_its_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
