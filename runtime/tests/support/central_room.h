/*
 * Purpose: the global room alone, for its tests: two shards of which a test chooses one by going to
 *          a processor, blocks taken and given through the central calls, and the proof that every
 *          count, list and state agrees.
 * Owner:   test support; one thread. Failures are cmocka failures.
 */
#ifndef EMP_TESTS_SUPPORT_CENTRAL_ROOM_H
#define EMP_TESTS_SUPPORT_CENTRAL_ROOM_H

#include <stddef.h>
#include <stdint.h>

#include "global/shard.h"
#include "global/shard_tick.h"

#define CENTRAL_BLOCKS_MAX 40000u

extern void *central_blocks[CENTRAL_BLOCKS_MAX];

/* Group setup: the arena, the classes, two shards. */
int central_start(void **state);

/* Moves this thread to a shard; skips the test where the machine has only one. */
uint32_t central_go_to(unsigned which);

/* Takes exactly `count` blocks of a class into central_blocks[from...]. */
void central_take(uint32_t class_id, size_t from, size_t count);

/* Gives blocks back, each of which must be good. */
void central_give(uint32_t class_id, size_t from, size_t count);

/* Sorts central_blocks[0..count) by address. */
void central_sort(size_t count);

/* The slab of a block of a class. */
struct emp_slab *central_slab(uint32_t class_id, const void *block);

/* Counts a class in every shard: all that was given is known then. */
void central_recount(uint32_t class_id);

/* Sum of a 64-bit counter over the shards. */
uint64_t central_total(uint32_t class_id, size_t offset);
#define CENTRAL_TOTAL(class_id, field) \
    central_total((class_id), offsetof(struct emp_shard_class, field))

/*
 * Walks every list of every shard: as they are (what is known is a lower bound, sums agree, full
 * slabs are quiet or on their way) and after a count (what is known is what there is). No other
 * thread may be at work. Teardown of every test.
 */
int central_check(void **state);

/* A round of maintenance; pages given are cleared, as the system does, unless it refuses. */
struct emp_tick_result central_tick(bool all);
extern bool central_system_refuses;

/* Called for every piece of memory that a round gives back; NULL: nothing. */
extern void (*central_on_purge)(void *base, size_t bytes);

#endif
