/*
 * Purpose: moves blocks between threads and slabs: take (refill, in batches), give, expand.
 * Owner:   global. This is MemoryAllocationCoordinator of the model below the thread: the open
 *          slab, slabs fullest first, slabs on offer, borrowing, a new slab.
 * Threads: any; no lock held on entry or return. Design: [global.proto.take] [global.proto.give]
 */
#ifndef EMP_GLOBAL_CENTRAL_H
#define EMP_GLOBAL_CENTRAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emp_shard_class;
struct emp_slab;

/* Entries of the array given to emp_central_take: one batch plus the room of one word. */
#define EMP_TAKE_ROOM 192u
#define EMP_TAKE_MAX  128u

/* Why a refill failed or what it did; for events, which are sent when no bin is in use. */
struct emp_central_note {
    bool expanded;         /* a slab was added */
    bool limited;          /* refused because of a limit, not because memory ran out */
    uint64_t old_capacity; /* blocks of the class before */
    uint64_t new_capacity; /* after */
    uint64_t added_bytes;
};

/*
 * Takes 1..want blocks of a class, want <= EMP_TAKE_MAX; out has EMP_TAKE_ROOM entries. 0: no
 * memory or a limit; note tells. *home receives the shard the blocks came from.
 */
unsigned emp_central_take(uint32_t class_id, void **out, unsigned want, uint32_t *home,
                          struct emp_central_note *note);

/* What a give or probe answers when nothing is wrong; otherwise it is an enum emp_report_code. */
#define EMP_PROBE_GOOD (-1)

/* Gives a block back whose tag says class_id, unless something is wrong with it. */
int emp_central_give(uint32_t class_id, void *ptr);

/* Is ptr, whose tag says class_id, the start of a slot? Arithmetic only. */
int emp_central_probe_start(uint32_t class_id, const void *ptr);

/* Is it a block that is not free? Blocks in a thread's cache count as in use. */
int emp_central_probe(uint32_t class_id, const void *ptr);

/* Adds a slab with free blocks to the given shard; false as emp_central_take. */
bool emp_central_expand(uint32_t class_id, uint32_t shard_index, struct emp_central_note *note);

/* Adopts a slab with free blocks from another shard; false when none is on offer or to be had. */
bool emp_central_adopt(uint32_t class_id, uint32_t shard_index);

/* Looks for slabs that became empty unnoticed when a shard has grown much; no lock held. */
void emp_central_collect(uint32_t shard_index);

/* Ends slabs that were retired under a lock; no lock held. */
void emp_central_end_slabs(struct emp_slab *const *slabs, unsigned count);

#endif
