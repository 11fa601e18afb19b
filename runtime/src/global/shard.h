/*
 * Purpose: the state of one CPU shard: per class its slabs by occupancy.
 * Owner:   global. Everything but the inbox is guarded by the shard's lock; the thread that has it
 *          is "the holder". Lock rule: try first, a sibling on failure, ascending order when two.
 * Threads: as said. Design: [global.proto.shard] [global.inv.lists]
 */
#ifndef EMP_GLOBAL_SHARD_H
#define EMP_GLOBAL_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/config.h"
#include "slab/slab.h"
#include "sync/ring.h"
#include "thread/cpu.h"
#include "thread/mutex.h"

/*
 * One class in one shard. Invariants: every slab of the shard and class is in exactly one list, or
 * DETACHED; slots = sum of slots, free_blocks = sum of free_count over all of them.
 */
struct emp_shard_class {
    uint32_t list[EMP_LIST_COUNT]; /* slab number + 1 of the first: buckets 0..3, empty, full */
    uint32_t tail[EMP_LIST_COUNT]; /* of the last */
    uint32_t open_count;           /* atomic: shard-count. slabs in the lists below FULL */
    uint32_t full_count;           /* atomic: shard-count. slabs in FULL */
    uint32_t tick_taken;           /* low bits of taken at the last round of maintenance */
    uint32_t keep_blocks;          /* free blocks that maintenance leaves resident (L2) */
    int64_t slots;
    int64_t free_blocks;     /* known ones */
    uint64_t taken;          /* blocks that left for a thread */
    uint64_t given;          /* blocks found to have come back */
    uint64_t l2_hits;        /* slabs that served a refill and were open already */
    uint64_t l3_hits;        /* slabs that were opened for a refill */
    uint64_t borrowed;       /* blocks lent to a smaller class */
    uint32_t open_slab;      /* slab number + 1 that served last, 0: none */
    uint32_t count_again_us; /* atomic: shard-count. no count before a failure until then */
};

struct emp_shard {
    struct emp_mutex lock;
    uint32_t index;
    uint32_t grown;      /* atomic: shard-count. slabs made since the last collection */
    uint32_t collect_at; /* atomic: shard-count. so many are the reason for the next */
    uint32_t line_rest[11];
    uint32_t inbox; /* atomic: inbox-head */
    uint32_t inbox_rest[15];
    struct emp_shard_class classes[EMP_BINS];
};

/* All shards; emp_shard_count is a power of two, const after init. */
extern struct emp_shard *emp_shards[EMP_SHARDS_MAX];
extern uint32_t emp_shard_count;

/* One ring per class: surplus slabs on offer. */
extern struct emp_ring *emp_rings[EMP_BINS];

/* Makes the shards; false: no memory. */
bool emp_shard_init(unsigned cpus);

/* Shard of the processor this thread runs on. */
static inline uint32_t emp_shard_current(void)
{
    return emp_cpu_current() & (emp_shard_count - 1);
}

/* Links a slab by its known free blocks, last in its list; holder. */
void emp_shard_link(struct emp_shard_class *class_state, struct emp_slab *slab);

/* Links a slab in a list of the caller's choice, first or last; holder. */
void emp_shard_link_in(struct emp_shard_class *class_state, struct emp_slab *slab, unsigned list,
                       bool first);

/* Unlinks a slab from wherever it is and leaves it DETACHED; holder. */
void emp_shard_unlink(struct emp_shard_class *class_state, struct emp_slab *slab);

/* Takes an empty slab out of the shard and retires it; who calls must end it. Holder. */
void emp_shard_forget(struct emp_shard_class *class_state, struct emp_slab *slab);

/* Moves a slab in which nothing was found to FULL, unless there is news by now. Holder. */
void emp_shard_quiet(struct emp_shard_class *class_state, struct emp_slab *slab);

/* Takes the inbox: every slab in it is open again; returns how many. Holder. */
unsigned emp_shard_drain_inbox(struct emp_shard *shard);

/*
 * Counts up to `most` slabs of the lists below `lists` that this round has not counted yet; true
 * when there are more. Each goes to the end of its list. Holder.
 */
bool emp_shard_recount_some(struct emp_shard_class *class_state, unsigned lists, uint32_t round,
                            unsigned most);

/* Steps of `most` slabs that a round over a class takes, with some to spare. Holder. */
uint32_t emp_shard_recount_steps(const struct emp_shard_class *class_state, unsigned most);

/* A number for a round of counting that no recent round has. Any thread. */
uint32_t emp_shard_new_round(void);

/*
 * Counts every slab of a class, 64 for each time it takes the lock: sums are exact for what was
 * freed before. No lock held.
 */
void emp_shard_recount_all(struct emp_shard *shard, uint32_t class_id);

/* Tells the owner of a quiet slab that a slot of it is free. Any thread. */
void emp_shard_notify(struct emp_slab *slab);

/* Announces every full slab with free slots anew; a forked child, which has one thread. */
void emp_shard_notify_all(size_t unit_limit);

#endif
