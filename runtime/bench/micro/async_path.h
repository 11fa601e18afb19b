/*
 * Purpose: the paths of tasks, futures and channels that every program takes all the time, a given
 *          number of times, for counting instructions.
 * Owner:   a child process, one thread.
 */
#ifndef BENCH_MICRO_ASYNC_PATH_H
#define BENCH_MICRO_ASYNC_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the path "task", "future" or "spsc" so many times; false: there is no such path. */
bool bench_async_path(const char *name, size_t times);

#endif
