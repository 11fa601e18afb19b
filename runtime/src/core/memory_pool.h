/*
 * What it is for: the simple pool: blocks of one size for one thread, with nothing to tune. All of
 *   it is one struct, a bitmap and the blocks; every wrong free is refused in the call.
 * When not to use it: when several threads share the pool, or the hot path counts every nanosecond:
 *   then emp_pool_create or EMP_POOL_DEFINE.
 * Life cycle: create, alloc and free, destroy. Memory comes from emp_aligned_alloc and goes back
 *   when the pool is destroyed.
 * Threads: one at a time; the pool may be handed over as a whole.
 * Errors: alloc returns NULL, everything else returns enum emp_status. Nothing aborts: a double,
 *   foreign or misaligned free returns EMP_ERR_INVALID and changes nothing.
 */
#ifndef EMP_CORE_MEMORY_POOL_H
#define EMP_CORE_MEMORY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/export.h"
#include "core/pool_types.h"

EMP_EXTERN_C_BEGIN

/* A fixed-block pool; opaque, made by emp_memory_pool_create. */
struct emp_memory_pool;

/* How a pool is made. Start from emp_memory_pool_config_default. */
struct emp_memory_pool_config {
    size_t struct_bytes; /* sizeof(struct emp_memory_pool_config), set by the default function */
    size_t block_bytes;  /* 1.. */
    size_t block_align;  /* power of two, 1..4096; 0: natural, the largest power of two that divides
                            block_bytes, at least 8 and at most 64 */
    size_t blocks;       /* blocks made ready at creation, 1.. */
    bool is_growable;    /* doubles when empty; otherwise alloc returns NULL then */
};

/* What a pool holds. capacity = used + free. */
struct emp_memory_pool_stats {
    size_t block_bytes; /* distance of neighbouring blocks: block_bytes rounded up to the align */
    size_t capacity;    /* blocks of the pool */
    size_t used;        /* blocks handed out now */
    size_t free;        /* blocks ready */
    size_t high_water;  /* most blocks ever handed out at one time */
    size_t metadata_bytes; /* what the pool takes beside the blocks */
    uint64_t allocations;  /* successful allocs */
    uint64_t frees;        /* successful frees, those of a reset included */
    uint64_t failures;     /* allocs that returned NULL */
    uint64_t misuses;      /* frees that were refused */
    uint64_t expansions;   /* times the pool grew */
};

/**
 * Fills a configuration: 64 blocks to start with, growable, natural alignment.
 * @param block_bytes bytes of one block, 1...
 * @returns the configuration. Errors: none here, emp_memory_pool_create checks. Threads: any.
 * Cost: O(1). Since: 0.1. Source: row G7.
 */
EMP_API struct emp_memory_pool_config emp_memory_pool_config_default(size_t block_bytes);

/**
 * Creates a pool.
 * @param config as its fields say; copied. @param out receives the pool, owned by the caller.
 * @returns EMP_OK or an error, *out then untouched. Errors: EMP_ERR_INVALID (NULL, or a field out
 *   of range), EMP_ERR_LIMIT (blocks * size overflows), EMP_ERR_NOMEM. Threads: any.
 * Cost: three allocations and O(blocks / 64). Since: 0.1. Source: row G7.
 */
EMP_API enum emp_status emp_memory_pool_create(const struct emp_memory_pool_config *config,
                                               struct emp_memory_pool **out);

/**
 * Destroys a pool; all its blocks are gone, also those in use.
 * @param pool the pool. @param live receives the number of blocks that were in use; may be NULL.
 * @returns EMP_OK, or EMP_ERR_BUSY when blocks were in use (the memory is released all the same).
 * Errors: EMP_ERR_INVALID (pool is NULL). Threads: one. Cost: O(log blocks). Since: 0.1.
 * Source: row G7.
 */
EMP_API enum emp_status emp_memory_pool_destroy(struct emp_memory_pool *pool, size_t *live);

/**
 * Takes a block, the free one with the lowest address of the oldest part of the pool.
 * @param pool the pool.
 * @returns a block with undefined content, owned by the caller until it is freed or the pool reset
 *   or destroyed; NULL when the pool is exhausted and may or can not grow.
 * Errors: errno ENOMEM with NULL. Threads: one. Cost: O(1) up to 4096 blocks, after that one word
 *   more per 4096; growing allocates. Since: 0.1. Source: row G7.
 */
EMP_API void *emp_memory_pool_alloc(struct emp_memory_pool *pool) EMP_API_MALLOC;

/**
 * Gives a block back.
 * @param pool the pool. @param ptr a block in use of this pool, or NULL (nothing happens).
 * @returns EMP_OK or an error, nothing changed then. Errors: EMP_ERR_INVALID for a block that is
 *   free already, an address outside of the pool, one inside a block, or pool NULL.
 * Threads: one. Cost: O(log(blocks / initial blocks)), one division. Since: 0.1. Source: row G7.
 */
EMP_API enum emp_status emp_memory_pool_free(struct emp_memory_pool *pool, void *ptr);

/**
 * Makes every block free again and keeps the memory. Pointers to blocks become invalid.
 * @param pool the pool.
 * @returns EMP_OK. Errors: EMP_ERR_INVALID (pool is NULL). Threads: one. Cost: O(blocks / 64).
 * Since: 0.1. Source: row G7.
 */
EMP_API enum emp_status emp_memory_pool_reset(struct emp_memory_pool *pool);

/**
 * Tells whether an address lies in a block of the pool, in use or free.
 * @param pool the pool. @param ptr any address.
 * @returns true when it does. Errors: none; false for NULL. Threads: one.
 * Cost: O(log(blocks / initial blocks)). Since: 0.1. Source: row G7.
 */
EMP_API bool emp_memory_pool_owns(const struct emp_memory_pool *pool, const void *ptr);

/**
 * Reads the statistics.
 * @param pool the pool. @param out receives the numbers.
 * @returns EMP_OK. Errors: EMP_ERR_INVALID (a NULL). Threads: one. Cost: O(1). Since: 0.1.
 * Source: row G7.
 */
EMP_API enum emp_status emp_memory_pool_get_stats(const struct emp_memory_pool *pool,
                                                  struct emp_memory_pool_stats *out);

/**
 * Checks the pool's own records against each other.
 * @param pool the pool.
 * @returns the number of inconsistencies; anything but 0 means that memory was overwritten.
 * Errors: none; 0 for NULL. Threads: one. Cost: O(blocks / 64). Since: 0.1. Source: row B3.
 */
EMP_API size_t emp_memory_pool_audit(const struct emp_memory_pool *pool);

EMP_EXTERN_C_END

#endif
