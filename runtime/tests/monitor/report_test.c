/*
 * Purpose: the text of a report, its single write, the decision after it, reports inside reports.
 *          Each is made in a child whose standard error is a packet pipe: one packet per write.
 * Design:  [monitor.req.report] [monitor.inv.one-write] [monitor.inv.report-no-recursion]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "monitor/report.h"

#define REPORT_BYTES_MAX 2048
#define WRITES_MAX       8
#define SURVIVED         7

/* What a child has written and how it ended. */
struct ending {
    unsigned writes;
    int status;
    char text[WRITES_MAX][REPORT_BYTES_MAX + 1];
};

static struct ending ending;

static const struct emp_report double_free = {
    .code = EMP_REPORT_DOUBLE_FREE,
    .pointer = (const void *)(uintptr_t)0x7f3a12c04a80,
    .block = (const void *)(uintptr_t)0x7f3a12c04a40,
    .pool = "conn_state",
    .block_bytes = 96,
    .class_id = 6,
    .owner_shard = 3,
    .call = "free_sized",
};

static void run_child(void (*body)(void))
{
    int ends[2];
    ending = (struct ending){0};
    assert_int_equal(pipe2(ends, O_DIRECT), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        body();
        _exit(SURVIVED);
    }
    close(ends[1]);
    while (ending.writes < WRITES_MAX) {
        const ssize_t got = read(ends[0], ending.text[ending.writes], REPORT_BYTES_MAX);
        if (got <= 0) {
            break;
        }
        ending.writes++;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &ending.status, 0), child);
}

static bool is_aborted(void)
{
    return WIFSIGNALED(ending.status) && WTERMSIG(ending.status) == SIGABRT;
}

static bool has_survived(void)
{
    return WIFEXITED(ending.status) && WEXITSTATUS(ending.status) == SURVIVED;
}

static void assert_has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL) {
        fail_msg("no \"%s\" in:\n%s", line, text);
    }
}

static void report_double_free(void)
{
    emp_report_misuse(&double_free);
}

static void a_report_is_one_write_with_every_field_and_then_an_abort(void **state)
{
    (void)state;
    run_child(report_double_free);
    const char *const text = ending.text[0];
    assert_int_equal(ending.writes, 1);
    assert_true(is_aborted());
    assert_int_equal(strncmp(text, "libechomem 0.1.0 error E1002 double free\n", 41), 0);
    assert_has(text, "\n  pointer:     0x7f3a12c04a80\n");
    assert_has(text, "\n  block:       0x7f3a12c04a40\n");
    assert_has(text, "\n  offset:      64\n");
    assert_has(text, "\n  block bytes: 96\n");
    assert_has(text, "\n  class:       6\n");
    assert_has(text, "\n  owner shard: 3\n");
    assert_has(text, "\n  pool:        conn_state\n");
    assert_has(text, "\n  call:        free_sized\n");
    assert_has(text, "\n  thread:      ");
    assert_has(text, "\n  what to do:  the block was already free; look for a second owner\n");
    assert_has(text, "\n  see:         docs/errors.md#E1002\n");
    assert_has(text, "\n  action:      abort (ECHOMEM_ON_ERROR=continue goes on)\n");
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void report_foreign(void)
{
    const struct emp_report report = {.code = EMP_REPORT_FOREIGN, .pointer = &double_free};
    emp_report_misuse(&report);
}

static void a_pointer_that_is_not_ours_gets_no_lines_about_blocks(void **state)
{
    (void)state;
    run_child(report_foreign);
    const char *const text = ending.text[0];
    assert_int_equal(ending.writes, 1);
    assert_has(text, "error E1005 foreign pointer\n");
    assert_has(text, "\n  call:        unknown\n");
    assert_null(strstr(text, "block:"));
    assert_null(strstr(text, "class:"));
    assert_null(strstr(text, "pool:"));
}

static void report_with_a_long_name(void)
{
    static char name[5000];
    struct emp_report report = double_free;
    memset(name, 'n', sizeof name - 1);
    report.pool = name;
    emp_report_misuse(&report);
}

static void a_report_is_never_longer_than_two_kibibytes(void **state)
{
    (void)state;
    run_child(report_with_a_long_name);
    assert_int_equal(ending.writes, 1);
    assert_int_equal(strlen(ending.text[0]), REPORT_BYTES_MAX - 1);
}

static void report_three_and_go_on(void)
{
    emp_report_set_policy(EMP_REPORT_CONTINUE);
    errno = 4711;
    for (int i = 0; i < 3; i++) {
        emp_report_misuse(&double_free);
    }
    if (errno != 4711 || emp_report_count() != 3) {
        _exit(1);
    }
    if (strncmp(emp_last_report, "libechomem 0.1.0 error E1002", 28) != 0) {
        _exit(2);
    }
}

static void the_policy_continue_returns_counts_and_keeps_errno(void **state)
{
    (void)state;
    run_child(report_three_and_go_on);
    assert_true(has_survived());
    assert_int_equal(ending.writes, 3);
    assert_has(ending.text[2], "\n  action:      continue, the block is left alone\n");
}

static int asked;

static bool decide_continue(const struct emp_report *report, void *arg)
{
    asked += report->code == EMP_REPORT_DOUBLE_FREE && arg == &asked ? 1 : 100;
    errno = 1;
    return true;
}

static bool decide_abort(const struct emp_report *report, void *arg)
{
    (void)report;
    (void)arg;
    return false;
}

static void ask_then_continue(void)
{
    emp_report_set_decider(decide_continue, &asked);
    errno = 4711;
    emp_report_misuse(&double_free);
    _exit(asked == 1 && errno == 4711 ? SURVIVED : 1);
}

static void ask_then_abort(void)
{
    emp_report_set_policy(EMP_REPORT_CONTINUE);
    emp_report_set_decider(decide_abort, NULL);
    emp_report_misuse(&double_free);
}

static void ask_nobody_any_more(void)
{
    emp_report_set_decider(decide_continue, &asked);
    emp_report_set_decider(NULL, NULL);
    emp_report_misuse(&double_free);
}

static void the_decider_has_the_last_word_in_both_directions(void **state)
{
    (void)state;
    run_child(ask_then_continue);
    assert_true(has_survived());
    assert_has(ending.text[0], "\n  action:      the callback decides\n");
    run_child(ask_then_abort);
    assert_true(is_aborted());
}

static void without_decider_the_policy_rules_again(void **state)
{
    (void)state;
    run_child(ask_nobody_any_more);
    assert_true(is_aborted());
    assert_int_equal(ending.writes, 1);
}

static bool decide_with_another_misuse(const struct emp_report *report, void *arg)
{
    const struct emp_report inner = {.code = EMP_REPORT_INTERIOR, .pointer = report->pointer};
    (void)arg;
    asked++;
    emp_report_misuse(&inner);
    return true;
}

static void report_inside_a_decider(void)
{
    asked = 0;
    emp_report_set_decider(decide_with_another_misuse, NULL);
    emp_report_misuse(&double_free);
    _exit(asked == 1 ? SURVIVED : 1);
}

static void a_report_from_inside_the_decider_is_written_and_asks_nobody(void **state)
{
    (void)state;
    run_child(report_inside_a_decider);
    assert_true(has_survived());
    assert_int_equal(ending.writes, 2);
    assert_has(ending.text[1], "E1003 interior pointer");
    assert_has(ending.text[1], "\n  action:      continue, the block is left alone\n");
}

static void on_abort(int signal)
{
    (void)signal;
    emp_report_misuse(&double_free);
}

static void report_inside_a_handler_of_abort(void)
{
    signal(SIGABRT, on_abort);
    emp_report_misuse(&double_free);
}

static void a_misuse_in_a_handler_of_sigabrt_does_not_abort_again(void **state)
{
    (void)state;
    run_child(report_inside_a_handler_of_abort);
    assert_true(is_aborted());
    assert_int_equal(ending.writes, 2);
}

static void break_an_invariant(void)
{
    emp_check(1 + 1 == 3);
}

static void a_failed_check_of_any_room_is_written_and_aborts(void **state)
{
    (void)state;
    run_child(break_an_invariant);
    assert_true(is_aborted());
    assert_int_equal(ending.writes, 1);
    assert_int_equal(strncmp(ending.text[0], "libechomem 0.1.0 internal failure: 1 + 1 == 3\n", 46),
                     0);
    assert_has(ending.text[0], "\n  where:       report_test.c:");
}

static void report_to_nowhere(void)
{
    emp_report_set_policy(EMP_REPORT_CONTINUE);
    close(STDERR_FILENO);
    emp_report_misuse(&double_free);
}

static void a_closed_standard_error_is_no_harm(void **state)
{
    (void)state;
    run_child(report_to_nowhere);
    assert_true(has_survived());
    assert_int_equal(ending.writes, 0);
}

static void every_code_has_number_text_and_advice_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < EMP_REPORT_COUNT; i++) {
        const enum emp_report_code code = (enum emp_report_code)i;
        assert_int_equal(strlen(emp_report_code_text(code)), 5);
        assert_true(strlen(emp_report_text(code)) > 0);
        assert_true(strlen(emp_report_advice(code)) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(emp_report_code_text(code),
                                    emp_report_code_text((enum emp_report_code)j));
        }
    }
    assert_string_equal(emp_report_code_text(EMP_REPORT_COUNT), "E0000");
    assert_string_equal(emp_report_text(EMP_REPORT_COUNT), "unknown");
    assert_string_equal(emp_report_advice(EMP_REPORT_COUNT), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_one_write_with_every_field_and_then_an_abort),
        cmocka_unit_test(a_pointer_that_is_not_ours_gets_no_lines_about_blocks),
        cmocka_unit_test(a_report_is_never_longer_than_two_kibibytes),
        cmocka_unit_test(the_policy_continue_returns_counts_and_keeps_errno),
        cmocka_unit_test(the_decider_has_the_last_word_in_both_directions),
        cmocka_unit_test(without_decider_the_policy_rules_again),
        cmocka_unit_test(a_report_from_inside_the_decider_is_written_and_asks_nobody),
        cmocka_unit_test(a_misuse_in_a_handler_of_sigabrt_does_not_abort_again),
        cmocka_unit_test(a_failed_check_of_any_room_is_written_and_aborts),
        cmocka_unit_test(a_closed_standard_error_is_no_harm),
        cmocka_unit_test(every_code_has_number_text_and_advice_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
