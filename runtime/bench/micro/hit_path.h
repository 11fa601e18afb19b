/*
 * Purpose: the loops whose instructions scripts/count_instructions counts.
 * Owner:   a child process, one thread.
 */
#ifndef BENCH_MICRO_HIT_PATH_H
#define BENCH_MICRO_HIT_PATH_H

/* Arguments: "malloc" or "typed", block bytes, pairs to run. Returns the exit code. */
int bench_hit_path_main(int count, char **arguments);

#endif
