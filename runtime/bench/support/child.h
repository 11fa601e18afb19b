/*
 * Purpose: what this program does as a child: run one workload, or say which malloc it got.
 * Owner:   a child process.
 */
#ifndef BENCH_SUPPORT_CHILD_H
#define BENCH_SUPPORT_CHILD_H

#include <stdbool.h>

/* First argument of a child; what follows is read by bench_child_main only. */
#define BENCH_CHILD_ARGUMENT "--child"

/*
 * Arguments after BENCH_CHILD_ARGUMENT: "probe"; or "hit-path" and what micro/hit_path.h says; or a
 * workload's name, an api, a budget in ns, a seed, and "turns" when the turn descriptors are open.
 * Returns the exit code.
 */
int bench_child_main(int count, char **arguments);

#endif
