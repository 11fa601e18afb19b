/*
 * Purpose: every row of async_bench runs for our library and reports what it should; a peer that
 *          was built runs all the rows that it names.
 * How:     async_bench --quick, all contestants. A row proves its own results (sums, locals, no
 *          object left) and fails otherwise. Sanitizers and emulators park no stacks and are too
 *          slow for a thousand threads. ctest-not-under: address thread emulator
 * Threads: one; the bench starts processes. ctest-serial ctest-timeout: 300
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTPUT_BYTES ((size_t)262144)
#define ROWS_MAX     ((size_t)64)
#define NAME_BYTES   ((size_t)40)

static char program[PATH_MAX];
static char output[OUTPUT_BYTES];

/* Runs async_bench; standard output lands in output. Returns its exit status. */
static int run(const char *arguments)
{
    char command[2 * PATH_MAX];
    FILE *stream;
    size_t length;
    int status;

    snprintf(command, sizeof command, "'%s' %s 2>/dev/null", program, arguments);
    stream = popen(command, "r");
    assert_non_null(stream);
    length = fread(output, 1, sizeof output - 1, stream);
    output[length] = '\0';
    status = pclose(stream);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The names that --list prints. Returns how many. */
static size_t list_rows(char (*names)[NAME_BYTES])
{
    size_t count = 0;

    assert_int_equal(run("--list"), 0);
    for (char *line = output; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t length = strcspn(line, " ");

        assert_true(count < ROWS_MAX && length < NAME_BYTES);
        memcpy(names[count], line, length);
        names[count++][length] = '\0';
    }
    return count;
}

static void every_row_runs_for_our_library(void **state)
{
    static char names[ROWS_MAX][NAME_BYTES];
    size_t count = list_rows(names);
    int status = run("--contestants=echomem --quick --json");

    (void)state;
    if (status != 0 || strstr(output, "\"failures\": [],") == NULL) {
        fail_msg("status %d:\n%s", status, output);
    }
    assert_true(count > 25);
    for (size_t i = 0; i < count; i++) {
        char wanted[ROWS_MAX * NAME_BYTES + 32];

        snprintf(wanted, sizeof wanted, "\"workload\": \"%s\"", names[i]);
        if (strstr(output, wanted) == NULL) {
            fail_msg("row %s reported nothing", names[i]);
        }
    }
}

static void every_peer_that_was_built_runs_its_rows(void **state)
{
    int status = run("--contestants=boost-context,boost-fiber,ck,urcu,moodycamel,readerwriter,go,"
                     "tokio,crossbeam --quick");

    (void)state;
    if (status == 2) {
        skip(); /* none was built */
    }
    if (status != 0 || strstr(output, "FAILED") != NULL) {
        fail_msg("status %d:\n%s", status, output);
    }
}

static int group_setup(void **state)
{
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 32);
    char *slash;

    (void)state;
    if (length <= 0) {
        return -1;
    }
    program[length] = '\0';
    slash = strrchr(program, '/');
    memcpy(slash, "/../async_bench", sizeof "/../async_bench");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_runs_for_our_library),
        cmocka_unit_test(every_peer_that_was_built_runs_its_rows),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
