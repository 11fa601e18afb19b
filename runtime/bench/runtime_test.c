/*
 * Purpose: the bench: our allocator beside the machine's floor, glibc and every peer installed.
 * Owner:   main; one thread. Workloads run in children (support/child.c).
 * Design:  docs/benchmarks.md
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/child.h"
#include "support/json.h"
#include "support/runner.h"
#include "support/table.h"
#include "support/targets.h"
#include "workload/groups.h"

#define BENCHTIME_DEFAULT_S 10.0
#define ROUNDS_DEFAULT      5u
#define SEED_DEFAULT        1u

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
    struct bench_plan plan;
    const char *contestants; /* NULL: all */
    const char *json_path;   /* "-": standard output; NULL: no JSON */
    const char *report_path; /* a report to read instead of measuring; NULL: none */
    bool with_bench;
    bool with_list;
    bool with_details;
    bool with_targets;
    bool with_markdown;
};

static const char usage_text[] =
    "usage: runtime_test --bench [options]      measure\n"
    "       runtime_test --targets FILE.json    judge a saved run by the goals\n"
    "       runtime_test --markdown FILE.json   print a saved run as a Markdown table\n"
    "       runtime_test --list                 the workloads\n"
    "\n"
    "  --benchtime=TIME    per workload, shared by contestants and rounds: 10s (default), 500ms\n"
    "  --filter=GLOB,...   only workloads whose names match, for example 'burst.*'\n"
    "  --contestants=A,... only these: echomem echomem-typed floor glibc mimalloc jemalloc\n"
    "                      tcmalloc and the names of ECHOMEM_BENCH_PEERS=name=/path/lib.so,...\n"
    "  --rounds=N          1..31, default 5; the figures are medians of the rounds\n"
    "  --seed=N            of sizes, orders and the order of contestants, default 1\n"
    "  --json[=FILE]       the report as JSON, to FILE or instead of the table\n"
    "  --details           also the rows that tables leave out\n"
    "  --targets           judge the run by the goals; --markdown: print it as Markdown\n"
    "\n"
    "exit: 0 done, 1 a process failed or (with --targets) a goal was missed, 2 wrong usage\n";

static bool with_details_wanted; /* for the callback of the runner */

static void print_workload(const struct bench_report *report, const struct bench_workload *workload)
{
    struct bench_table_section section = {workload->name, workload->title, with_details_wanted};

    bench_table_rows(stdout, report, &section);
}

static void print_list(void)
{
    static const char *const apis[] = {"", " typed", " floor"};

    for (size_t i = 0; i < bench_workload_count(); i++) {
        const struct bench_workload *workload = bench_workload_at(i);

        printf("%-26s %s%s%s\n", workload->name, workload->title,
               (workload->apis & BENCH_ON_TYPED) != 0 ? apis[1] : apis[0],
               (workload->apis & BENCH_ON_FLOOR) != 0 ? apis[2] : apis[0]);
    }
}

/* "10s", "500ms", "2m" or plain seconds; negative when it is none of these. */
static double parse_time(const char *text)
{
    char *unit;
    double value = strtod(text, &unit);

    if (unit == text || value <= 0) {
        return -1;
    }
    if (*unit == '\0' || strcmp(unit, "s") == 0) {
        return value;
    }
    if (strcmp(unit, "ms") == 0) {
        return value / 1e3;
    }
    return strcmp(unit, "m") == 0 ? value * 60 : -1;
}

/* A whole number in [low, high]; false otherwise. */
static bool parse_number(const char *text, const uint64_t bounds[2], uint64_t *number)
{
    char *end;

    *number = strtoull(text, &end, 10);
    return end != text && *end == '\0' && text[0] != '-' && *number >= bounds[0] &&
           *number <= bounds[1];
}

enum option_code {
    OPTION_BENCH = 1,
    OPTION_BENCHTIME,
    OPTION_FILTER,
    OPTION_CONTESTANTS,
    OPTION_ROUNDS,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_DETAILS,
    OPTION_TARGETS,
    OPTION_MARKDOWN,
    OPTION_LIST,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"bench", no_argument, NULL, OPTION_BENCH},
    {"benchtime", required_argument, NULL, OPTION_BENCHTIME},
    {"filter", required_argument, NULL, OPTION_FILTER},
    {"contestants", required_argument, NULL, OPTION_CONTESTANTS},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"json", optional_argument, NULL, OPTION_JSON},
    {"details", no_argument, NULL, OPTION_DETAILS},
    {"targets", no_argument, NULL, OPTION_TARGETS},
    {"markdown", no_argument, NULL, OPTION_MARKDOWN},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* Options with a value; false when the value is wrong. */
static bool take_value(struct options *options, int code)
{
    static const uint64_t round_bounds[2] = {1, BENCH_ROUNDS_MAX};
    static const uint64_t seed_bounds[2] = {0, UINT64_MAX};
    uint64_t number;

    switch (code) {
    case OPTION_BENCHTIME:
        options->plan.benchtime_s = parse_time(optarg);
        return options->plan.benchtime_s > 0;
    case OPTION_FILTER:
        options->plan.filter = optarg;
        return true;
    case OPTION_CONTESTANTS:
        options->contestants = optarg;
        return true;
    case OPTION_ROUNDS:
        if (!parse_number(optarg, round_bounds, &number)) {
            return false;
        }
        options->plan.rounds = (unsigned)number;
        return true;
    case OPTION_SEED:
        return parse_number(optarg, seed_bounds, &options->plan.seed);
    default:
        return false;
    }
}

/* Options without a value, and --json; false when the code is not known. */
static bool take_flag(struct options *options, int code)
{
    switch (code) {
    case OPTION_BENCH:
        options->with_bench = true;
        return true;
    case OPTION_JSON:
        options->json_path = optarg != NULL ? optarg : "-";
        return true;
    case OPTION_DETAILS:
        options->with_details = true;
        return true;
    case OPTION_TARGETS:
        options->with_targets = true;
        return true;
    case OPTION_MARKDOWN:
        options->with_markdown = true;
        return true;
    case OPTION_LIST:
        options->with_list = true;
        return true;
    default:
        return false;
    }
}

/* Reads the command line; ends the program for --help and for wrong usage. */
static void parse_options(int count, char **arguments, struct options *options)
{
    int code;

    while ((code = getopt_long(count, arguments, "h", long_options, NULL)) != -1) {
        if (code == OPTION_HELP || code == 'h') {
            fputs(usage_text, stdout);
            exit(EXIT_OK);
        }
        if (!take_flag(options, code) && !take_value(options, code)) {
            if (code != '?') {
                fprintf(stderr, "runtime_test: '%s' does not fit its option\n", optarg);
            }
            fputs(usage_text, stderr);
            exit(EXIT_USAGE);
        }
    }
    if (optind < count) {
        options->report_path = arguments[optind++];
    }
    if (optind < count ||
        (options->report_path != NULL && !options->with_targets && !options->with_markdown) ||
        (options->report_path == NULL && !options->with_bench && !options->with_list)) {
        fputs(usage_text, stderr);
        exit(EXIT_USAGE);
    }
}

static bool write_json(const struct bench_report *report, const char *path)
{
    bool is_stdout = strcmp(path, "-") == 0;
    FILE *out = is_stdout ? stdout : fopen(path, "we");
    bool is_written = out != NULL && bench_json_write(out, report);

    if (!is_written) {
        perror(path);
    }
    if (out != NULL && !is_stdout && fclose(out) != 0) {
        is_written = false;
    }
    return is_written;
}

/* Measures into report; the table goes to standard output unless JSON does. */
static bool measure(struct options *options, struct bench_report *report)
{
    bool with_table = options->json_path == NULL || strcmp(options->json_path, "-") != 0;

    memset(report, 0, sizeof *report);
    bench_machine_describe(&report->machine);
    report->benchtime_s = options->plan.benchtime_s;
    report->rounds = options->plan.rounds;
    report->seed = options->plan.seed;
    if (!bench_field_gather(&report->field, options->contestants)) {
        exit(EXIT_USAGE);
    }
    if (with_table) {
        with_details_wanted = options->with_details;
        options->plan.on_workload = print_workload;
        bench_table_begin(stdout, report);
    }
    if (bench_run_plan(&options->plan, report) == 0) {
        fprintf(stderr, "runtime_test: no workload matches '%s' for these contestants\n",
                options->plan.filter != NULL ? options->plan.filter : "*");
        exit(EXIT_USAGE);
    }
    if (with_table) {
        bench_table_end(stdout, report);
    }
    return report->failure_count == 0 &&
           (options->json_path == NULL || write_json(report, options->json_path));
}

int main(int count, char **arguments)
{
    static struct bench_report report;
    struct options options = {.plan = {.benchtime_s = BENCHTIME_DEFAULT_S,
                                       .rounds = ROUNDS_DEFAULT,
                                       .seed = SEED_DEFAULT}};
    bool is_good = true;

    if (count > 1 && strcmp(arguments[1], BENCH_CHILD_ARGUMENT) == 0) {
        return bench_child_main(count - 2, arguments + 2);
    }
    parse_options(count, arguments, &options);
    if (options.with_list) {
        print_list();
        return EXIT_OK;
    }
    if (options.report_path == NULL) {
        is_good = measure(&options, &report);
    } else if (!bench_json_read(options.report_path, &report)) {
        return EXIT_USAGE;
    }
    if (options.with_markdown) {
        bench_table_markdown(stdout, &report);
    }
    if (options.with_targets) {
        is_good = bench_targets_print(stdout, &report) == 0 && is_good;
    }
    bench_report_clear(&report);
    return is_good ? EXIT_OK : EXIT_FAILED;
}
