/*
 * Purpose: the program of the model checker: chooses cases, explores them, prints what it found.
 * Owner:   model. Threads: one, and the checker's own.
 * Design:  docs/design/model.md
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/mutants.h"
#include "engine/trace.h"
#include "engine/verdict.h"

#define EXECUTIONS_USUAL 3000000ull
#define EXECUTIONS_LONG  8000000ull
#define RANDOM_USUAL     200000ull
#define RANDOM_LONG      1000000ull
#define SHORTER          20000ull
#define ROWS             32u

struct options {
    struct model_limits limits;
    const char *filter; /* part of a name; NULL: all */
    bool is_long;
    bool lists;
    bool traces;
    bool is_json;
    bool mutants;
    bool is_table;
};

static const char usage[] =
    "usage: emp_model [option...] [part of a name]\n"
    "Explores the programs whose name contains the part, all without one.\n"
    "  --list           the programs and their properties\n"
    "  --long           the long set too, with more executions\n"
    "  --mutants        weaken the order of each access of the product; which programs notice\n"
    "  --trace          also the executions of the old bugs, which are expected\n"
    "  --table          as a table for the documents\n"
    "  --json           one object per program\n"
    "  --executions N   at most N executions of one program, then random ones\n"
    "  --random N       random executions of a program that was not exhausted\n"
    "  --seed N         of the random executions\n"
    "Ends with `N passed, N failed`; the status is 1 when one failed, 2 for a wrong call.\n";

/* The next case in the order of the groups; NULL at the end. */
static const struct model_case *next_case(unsigned *group, unsigned *index)
{
    while (model_groups[*group] != NULL) {
        const struct model_case *const test = &model_groups[*group][*index];
        if (test->name != NULL) {
            ++*index;
            return test;
        }
        ++*group;
        *index = 0;
    }
    return NULL;
}

static bool is_chosen(const struct options *options, const struct model_case *test)
{
    return (options->is_long || !test->is_long) &&
           (options->filter == NULL || strstr(test->name, options->filter) != NULL);
}

static void print_json(const struct model_case *test, const struct model_verdict *verdict)
{
    printf("{\"name\": \"%s\", \"passed\": %s, \"fault\": \"%s\", \"expected\": \"%s\", "
           "\"exhausted\": %s, \"complete\": %llu, \"blocked\": %llu, \"inconsistent\": %llu, "
           "\"cut\": %llu, \"random\": %llu, \"events\": %llu, \"seconds\": %.3f}\n",
           test->name, verdict->passed ? "true" : "false", model_fault_name(verdict->fault),
           model_fault_name(test->fault), verdict->is_exhausted ? "true" : "false",
           (unsigned long long)verdict->complete, (unsigned long long)verdict->blocked,
           (unsigned long long)verdict->inconsistent, (unsigned long long)verdict->cut,
           (unsigned long long)verdict->random, (unsigned long long)verdict->events,
           verdict->seconds);
}

static void print_outcomes(const struct model_case *test, const struct model_verdict *verdict)
{
    printf("     found %u outcomes:", verdict->outcomes);
    for (unsigned i = 0; i < verdict->outcomes; i++) {
        printf("%s%s", i == 0 ? " " : "|", verdict->outcome[i]);
    }
    printf("\n     allowed:          %s\n", test->outcomes);
}

static void print_text(const struct options *options, const struct model_case *test,
                       const struct model_verdict *verdict)
{
    printf("%s %s: %llu executions%s, %llu events, %.2f s", verdict->passed ? "ok  " : "FAIL",
           test->name, (unsigned long long)verdict->complete,
           verdict->is_exhausted || verdict->fault != MODEL_NO_FAULT ? "" : " and random ones",
           (unsigned long long)verdict->events, verdict->seconds);
    if (verdict->cut != 0) {
        printf(", %llu cut", (unsigned long long)verdict->cut);
    }
    if (test->fault != MODEL_NO_FAULT) {
        printf(", found: %s", model_fault_name(verdict->fault));
    }
    printf("\n");
    if (test->outcomes != NULL) {
        print_outcomes(test, verdict);
    }
    const bool is_expected = verdict->passed && !options->traces;
    if (!verdict->passed) {
        printf("     property: %s\n     %s\n", test->property, verdict->text);
    }
    if (verdict->fault != MODEL_NO_FAULT && !is_expected) {
        model_replay(test);
        model_trace(stdout);
    }
}

/* Programs of one protocol: those whose names begin alike. */
struct row {
    char name[32];
    unsigned programs;
    struct model_verdict sum;
};

/* The row of a program's protocol; the last one when there are too many. */
static struct row *row_of(struct row *rows, const struct model_case *test)
{
    const size_t length = strcspn(test->name, "/");
    unsigned i = 0;
    while (i < ROWS - 1 && rows[i].programs != 0 &&
           (strncmp(rows[i].name, test->name, length) != 0 || rows[i].name[length] != '\0')) {
        i++;
    }
    snprintf(rows[i].name, sizeof rows[i].name, "%.*s", (int)length, test->name);
    return &rows[i];
}

static void row_add(struct row *row, const struct model_verdict *verdict)
{
    row->programs++;
    row->sum.complete += verdict->complete;
    row->sum.blocked += verdict->blocked;
    row->sum.cut += verdict->cut;
    row->sum.events += verdict->events;
    row->sum.seconds += verdict->seconds;
}

static void print_rows(const struct row *rows)
{
    printf("| protocol | programs | executions | covered elsewhere | cut | events | seconds |\n"
           "|---|---:|---:|---:|---:|---:|---:|\n");
    for (unsigned i = 0; i < ROWS && rows[i].programs != 0; i++) {
        printf("| `%s` | %u | %llu | %llu | %llu | %llu | %.2f |\n", rows[i].name, rows[i].programs,
               (unsigned long long)rows[i].sum.complete, (unsigned long long)rows[i].sum.blocked,
               (unsigned long long)rows[i].sum.cut, (unsigned long long)rows[i].sum.events,
               rows[i].sum.seconds);
    }
}

static int explore_all(const struct options *options)
{
    static struct model_verdict verdict;
    static struct row rows[ROWS];
    unsigned passed = 0;
    unsigned failed = 0;
    unsigned group = 0;
    unsigned index = 0;
    const struct model_case *test;
    while ((test = next_case(&group, &index)) != NULL) {
        if (!is_chosen(options, test)) {
            continue;
        }
        if (options->lists) {
            printf("%s: %s\n", test->name, test->property);
            continue;
        }
        model_judge(test, &options->limits, &verdict);
        passed += verdict.passed;
        failed += !verdict.passed;
        if (options->is_json) {
            print_json(test, &verdict);
        } else if (options->is_table) {
            row_add(row_of(rows, test), &verdict);
        } else {
            print_text(options, test, &verdict);
        }
        fflush(stdout);
    }
    if (options->is_table) {
        print_rows(rows);
    }
    if (!options->lists && !options->is_json && !options->is_table) {
        printf("%u passed, %u failed\n", passed, failed);
    }
    return failed == 0 && (passed > 0 || options->lists) ? 0 : 1;
}

/* The number behind an option; ends the program when there is none. */
static uint64_t number_of(const char *text)
{
    char *end = NULL;
    const unsigned long long value = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || end == text || *end != '\0') {
        fprintf(stderr, "model: a number is missing\n%s", usage);
        exit(2);
    }
    return value;
}

/* Takes one option; false: it is none of ours. */
static bool option_take(struct options *options, char **argument, int *used)
{
    static const char *const flags[] = {"--list", "--long",    "--trace",
                                        "--json", "--mutants", "--table"};
    bool *const targets[] = {&options->lists,   &options->is_long, &options->traces,
                             &options->is_json, &options->mutants, &options->is_table};
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(argument[0], flags[i]) == 0) {
            *targets[i] = true;
            return true;
        }
    }
    static const char *const numbers[] = {"--executions", "--random", "--seed"};
    uint64_t *const values[] = {&options->limits.executions, &options->limits.random,
                                &options->limits.seed};
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(argument[0], numbers[i]) == 0) {
            *values[i] = number_of(argument[1]);
            *used = 2;
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    struct options options = {.limits = {EXECUTIONS_USUAL, RANDOM_USUAL, 1, SHORTER, true}};
    for (int i = 1; i < argc;) {
        int used = 1;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (!option_take(&options, &argv[i], &used)) {
            if (argv[i][0] == '-' || options.filter != NULL) {
                fprintf(stderr, "model: unknown: %s\n%s", argv[i], usage);
                return 2;
            }
            options.filter = argv[i];
        }
        i += used;
    }
    if (options.is_long && options.limits.executions == EXECUTIONS_USUAL) {
        options.limits.executions = EXECUTIONS_LONG;
        options.limits.random = RANDOM_LONG;
    }
    return options.mutants ? model_mutants(options.filter) : explore_all(&options);
}
