/*
 * Purpose: a report as JSON, written by plain printf and read back by a small reader, so that
 *          targets and tables can be computed from a file.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_SUPPORT_JSON_H
#define BENCH_SUPPORT_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "support/report.h"

/* Writes the report; false when the stream failed. */
bool bench_json_write(FILE *out, const struct bench_report *report);

/* Reads what bench_json_write wrote; false, after a message, when the file is not such a report. */
bool bench_json_read(const char *path, struct bench_report *report);

#endif
