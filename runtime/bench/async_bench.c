/*
 * Purpose: async_bench: tasks, futures, channels, coroutines and their memory, beside the peers
 *          that were built, each in a process of its own.
 * Owner:   main; one thread. Rows run in children (async/runner.c).
 * Design:  docs/benchmarks.md
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async/field.h"
#include "async/row.h"
#include "async/runner.h"
#include "async/table.h"
#include "support/json.h"

#define BUDGET_DEFAULT_MS 300u
#define ROUNDS_DEFAULT    5u
#define QUICK_BUDGET_MS   2u
#define QUICK_DIVISOR     200u
#define BUDGET_MS_MAX     60000u
#define NS_PER_MS         1000000u

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
    struct async_plan plan;
    const char *contestants;   /* NULL: all */
    const char *json_path;     /* "-": standard output; NULL: no JSON */
    const char *markdown_path; /* a report to print instead of measuring; NULL: none */
    bool with_list;
    bool with_goals;
};

static const char usage_text[] =
    "usage: async_bench [options]               measure every row\n"
    "       async_bench --list                  the rows\n"
    "       async_bench --markdown=FILE.json    print a saved run as a Markdown table\n"
    "\n"
    "  --only=GLOB,...      only rows whose names match, for example 'switch.*,spsc.*'\n"
    "  --contestants=A,...  only these: echomem malloc floor boost-context boost-fiber ck urcu\n"
    "                       moodycamel readerwriter go tokio crossbeam\n"
    "  --rounds=N           1..31, default 5; the figures are medians of the rounds\n"
    "  --budget=MS          time to measure for in each process, 1..60000, default 300\n"
    "  --seed=N             of the order of contestants, default 1\n"
    "  --json[=FILE]        the report as JSON, to FILE or instead of the table\n"
    "  --goals              end with status 1 when a goal was missed\n"
    "  --quick              one round of tiny amounts of work: proves that every row runs;\n"
    "                       goals are not judged\n"
    "\n"
    "exit: 0 done, 1 a process failed or (with --goals) a goal was missed, 2 wrong usage\n";

enum option_code {
    OPTION_ONLY = 1,
    OPTION_CONTESTANTS,
    OPTION_ROUNDS,
    OPTION_BUDGET,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_MARKDOWN,
    OPTION_GOALS,
    OPTION_QUICK,
    OPTION_LIST,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"only", required_argument, NULL, OPTION_ONLY},
    {"contestants", required_argument, NULL, OPTION_CONTESTANTS},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"budget", required_argument, NULL, OPTION_BUDGET},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"json", optional_argument, NULL, OPTION_JSON},
    {"markdown", required_argument, NULL, OPTION_MARKDOWN},
    {"goals", no_argument, NULL, OPTION_GOALS},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static void print_list(void)
{
    for (size_t i = 0; i < async_row_count(); i++) {
        printf("%-22s %s\n", async_row_at(i)->name, async_row_at(i)->title);
    }
}

static void print_row(const struct bench_report *report, const struct async_row *row)
{
    async_table_row(stdout, report, row);
}

/* A whole number in [low, high]; false otherwise. */
static bool parse_number(const char *text, const uint64_t bounds[2], uint64_t *number)
{
    char *end;

    *number = strtoull(text, &end, 10);
    return end != text && *end == '\0' && text[0] != '-' && *number >= bounds[0] &&
           *number <= bounds[1];
}

/* Options with a number; false when it is out of bounds or the code is not one of theirs. */
static bool take_number(struct options *options, int code)
{
    static const uint64_t round_bounds[2] = {1, BENCH_ROUNDS_MAX};
    static const uint64_t budget_bounds[2] = {1, BUDGET_MS_MAX};
    static const uint64_t seed_bounds[2] = {0, UINT64_MAX};
    uint64_t number;

    switch (code) {
    case OPTION_ROUNDS:
        if (!parse_number(optarg, round_bounds, &number)) {
            return false;
        }
        options->plan.rounds = (unsigned)number;
        return true;
    case OPTION_BUDGET:
        if (!parse_number(optarg, budget_bounds, &number)) {
            return false;
        }
        options->plan.budget_ns = number * NS_PER_MS;
        return true;
    case OPTION_SEED:
        return parse_number(optarg, seed_bounds, &options->plan.seed);
    default:
        return false;
    }
}

/* All other options; false when the code is not one of theirs. */
static bool take_text(struct options *options, int code)
{
    switch (code) {
    case OPTION_ONLY:
        options->plan.only = optarg;
        return true;
    case OPTION_CONTESTANTS:
        options->contestants = optarg;
        return true;
    case OPTION_JSON:
        options->json_path = optarg != NULL ? optarg : "-";
        return true;
    case OPTION_MARKDOWN:
        options->markdown_path = optarg;
        return true;
    case OPTION_GOALS:
        options->with_goals = true;
        return true;
    case OPTION_QUICK:
        options->plan.rounds = 1;
        options->plan.budget_ns = (uint64_t)QUICK_BUDGET_MS * NS_PER_MS;
        options->plan.divisor = QUICK_DIVISOR;
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
        if (!take_text(options, code) && !take_number(options, code)) {
            if (code != '?') {
                fprintf(stderr, "async_bench: '%s' does not fit its option\n", optarg);
            }
            fputs(usage_text, stderr);
            exit(EXIT_USAGE);
        }
    }
    if (optind < count) {
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
    static struct async_field peers;
    bool with_table = options->json_path == NULL || strcmp(options->json_path, "-") != 0;
    FILE *nowhere = NULL;
    size_t missed;

    bench_machine_describe(&report->machine);
    report->benchtime_s = (double)options->plan.budget_ns / 1e9;
    report->rounds = options->plan.rounds;
    report->seed = options->plan.seed;
    if (!async_field_gather(&peers, &report->field, options->contestants)) {
        exit(EXIT_USAGE);
    }
    options->plan.peers = &peers;
    if (with_table) {
        options->plan.on_row = print_row;
        async_table_begin(stdout, report);
    }
    if (async_run_plan(&options->plan, report) == 0) {
        fprintf(stderr, "async_bench: no row matches '%s' for these contestants\n",
                options->plan.only != NULL ? options->plan.only : "*");
        exit(EXIT_USAGE);
    }
    if (!with_table) {
        nowhere = fopen("/dev/null", "we");
    }
    missed = async_table_end(nowhere != NULL ? nowhere : stdout, report);
    if (nowhere != NULL) {
        fclose(nowhere);
    }
    return report->failure_count == 0 && (missed == 0 || !options->with_goals) &&
           (options->json_path == NULL || write_json(report, options->json_path));
}

int main(int count, char **arguments)
{
    static struct bench_report report;
    struct options options = {.plan = {.budget_ns = (uint64_t)BUDGET_DEFAULT_MS * NS_PER_MS,
                                       .divisor = 1,
                                       .rounds = ROUNDS_DEFAULT,
                                       .seed = 1}};
    bool is_good = true;

    if (count > 1 && strcmp(arguments[1], ASYNC_CHILD_ARGUMENT) == 0) {
        return async_child_main(count - 2, arguments + 2);
    }
    parse_options(count, arguments, &options);
    if (options.with_list) {
        print_list();
        return EXIT_OK;
    }
    if (options.markdown_path != NULL) {
        if (!bench_json_read(options.markdown_path, &report)) {
            return EXIT_USAGE;
        }
        async_table_markdown(stdout, &report);
    } else {
        is_good = measure(&options, &report);
    }
    bench_report_clear(&report);
    return is_good ? EXIT_OK : EXIT_FAILED;
}
