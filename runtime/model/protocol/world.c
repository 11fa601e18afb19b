/*
 * Purpose: see world.h.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Protocols"
 */
#include "protocol/world.h"

#include <string.h>

#include "base/check.h"
#include "span/meta.h"
#include "span/unit.h"
#include "thread/cpu.h"
#include "thread/linux/futex.h"

#define META_WORDS 16u /* words of one slab's bitmaps: two lines */

struct emp_arena emp_arena;
struct emp_class emp_classes[EMP_BINS];
struct emp_bitmap_ops emp_bitmap_ops = {.name = "c", .find_nonzero = emp_bitmap_find_nonzero_c};

uint32_t world_block[WORLD_UNITS][WORLD_SLOTS];

static struct emp_slab descriptors[WORLD_UNITS];
static uint32_t tags[WORLD_UNITS];
static struct emp_shard shards[WORLD_SHARDS];
static struct emp_ring rings[WORLD_CLASS + 1];
static uint64_t meta[WORLD_UNITS + 1][META_WORDS];
static unsigned meta_used; /* blocks handed out; none comes back, so that no content is old */
static unsigned cpus;

unsigned emp_cpu_count(void)
{
    return cpus;
}

unsigned emp_cpu_current(void)
{
    return model_self();
}

void world_set_cpus(unsigned count)
{
    cpus = count;
}

void emp_futex_wait(uint32_t *word, uint32_t expected, uint64_t ns)
{
    (void)ns;
    model_futex_wait(word, expected);
}

void emp_futex_wake(uint32_t *word, uint32_t count)
{
    model_futex_wake(word, count);
}

void emp_check_failed(const char *what, const char *where)
{
    (void)where;
    model_assert_failed(what, "runtime/src", 0);
    __builtin_unreachable();
}

/* Debug builds ask for the order of ranks, per thread of the system; here all share one. */
void emp_lock_rank_check_wait(const struct emp_mutex *mutex)
{
    (void)mutex;
}

void emp_lock_rank_push(const struct emp_mutex *mutex)
{
    (void)mutex;
}

void emp_lock_rank_pop(const struct emp_mutex *mutex)
{
    (void)mutex;
}

void emp_lock_rank_forget(const struct emp_mutex *mutex)
{
    (void)mutex;
}

void *emp_meta_alloc(size_t bytes)
{
    model_assert(bytes <= sizeof meta[0] && meta_used < WORLD_UNITS + 1);
    return meta[meta_used++];
}

void emp_meta_free(void *block, size_t bytes)
{
    (void)block;
    (void)bytes;
}

void emp_unit_give(size_t unit, unsigned units)
{
    (void)unit;
    (void)units;
}

/* The part of a shard that cases use; the other classes stay as they were made. */
static void shard_set_up(uint32_t index)
{
    struct emp_shard *const shard = &shards[index];
    emp_mutex_init(&shard->lock, EMP_RANK_SHARD);
    shard->index = index;
    shard->inbox = 0;
    memset(&shard->classes[WORLD_CLASS], 0, sizeof shard->classes[0]);
    emp_shards[index] = shard;
}

void world_set_up(void)
{
    struct emp_class *const info = &emp_classes[WORLD_CLASS];
    cpus = 1;
    meta_used = 0;
    memset(descriptors, 0, sizeof descriptors);
    memset(tags, 0, sizeof tags);
    memset(meta, 0, sizeof meta);
    memset(world_block, 0, sizeof world_block);
    emp_arena.base = EMP_UNIT_BYTES;
    emp_arena.tags = tags;
    emp_arena.slab_descriptors = (char *)descriptors;
    info->geometry.arena_base = emp_arena.base;
    info->geometry.size = 4096;
    info->geometry.slots = WORLD_SLOTS;
    info->words = 1;
    info->units = 1;
    emp_shard_count = WORLD_SHARDS;
    memset(rings, 0, sizeof rings);
    emp_rings[WORLD_CLASS] = &rings[WORLD_CLASS];
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        shard_set_up(i);
    }
}

struct emp_slab *world_slab(size_t unit, uint8_t owner)
{
    struct emp_slab *const slab = emp_slab_at(unit);
    struct emp_shard_class *const state = &shards[owner].classes[WORLD_CLASS];
    const bool made = emp_slab_create(unit, WORLD_CLASS, owner, WORLD_SLOTS);
    model_assert(made);
    slab->free[0] = 0;
    slab->free_count = 0;
    emp_shard_link(state, slab);
    return slab;
}

void world_drain(uint32_t shard)
{
    emp_mutex_lock(&shards[shard].lock);
    (void)emp_shard_drain_inbox(&shards[shard]);
    emp_mutex_unlock(&shards[shard].lock);
}

uint64_t world_bits(const struct emp_slab *slab)
{
    return slab->free[0] | slab->remote[0];
}
