/*
 * Purpose: results of a run on their way to the parent, and the turn of waiting workloads.
 * Owner:   bench/support; the thread that runs main.
 */
#include "support/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *text;
    bool higher_is_better;
} unit_table[] = {
    [BENCH_NS_PAIR] = {"ns/pair", false},
    [BENCH_NS_CALL] = {"ns", false},
    [BENCH_NS_SLOT] = {"ns/slot", false},
    [BENCH_MOPS] = {"Mops/s", true},
    [BENCH_MOBJ] = {"Mobj/s", true},
    [BENCH_MPAIRS] = {"Mpairs/s", true},
    [BENCH_TIMES] = {"x", false},
    [BENCH_GAIN] = {"x gain", true},
    [BENCH_MIB] = {"MiB", false},
    [BENCH_US_THREAD] = {"us/thread", false},
    [BENCH_PER_MILLION] = {"per 1M", false},
    [BENCH_BYTES] = {"B", false},
    [BENCH_MS] = {"ms", false},
};

const char *bench_unit_text(enum bench_unit unit)
{
    return unit_table[unit].text;
}

bool bench_unit_higher_is_better(enum bench_unit unit)
{
    return unit_table[unit].higher_is_better;
}

bool bench_unit_parse(const char *text, enum bench_unit *unit)
{
    for (size_t i = 0; i < sizeof unit_table / sizeof unit_table[0]; i++) {
        if (strcmp(unit_table[i].text, text) == 0) {
            *unit = (enum bench_unit)i;
            return true;
        }
    }
    return false;
}

static void workload_send(struct bench_run *run, const char *metric, const char *form,
                          const double *value)
{
    char line[256];
    int length = snprintf(line, sizeof line, "metric\t%s\t%s\t%.9g\n", metric, form, *value);

    if (length < 0 || (size_t)length >= sizeof line ||
        write(run->result_fd, line, (size_t)length) != length) {
        exit(1);
    }
}

void bench_emit(struct bench_run *run, const char *metric, enum bench_unit unit, double value)
{
    char form[32];

    snprintf(form, sizeof form, "%d\t0", (int)unit);
    workload_send(run, metric, form, &value);
}

void bench_emit_detail(struct bench_run *run, const char *metric, enum bench_unit unit,
                       double value)
{
    char form[32];

    snprintf(form, sizeof form, "%d\t1", (int)unit);
    workload_send(run, metric, form, &value);
}

void bench_turn_take(struct bench_run *run)
{
    char token;

    if (run->turn_fds[0] >= 0 && read(run->turn_fds[0], &token, 1) != 1) {
        exit(1);
    }
}

void bench_turn_give(struct bench_run *run)
{
    if (run->turn_fds[1] >= 0 && write(run->turn_fds[1], "t", 1) != 1) {
        exit(1);
    }
}
