/*
 * Purpose: writes a report as JSON.
 * Owner:   the parent process, one thread.
 */
#include "support/json.h"

#include <math.h>

/* A string with quotes, backslashes and control characters escaped. */
static void json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(out, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            fprintf(out, "\\u%04x", (unsigned)(unsigned char)*c);
        } else {
            fputc(*c, out);
        }
    }
    fputc('"', out);
}

static void json_field(FILE *out, const char *key, const char *text)
{
    fprintf(out, "\"%s\": ", key);
    json_text(out, text);
}

static void json_number(FILE *out, double value)
{
    if (isnan(value) || isinf(value)) {
        fprintf(out, "null");
    } else {
        fprintf(out, "%.9g", value);
    }
}

static void json_machine(FILE *out, const struct bench_report *report)
{
    const struct bench_machine *machine = &report->machine;

    fprintf(out, "  ");
    json_field(out, "date", machine->date);
    fprintf(out, ",\n  ");
    json_field(out, "commit", machine->commit);
    fprintf(out, ",\n  \"machine\": {");
    json_field(out, "cpu", machine->cpu);
    fprintf(out, ", ");
    json_field(out, "kernel", machine->kernel);
    fprintf(out, ", ");
    json_field(out, "libc", machine->libc);
    fprintf(out, ", \"cpus\": %u, \"memory_bytes\": %llu, ", machine->cpus,
            (unsigned long long)machine->memory_bytes);
    json_field(out, "settings", machine->settings);
    fprintf(out, "},\n  \"benchtime_s\": ");
    json_number(out, report->benchtime_s);
    fprintf(out, ",\n  \"rounds\": %u,\n  \"seed\": %llu,\n", report->rounds,
            (unsigned long long)report->seed);
}

static void json_contestants(FILE *out, const struct bench_report *report)
{
    fprintf(out, "  \"contestants\": [\n");
    for (size_t i = 0; i < report->field.count; i++) {
        const struct bench_contestant *contestant = &report->field.contestants[i];

        fprintf(out, "    {");
        json_field(out, "name", contestant->name);
        fprintf(out, ", ");
        json_field(out, "role", bench_role_text(contestant->role));
        fprintf(out, ", \"api\": %d, ", (int)contestant->api);
        json_field(out, "library", contestant->library);
        fprintf(out, ", ");
        json_field(out, "version", contestant->version);
        fprintf(out, "}%s\n", i + 1 < report->field.count ? "," : "");
    }
    fprintf(out, "  ],\n  \"missing\": [");
    for (size_t i = 0; i < report->field.absence_count; i++) {
        fprintf(out, "%s{", i > 0 ? ", " : "");
        json_field(out, "name", report->field.absences[i].name);
        fprintf(out, ", ");
        json_field(out, "why", report->field.absences[i].why);
        fprintf(out, "}");
    }
    fprintf(out, "],\n  \"failures\": [");
    for (size_t i = 0; i < report->failure_count; i++) {
        fprintf(out, "%s\n    {", i > 0 ? "," : "");
        json_field(out, "workload", report->failures[i].workload);
        fprintf(out, ", ");
        json_field(out, "contestant", report->failures[i].contestant);
        fprintf(out, ", ");
        json_field(out, "why", report->failures[i].why);
        fprintf(out, "}");
    }
    fprintf(out, "],\n");
}

/* The values of all rounds, by contestant. */
static void json_values(FILE *out, const struct bench_report *report, const struct bench_row *row)
{
    const char *separator = "";

    fprintf(out, "\"values\": {");
    for (size_t i = 0; i < report->field.count; i++) {
        if (row->counts[i] == 0) {
            continue;
        }
        fprintf(out, "%s", separator);
        json_text(out, report->field.contestants[i].name);
        fprintf(out, ": [");
        for (unsigned round = 0; round < row->counts[i]; round++) {
            fprintf(out, "%s", round > 0 ? ", " : "");
            json_number(out, row->values[i][round]);
        }
        fprintf(out, "]");
        separator = ", ";
    }
    fprintf(out, "}");
}

/* The goal of a row that has one, and whether the first contestant of ours reached it. */
static void json_goal(FILE *out, const struct bench_report *report, const struct bench_row *row)
{
    if (row->goal > 0) {
        fprintf(out, ", \"goal\": ");
        json_number(out, row->goal);
        fprintf(out, ", \"reached\": %s",
                bench_row_reaches(row, bench_row_best(report, row, BENCH_ROLE_OWN)) ? "true"
                                                                                    : "false");
    }
}

static void json_row(FILE *out, const struct bench_report *report, const struct bench_row *row)
{
    const char *separator = "";

    fprintf(out, "    {");
    json_field(out, "workload", row->workload);
    fprintf(out, ", ");
    json_field(out, "metric", row->metric);
    fprintf(out, ", ");
    json_field(out, "unit", bench_unit_text(row->unit));
    fprintf(out, ", \"better\": \"%s\", \"detail\": %s, \"noise\": ",
            bench_unit_higher_is_better(row->unit) ? "higher" : "lower",
            row->is_detail ? "true" : "false");
    json_number(out, bench_row_noise(report, row));
    json_goal(out, report, row);
    fprintf(out, ",\n     \"median\": {");
    for (size_t i = 0; i < report->field.count; i++) {
        if (row->counts[i] > 0) {
            fprintf(out, "%s", separator);
            json_text(out, report->field.contestants[i].name);
            fprintf(out, ": ");
            json_number(out, bench_row_median(row, i));
            separator = ", ";
        }
    }
    fprintf(out, "},\n     ");
    json_values(out, report, row);
    fprintf(out, "}");
}

bool bench_json_write(FILE *out, const struct bench_report *report)
{
    fprintf(out, "{\n  \"schema\": \"%s\",\n", BENCH_SCHEMA);
    json_machine(out, report);
    json_contestants(out, report);
    fprintf(out, "  \"rows\": [\n");
    for (size_t i = 0; i < report->row_count; i++) {
        json_row(out, report, &report->rows[i]);
        fprintf(out, "%s\n", i + 1 < report->row_count ? "," : "");
    }
    fprintf(out, "  ]\n}\n");
    return fflush(out) == 0 && ferror(out) == 0;
}
