/*
 * Purpose: the plain-text table.
 * Owner:   the parent process, one thread.
 */
#include "support/table.h"

#include <math.h>
#include <string.h>

#include "support/stats.h"

#define METRIC_COLUMNS 26
#define UNIT_COLUMNS   10
#define VALUE_COLUMNS  8

/* Columns of a contestant: room for its name. */
static int table_width(const struct bench_contestant *contestant)
{
    size_t length = strlen(contestant->name);

    return length > VALUE_COLUMNS ? (int)length : VALUE_COLUMNS;
}

/* A cell: three significant digits, or a dot where nothing was measured. */
static void table_value(FILE *out, double value, int width)
{
    if (isnan(value)) {
        fprintf(out, " %*s", width, ".");
    } else {
        int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;

        fprintf(out, " %*.*f", width, decimals, value);
    }
}

static void table_factor(FILE *out, double factor)
{
    if (isnan(factor) || isinf(factor) || factor <= 0) {
        fprintf(out, " %7s", ".");
    } else {
        fprintf(out, " %6.*fx", factor >= 99.95 ? 0 : 2, factor);
    }
}

/* The figure the ratios are about: our drop-in, or our typed pools where it takes no part. */
static double table_own(const struct bench_report *report, const struct bench_row *row)
{
    for (size_t i = 0; i < report->field.count; i++) {
        double median = bench_row_median(row, i);

        if (report->field.contestants[i].role == BENCH_ROLE_OWN && !isnan(median)) {
            return median;
        }
    }
    return NAN;
}

static void table_missing(FILE *out, const struct bench_report *report)
{
    for (size_t i = 0; i < report->field.absence_count; i++) {
        fprintf(out, "missing: %s (%s)\n", report->field.absences[i].name,
                report->field.absences[i].why);
    }
}

void bench_table_begin(FILE *out, const struct bench_report *report)
{
    const struct bench_machine *machine = &report->machine;

    fprintf(out, "machine: %s, %u cpus, %.1f GiB, %s, %s\n", machine->cpu, machine->cpus,
            (double)machine->memory_bytes / 1073741824.0, machine->kernel, machine->libc);
    fprintf(out, "run: %s, commit %s, %g s per workload, %u rounds, seed %llu\n", machine->date,
            machine->commit[0] != '\0' ? machine->commit : "unknown", report->benchtime_s,
            report->rounds, (unsigned long long)report->seed);
    if (machine->settings[0] != '\0') {
        fprintf(out, "environment: %s\n", machine->settings);
    }
    fprintf(out, "contestants:");
    for (size_t i = 0; i < report->field.count; i++) {
        const struct bench_contestant *contestant = &report->field.contestants[i];

        if (contestant->role != BENCH_ROLE_AGAIN) {
            fprintf(out, " %s%s%s", contestant->name, contestant->version[0] != '\0' ? " " : "",
                    contestant->version);
            fprintf(out, "%s", i + 1 < report->field.count ? "," : "\n");
        } else {
            fprintf(out, " %s (A/A)\n", contestant->name);
        }
    }
    table_missing(out, report);
    fprintf(out, "\n%-*s %-*s", METRIC_COLUMNS, "", UNIT_COLUMNS, "unit");
    for (size_t i = 0; i < report->field.count; i++) {
        if (report->field.contestants[i].role != BENCH_ROLE_AGAIN) {
            fprintf(out, " %*s", table_width(&report->field.contestants[i]),
                    report->field.contestants[i].name);
        }
    }
    fprintf(out, " %7s %7s %6s\n", "glibc", "best", "A/A");
    fflush(out);
}

static void table_row(FILE *out, const struct bench_report *report, const struct bench_row *row)
{
    double own = table_own(report, row);
    double noise = bench_row_noise(report, row);

    fprintf(out, "  %-*s %-*s", METRIC_COLUMNS - 2, row->metric, UNIT_COLUMNS,
            bench_unit_text(row->unit));
    for (size_t i = 0; i < report->field.count; i++) {
        if (report->field.contestants[i].role != BENCH_ROLE_AGAIN) {
            table_value(out, bench_row_median(row, i), table_width(&report->field.contestants[i]));
        }
    }
    table_factor(out, bench_row_factor(row, own, bench_row_named(report, row, "glibc")));
    table_factor(out, bench_row_factor(row, own, bench_row_best(report, row, BENCH_ROLE_PEER)));
    if (isnan(noise) || isinf(noise)) {
        fprintf(out, " %6s\n", ".");
    } else {
        fprintf(out, " %5.1f%%\n", noise * 100);
    }
}

void bench_table_rows(FILE *out, const struct bench_report *report,
                      const struct bench_table_section *section)
{
    fprintf(out, "%s%s%s\n", section->workload, section->title != NULL ? ": " : "",
            section->title != NULL ? section->title : "");
    for (size_t i = 0; i < report->row_count; i++) {
        const struct bench_row *row = &report->rows[i];

        if (strcmp(row->workload, section->workload) == 0 &&
            (!row->is_detail || section->with_details)) {
            table_row(out, report, row);
        }
    }
    for (size_t i = 0; i < report->failure_count; i++) {
        const struct bench_failure *failure = &report->failures[i];

        if (strcmp(failure->workload, section->workload) == 0) {
            fprintf(out, "  FAILED %s: %s\n", failure->contestant, failure->why);
        }
    }
    fflush(out);
}

void bench_table_end(FILE *out, const struct bench_report *report)
{
    static struct bench_samples noises;
    double worst = 0;
    const struct bench_row *worst_row = NULL;

    noises.count = 0;
    for (size_t i = 0; i < report->row_count; i++) {
        double noise = bench_row_noise(report, &report->rows[i]);

        if (!isnan(noise) && !isinf(noise) && !report->rows[i].is_detail) {
            bench_samples_add(&noises, noise);
            if (noise >= worst) {
                worst = noise;
                worst_row = &report->rows[i];
            }
        }
    }
    if (worst_row != NULL) {
        fprintf(out,
                "\nA/A noise: the same allocator entered twice differs by %.1f %% in the median "
                "row, by %.1f %% in the worst (%s %s)\n",
                bench_samples_median(&noises) * 100, worst * 100, worst_row->workload,
                worst_row->metric);
    }
    fprintf(out, "columns glibc and best: how many times better ours is than glibc and than the "
                 "best peer; below 1.00x we lose\n");
    table_missing(out, report);
    if (report->failure_count > 0) {
        fprintf(out, "%zu processes failed\n", report->failure_count);
    }
}
