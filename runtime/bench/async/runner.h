/*
 * Purpose: runs the rows: rounds interleaved over the contestants, each in a process of its own,
 *          ours and the peers' alike.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_ASYNC_RUNNER_H
#define BENCH_ASYNC_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "async/field.h"
#include "async/row.h"
#include "support/report.h"

/* First argument of a child of ours; peers take the arguments after it. */
#define ASYNC_CHILD_ARGUMENT "--child"

struct async_plan {
    const char *only;   /* glob over row names, several separated by commas; NULL: all */
    uint64_t budget_ns; /* for one process */
    uint64_t divisor;   /* of fixed amounts of work; goals are judged only when it is 1 */
    unsigned rounds;    /* 1..BENCH_ROUNDS_MAX */
    uint64_t seed;      /* of the order of contestants */
    const struct async_field *peers;
    /* Called after each row that is complete; may be NULL. */
    void (*on_row)(const struct bench_report *report, const struct async_row *row);
};

/* True when the plan selects the row. */
bool async_plan_selects(const struct async_plan *plan, const struct async_row *row);

/*
 * Runs the plan for the contestants of report->field. Returns the number of rows that somebody ran;
 * 0 when none was selected.
 */
size_t async_run_plan(const struct async_plan *plan, struct bench_report *report);

/* The child's side: a row's name, a budget in ns, a divisor, an api. Returns the exit code. */
int async_child_main(int count, char **arguments);

#endif
