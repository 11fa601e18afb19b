/*
 * Purpose: the order of measurements: for each row, for each round, every contestant once, in an
 *          order shuffled by the seed, so that a slow minute of the machine hits all of them.
 * Owner:   the parent process, one thread.
 */
#include "async/runner.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/process.h"
#include "support/progress.h"
#include "support/rng.h"

#define TIMEOUT_NS 120000000000u

/* One row being measured. */
struct runner {
    const struct async_plan *plan;
    struct bench_report *report;
    const struct async_row *row;
    struct bench_progress *progress;
    uint32_t eligible[BENCH_CONTESTANTS_MAX]; /* contestants that run it, in this round's order */
    size_t eligible_count;
};

/* Where the lines of one process go. */
struct runner_sink {
    struct runner *runner;
    size_t contestant;
    unsigned taken;
};

bool async_plan_selects(const struct async_plan *plan, const struct async_row *row)
{
    char pattern[128];

    if (plan->only == NULL) {
        return true;
    }
    for (const char *item = plan->only; *item != '\0';) {
        size_t length = strcspn(item, ",");

        snprintf(pattern, sizeof pattern, "%.*s", (int)length, item);
        if (fnmatch(pattern, row->name, 0) == 0) {
            return true;
        }
        item += length + (item[length] == ',');
    }
    return false;
}

/* "metric", name, unit, detail, value. A child of ours sends the unit's number, a peer its text. */
static void runner_take(void *context, char *line)
{
    struct runner_sink *sink = context;
    struct runner *runner = sink->runner;
    char *rest = NULL;
    const char *key = strtok_r(line, "\t", &rest);
    const char *metric = strtok_r(NULL, "\t", &rest);
    const char *unit = strtok_r(NULL, "\t", &rest);
    const char *detail = strtok_r(NULL, "\t", &rest);
    const char *value = strtok_r(NULL, "\t", &rest);
    struct bench_row *row;
    enum bench_unit parsed;

    if (value == NULL || strcmp(key, "metric") != 0) {
        return;
    }
    row = bench_report_row(runner->report, runner->row->name, metric);
    row->unit = bench_unit_parse(unit, &parsed) ? parsed : (enum bench_unit)strtoul(unit, NULL, 10);
    row->is_detail = strcmp(detail, "1") == 0;
    for (size_t i = 0; i < ASYNC_GOALS && runner->plan->divisor == 1; i++) {
        const struct async_goal *goal = &runner->row->goals[i];

        if (goal->metric != NULL && strcmp(goal->metric, metric) == 0) {
            row->goal = goal->limit;
        }
    }
    bench_row_add(row, sink->contestant, strtod(value, NULL));
    sink->taken++;
}

static void runner_fail(struct runner *runner, size_t contestant, const char *why)
{
    bench_report_fail(runner->report, runner->row->name,
                      runner->report->field.contestants[contestant].name, why);
}

/* Starts one process of a contestant and reads it to its end. */
static void runner_execute(struct runner *runner, size_t contestant)
{
    const struct bench_contestant *who = &runner->report->field.contestants[contestant];
    const struct async_peer *peer = &runner->plan->peers->peers[contestant];
    struct runner_sink sink = {.runner = runner, .contestant = contestant};
    char budget[32];
    char divisor[32];
    char api[16];
    const char *arguments[] = {ASYNC_CHILD_ARGUMENT, runner->row->name, budget, divisor, api, NULL};
    struct bench_command command = {.arguments = arguments, .preload = ""};
    struct bench_process process;
    const char *why;

    snprintf(budget, sizeof budget, "%llu", (unsigned long long)runner->plan->budget_ns);
    snprintf(divisor, sizeof divisor, "%llu", (unsigned long long)runner->plan->divisor);
    snprintf(api, sizeof api, "%d", (int)who->api);
    if (peer->program[0] != '\0') {
        command.program = peer->program;
        command.arguments = arguments + 1;
    }
    bench_progress_step(runner->progress, runner->row->name, who->name);
    if (!bench_process_start(&process, &command)) {
        runner_fail(runner, contestant, "could not be started");
        return;
    }
    why = bench_process_finish(&process, TIMEOUT_NS, runner_take, &sink);
    if (why == NULL && sink.taken == 0) {
        why = "reported nothing";
    }
    if (why != NULL) {
        runner_fail(runner, contestant, why);
    }
}

static unsigned runner_rounds(const struct async_plan *plan, const struct async_row *row)
{
    return row->rounds_max != 0 && row->rounds_max < plan->rounds ? row->rounds_max : plan->rounds;
}

static size_t runner_find_eligible(const struct async_plan *plan, const struct bench_field *field,
                                   const struct async_row *row, uint32_t *eligible)
{
    size_t count = 0;

    for (size_t i = 0; i < field->count; i++) {
        if (async_field_runs(plan->peers, field, i, row->name)) {
            eligible[count++] = (uint32_t)i;
        }
    }
    return count;
}

static void runner_measure(struct runner *runner)
{
    struct bench_rng rng = bench_rng_make(runner->plan->seed, 1);
    unsigned rounds = runner_rounds(runner->plan, runner->row);

    for (unsigned round = 0; round < rounds; round++) {
        if (round > 0) {
            bench_rng_shuffle(&rng, runner->eligible, runner->eligible_count);
        }
        for (size_t i = 0; i < runner->eligible_count; i++) {
            runner_execute(runner, runner->eligible[i]);
        }
    }
}

size_t async_run_plan(const struct async_plan *plan, struct bench_report *report)
{
    struct bench_progress progress;
    struct runner runner = {.plan = plan, .report = report, .progress = &progress};
    size_t steps = 0;
    size_t ran = 0;

    for (size_t i = 0; i < async_row_count(); i++) {
        if (async_plan_selects(plan, async_row_at(i))) {
            steps += runner_rounds(plan, async_row_at(i)) *
                     runner_find_eligible(plan, &report->field, async_row_at(i), runner.eligible);
        }
    }
    bench_progress_begin(&progress, steps);
    for (size_t i = 0; i < async_row_count(); i++) {
        runner.row = async_row_at(i);
        runner.eligible_count =
            runner_find_eligible(plan, &report->field, runner.row, runner.eligible);
        if (!async_plan_selects(plan, runner.row) || runner.eligible_count == 0) {
            continue;
        }
        runner_measure(&runner);
        bench_progress_clear(&progress);
        if (plan->on_row != NULL) {
            plan->on_row(report, runner.row);
        }
        ran++;
    }
    return ran;
}

int async_child_main(int count, char **arguments)
{
    struct async_run run = {.bench = {.result_fd = BENCH_RESULT_FD, .turn_fds = {-1, -1}}};
    const struct async_row *row = count == 4 ? async_row_find(arguments[0]) : NULL;

    if (row == NULL) {
        return 2;
    }
    run.bench.budget_ns = strtoull(arguments[1], NULL, 10);
    run.divisor = strtoull(arguments[2], NULL, 10);
    run.bench.api = (enum bench_api)strtoul(arguments[3], NULL, 10);
    if (run.divisor == 0 || (row->apis & (1u << run.bench.api)) == 0) {
        return 2;
    }
    row->run(&run, row);
    return 0;
}
