/*
 * Purpose: maintenance of the shards: drains inboxes, ends empty slabs, gives back pages inside
 *          sparse slabs that have been idle, offers the slabs of idle shards.
 * Owner:   global. Threads: one at a time (the tick); shard locks are dropped around system calls.
 * Design:  [global.proto.tick]. Source: BR-MEM-008, rows D7, D8.
 */
#ifndef EMP_GLOBAL_SHARD_TICK_H
#define EMP_GLOBAL_SHARD_TICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives pages [address, address + bytes) back; false when the system refused. From core. */
typedef bool emp_page_giver(void *base, size_t bytes);

/* What a round did and what is left. */
struct emp_tick_result {
    size_t given_bytes; /* pages given back */
    size_t slabs_ended;
    bool more; /* something will be due later */
};

/* One round over all shards. all: without waiting for idleness. */
void emp_shard_tick(bool all, uint64_t now_ns, emp_page_giver *give,
                    struct emp_tick_result *result);

#endif
