/*
 * Purpose: prints a report of async_bench.
 * Owner:   the parent process, one thread.
 */
#include "async/table.h"

#include <math.h>
#include <string.h>

#define METRIC_COLUMNS 28
#define PEERS_PER_LINE 4

/* Three significant digits, no exponent. */
static int table_decimals(double value)
{
    if (value >= 99.95) {
        return 0;
    }
    return value >= 9.995 ? 1 : 2;
}

static double table_own(const struct bench_report *report, const struct bench_row *row)
{
    return bench_row_best(report, row, BENCH_ROLE_OWN);
}

void async_table_begin(FILE *out, const struct bench_report *report)
{
    const struct bench_machine *machine = &report->machine;
    const char *separator = "contestants: ";

    fprintf(out, "machine: %s, %u cpus, %.1f GiB, %s, %s\n", machine->cpu, machine->cpus,
            (double)machine->memory_bytes / 1073741824.0, machine->kernel, machine->libc);
    fprintf(out, "run: %s, commit %s, %u rounds, seed %llu\n", machine->date,
            machine->commit[0] != '\0' ? machine->commit : "unknown", report->rounds,
            (unsigned long long)report->seed);
    for (size_t i = 0; i < report->field.count; i++) {
        const struct bench_contestant *contestant = &report->field.contestants[i];

        if (contestant->role != BENCH_ROLE_AGAIN) {
            fprintf(out, "%s%s%s%s", separator, contestant->name,
                    contestant->version[0] != '\0' ? " " : "", contestant->version);
            separator = ", ";
        }
    }
    fprintf(out, "\n");
    for (size_t i = 0; i < report->field.absence_count; i++) {
        fprintf(out, "missing: %s (%s)\n", report->field.absences[i].name,
                report->field.absences[i].why);
    }
    fflush(out);
}

/* The others that ran the row, with how many times better ours is. */
static void table_peers(FILE *out, const struct bench_report *report, const struct bench_row *row)
{
    double own = table_own(report, row);
    unsigned printed = 0;

    for (size_t i = 0; i < report->field.count; i++) {
        const struct bench_contestant *contestant = &report->field.contestants[i];
        double median = bench_row_median(row, i);

        if (contestant->role == BENCH_ROLE_OWN || contestant->role == BENCH_ROLE_AGAIN ||
            isnan(median)) {
            continue;
        }
        fprintf(out, "%s%s %.*f", printed % PEERS_PER_LINE == 0 ? "\n      " : ", ",
                contestant->name, table_decimals(median), median);
        if (!isnan(own)) {
            fprintf(out, " (%.2fx)", bench_row_factor(row, own, median));
        }
        printed++;
    }
}

static void table_metric(FILE *out, const struct bench_report *report, const struct bench_row *row)
{
    double own = table_own(report, row);
    double noise = bench_row_noise(report, row);

    fprintf(out, "  %-*s ", METRIC_COLUMNS, row->metric);
    if (isnan(own)) {
        fprintf(out, "%8s %-8s", ".", bench_unit_text(row->unit));
    } else {
        fprintf(out, "%8.*f %-8s", table_decimals(own), own, bench_unit_text(row->unit));
    }
    if (!isnan(noise) && !isinf(noise)) {
        fprintf(out, "  A/A %.1f%%", noise * 100);
    }
    if (row->goal > 0 && !isnan(own)) {
        fprintf(out, "  goal %g: %s", row->goal,
                bench_row_reaches(row, own) ? "reached" : "MISSED");
    }
    table_peers(out, report, row);
    fprintf(out, "\n");
}

void async_table_row(FILE *out, const struct bench_report *report, const struct async_row *row)
{
    fprintf(out, "%s: %s\n", row->name, row->title);
    for (size_t i = 0; i < report->row_count; i++) {
        if (strcmp(report->rows[i].workload, row->name) == 0) {
            table_metric(out, report, &report->rows[i]);
        }
    }
    for (size_t i = 0; i < report->failure_count; i++) {
        if (strcmp(report->failures[i].workload, row->name) == 0) {
            fprintf(out, "  FAILED %s: %s\n", report->failures[i].contestant,
                    report->failures[i].why);
        }
    }
    fflush(out);
}

size_t async_table_end(FILE *out, const struct bench_report *report)
{
    size_t goals = 0;
    size_t missed = 0;

    for (size_t i = 0; i < report->row_count; i++) {
        const struct bench_row *row = &report->rows[i];
        double own = table_own(report, row);

        if (row->goal > 0 && !isnan(own)) {
            goals++;
            missed += !bench_row_reaches(row, own);
        }
    }
    fprintf(out,
            "\nA line of peers: their median, and how many times better ours is; below 1.00x we "
            "lose. A/A: our library entered twice; smaller differences mean nothing.\n");
    fprintf(out, "goals: %zu judged, %zu missed; %zu processes failed\n", goals, missed,
            report->failure_count);
    return missed;
}

/* One cell: the value, and the factor of ours to it. */
static void markdown_peers(FILE *out, const struct bench_report *report,
                           const struct bench_row *row)
{
    double own = table_own(report, row);
    const char *separator = "";

    for (size_t i = 0; i < report->field.count; i++) {
        const struct bench_contestant *contestant = &report->field.contestants[i];
        double median = bench_row_median(row, i);

        if (contestant->role != BENCH_ROLE_OWN && contestant->role != BENCH_ROLE_AGAIN &&
            !isnan(median)) {
            fprintf(out, "%s%s %.*f", separator, contestant->name, table_decimals(median), median);
            if (!isnan(own)) {
                fprintf(out, " (%.2f)", bench_row_factor(row, own, median));
            }
            separator = ", ";
        }
    }
}

void async_table_markdown(FILE *out, const struct bench_report *report)
{
    fprintf(out, "| row | figure | unit | echomem | goal | others (times better) | A/A |\n"
                 "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < report->row_count; i++) {
        const struct bench_row *row = &report->rows[i];
        double own = table_own(report, row);
        double noise = bench_row_noise(report, row);

        if (row->is_detail || isnan(own)) {
            continue;
        }
        fprintf(out, "| %s | %s | %s | %.*f | ", row->workload, row->metric,
                bench_unit_text(row->unit), table_decimals(own), own);
        if (row->goal > 0) {
            fprintf(out, "%g %s", row->goal, bench_row_reaches(row, own) ? "reached" : "missed");
        }
        fprintf(out, " | ");
        markdown_peers(out, report, row);
        if (isnan(noise) || isinf(noise)) {
            fprintf(out, " | |\n");
        } else {
            fprintf(out, " | %.1f %% |\n", noise * 100);
        }
    }
}
