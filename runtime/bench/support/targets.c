/*
 * Purpose: the goals in one table: what is compared with what, and the limit.
 * Owner:   the parent process, one thread; the table is constant.
 */
#include "support/targets.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define DROP_IN "echomem"
#define TYPED   "echomem-typed"

/* What the measured figure is divided by. */
enum target_reference {
    TO_NOTHING, /* the figure itself */
    TO_GLIBC,
    TO_BEST,   /* best of glibc and the distribution's allocators */
    TO_NEWEST, /* best of the extra peers given in the environment */
    TO_FLOOR
};

enum target_relation {
    COST_AT_MOST, /* figure / reference <= limit */
    GAIN_AT_LEAST /* how many times better than the reference >= limit */
};

struct target {
    const char *workload;
    const char *metric;
    const char *contestant;
    enum target_reference reference;
    enum target_relation relation;
    double limit;
    bool beyond_noise; /* a goal of 5 % or less: counts only beyond the row's A/A noise */
};

static const struct target targets[] = {
    {"pair.d16", "32B", TYPED, TO_FLOOR, COST_AT_MOST, 1.3, false},
    {"pair.d16", "64B", TYPED, TO_FLOOR, COST_AT_MOST, 1.3, false},
    {"pair.d16", "96B", TYPED, TO_FLOOR, COST_AT_MOST, 1.3, false},
    {"pair.d16", "128B", TYPED, TO_FLOOR, COST_AT_MOST, 1.3, false},
    {"pair.d16", "64B", TYPED, TO_GLIBC, GAIN_AT_LEAST, 4.5, false},
    {"pair.d16", "96B", TYPED, TO_GLIBC, GAIN_AT_LEAST, 5, false},
    {"pair.d16", "128B", TYPED, TO_GLIBC, GAIN_AT_LEAST, 5, false},
    {"pair.d1", "8-1024B", DROP_IN, TO_BEST, COST_AT_MOST, 0.85, false},
    {"pair.d16", "8-1024B", DROP_IN, TO_BEST, COST_AT_MOST, 0.85, false},
    {"pair.d64", "8-1024B", DROP_IN, TO_BEST, COST_AT_MOST, 0.85, false},
    {"pair.d1", "8-1024B", DROP_IN, TO_NEWEST, COST_AT_MOST, 0.95, false},
    {"pair.d16", "8-1024B", DROP_IN, TO_NEWEST, COST_AT_MOST, 0.95, false},
    {"pair.d64", "8-1024B", DROP_IN, TO_NEWEST, COST_AT_MOST, 0.95, false},
    {"burst.64.10k.fifo", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 0.95, false},
    {"burst.64.100k.fifo", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 0.95, false},
    {"burst.16-512.10k.fifo", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 0.95, false},
    {"burst.16-512.100k.fifo", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 0.9, false},
    {"burst.16-512.100k.lifo", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 0.9, false},
    {"burst.16-512.100k.random", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 0.9, false},
    {"burst.64.10k.random", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 1.05, false},
    {"burst.64.100k.random", "pair", DROP_IN, TO_BEST, COST_AT_MOST, 1.05, false},
    {"burst.64.10k.fifo", "alloc side", DROP_IN, TO_BEST, COST_AT_MOST, 0.9, false},
    {"burst.64.100k.fifo", "alloc side", DROP_IN, TO_BEST, COST_AT_MOST, 0.9, false},
    {"burst.16-512.10k.fifo", "alloc side", DROP_IN, TO_BEST, COST_AT_MOST, 0.9, false},
    {"burst.16-512.100k.fifo", "alloc side", DROP_IN, TO_BEST, COST_AT_MOST, 0.9, false},
    {"burst.64.100k.random", "pair", DROP_IN, TO_GLIBC, GAIN_AT_LEAST, 5, false},
    {"burst.16-512.100k.random", "pair", DROP_IN, TO_GLIBC, GAIN_AT_LEAST, 5, false},
    {"async.t1", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.0, false},
    {"async.t1.x16", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.1, false},
    {"async.t2", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.1, false},
    {"async.t2.x16", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.1, false},
    {"async.t1", "rate", TYPED, TO_BEST, GAIN_AT_LEAST, 1.8, false},
    {"async.t1.x16", "rate", TYPED, TO_BEST, GAIN_AT_LEAST, 1.8, false},
    {"async.t2", "rate", TYPED, TO_BEST, GAIN_AT_LEAST, 1.25, false},
    {"async.t2.x16", "rate", TYPED, TO_BEST, GAIN_AT_LEAST, 1.25, false},
    {"async.t1", "rate", TYPED, TO_GLIBC, GAIN_AT_LEAST, 2.8, false},
    {"async.t2", "rate", TYPED, TO_GLIBC, GAIN_AT_LEAST, 3.4, false},
    {"handover.one.64", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.0, false},
    {"handover.one.64", "rate", DROP_IN, TO_NEWEST, GAIN_AT_LEAST, 1.0, false},
    {"handover.one.mixed", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.5, false},
    {"handover.one.mixed", "rate", DROP_IN, TO_GLIBC, GAIN_AT_LEAST, 10, false},
    {"handover.two.96", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.15, false},
    {"handover.two.mixed", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.0, false},
    {"server.16", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.0, false},
    {"server.16", "resident/live", DROP_IN, TO_NOTHING, COST_AT_MOST, 1.3, false},
    {"server.1000", "rate", DROP_IN, TO_BEST, GAIN_AT_LEAST, 1.1, false},
    {"server.1000", "resident/live", DROP_IN, TO_NOTHING, COST_AT_MOST, 1.2, false},
    {"sharing.active", "slowdown", DROP_IN, TO_NOTHING, COST_AT_MOST, 1.05, true},
    {"sharing.passive", "slowdown", DROP_IN, TO_NOTHING, COST_AT_MOST, 1.05, true},
    {"idle.return", "idle resident/base", DROP_IN, TO_NOTHING, COST_AT_MOST, 1.1, false},
    {"frag.90", "idle resident/live", DROP_IN, TO_NOTHING, COST_AT_MOST, 8.5, false},
    {"frag.90", "refilled resident/live", DROP_IN, TO_NOTHING, COST_AT_MOST, 1.25, false},
    {"latency", "malloc p99", DROP_IN, TO_NOTHING, COST_AT_MOST, 25, false},
    /* "At the noise floor": the inlined floor suffers the same machine, within a third of it. */
    {"latency", "malloc p99.99", DROP_IN, TO_FLOOR, COST_AT_MOST, 1.35, false},
};

#define TARGETS (sizeof targets / sizeof targets[0])

static const char *const reference_texts[] = {"", "glibc", "best peer", "newest peer", "floor"};

/* The figure the target's own is compared with; NaN when it was not measured. */
static double target_reference_value(const struct bench_report *report, const struct target *target,
                                     const struct bench_row *row)
{
    switch (target->reference) {
    case TO_GLIBC:
        return bench_row_named(report, row, "glibc");
    case TO_BEST:
        return bench_row_best(report, row, BENCH_ROLE_PEER);
    case TO_NEWEST:
        return bench_row_best(report, row, BENCH_ROLE_EXTRA);
    case TO_FLOOR:
        return bench_row_named(report, row, "floor");
    default:
        return 1;
    }
}

/* What the limit applies to; NaN when something was not measured. */
static double target_value(const struct bench_report *report, const struct target *target,
                           const struct bench_row *row)
{
    double own = bench_row_named(report, row, target->contestant);
    double reference = target_reference_value(report, target, row);

    return target->relation == GAIN_AT_LEAST ? bench_row_factor(row, own, reference)
                                             : own / reference;
}

/* The limit, moved by the noise of the row where the goal allows it. */
static double target_limit(const struct bench_report *report, const struct target *target,
                           const struct bench_row *row)
{
    double noise = target->beyond_noise ? bench_row_noise(report, row) : 0;

    if (isnan(noise) || isinf(noise)) {
        noise = 0;
    }
    return target->relation == GAIN_AT_LEAST ? target->limit / (1 + noise)
                                             : target->limit * (1 + noise);
}

static bool target_print(FILE *out, const struct bench_report *report, const struct target *target)
{
    const struct bench_row *row = bench_report_find(report, target->workload, target->metric);
    double value = row == NULL ? NAN : target_value(report, target, row);
    double limit = row == NULL ? target->limit : target_limit(report, target, row);
    bool is_gain = target->relation == GAIN_AT_LEAST;
    bool is_met = is_gain ? value >= limit : value <= limit;
    char what[96];

    snprintf(what, sizeof what, "%s %s", target->workload, target->metric);
    fprintf(out, "%-4s  %-40s %-14s %-13s %s %-5.3g",
            isnan(value) ? "-"
            : is_met     ? "PASS"
                         : "FAIL",
            what, target->contestant, reference_texts[target->reference],
            is_gain ? ">=" : "<=", target->limit);
    if (isnan(value)) {
        fprintf(out, "  not measured\n");
    } else if (limit > target->limit || limit < target->limit) {
        fprintf(out, "  measured %.3g (with noise: limit %.3g)\n", value, limit);
    } else {
        fprintf(out, "  measured %.3g\n", value);
    }
    return is_met || isnan(value);
}

size_t bench_targets_print(FILE *out, const struct bench_report *report)
{
    size_t missed = 0;
    size_t measured = 0;

    fprintf(out, "%-4s  %-40s %-14s %-13s goal\n", "", "row", "ours", "against");
    for (size_t i = 0; i < TARGETS; i++) {
        const struct bench_row *row =
            bench_report_find(report, targets[i].workload, targets[i].metric);

        missed += !target_print(out, report, &targets[i]);
        measured += row != NULL && !isnan(target_value(report, &targets[i], row));
    }
    fprintf(out, "%zu of %zu goals measured, %zu met, %zu missed\n", measured, TARGETS,
            measured - missed, missed);
    return missed;
}
