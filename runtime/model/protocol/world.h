/*
 * Purpose: what the product's files find around them in the model: processors, an arena of a few
 *          units, classes, metadata; so that slab.c, shard.c, mutex.c and others run as they stand.
 * Owner:   model; put in its first state by world_set_up.
 * Threads: the checker's own.
 * Design:  docs/design/model.md, "Protocols"
 */
#ifndef EMP_MODEL_PROTOCOL_WORLD_H
#define EMP_MODEL_PROTOCOL_WORLD_H

#include "global/shard.h"
#include "model.h"
#include "slab/slab.h"

#define WORLD_CLASS  1u
#define WORLD_UNITS  2u
#define WORLD_SHARDS 2u
#define WORLD_SLOTS  2u

/* One block of a slab, as its users see it: plain memory that only its holder may touch. */
extern uint32_t world_block[WORLD_UNITS][WORLD_SLOTS];

/* Everything as at the start of a process: no slab, all locks free, two processors. */
void world_set_up(void);

/* Processors that emp_cpu_count tells of; more than one lets a mutex spin. */
void world_set_cpus(unsigned count);

/* A slab on a unit, listed at its shard, those of `used` with the program; for set_up. */
struct emp_slab *world_slab(size_t unit, uint8_t owner, uint64_t used);

/* Lists a slab that is detached at its owner, which then has its slots; holder. */
void world_link(struct emp_slab *slab);

/* Empties the inboxes of both shards and counts their slabs. */
void world_recount(void);

/* The free slots of a slab, as bits. */
uint64_t world_free(const struct emp_slab *slab);

/* Lists, sums and states, where the slab is the only one; for finish. */
void world_audit(const struct emp_slab *slab);

#endif
