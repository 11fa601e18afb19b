/*
 * Purpose: the goals of the allocator, judged from a report.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_SUPPORT_TARGETS_H
#define BENCH_SUPPORT_TARGETS_H

#include <stdio.h>

#include "support/report.h"

/* Prints PASS, FAIL or "-" (not measured) per goal; returns the number of goals missed. */
size_t bench_targets_print(FILE *out, const struct bench_report *report);

#endif
