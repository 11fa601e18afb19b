/*
 * Purpose: runs the workloads: rounds interleaved over the contestants, each in a process of its
 *          own.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_SUPPORT_RUNNER_H
#define BENCH_SUPPORT_RUNNER_H

#include <stdbool.h>

#include "support/report.h"

struct bench_plan {
    const char *filter; /* glob over workload names, several separated by commas; NULL: all */
    double benchtime_s; /* per workload, shared by all contestants and rounds */
    unsigned rounds;    /* 1..BENCH_ROUNDS_MAX */
    uint64_t seed;
    /* Called after each workload whose rows are complete; may be NULL. */
    void (*on_workload)(const struct bench_report *report, const struct bench_workload *workload);
};

/* True when the filter selects the workload. */
bool bench_plan_selects(const struct bench_plan *plan, const struct bench_workload *workload);

/*
 * Runs the plan for the contestants of report->field and fills its rows and failures.
 * Returns the number of workloads run; 0 when the filter selects none.
 */
size_t bench_run_plan(const struct bench_plan *plan, struct bench_report *report);

#endif
