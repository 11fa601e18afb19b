/*
 * Purpose: the command echomem: its verbs, its exit codes, and that `run` really serves the
 *          program's malloc.
 * Owner:   tests of the drop-in. [tool.req.verbs] [tool.req.which] [tool.req.run]
 *          [tool.req.check]
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/program_run.h"

#define WORDS_MAX 8

static struct program_result result;

/* Runs echomem with the words of a line; a word may be a path. */
static void echomem(const char *line)
{
    static char copy[2 * PROGRAM_PATH_BYTES];
    char drop_in[PROGRAM_PATH_BYTES + sizeof("ECHOMEM_MALLOC_SO=")];
    const char *argv[WORDS_MAX + 2] = {program_beside("../echomem"), NULL};
    const char *const environment[] = {drop_in, NULL};
    struct program_request request = {argv, environment, NULL, 0};
    char *rest = NULL;
    size_t count = 1;

    (void)snprintf(drop_in, sizeof(drop_in), "ECHOMEM_MALLOC_SO=%s", program_drop_in());
    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && count <= WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        argv[count++] = word;
    }
    argv[count] = NULL;
    assert_true(program_run(&request, &result));
    assert_false(result.timed_out);
}

static void help_and_version_print_and_succeed(void **state)
{
    (void)state;
    echomem("--help");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "run a program with our malloc"));
    echomem("version");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(strncmp(result.output, "echomem ", 8), 0);
}

static void mistakes_end_with_125(void **state)
{
    static const char *const lines[] = {"",
                                        "nonsense",
                                        "options --xml",
                                        "which",
                                        "which -p x",
                                        "check",
                                        "run",
                                        "run --nonsense ls",
                                        "run --set",
                                        "run --set x ls",
                                        "run --set no_such=1 ls"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); ++i) {
        echomem(lines[i]);
        if (result.exit_code != 125) {
            print_error("echomem %s: exit code %d\n", lines[i], result.exit_code);
        }
        assert_int_equal(result.exit_code, 125);
    }
}

static void programs_that_are_missing_give_127_and_126(void **state)
{
    (void)state;
    echomem("run no-such-program-anywhere");
    assert_int_equal(result.exit_code, 127);
    echomem("which no-such-program-anywhere");
    assert_int_equal(result.exit_code, 127);
    echomem("check no-such-program-anywhere");
    assert_int_equal(result.exit_code, 127);
    echomem("run /dev/null");
    assert_int_equal(result.exit_code, 126);
}

static void options_are_listed_with_their_origin(void **state)
{
    (void)state;
    assert_int_equal(setenv("ECHOMEM_PURGE_DELAY", "7s", 1), 0);
    echomem("options");
    assert_int_equal(unsetenv("ECHOMEM_PURGE_DELAY"), 0);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "7s           environment"));
    assert_non_null(strstr(result.output, "foreign_free"));
    echomem("options --json");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(strncmp(result.output, "[{\"name\":\"", 10), 0);
    assert_string_equal(result.output + result.output_bytes - 3, "}]\n");
}

static void classes_are_listed(void **state)
{
    (void)state;
    echomem("classes");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "block bytes"));
    echomem("classes --json");
    assert_int_equal(strncmp(result.output, "[{\"class\":1,\"block_bytes\":8,", 28), 0);
}

static void which_names_the_library_of_a_program(void **state)
{
    (void)state;
    echomem("which ls");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "/libc.so.6\n"));
    assert_int_equal(setenv("LD_PRELOAD", program_drop_in(), 1), 0);
    echomem("which ls");
    assert_int_equal(unsetenv("LD_PRELOAD"), 0);
    assert_non_null(strstr(result.output, "libechomem_malloc.so (echomem)\n"));
}

/* Starts a sleeping program with or without the drop-in and asks about its process. */
static void which_names_the_library_of_a_process(void **state)
{
    (void)state;
    for (int preloaded = 0; preloaded < 2; ++preloaded) {
        char line[64];
        pid_t child = fork();

        if (child == 0) {
            if (preloaded != 0) {
                (void)setenv("LD_PRELOAD", program_drop_in(), 1);
            }
            execlp("sleep", "sleep", "60", (char *)NULL);
            _exit(127);
        }
        assert_true(child > 0);
        (void)usleep(200000);
        (void)snprintf(line, sizeof(line), "which -p %d", (int)child);
        echomem(line);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(result.exit_code, 0);
        assert_non_null(
            strstr(result.output, preloaded != 0 ? "libechomem_malloc.so (echomem)" : "libc.so.6"));
    }
}

static void check_says_yes_for_ordinary_programs(void **state)
{
    (void)state;
    echomem("check ls");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "verdict: yes"));
}

/* A copy of `true` with the set-user-id bit, in a folder of its own. */
static void check_says_no_for_privileged_programs(void **state)
{
    char name[] = "/tmp/echomem-test-XXXXXX";
    char line[PROGRAM_PATH_BYTES];
    int fd = mkstemp(name);
    const char *const argv[] = {"cp", "/bin/true", name, NULL};
    struct program_request request = {argv, NULL, NULL, 0};

    (void)state;
    assert_true(fd >= 0);
    assert_true(program_run(&request, &result));
    assert_int_equal(fchmod(fd, S_ISUID | 0755), 0);
    (void)close(fd);
    (void)snprintf(line, sizeof(line), "check %s", name);
    echomem(line);
    (void)unlink(name);
    assert_int_equal(result.exit_code, 1);
    assert_non_null(strstr(result.output, "set-user-id"));
}

static void run_serves_and_passes_the_exit_code_on(void **state)
{
    (void)state;
    echomem("run --stats -- ls /");
    assert_int_equal(result.exit_code, 0);
    assert_true(program_served(result.errors) > 10);
    echomem("run --stats=json -- true");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(result.errors[0], '{');
    echomem("run --set purge_delay=2s -- false");
    assert_int_equal(result.exit_code, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_print_and_succeed),
        cmocka_unit_test(mistakes_end_with_125),
        cmocka_unit_test(programs_that_are_missing_give_127_and_126),
        cmocka_unit_test(options_are_listed_with_their_origin),
        cmocka_unit_test(classes_are_listed),
        cmocka_unit_test(which_names_the_library_of_a_program),
        cmocka_unit_test(which_names_the_library_of_a_process),
        cmocka_unit_test(check_says_yes_for_ordinary_programs),
        cmocka_unit_test(check_says_no_for_privileged_programs),
        cmocka_unit_test(run_serves_and_passes_the_exit_code_on),
    };

    return cmocka_run_group_tests_name("command echomem", tests, NULL, NULL);
}
