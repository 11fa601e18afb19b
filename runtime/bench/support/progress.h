/*
 * Purpose: tells on standard error what is being measured: one line that is overwritten on a
 *          terminal, a line every few seconds elsewhere.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_SUPPORT_PROGRESS_H
#define BENCH_SUPPORT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_progress {
    bool is_terminal;
    size_t total; /* processes to run */
    size_t done;
    uint64_t last_ns; /* of the last line elsewhere */
};

/* Starts the count of total steps. */
void bench_progress_begin(struct bench_progress *progress, size_t total);

/* One step begins: what it measures, and for whom. */
void bench_progress_step(struct bench_progress *progress, const char *what, const char *whom);

/* Removes the line, so that results can be printed. */
void bench_progress_clear(const struct bench_progress *progress);

#endif
