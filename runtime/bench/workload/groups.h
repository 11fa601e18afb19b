/*
 * Purpose: the workloads by file; list.c puts them in the order of the tables.
 * Owner:   bench/workload; constants.
 */
#ifndef BENCH_WORKLOAD_GROUPS_H
#define BENCH_WORKLOAD_GROUPS_H

#include "support/workload.h"

extern const struct bench_group bench_hot_pair_group;
extern const struct bench_group bench_mixed_group;
extern const struct bench_group bench_burst_group;
extern const struct bench_group bench_async_mix_group;
extern const struct bench_group bench_handover_group;
extern const struct bench_group bench_server_group;
extern const struct bench_group bench_fragmentation_group;
extern const struct bench_group bench_idle_return_group;
extern const struct bench_group bench_false_sharing_group;
extern const struct bench_group bench_thread_churn_group;
extern const struct bench_group bench_aligned_group;
extern const struct bench_group bench_large_group;
extern const struct bench_group bench_latency_group;
extern const struct bench_group bench_bitmap_refill_group;

/* Number of workloads, and each of them by index below that number. */
size_t bench_workload_count(void);
const struct bench_workload *bench_workload_at(size_t index);

/* The workload of that exact name, or NULL. */
const struct bench_workload *bench_workload_find(const char *name);

#endif
