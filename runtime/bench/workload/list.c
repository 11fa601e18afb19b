/*
 * Purpose: all workloads in the order of the tables.
 * Owner:   bench/workload; constants, any thread.
 */
#include "workload/groups.h"

#include <string.h>

static const struct bench_group *const groups[] = {
    &bench_hot_pair_group,      &bench_mixed_group,         &bench_burst_group,
    &bench_async_mix_group,     &bench_handover_group,      &bench_server_group,
    &bench_fragmentation_group, &bench_idle_return_group,   &bench_false_sharing_group,
    &bench_thread_churn_group,  &bench_aligned_group,       &bench_large_group,
    &bench_latency_group,       &bench_bitmap_refill_group,
};

#define GROUPS (sizeof groups / sizeof groups[0])

size_t bench_workload_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < GROUPS; i++) {
        count += groups[i]->count;
    }
    return count;
}

const struct bench_workload *bench_workload_at(size_t index)
{
    for (size_t i = 0; i < GROUPS; i++) {
        if (index < groups[i]->count) {
            return &groups[i]->workloads[index];
        }
        index -= groups[i]->count;
    }
    return NULL;
}

const struct bench_workload *bench_workload_find(const char *name)
{
    for (size_t i = 0; i < bench_workload_count(); i++) {
        const struct bench_workload *workload = bench_workload_at(i);

        if (strcmp(workload->name, name) == 0) {
            return workload;
        }
    }
    return NULL;
}
