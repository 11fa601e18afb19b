/*
 * Purpose: everything one run of the bench found, as the tables, JSON and the targets read it.
 * Owner:   the parent process, one thread; rows are freed by bench_report_clear.
 */
#ifndef BENCH_SUPPORT_REPORT_H
#define BENCH_SUPPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/contestant.h"

#define BENCH_ROUNDS_MAX 31u
#define BENCH_SCHEMA     "echomem-bench/1"

/* One metric of one workload: the values of all rounds, by contestant. */
struct bench_row {
    char workload[40];
    char metric[40];
    enum bench_unit unit;
    bool is_detail;
    double goal; /* what our figure should reach; 0: no goal was set */
    unsigned counts[BENCH_CONTESTANTS_MAX];
    double values[BENCH_CONTESTANTS_MAX][BENCH_ROUNDS_MAX];
};

/* A process that did not deliver. */
struct bench_failure {
    char workload[40];
    char contestant[32];
    char why[160];
};

/* Where and of what the run was made; texts, empty when unknown. */
struct bench_machine {
    char date[32]; /* ISO 8601, UTC */
    char cpu[128];
    char kernel[128];
    char libc[64];
    char commit[64]; /* with "+" when the tree had changes */
    unsigned cpus;
    uint64_t memory_bytes;
    char settings[256]; /* allocator variables found in the environment */
};

struct bench_report {
    struct bench_machine machine;
    struct bench_field field;
    double benchtime_s;
    unsigned rounds;
    uint64_t seed;
    struct bench_row *rows;
    size_t row_count;
    struct bench_failure *failures;
    size_t failure_count;
};

/* The row of a workload and a metric, made if need be; values past BENCH_ROUNDS_MAX are dropped. */
struct bench_row *bench_report_row(struct bench_report *report, const char *workload,
                                   const char *metric);
void bench_row_add(struct bench_row *row, size_t contestant, double value);

/* Notes that a contestant did not deliver. */
void bench_report_fail(struct bench_report *report, const char *workload, const char *contestant,
                       const char *why);

/* Frees what a report holds. */
void bench_report_clear(struct bench_report *report);

/* Median over the rounds, or NaN when the contestant has no value. */
double bench_row_median(const struct bench_row *row, size_t contestant);

/* How much better value is than other: above 1 is better, whatever the unit's direction. */
double bench_row_factor(const struct bench_row *row, double value, double other);

/* Best median among the contestants of a role, or NaN. */
double bench_row_best(const struct bench_report *report, const struct bench_row *row,
                      enum bench_role role);

/* Median of a contestant by name, or NaN. */
double bench_row_named(const struct bench_report *report, const struct bench_row *row,
                       const char *name);

/* Whether a median reaches the row's goal; false when there is no goal or no median. */
bool bench_row_reaches(const struct bench_row *row, double median);

/* |second / first - 1| of the contestant entered twice, or NaN. */
double bench_row_noise(const struct bench_report *report, const struct bench_row *row);

/* The row of a workload and a metric, or NULL. */
const struct bench_row *bench_report_find(const struct bench_report *report, const char *workload,
                                          const char *metric);

/* Fills in date, processor, kernel, libc, commit. */
void bench_machine_describe(struct bench_machine *machine);

#endif
