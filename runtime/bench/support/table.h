/*
 * Purpose: the tables people read: plain text while the bench runs, Markdown for the README.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_SUPPORT_TABLE_H
#define BENCH_SUPPORT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "support/report.h"

/* Prints where and when, who takes part and who is missing, and the heads of the columns. */
void bench_table_begin(FILE *out, const struct bench_report *report);

/* Prints the rows of one workload; title may be NULL. */
struct bench_table_section {
    const char *workload;
    const char *title;
    bool with_details;
};
void bench_table_rows(FILE *out, const struct bench_report *report,
                      const struct bench_table_section *section);

/* Prints the noise line, the failures, and how to read the columns. */
void bench_table_end(FILE *out, const struct bench_report *report);

/* Prints the comparison as Markdown, with the command that made it. */
void bench_table_markdown(FILE *out, const struct bench_report *report);

#endif
