/*
 * Purpose: rows of results and the figures derived from them.
 * Owner:   the parent process, one thread.
 */
#include "support/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/stats.h"

/* Grows an array by one zeroed element; ends the program when memory is out. */
static void *report_grow(void *array, size_t count, size_t element_bytes)
{
    char *grown = realloc(array, (count + 1) * element_bytes);

    if (grown == NULL) {
        fprintf(stderr, "bench: out of memory\n");
        exit(1);
    }
    memset(grown + count * element_bytes, 0, element_bytes);
    return grown;
}

const struct bench_row *bench_report_find(const struct bench_report *report, const char *workload,
                                          const char *metric)
{
    for (size_t i = 0; i < report->row_count; i++) {
        const struct bench_row *row = &report->rows[i];

        if (strcmp(row->workload, workload) == 0 && strcmp(row->metric, metric) == 0) {
            return row;
        }
    }
    return NULL;
}

struct bench_row *bench_report_row(struct bench_report *report, const char *workload,
                                   const char *metric)
{
    const struct bench_row *known = bench_report_find(report, workload, metric);
    struct bench_row *row;

    if (known != NULL) {
        return &report->rows[known - report->rows];
    }
    report->rows = report_grow(report->rows, report->row_count, sizeof *report->rows);
    row = &report->rows[report->row_count++];
    snprintf(row->workload, sizeof row->workload, "%s", workload);
    snprintf(row->metric, sizeof row->metric, "%s", metric);
    return row;
}

void bench_row_add(struct bench_row *row, size_t contestant, double value)
{
    if (contestant < BENCH_CONTESTANTS_MAX && row->counts[contestant] < BENCH_ROUNDS_MAX) {
        row->values[contestant][row->counts[contestant]++] = value;
    }
}

void bench_report_fail(struct bench_report *report, const char *workload, const char *contestant,
                       const char *why)
{
    struct bench_failure *failure;

    report->failures =
        report_grow(report->failures, report->failure_count, sizeof *report->failures);
    failure = &report->failures[report->failure_count++];
    snprintf(failure->workload, sizeof failure->workload, "%s", workload);
    snprintf(failure->contestant, sizeof failure->contestant, "%s", contestant);
    snprintf(failure->why, sizeof failure->why, "%s", why);
}

void bench_report_clear(struct bench_report *report)
{
    free(report->rows);
    free(report->failures);
    memset(report, 0, sizeof *report);
}

double bench_row_median(const struct bench_row *row, size_t contestant)
{
    double values[BENCH_ROUNDS_MAX];

    if (contestant >= BENCH_CONTESTANTS_MAX || row->counts[contestant] == 0) {
        return NAN;
    }
    memcpy(values, row->values[contestant], sizeof values);
    return bench_median(values, row->counts[contestant]);
}

double bench_row_factor(const struct bench_row *row, double value, double other)
{
    return bench_unit_higher_is_better(row->unit) ? value / other : other / value;
}

double bench_row_best(const struct bench_report *report, const struct bench_row *row,
                      enum bench_role role)
{
    double best = NAN;

    for (size_t i = 0; i < report->field.count; i++) {
        double median = bench_row_median(row, i);

        if (report->field.contestants[i].role == role && !isnan(median) &&
            (isnan(best) || bench_row_factor(row, median, best) > 1)) {
            best = median;
        }
    }
    return best;
}

double bench_row_named(const struct bench_report *report, const struct bench_row *row,
                       const char *name)
{
    const struct bench_contestant *contestant = bench_field_find(&report->field, name);

    return contestant == NULL
               ? NAN
               : bench_row_median(row, (size_t)(contestant - report->field.contestants));
}

bool bench_row_reaches(const struct bench_row *row, double median)
{
    return row->goal > 0 && !isnan(median) && bench_row_factor(row, median, row->goal) >= 1;
}

double bench_row_noise(const struct bench_report *report, const struct bench_row *row)
{
    for (size_t i = 0; i < report->field.count; i++) {
        const struct bench_contestant *again = &report->field.contestants[i];
        size_t length = strlen(again->name);

        if (again->role != BENCH_ROLE_AGAIN) {
            continue;
        }
        for (size_t j = 0; j < i; j++) {
            const char *first = report->field.contestants[j].name;

            if (strlen(first) < length && strncmp(first, again->name, strlen(first)) == 0 &&
                again->name[strlen(first)] == ' ') {
                return fabs(bench_row_median(row, i) / bench_row_median(row, j) - 1);
            }
        }
    }
    return NAN;
}
