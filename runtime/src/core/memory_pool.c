/*
 * Purpose: memory_pool.h: fixed blocks for one thread, their state in two levels of bits.
 * Owner:   core; a pool belongs to who created it.
 * Threads: one at a time per pool.
 * Design:  [core.req.memory-pool] [core.inv.memory-pool-bits]
 * Source:  two-level bitmap as in hierarchical schedulers; the lower level is found by a trailing
 *          zero count, the upper by the word scan of cache_utils.
 * Cost:    an alloc and a free take about 8 ns together (AMD EPYC, also with a million blocks); one
 *          bit per block and one per 64 blocks.
 */
#include "core/memory_pool.h"

#include <errno.h>

#include "base/align.h"
#include "base/bits.h"
#include "base/check.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/cache_utils.h"
#include "os/os_errno.h"

#define DEFAULT_BLOCKS    64u
#define ALIGN_MAX         4096u
#define NATURAL_ALIGN_MIN 8u

/* The first part has the initial blocks, each further one as many as all before: doublings. */
#define PARTS_MAX 32u

/*
 * One allocation of blocks. Invariants: free.bits = count; group g is set iff word g of free is not
 * zero; no group below lowest is set. [core.inv.memory-pool-bits]
 */
struct pool_part {
    unsigned char *base;      /* count * stride bytes, owned */
    struct emp_bitmap free;   /* 1 = free; the words are owned, those of groups follow them */
    struct emp_bitmap groups; /* one bit per word of free */
    size_t count;             /* blocks */
    size_t lowest;            /* group to look at first */
};

/*
 * Invariants: used + (set bits of all parts) = capacity = sum of count; used <= high_water;
 * no part below `lowest` has a free block.
 */
struct emp_memory_pool {
    size_t stride;                      /* const: bytes from block to block */
    size_t align;                       /* const: of the first block of a part */
    bool is_growable;                   /* const */
    unsigned parts;                     /* in use, 1 .. PARTS_MAX */
    unsigned lowest;                    /* part to look at first */
    struct emp_memory_pool_stats stats; /* block_bytes, capacity, used ...; free is derived */
    struct pool_part part[PARTS_MAX];
};

/* Tells that the pool is exhausted, as malloc would. */
static void *pool_refuse(struct emp_memory_pool *pool)
{
    pool->stats.failures++;
    emp_os_set_errno(ENOMEM);
    return NULL;
}

/* Allocates a part of count blocks, all free, behind the last one. */
static enum emp_status pool_add_part(struct emp_memory_pool *pool, size_t count)
{
    struct pool_part *part = &pool->part[pool->parts];
    const size_t free_words = emp_bitmap_words(count);
    const size_t words = free_words + emp_bitmap_words(free_words);
    size_t bytes = 0;

    if (pool->parts == PARTS_MAX || !emp_align_mul(count, pool->stride, &bytes) ||
        bytes > EMP_ALLOC_MAX) {
        return EMP_ERR_LIMIT;
    }
    uint64_t *bits = emp_calloc(words, sizeof *bits);
    if (bits == NULL) {
        return EMP_ERR_NOMEM;
    }
    part->base = emp_aligned_alloc(pool->align, bytes);
    if (part->base == NULL) {
        emp_free(bits);
        return EMP_ERR_NOMEM;
    }
    part->count = count;
    part->free = (struct emp_bitmap){.words = bits, .bits = count};
    part->groups = (struct emp_bitmap){.words = bits + free_words, .bits = free_words};
    emp_bitmap_fill(&part->free, true);
    emp_bitmap_fill(&part->groups, true);
    pool->parts++;
    pool->stats.capacity += count;
    pool->stats.metadata_bytes += words * sizeof *bits;
    return EMP_OK;
}

/* Number of the part that contains ptr, or parts. The last one is half of all: look there first. */
static unsigned pool_part_of(const struct emp_memory_pool *pool, const void *ptr)
{
    for (unsigned i = pool->parts; i-- > 0;) {
        const struct pool_part *part = &pool->part[i];

        if ((uintptr_t)ptr - (uintptr_t)part->base < part->count * pool->stride) {
            return i;
        }
    }
    return pool->parts;
}

/* Takes the lowest free block of a part; NULL when it has none. */
static void *part_take(struct pool_part *part, size_t stride)
{
    if (part->free.words[part->lowest] == 0) {
        const size_t group = emp_bitmap_find_set(&part->groups, part->lowest);

        if (group == part->groups.bits) {
            return NULL;
        }
        part->lowest = group;
    }
    uint64_t *word = &part->free.words[part->lowest];
    emp_assert(*word != 0);
    const size_t index = part->lowest * EMP_WORD_BITS + emp_bits_lowest(*word);
    *word &= *word - 1;
    if (*word == 0) {
        emp_bitmap_clear(&part->groups, part->lowest);
    }
    return part->base + index * stride;
}

/* Marks a block free; false when it was free already. */
static bool part_put(struct pool_part *part, size_t index)
{
    const size_t group = index / EMP_WORD_BITS;

    if (!emp_bitmap_set(&part->free, index)) {
        return false;
    }
    emp_bitmap_set(&part->groups, group);
    part->lowest = group < part->lowest ? group : part->lowest;
    return true;
}

struct emp_memory_pool_config emp_memory_pool_config_default(size_t block_bytes)
{
    return (struct emp_memory_pool_config){
        .struct_bytes = sizeof(struct emp_memory_pool_config),
        .block_bytes = block_bytes,
        .blocks = DEFAULT_BLOCKS,
        .is_growable = true,
    };
}

/* The alignment asked for, or the natural one. */
static size_t config_align(const struct emp_memory_pool_config *config)
{
    const size_t natural = config->block_bytes & (~config->block_bytes + 1);

    if (config->block_align != 0) {
        return config->block_align;
    }
    if (natural < NATURAL_ALIGN_MIN) {
        return NATURAL_ALIGN_MIN;
    }
    return natural < EMP_LINE_BYTES ? natural : EMP_LINE_BYTES;
}

static bool config_is_valid(const struct emp_memory_pool_config *config)
{
    return config->struct_bytes == sizeof *config && config->block_bytes != 0 &&
           config->block_bytes <= EMP_ALLOC_MAX && config->blocks != 0 &&
           emp_align_is_pow2(config_align(config)) && config_align(config) <= ALIGN_MAX;
}

enum emp_status emp_memory_pool_create(const struct emp_memory_pool_config *config,
                                       struct emp_memory_pool **out)
{
    if (config == NULL || out == NULL || !config_is_valid(config)) {
        return EMP_ERR_INVALID;
    }
    struct emp_memory_pool *pool = emp_calloc(1, sizeof *pool);
    if (pool == NULL) {
        return EMP_ERR_NOMEM;
    }
    pool->align = config_align(config);
    pool->stride = emp_align_up(config->block_bytes, pool->align);
    pool->is_growable = config->is_growable;
    pool->stats.block_bytes = pool->stride;
    pool->stats.metadata_bytes = sizeof *pool;
    const enum emp_status status = pool_add_part(pool, config->blocks);
    if (status != EMP_OK) {
        emp_free(pool);
        return status;
    }
    *out = pool;
    return EMP_OK;
}

enum emp_status emp_memory_pool_destroy(struct emp_memory_pool *pool, size_t *live)
{
    if (pool == NULL) {
        return EMP_ERR_INVALID;
    }
    const size_t used = pool->stats.used;
    for (unsigned i = pool->parts; i-- > 0;) {
        emp_free(pool->part[i].base);
        emp_free(pool->part[i].free.words);
    }
    emp_free(pool);
    if (live != NULL) {
        *live = used;
    }
    return used == 0 ? EMP_OK : EMP_ERR_BUSY;
}

void *emp_memory_pool_alloc(struct emp_memory_pool *pool)
{
    void *block = NULL;

    for (; pool->lowest < pool->parts; pool->lowest++) {
        block = part_take(&pool->part[pool->lowest], pool->stride);
        if (block != NULL) {
            break;
        }
    }
    if (block == NULL) {
        if (!pool->is_growable || pool_add_part(pool, pool->stats.capacity) != EMP_OK) {
            return pool_refuse(pool);
        }
        pool->stats.expansions++;
        block = part_take(&pool->part[pool->lowest], pool->stride);
        emp_assert(block != NULL);
    }
    pool->stats.allocations++;
    pool->stats.used++;
    if (pool->stats.used > pool->stats.high_water) {
        pool->stats.high_water = pool->stats.used;
    }
    return block;
}

enum emp_status emp_memory_pool_free(struct emp_memory_pool *pool, void *ptr)
{
    if (pool == NULL) {
        return EMP_ERR_INVALID;
    }
    if (ptr == NULL) {
        return EMP_OK;
    }
    const unsigned number = pool_part_of(pool, ptr);
    struct pool_part *part = &pool->part[number < pool->parts ? number : 0];
    const size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)part->base);
    const size_t index = offset / pool->stride;

    if (number == pool->parts || index * pool->stride != offset || !part_put(part, index)) {
        pool->stats.misuses++;
        return EMP_ERR_INVALID;
    }
    if (number < pool->lowest) {
        pool->lowest = number;
    }
    emp_assert(pool->stats.used > 0);
    pool->stats.used--;
    pool->stats.frees++;
    return EMP_OK;
}

enum emp_status emp_memory_pool_reset(struct emp_memory_pool *pool)
{
    if (pool == NULL) {
        return EMP_ERR_INVALID;
    }
    for (unsigned i = 0; i < pool->parts; i++) {
        emp_bitmap_fill(&pool->part[i].free, true);
        emp_bitmap_fill(&pool->part[i].groups, true);
        pool->part[i].lowest = 0;
    }
    pool->lowest = 0;
    pool->stats.frees += pool->stats.used;
    pool->stats.used = 0;
    return EMP_OK;
}

bool emp_memory_pool_owns(const struct emp_memory_pool *pool, const void *ptr)
{
    return pool != NULL && ptr != NULL && pool_part_of(pool, ptr) < pool->parts;
}

enum emp_status emp_memory_pool_get_stats(const struct emp_memory_pool *pool,
                                          struct emp_memory_pool_stats *out)
{
    if (pool == NULL || out == NULL) {
        return EMP_ERR_INVALID;
    }
    *out = pool->stats;
    out->free = pool->stats.capacity - pool->stats.used;
    return EMP_OK;
}

/* Records that contradict each other; the number of free blocks is added to *free. */
static size_t part_audit(const struct pool_part *part, size_t *free)
{
    size_t wrong = 0;

    for (size_t group = 0; group < part->groups.bits; group++) {
        wrong += emp_bitmap_test(&part->groups, group) != (part->free.words[group] != 0);
    }
    wrong += emp_bitmap_find_set(&part->groups, 0) < part->lowest;
    *free += emp_bitmap_count(&part->free);
    return wrong;
}

size_t emp_memory_pool_audit(const struct emp_memory_pool *pool)
{
    size_t wrong = 0;
    size_t free = 0;
    size_t count = 0;

    if (pool == NULL) {
        return 0;
    }
    for (unsigned i = 0; i < pool->parts; i++) {
        const size_t before = free;

        wrong += part_audit(&pool->part[i], &free);
        wrong += i < pool->lowest && free != before;
        count += pool->part[i].count;
    }
    wrong += count != pool->stats.capacity;
    wrong += free + pool->stats.used != count;
    wrong += pool->stats.used > pool->stats.high_water;
    return wrong;
}
