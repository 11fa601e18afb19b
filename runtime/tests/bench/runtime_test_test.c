/*
 * Purpose: the bench as a program: exit codes, the report written and read back, goals judged, and
 *          contestants that are missing or not what they claim to be.
 * How:     starts ../runtime_test with tiny times; only the floor is measured, because it is there
 *          in every build, sanitized ones included.
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
#define TINY         "--benchtime=5ms --rounds=2 "

static char program[PATH_MAX];
static char report_path[PATH_MAX];
static char output[OUTPUT_BYTES];

/* Runs runtime_test; its output, errors included, lands in output. Returns its exit status. */
static int run(const char *environment, const char *arguments)
{
    char command[3 * PATH_MAX];
    FILE *stream;
    size_t length;
    int status;

    snprintf(command, sizeof command, "%s '%s' %s 2>&1", environment, program, arguments);
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

static void help_is_printed_and_wrong_usage_is_two(void **state)
{
    (void)state;
    assert_int_equal(run("", "--help"), 0);
    expect_text("usage: runtime_test --bench");
    assert_int_equal(run("", ""), 2);
    assert_int_equal(run("", "--bench --benchtime=never"), 2);
    assert_int_equal(run("", "--bench --rounds=0"), 2);
    assert_int_equal(run("", "--bench --contestants=nobody"), 2);
    expect_text("no contestant is called 'nobody'");
    assert_int_equal(run("", "--bench --contestants=floor --filter=nothing"), 2);
    expect_text("no workload matches 'nothing'");
}

static void list_names_every_kind_of_workload(void **state)
{
    static const char *const names[] = {"pair.d1 ",      "burst.64.10k.fifo ", "mixed.1k ",
                                        "async.t2.x16 ", "handover.two.96 ",   "server.1000 ",
                                        "frag.90 ",      "idle.return ",       "sharing.passive ",
                                        "churn ",        "aligned.64 ",        "large.64k ",
                                        "latency ",      "refill.bitmap "};

    (void)state;
    assert_int_equal(run("", "--list"), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        expect_text(names[i]);
    }
}

static void report_read_back_gives_the_same_table(void **state)
{
    char arguments[2 * PATH_MAX];

    (void)state;
    snprintf(arguments, sizeof arguments,
             "--bench --contestants=floor --filter='pair.*' " TINY "--json='%s'", report_path);
    assert_int_equal(run("", arguments), 0);
    expect_text("pair.d16");
    snprintf(arguments, sizeof arguments, "--markdown '%s'", report_path);
    assert_int_equal(run("", arguments), 0);
    expect_text("| pair.d16 8-1024B | ns/pair |");
    expect_text("Medians of 2 rounds");
    snprintf(arguments, sizeof arguments, "--targets '%s'", report_path);
    assert_int_equal(run("", arguments), 0);
    expect_text("not measured");
    expect_text("0 of ");
}

static void broken_report_is_refused(void **state)
{
    char arguments[2 * PATH_MAX];
    FILE *file = fopen(report_path, "w");

    (void)state;
    assert_non_null(file);
    fputs("{\"schema\": \"echomem-bench/1\", \"rows\": [{\"workload\": \"pair.d1\", ", file);
    fclose(file);
    snprintf(arguments, sizeof arguments, "--targets '%s'", report_path);
    assert_int_equal(run("", arguments), 2);
    expect_text("is not a report");
    assert_int_equal(run("", "--targets /nowhere/report.json"), 2);
}

static void missed_goal_is_one(void **state)
{
    char arguments[2 * PATH_MAX];
    FILE *file = fopen(report_path, "w");

    (void)state;
    assert_non_null(file);
    fputs("{\"schema\": \"echomem-bench/1\", \"later\": {\"a\": [1, {\"b\": \"}]\"}]},\n"
          " \"contestants\": [{\"name\": \"echomem\", \"role\": \"own\", \"api\": 0}],\n"
          " \"rows\": [{\"workload\": \"idle.return\", \"metric\": \"idle resident/base\",\n"
          "   \"unit\": \"x\", \"detail\": false, \"values\": {\"echomem\": [1.5, 1.7, 1.6]}}]}\n",
          file);
    fclose(file);
    snprintf(arguments, sizeof arguments, "--targets '%s'", report_path);
    assert_int_equal(run("", arguments), 1);
    expect_text("FAIL  idle.return idle resident/base");
    expect_text("measured 1.6\n");
    expect_text("1 missed");
}

static void library_without_malloc_is_named_missing(void **state)
{
    (void)state;
    assert_int_equal(run("ECHOMEM_BENCH_PEERS=imposter=/nowhere/libimposter.so",
                         "--bench --contestants=floor,imposter --filter=pair.d1 " TINY),
                     0);
    expect_text("missing: imposter (");
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
    memcpy(slash, "/../runtime_test", sizeof "/../runtime_test");
    snprintf(report_path, sizeof report_path, "runtime_test_%ld.json", (long)getpid());
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
        cmocka_unit_test(list_names_every_kind_of_workload),
        cmocka_unit_test(report_read_back_gives_the_same_table),
        cmocka_unit_test(broken_report_is_refused),
        cmocka_unit_test(missed_goal_is_one),
        cmocka_unit_test(library_without_malloc_is_named_missing),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
