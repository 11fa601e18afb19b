/*
 * Purpose: the order of measurements: for each workload, for each round, every contestant once, in
 *          an order shuffled by the seed (the first round keeps theirs), so that a slow minute of
 *          the machine hits all of them.
 * Owner:   the parent process, one thread.
 */
#define _GNU_SOURCE /* pipe2 */
#include "support/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/child.h"
#include "support/process.h"
#include "support/progress.h"
#include "support/rng.h"
#include "workload/groups.h"

#define TIMEOUT_BASE_NS    120000000000u
#define TIMEOUT_PER_BUDGET 20u
#define BUDGET_NS_MIN      2000000u

/* One workload being measured. */
struct runner {
    struct bench_report *report;
    const struct bench_workload *workload;
    struct bench_progress *progress;
    uint64_t budget_ns; /* of one process */
    uint64_t seed;
    uint32_t eligible[BENCH_CONTESTANTS_MAX]; /* contestants that run it, in this round's order */
    size_t eligible_count;
    int turn_fds[2];
};

/* Where the lines of one process go. */
struct runner_sink {
    struct runner *runner;
    size_t contestant;
    bool is_refused; /* another library serves malloc: its figures would be somebody else's */
};

bool bench_plan_selects(const struct bench_plan *plan, const struct bench_workload *workload)
{
    char pattern[128];

    if (plan->filter == NULL) {
        return true;
    }
    for (const char *item = plan->filter; *item != '\0';) {
        size_t length = strcspn(item, ",");

        snprintf(pattern, sizeof pattern, "%.*s", (int)length, item);
        if (fnmatch(pattern, workload->name, 0) == 0) {
            return true;
        }
        item += length + (item[length] == ',');
    }
    return false;
}

static void runner_take_metric(struct runner_sink *sink, char *text)
{
    struct bench_report *report = sink->runner->report;
    char *rest = NULL;
    const char *metric = strtok_r(text, "\t", &rest);
    const char *unit = strtok_r(NULL, "\t", &rest);
    const char *detail = strtok_r(NULL, "\t", &rest);
    const char *value = strtok_r(NULL, "\t", &rest);
    struct bench_row *row;

    if (value == NULL || sink->is_refused) {
        return;
    }
    row = bench_report_row(report, sink->runner->workload->name, metric);
    row->unit = (enum bench_unit)strtoul(unit, NULL, 10);
    row->is_detail = strcmp(detail, "1") == 0;
    bench_row_add(row, sink->contestant, strtod(value, NULL));
}

static void runner_take(void *context, char *line)
{
    struct runner_sink *sink = context;
    struct bench_report *report = sink->runner->report;
    const struct bench_contestant *contestant = &report->field.contestants[sink->contestant];
    char *value = strchr(line, '\t');
    char why[160];

    if (value == NULL) {
        return;
    }
    *value++ = '\0';
    if (strcmp(line, "metric") == 0) {
        runner_take_metric(sink, value);
    } else if (strcmp(line, "library") == 0 && contestant->library[0] != '\0' &&
               strcmp(value, contestant->library) != 0) {
        sink->is_refused = true;
        snprintf(why, sizeof why, "refused: malloc is served by %.120s", value);
        bench_report_fail(report, sink->runner->workload->name, contestant->name, why);
    }
}

static bool runner_start(const struct runner *runner, size_t contestant,
                         struct bench_process *process)
{
    const struct bench_contestant *who = &runner->report->field.contestants[contestant];
    char api[16];
    char budget[32];
    char seed[32];
    const char *arguments[] = {BENCH_CHILD_ARGUMENT,
                               runner->workload->name,
                               api,
                               budget,
                               seed,
                               runner->workload->waits ? "turns" : NULL,
                               NULL};
    struct bench_command command = {
        .arguments = arguments,
        .preload = who->preload,
        .turn_fds = runner->workload->waits ? runner->turn_fds : NULL,
    };

    snprintf(api, sizeof api, "%d", (int)who->api);
    snprintf(budget, sizeof budget, "%llu", (unsigned long long)runner->budget_ns);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)runner->seed);
    bench_progress_step(runner->progress, runner->workload->name, who->name);
    return bench_process_start(process, &command);
}

/* Reads one process to its end. */
static void runner_finish(struct runner *runner, size_t contestant, struct bench_process *process)
{
    struct runner_sink sink = {.runner = runner, .contestant = contestant};
    const char *why = bench_process_finish(
        process, TIMEOUT_BASE_NS + TIMEOUT_PER_BUDGET * runner->budget_ns, runner_take, &sink);

    if (why != NULL) {
        bench_report_fail(runner->report, runner->workload->name,
                          runner->report->field.contestants[contestant].name, why);
    }
}

/* One contestant after the other. */
static void runner_round_apart(struct runner *runner)
{
    for (size_t i = 0; i < runner->eligible_count; i++) {
        struct bench_process process;

        if (runner_start(runner, runner->eligible[i], &process)) {
            runner_finish(runner, runner->eligible[i], &process);
        }
    }
}

/* All contestants at the same time: they sleep together and take turns when busy. */
static void runner_round_together(struct runner *runner)
{
    struct bench_process processes[BENCH_CONTESTANTS_MAX];
    bool is_started[BENCH_CONTESTANTS_MAX];

    if (pipe2(runner->turn_fds, O_CLOEXEC) != 0 || write(runner->turn_fds[1], "t", 1) != 1) {
        fprintf(stderr, "bench: no pipe: %s\n", strerror(errno));
        exit(1);
    }
    for (size_t i = 0; i < runner->eligible_count; i++) {
        is_started[i] = runner_start(runner, runner->eligible[i], &processes[i]);
    }
    for (size_t i = 0; i < runner->eligible_count; i++) {
        if (is_started[i]) {
            runner_finish(runner, runner->eligible[i], &processes[i]);
        }
    }
    close(runner->turn_fds[0]);
    close(runner->turn_fds[1]);
}

static unsigned runner_rounds(const struct bench_plan *plan, const struct bench_workload *workload)
{
    return workload->rounds_max != 0 && workload->rounds_max < plan->rounds ? workload->rounds_max
                                                                            : plan->rounds;
}

static size_t runner_find_eligible(const struct bench_field *field,
                                   const struct bench_workload *workload, uint32_t *eligible)
{
    size_t count = 0;

    for (size_t i = 0; i < field->count; i++) {
        if ((workload->apis & (1u << field->contestants[i].api)) != 0) {
            eligible[count++] = (uint32_t)i;
        }
    }
    return count;
}

static void runner_measure(struct runner *runner, const struct bench_plan *plan)
{
    unsigned rounds = runner_rounds(plan, runner->workload);
    struct bench_rng rng = bench_rng_make(plan->seed, 1u << 30);
    double budget_ns = plan->benchtime_s * 1e9 / ((double)rounds * (double)runner->eligible_count);

    runner->budget_ns = budget_ns > BUDGET_NS_MIN ? (uint64_t)budget_ns : BUDGET_NS_MIN;
    for (unsigned round = 0; round < rounds; round++) {
        if (round > 0) {
            bench_rng_shuffle(&rng, runner->eligible, runner->eligible_count);
        }
        runner->seed = plan->seed + round;
        if (runner->workload->waits) {
            runner_round_together(runner);
        } else {
            runner_round_apart(runner);
        }
    }
}

size_t bench_run_plan(const struct bench_plan *plan, struct bench_report *report)
{
    struct bench_progress progress;
    uint32_t unused[BENCH_CONTESTANTS_MAX];
    size_t steps = 0;
    size_t ran = 0;

    for (size_t i = 0; i < bench_workload_count(); i++) {
        const struct bench_workload *workload = bench_workload_at(i);

        if (bench_plan_selects(plan, workload)) {
            steps += runner_rounds(plan, workload) *
                     runner_find_eligible(&report->field, workload, unused);
        }
    }
    bench_progress_begin(&progress, steps);
    for (size_t i = 0; i < bench_workload_count(); i++) {
        struct runner runner = {
            .report = report, .workload = bench_workload_at(i), .progress = &progress};

        runner.eligible_count =
            runner_find_eligible(&report->field, runner.workload, runner.eligible);
        if (!bench_plan_selects(plan, runner.workload) || runner.eligible_count == 0) {
            continue;
        }
        runner_measure(&runner, plan);
        bench_progress_clear(&progress);
        if (plan->on_workload != NULL) {
            plan->on_workload(report, runner.workload);
        }
        ran++;
    }
    return ran;
}
