/*
 * Purpose: a report of async_bench as plain text and as Markdown: our figure, its goal, and every
 *          peer that ran the row, each with how many times better ours is.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_ASYNC_TABLE_H
#define BENCH_ASYNC_TABLE_H

#include <stdio.h>

#include "async/row.h"
#include "support/report.h"

/* Prints the machine, the run, who takes part and who is missing. */
void async_table_begin(FILE *out, const struct bench_report *report);

/* Prints all metrics of a row that is complete, and its failures. */
void async_table_row(FILE *out, const struct bench_report *report, const struct async_row *row);

/* Prints the goals reached and missed and how to read the lines; returns the goals missed. */
size_t async_table_end(FILE *out, const struct bench_report *report);

/* Prints the whole report as one Markdown table. */
void async_table_markdown(FILE *out, const struct bench_report *report);

#endif
