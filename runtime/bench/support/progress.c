/*
 * Purpose: progress on standard error.
 * Owner:   the parent process, one thread.
 */
#include "support/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/clock.h"

#define QUIET_NS 5000000000u

void bench_progress_begin(struct bench_progress *progress, size_t total)
{
    memset(progress, 0, sizeof *progress);
    progress->is_terminal = isatty(STDERR_FILENO) != 0;
    progress->total = total;
    progress->last_ns = bench_now_ns();
}

void bench_progress_step(struct bench_progress *progress, const char *what, const char *whom)
{
    progress->done++;
    if (progress->is_terminal) {
        fprintf(stderr, "\r\033[K[%zu/%zu] %s: %s", progress->done, progress->total, what, whom);
        fflush(stderr);
    } else if (bench_now_ns() - progress->last_ns >= QUIET_NS) {
        progress->last_ns = bench_now_ns();
        fprintf(stderr, "bench: [%zu/%zu] %s: %s\n", progress->done, progress->total, what, whom);
    }
}

void bench_progress_clear(const struct bench_progress *progress)
{
    if (progress->is_terminal) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}
