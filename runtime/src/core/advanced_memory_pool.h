/*
 * What it is for: the general allocator and its typed pools: malloc-like calls under the prefix
 *   emp_, batch calls, pools of one object size, and the calls with which a runtime gives hints.
 * When not to use it: for one thread and one small fixed set of objects, memory_pool.h is simpler.
 * Life cycle: nothing to start; the first call sets everything up. Threads attach at their first
 *   call and detach when they end.
 * Threads: every function may be called by any thread at any time unless it says otherwise; none is
 *   async-signal-safe.
 * Errors: allocation returns NULL and sets errno; other calls return enum emp_status. Misuse
 *   (double free, foreign pointer ...) is reported on standard error with a stable code, then
 *   aborts.
 */
#ifndef EMP_CORE_ADVANCED_MEMORY_POOL_H
#define EMP_CORE_ADVANCED_MEMORY_POOL_H

#include "base/export.h"
#include "core/pool_types.h"

EMP_EXTERN_C_BEGIN

/**
 * Allocates size bytes.
 * @param size bytes, 0..PTRDIFF_MAX; 0 gives a distinct smallest block.
 * @returns a block owned by the caller, 16-byte aligned (8 below 16 bytes; 64 when the block size
 *   is a multiple of 64), or NULL.
 * Errors: errno ENOMEM. Threads: any. Cost: O(1); 17 instructions when the thread's cache has one,
 *   else a refill under a shard lock, else the system. Since: 0.1. Source: rows A1-A3, C1, B10.
 */
EMP_API void *emp_malloc(size_t size) EMP_API_MALLOC;

/**
 * Allocates count * size zeroed bytes.
 * @param count elements. @param size bytes of one; the product must not overflow.
 * @returns a zeroed block owned by the caller, or NULL.
 * Errors: errno ENOMEM. Threads: any. Cost: as emp_malloc plus clearing; fresh pages are known to
 *   be zero and not cleared. Since: 0.1. Source: row B10.
 */
EMP_API void *emp_calloc(size_t count, size_t size) EMP_API_MALLOC;

/**
 * Changes the size of a block, keeping its content.
 * @param ptr a live block or NULL. @param size bytes; 0 frees ptr and returns NULL.
 * @returns the block, perhaps moved; NULL leaves ptr as it was.
 * Errors: errno ENOMEM. Threads: any. Cost: O(1) in place, else a copy; mremap for mapped blocks.
 * Since: 0.1. Source: row B10.
 */
EMP_API void *emp_realloc(void *ptr, size_t size) __attribute__((warn_unused_result));

/**
 * Frees a block.
 * @param ptr a live block of this library, or NULL (nothing happens).
 * @returns nothing; errno is kept.
 * Errors: misuse is reported. Threads: any. Cost: O(1), 25 instructions on a hit. Since: 0.1.
 * Source: row A11.
 */
EMP_API void emp_free(void *ptr);

/**
 * Frees a block whose size the caller knows.
 * @param ptr a live block or NULL. @param size the size it was requested with, bytes.
 * @returns nothing; errno is kept.
 * Errors: a size of another class is reported as a mismatch. Threads: any. Cost: O(1). Since: 0.1.
 * Source: C23 free_sized.
 */
EMP_API void emp_free_sized(void *ptr, size_t size);

/**
 * Frees an aligned block whose size and alignment the caller knows.
 * @param ptr a live block or NULL. @param align as requested, bytes. @param size as requested,
 * bytes.
 * @returns nothing; errno is kept.
 * Errors: mismatch is reported. Threads: any. Cost: O(1). Since: 0.1. Source: C23
 *         free_aligned_sized.
 */
EMP_API void emp_free_aligned_sized(void *ptr, size_t align, size_t size);

/**
 * Allocates size bytes at a multiple of align.
 * @param align a power of two, 1..1 GiB, bytes. @param size bytes.
 * @returns a block owned by the caller, freed by emp_free, or NULL.
 * Errors: errno EINVAL (align), ENOMEM. Threads: any. Cost: as emp_malloc for align up to 4096 and
 *   size up to 32 KiB. Since: 0.1. Source: row B7.
 */
EMP_API void *emp_aligned_alloc(size_t align, size_t size) EMP_API_MALLOC;

/**
 * Bytes that may be used in a block.
 * @param ptr a live block or NULL.
 * @returns bytes, at least the requested size, constant for the life of the block; 0 for NULL.
 * Errors: a foreign pointer is reported. Threads: any. Cost: O(1). Since: 0.1. Source: row B10.
 */
EMP_API size_t emp_usable_size(const void *ptr);

/**
 * The usable size a request would get.
 * @param size bytes.
 * @returns bytes, or 0 when the size can never be served.
 * Errors: none. Threads: any. Cost: O(1). Since: 0.1. Source: row B5.
 */
EMP_API size_t emp_good_size(size_t size);

/**
 * Allocates many blocks of one size in one go.
 * @param size bytes. @param ptrs receives up to count pointers. @param count blocks wanted.
 * @returns blocks delivered, 0..count; fewer only when memory ran out (errno ENOMEM).
 * Errors: errno ENOMEM. Threads: any. Cost: O(count), one lock per 64 blocks. Since: 0.1.
 * Source: row A4, BR-MEM-016.
 */
EMP_API size_t emp_batch_alloc(size_t size, void **ptrs, size_t count);

/**
 * Frees many blocks in one go, of any sizes.
 * @param ptrs live blocks or NULLs. @param count pointers in ptrs.
 * @returns nothing. Errors: misuse is reported. Threads: any. Cost: O(count). Since: 0.1.
 * Source: row A4, BR-MEM-016.
 */
EMP_API void emp_batch_free(void **ptrs, size_t count);

/* A pool of objects of one size; opaque, made by emp_pool_create. */
struct emp_pool;

/**
 * Fills a configuration with defaults for objects of one size.
 * @param object_size bytes, 1..32768.
 * @returns the configuration. Errors: none here, emp_pool_create checks. Threads: any.
 * Cost: O(1). Since: 0.1. Source: row A8.
 */
EMP_API struct emp_pool_config emp_pool_config_default(size_t object_size);

/**
 * Creates a pool.
 * @param config as the fields say; copied. @param out receives the pool, owned by the caller.
 * @returns EMP_OK or an error, *out then untouched.
 * Errors: EMP_ERR_INVALID (a field out of range), EMP_ERR_EXISTS (name), EMP_ERR_LIMIT (189 pools
 *   exist), EMP_ERR_NOMEM. Threads: any. Cost: O(threads). Since: 0.1. Source: rows A8, C10.
 */
EMP_API enum emp_status emp_pool_create(const struct emp_pool_config *config,
                                        struct emp_pool **out);

/**
 * Destroys a pool and gives all its memory back.
 * @param pool the pool; no thread may use it or its objects during the call or after it.
 * @param live receives the number of objects that were never freed; may be NULL.
 * @returns EMP_OK, or EMP_ERR_BUSY when objects were live (the memory is released all the same).
 * Errors: EMP_ERR_INVALID for NULL. Threads: one. Cost: O(slabs + threads). Since: 0.1.
 * Source: row C10.
 */
EMP_API enum emp_status emp_pool_destroy(struct emp_pool *pool, size_t *live);

/**
 * Takes an object out of a pool.
 * @param pool the pool.
 * @returns an object owned by the caller with undefined content, or NULL.
 * Errors: errno ENOMEM when memory or max_capacity is exhausted. Threads: any.
 * Cost: O(1). Since: 0.1. Source: rows A1, E7.
 */
EMP_API void *emp_pool_alloc(struct emp_pool *pool) EMP_API_MALLOC;

/**
 * Gives an object back to its pool.
 * @param pool the pool it came from. @param ptr a live object of it, or NULL.
 * @returns nothing. Errors: an object of another pool or of malloc is reported as wrong pool.
 * Threads: any. Cost: O(1). Since: 0.1. Source: row A11.
 */
EMP_API void emp_pool_free(struct emp_pool *pool, void *ptr);

/**
 * Takes many objects out of a pool.
 * @param pool the pool. @param ptrs receives the objects. @param count objects wanted.
 * @returns objects delivered. Errors: errno ENOMEM when fewer. Threads: any. Cost: O(count).
 * Since: 0.1. Source: row A4.
 */
EMP_API size_t emp_pool_alloc_batch(struct emp_pool *pool, void **ptrs, size_t count);

/**
 * Gives many objects back to their pool.
 * @param pool the pool. @param ptrs live objects. @param count how many.
 * @returns nothing. Errors: as emp_pool_free. Threads: any. Cost: O(count). Since: 0.1.
 * Source: row A4.
 */
EMP_API void emp_pool_free_batch(struct emp_pool *pool, void **ptrs, size_t count);

/**
 * Reads the statistics of a pool.
 * @param pool the pool. @param out receives the numbers.
 * @returns EMP_OK or EMP_ERR_INVALID. Errors: as said. Threads: any; numbers of other threads may
 *   be a refill old. Cost: O(threads). Since: 0.1. Source: rows A9, F1.
 */
EMP_API enum emp_status emp_pool_get_stats(struct emp_pool *pool, struct emp_pool_stats *out);

/**
 * Name of a pool.
 * @param pool the pool.
 * @returns a string that lives as long as the pool. Errors: none. Threads: any. Cost: O(1).
 * Since: 0.1. Source: row C10.
 */
EMP_API const char *emp_pool_name(const struct emp_pool *pool);

/**
 * Identity of a pool.
 * @param pool the pool.
 * @returns its id, 1.., never given twice in a process. Errors: none. Threads: any. Cost: O(1).
 * Since: 0.1. Source: row C10.
 */
EMP_API uint32_t emp_pool_id(const struct emp_pool *pool);

/**
 * Finds a pool by its id.
 * @param id as returned by emp_pool_id.
 * @returns the pool, or NULL. Errors: none. Threads: any. Cost: O(pools). Since: 0.1.
 * Source: row C10 (PoolRepository).
 */
EMP_API struct emp_pool *emp_pool_find_id(uint32_t id);

/**
 * Finds a pool by its name.
 * @param name exact name.
 * @returns the pool, or NULL. Errors: none. Threads: any. Cost: O(pools). Since: 0.1.
 * Source: row C10 (PoolRepository).
 */
EMP_API struct emp_pool *emp_pool_find_name(const char *name);

/**
 * Calls visit for every pool.
 * @param visit called with each pool and arg; must not create or destroy pools. @param arg passed
 * on.
 * @returns pools visited. Errors: none. Threads: any. Cost: O(pools). Since: 0.1. Source: row C10.
 */
EMP_API size_t emp_pool_enumerate(void (*visit)(struct emp_pool *pool, void *arg), void *arg);

/**
 * Describes a size class.
 * @param index 1..emp_size_class_count(). @param out receives the description.
 * @returns EMP_OK or EMP_ERR_INVALID. Errors: as said. Threads: any. Cost: O(1). Since: 0.1.
 * Source: row B5.
 */
EMP_API enum emp_status emp_size_class_describe(uint32_t index, struct emp_size_class_info *out);

/**
 * Number of size classes.
 * @returns the highest index for emp_size_class_describe. Errors: none. Threads: any. Cost: O(1).
 * Since: 0.1. Source: row B1.
 */
EMP_API uint32_t emp_size_class_count(void);

/**
 * Sets bounds for the class that serves config->block_size.
 * @param config as its fields say.
 * @returns EMP_OK or an error. Errors: EMP_ERR_INVALID, EMP_ERR_NOMEM (initial_blocks).
 * Threads: any. Cost: O(initial_blocks). Since: 0.1. Source: row B5.
 */
EMP_API enum emp_status emp_slab_configure(const struct emp_slab_config *config);

/**
 * Runs the maintenance that is due: samples the rates of the calling thread's caches, drains what
 * has become cold, gives idle memory back. Event loops call it about every 100 ms; optional.
 * @returns true when there is more to give back later. Errors: none. Threads: any.
 * Cost: microseconds; may call the system. Since: 0.1. Source: rows A5, D7.
 */
EMP_API bool emp_tick(void);

/**
 * Tells that the calling thread goes to sleep: its caches are emptied into the shared tiers.
 * @returns nothing. Errors: late misuse reports. Threads: any. Cost: O(cached blocks). Since: 0.1.
 * Source: row A5.
 */
EMP_API void emp_park(void);

/**
 * Empties the calling thread's caches and gives every free page back to the system now.
 * @returns bytes given back. Errors: late misuse reports. Threads: any. Cost: O(free pages), system
 *   calls. Since: 0.1. Source: row D7.
 */
EMP_API size_t emp_purge(void);

/**
 * Empties the calling thread's caches and checks every slab: bits + live = slots, tags,
 * descriptors; then the maps of runs, for which it waits for a round of maintenance under way.
 * @returns the number of inconsistencies found, each reported. Errors: late misuse reports.
 * Threads: any; locks each shard in turn. Cost: O(slabs + chunks). Since: 0.1. Source: row B3.
 */
EMP_API size_t emp_audit(void);

EMP_EXTERN_C_END

#endif
