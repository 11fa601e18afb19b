/*
 * Purpose: async_bench as a program: exit codes, the report written and read back, goals judged
 *          from a report, contestants chosen.
 * How:     starts ../async_bench with tiny amounts of work; rows that every build can run,
 *          sanitized ones included. All rows: async_rows_test.c.
 * Threads: one; the bench starts processes. ctest-serial
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

#define OUTPUT_BYTES 65536u

static char program[PATH_MAX];
static char report_path[PATH_MAX];
static char output[OUTPUT_BYTES];

/* Runs async_bench; its output, errors included, lands in output. Returns its exit status. */
static int run(const char *arguments)
{
    char command[3 * PATH_MAX];
    FILE *stream;
    size_t length;
    int status;

    snprintf(command, sizeof command, "'%s' %s 2>&1", program, arguments);
    stream = popen(command, "r");
    assert_non_null(stream);
    length = fread(output, 1, sizeof output - 1, stream);
    output[length] = '\0';
    status = pclose(stream);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_text(const char *wanted)
{
    if (strstr(output, wanted) == NULL) {
        fail_msg("'%s' is not in:\n%s", wanted, output);
    }
}

static void refuse_text(const char *unwanted)
{
    if (strstr(output, unwanted) != NULL) {
        fail_msg("'%s' is in:\n%s", unwanted, output);
    }
}

static void help_is_printed_and_wrong_usage_is_two(void **state)
{
    (void)state;
    assert_int_equal(run("--help"), 0);
    expect_text("usage: async_bench");
    assert_int_equal(run("--rounds=0"), 2);
    assert_int_equal(run("--budget=soon"), 2);
    assert_int_equal(run("--budget=60001"), 2);
    assert_int_equal(run("switch.2"), 2);
    assert_int_equal(run("--contestants=echomem,nobody"), 2);
    expect_text("no contestant is called 'nobody'");
    assert_int_equal(run("--contestants=echomem --only=nothing"), 2);
    expect_text("no row matches 'nothing'");
}

static void a_child_refuses_what_it_cannot_run(void **state)
{
    (void)state;
    assert_int_equal(run("--child pool.64 1000000 1"), 2);
    assert_int_equal(run("--child nothing 1000000 1 1"), 2);
    assert_int_equal(run("--child pool.64 1000000 0 1"), 2);
    assert_int_equal(run("--child task.spawn 1000000 100 0"), 2);
}

static void list_names_every_kind_of_row(void **state)
{
    static const char *const names[] = {
        "task.spawn ",  "task.batch64 ",     "task.join ",  "exec.spawn ",      "future.complete ",
        "switch.4096 ", "skynet.two ",       "spsc.batch ", "mpmc.2x2 ",        "mpsc.1000 ",
        "rtt ",         "pingpong.two ",     "idle.tasks ", "idle.coroutines ", "wake.storm ",
        "timer.1m ",    "coroutine.create ", "pool.128 ",   "future.register ", "select.4 "};

    (void)state;
    assert_int_equal(run("--list"), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        expect_text(names[i]);
    }
}

static void report_read_back_gives_the_same_figures(void **state)
{
    char arguments[2 * PATH_MAX];
    char figures[PATH_MAX];
    char *line;

    (void)state;
    snprintf(arguments, sizeof arguments,
             "--contestants=echomem,floor,malloc --only='pool.*' --budget=2 --rounds=2 --json='%s'",
             report_path);
    assert_int_equal(run(arguments), 0);
    line = strstr(output, "      malloc ");
    assert_non_null(line);
    snprintf(figures, sizeof figures, "malloc %.*s", (int)strcspn(line + 13, " "), line + 13);
    snprintf(arguments, sizeof arguments, "--markdown='%s'", report_path);
    assert_int_equal(run(arguments), 0);
    expect_text("| pool.32 | time | ns |");
    expect_text(figures);
    expect_text("| pool.128 | time | ns |");
}

static void json_on_standard_output_is_nothing_else(void **state)
{
    FILE *file;
    char arguments[2 * PATH_MAX];

    (void)state;
    assert_int_equal(run("--contestants=floor --only=pool.64 --quick --json 2>/dev/null"), 0);
    assert_memory_equal(output, "{\n  \"schema\": \"echomem-bench/1\"", 31);
    expect_text("\"workload\": \"pool.64\", \"metric\": \"time\", \"unit\": \"ns\"");
    file = fopen(report_path, "w");
    assert_non_null(file);
    fputs(output, file);
    fclose(file);
    snprintf(arguments, sizeof arguments, "--markdown='%s'", report_path);
    assert_int_equal(run(arguments), 0);
}

static void broken_report_is_refused(void **state)
{
    char arguments[2 * PATH_MAX];
    FILE *file = fopen(report_path, "w");

    (void)state;
    assert_non_null(file);
    fputs("{\"schema\": \"echomem-bench/1\", \"rows\": [{\"workload\": \"pool.64\", ", file);
    fclose(file);
    snprintf(arguments, sizeof arguments, "--markdown='%s'", report_path);
    assert_int_equal(run(arguments), 2);
    expect_text("is not a report");
}

static void goals_are_judged_in_the_direction_of_the_unit(void **state)
{
    char arguments[2 * PATH_MAX];
    FILE *file = fopen(report_path, "w");

    (void)state;
    assert_non_null(file);
    fputs("{\"schema\": \"echomem-bench/1\",\n"
          " \"contestants\": [{\"name\": \"echomem\", \"role\": \"own\", \"api\": 1},\n"
          "   {\"name\": \"go\", \"role\": \"peer\", \"api\": 0}],\n"
          " \"rows\": [{\"workload\": \"task.spawn\", \"metric\": \"time\", \"unit\": \"ns\",\n"
          "   \"detail\": false, \"goal\": 25, \"values\": {\"echomem\": [20], \"go\": [200]}},\n"
          "   {\"workload\": \"spsc.single\", \"metric\": \"per item\", \"unit\": \"ns\",\n"
          "   \"detail\": false, \"goal\": 3, \"values\": {\"echomem\": [4], \"go\": [2]}}]}\n",
          file);
    fclose(file);
    snprintf(arguments, sizeof arguments, "--markdown='%s'", report_path);
    assert_int_equal(run(arguments), 0);
    expect_text("| task.spawn | time | ns | 20.0 | 25 reached | go 200 (10.00) | |");
    expect_text("| spsc.single | per item | ns | 4.00 | 3 missed | go 2.00 (0.50) | |");
}

static void quick_judges_no_goals(void **state)
{
    (void)state;
    assert_int_equal(run("--contestants=echomem --only=task.spawn --quick --goals"), 0);
    expect_text("one at a time");
    expect_text("goals: 0 judged, 0 missed");
    refuse_text("MISSED");
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
    snprintf(report_path, sizeof report_path, "async_bench_%ld.json", (long)getpid());
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    unlink(report_path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_is_printed_and_wrong_usage_is_two),
        cmocka_unit_test(a_child_refuses_what_it_cannot_run),
        cmocka_unit_test(list_names_every_kind_of_row),
        cmocka_unit_test(report_read_back_gives_the_same_figures),
        cmocka_unit_test(json_on_standard_output_is_nothing_else),
        cmocka_unit_test(broken_report_is_refused),
        cmocka_unit_test(goals_are_judged_in_the_direction_of_the_unit),
        cmocka_unit_test(quick_judges_no_goals),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
