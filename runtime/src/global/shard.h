/*
 * Purpose: the state of one CPU shard: per class its slabs by occupancy and its warm words (L2).
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
#include "thread/mutex.h"

#define EMP_WARM_WORDS 64u /* power of two: the most a class may keep */
#define EMP_WARM_MASK  31u /* what it keeps when nothing else was asked for, less one */

/*
 * One class in one shard. Invariants: every slab of the shard and class is in exactly one list, or
 * FULL, or DETACHED; slots = sum of slots, free_blocks = sum of free_count over all of them.
 */
struct emp_shard_class {
    uint32_t list[EMP_LIST_COUNT]; /* slab number + 1 of the first: buckets 0..3, then empty */
    uint32_t partial_count;        /* atomic: shard-count. slabs in buckets 0..3 */
    uint32_t empty_count;          /* atomic: shard-count. slabs in the empty list */
    uint32_t warm_top;             /* pushes so far, modulo 2^32 */
    uint32_t warm_mask;            /* warm words kept - 1; 0 before the first slab */
    uint32_t tick_taken;           /* low bits of taken at the last round of maintenance */
    int64_t slots;
    int64_t free_blocks;
    uint64_t taken;    /* blocks that left for a thread */
    uint64_t given;    /* blocks that came back under the lock or by draining */
    uint64_t l2_hits;  /* words taken from the warm list */
    uint64_t l3_hits;  /* words taken from slabs by occupancy */
    uint64_t borrowed; /* blocks lent to a smaller class */
    /* atomic: shard-count. blocks freed by holders of other shards */
    uint64_t remote;
    uint32_t warm[EMP_WARM_WORDS]; /* (slab number + 1) << 7 | word, newest at warm_top - 1 */
};

struct emp_shard {
    struct emp_mutex lock;
    uint32_t index;
    uint32_t line_rest[13];
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
uint32_t emp_shard_current(void);

/* Links a slab by its free_count; holder. */
void emp_shard_link(struct emp_shard_class *class_state, struct emp_slab *slab);

/* Unlinks a slab from wherever it is and leaves it DETACHED; holder. */
void emp_shard_unlink(struct emp_shard_class *class_state, struct emp_slab *slab);

/* Takes the inbox and drains every slab in it; returns blocks that came back. Holder. */
unsigned emp_shard_drain_inbox(struct emp_shard *shard);

/* Notifies the owner of a slab that remote[] has something. Any thread. */
void emp_shard_notify(struct emp_slab *slab);

/* Keeps a block that was freed twice, found while its slab was drained, purged or ended. */
void emp_shard_put_double_free(void *block);

/* Announces every slab with remote blocks anew; a forked child, which has one thread. */
void emp_shard_notify_all(size_t unit_limit);

/* One of the blocks kept, or NULL; each is returned once, to whoever reports it. */
void *emp_shard_take_double_free(void);

#endif
