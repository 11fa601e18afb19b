/*
 * Purpose: the comparison as a Markdown table: medians, the best drop-in of each row in bold, rows
 *          we lose included.
 * Owner:   the parent process, one thread.
 */
#include "support/table.h"

#include <math.h>
#include <string.h>

#include "support/stats.h"

#define MARKDOWN_NOTHING "–"

static bool markdown_is_drop_in(const struct bench_contestant *contestant)
{
    return contestant->api == BENCH_API_MALLOC && contestant->role != BENCH_ROLE_AGAIN;
}

/* Best median among those that serve malloc: peers, extra peers and our drop-in. */
static double markdown_best(const struct bench_report *report, const struct bench_row *row)
{
    double best = NAN;

    for (size_t i = 0; i < report->field.count; i++) {
        double median = bench_row_median(row, i);

        if (markdown_is_drop_in(&report->field.contestants[i]) && !isnan(median) &&
            (isnan(best) || bench_row_factor(row, median, best) > 1)) {
            best = median;
        }
    }
    return best;
}

static void markdown_cell(FILE *out, double value, bool is_bold)
{
    const char *mark = is_bold ? "**" : "";
    int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;

    if (isnan(value)) {
        fprintf(out, " " MARKDOWN_NOTHING " |");
    } else {
        fprintf(out, " %s%.*f%s |", mark, decimals, value, mark);
    }
}

static void markdown_factor(FILE *out, double factor)
{
    if (isnan(factor) || isinf(factor) || factor <= 0) {
        fprintf(out, " " MARKDOWN_NOTHING " |");
    } else {
        fprintf(out, " %.2f× |", factor);
    }
}

static void markdown_head(FILE *out, const struct bench_report *report)
{
    size_t columns = 3;

    fprintf(out, "| workload | unit |");
    for (size_t i = 0; i < report->field.count; i++) {
        if (report->field.contestants[i].role != BENCH_ROLE_AGAIN) {
            fprintf(out, " %s |", report->field.contestants[i].name);
            columns++;
        }
    }
    fprintf(out, " to glibc | to best peer | A/A |\n|---|---|");
    for (size_t i = 0; i < columns; i++) {
        fprintf(out, "---:|");
    }
    fprintf(out, "\n");
}

static void markdown_row(FILE *out, const struct bench_report *report, const struct bench_row *row)
{
    double best = markdown_best(report, row);
    double own = bench_row_named(report, row, "echomem");
    double noise = bench_row_noise(report, row);

    fprintf(out, "| %s %s | %s |", row->workload, row->metric, bench_unit_text(row->unit));
    for (size_t i = 0; i < report->field.count; i++) {
        const struct bench_contestant *contestant = &report->field.contestants[i];
        double median = bench_row_median(row, i);

        if (contestant->role != BENCH_ROLE_AGAIN) {
            markdown_cell(out, median, markdown_is_drop_in(contestant) && median == best);
        }
    }
    markdown_factor(out, bench_row_factor(row, own, bench_row_named(report, row, "glibc")));
    markdown_factor(out, bench_row_factor(row, own, bench_row_best(report, row, BENCH_ROLE_PEER)));
    if (isnan(noise) || isinf(noise)) {
        fprintf(out, " " MARKDOWN_NOTHING " |\n");
    } else {
        fprintf(out, " %.0f %% |\n", noise * 100);
    }
}

void bench_table_markdown(FILE *out, const struct bench_report *report)
{
    const struct bench_machine *machine = &report->machine;

    markdown_head(out, report);
    for (size_t i = 0; i < report->row_count; i++) {
        if (!report->rows[i].is_detail && strcmp(report->rows[i].metric, BENCH_METRIC_PEAK) != 0) {
            markdown_row(out, report, &report->rows[i]);
        }
    }
    fprintf(out,
            "\nMedians of %u rounds, %s, commit %s. Machine: %s, %u CPUs, %s, %s. "
            "Bold: best drop-in of the row. Ratios: above 1 ours is better, below 1 we lose. "
            "A/A: what the same allocator entered twice differs by.\n",
            report->rounds, machine->date, machine->commit[0] != '\0' ? machine->commit : "unknown",
            machine->cpu, machine->cpus, machine->kernel, machine->libc);
    fprintf(out,
            "Command: `build/runtime_test --bench --benchtime=%gs --rounds=%u "
            "--json=FILE`, then `build/runtime_test --markdown FILE`.\n",
            report->benchtime_s, report->rounds);
    for (size_t i = 0; i < report->field.absence_count; i++) {
        fprintf(out, "Missing: %s (%s).\n", report->field.absences[i].name,
                report->field.absences[i].why);
    }
}
