/*
 * Purpose: see world.h.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Protocols"
 */
#include "protocol/world.h"

#include <string.h>

#include "base/check.h"
#include "monitor/report.h"
#include "span/meta.h"
#include "span/unit.h"
#include "thread/cpu.h"
#include "thread/linux/futex.h"

static uint64_t gather(const uint8_t *states);
static unsigned next(const uint8_t *states, unsigned count, unsigned from, uint64_t *word);

struct emp_arena emp_arena;
struct emp_class emp_classes[EMP_BINS];
struct emp_bitmap_ops emp_bitmap_ops = {.name = "c", .gather = gather, .next = next};

uint32_t world_block[WORLD_UNITS][WORLD_SLOTS];

static struct emp_slab descriptors[WORLD_UNITS];
static uint32_t tags[WORLD_UNITS];
static struct emp_shard shards[WORLD_SHARDS];
static struct emp_ring rings[WORLD_CLASS + 1];
static uint8_t meta[WORLD_UNITS + 1][EMP_LINE_BYTES] __attribute__((aligned(EMP_LINE_BYTES)));
static unsigned meta_used; /* blocks handed out; none comes back, so that no content is old */
static unsigned cpus;

/*
 * emp_bitmap_gather_c without the states that are NONE, which never change: 62 loads a word that
 * would only fill the execution. slot-state/gather runs the product's own.
 */
static uint64_t gather(const uint8_t *states)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < WORLD_SLOTS; i++) {
        word |= (uint64_t)emp_slot_is_free(&states[i]) << i;
    }
    return word;
}

/* emp_bitmap_next_c over that. */
static unsigned next(const uint8_t *states, unsigned count, unsigned from, uint64_t *word)
{
    for (unsigned i = from; i < count; i++) {
        *word = gather(states + (size_t)i * EMP_WORD_BITS);
        if (*word != 0) {
            return i;
        }
    }
    return count;
}

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

void emp_report_misuse(const struct emp_report *report)
{
    (void)report;
    model_assert_failed("no misuse", "runtime/src", 0);
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

void *emp_meta_alloc_uncleared(size_t bytes)
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
    shard->grown = 0;
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
    info->geometry = emp_bitmap_geometry_make(emp_arena.base, EMP_UNIT_BYTES, 4096);
    info->words = 1;
    info->units = 1;
    emp_shard_count = WORLD_SHARDS;
    memset(rings, 0, sizeof rings);
    emp_rings[WORLD_CLASS] = &rings[WORLD_CLASS];
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        shard_set_up(i);
    }
}

struct emp_slab *world_slab(size_t unit, uint8_t owner, uint64_t used)
{
    struct emp_slab *const slab = emp_slab_at(unit);
    const bool made = emp_slab_create(unit, WORLD_CLASS, owner, WORLD_SLOTS);
    model_assert(made);
    emp_slab_take_bits(slab, 0, used);
    slab->free_count = (uint16_t)(WORLD_SLOTS - (unsigned)__builtin_popcountll(used));
    world_link(slab);
    return slab;
}

void world_link(struct emp_slab *slab)
{
    struct emp_shard_class *const state = &shards[slab->owner].classes[WORLD_CLASS];
    state->slots += slab->slots;
    state->free_blocks += slab->free_count;
    emp_shard_link(state, slab);
}

void world_recount(void)
{
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        emp_shard_recount_all(&shards[i], WORLD_CLASS);
    }
}

uint64_t world_free(const struct emp_slab *slab)
{
    return gather(slab->states);
}

/* Sums of one shard, of which the slab is the only one that may be its own. */
static void audit_shard(const struct emp_shard *shard, const struct emp_slab *slab)
{
    const struct emp_shard_class *const state = &shard->classes[WORLD_CLASS];
    const uint32_t item = (uint32_t)emp_slab_number(slab) + 1;
    const bool is_owner = slab->owner == shard->index;
    for (unsigned list = 0; list < EMP_LIST_COUNT; list++) {
        const uint32_t expected = is_owner && slab->list == list ? item : 0;
        model_assert(state->list[list] == expected && state->tail[list] == expected);
    }
    model_assert(state->slots == (is_owner ? slab->slots : 0));
    model_assert(state->free_blocks == (is_owner ? slab->free_count : 0));
    model_assert(state->open_count == (is_owner && slab->list < EMP_LIST_OPEN));
    model_assert(state->full_count == (is_owner && slab->list == EMP_LIST_FULL));
}

void world_audit(const struct emp_slab *slab)
{
    const char *const broken = emp_slab_audit(slab);
    model_assert(broken == NULL);
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        audit_shard(&shards[i], slab);
    }
    for (unsigned i = WORLD_SLOTS; i < EMP_WORD_BITS; i++) {
        model_assert(slab->states[i] == EMP_SLOT_NONE);
    }
}
