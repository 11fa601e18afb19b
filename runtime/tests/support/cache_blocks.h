/*
 * Purpose: the local room alone, without core: its start, blocks through the cache, and the check
 *          that all of them are back.
 * Owner:   test support; included once by each test program that uses it. Threads: any.
 */
#ifndef EMP_TESTS_SUPPORT_CACHE_BLOCKS_H
#define EMP_TESTS_SUPPORT_CACHE_BLOCKS_H

#include <stdint.h>
#include <string.h>

#include "global/shard.h"
#include "local/fast_path.h"
#include "local/thread_cache.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "sync/atomic.h"
#include "thread/lifecycle.h"

#define MANY        3000u
#define GROW_ROUNDS 60u

static void *blocks[MANY];

static inline void no_hook(void)
{
}

static inline int start(void **state)
{
    static const struct emp_fork_hooks hooks = {no_hook, no_hook, no_hook};

    (void)state;
    if (!emp_arena_init()) {
        return -1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
    if (!emp_shard_init(2)) {
        return -1;
    }
    emp_local_init();
    return emp_lifecycle_init(emp_cache_on_exit, &hooks) ? 0 : -1;
}

static inline void *alloc(uint32_t class_id)
{
    struct emp_central_note note = {0};
    void *block = emp_fast_pop(&emp_l1_current()->bins[class_id]);

    return block != NULL ? block : emp_cache_refill(class_id, &note);
}

/* Class of the slab that a block lies in: one that was lent has another than asked for. */
static inline uint32_t class_of(const void *block)
{
    uintptr_t unit = ((uintptr_t)block - emp_arena.base) >> EMP_UNIT_SHIFT;

    /* order(slab-tag): relaxed; the block is ours, only the owner in its tag may change */
    return emp_tag_class(emp_load_relaxed(&emp_arena.tags[unit]));
}

static inline void release(uint32_t class_id, void *block)
{
    if (!emp_fast_free(block)) {
        uint32_t found = class_of(block);

        assert_true(found == class_id || (found > class_id && found <= EMP_SIZE_CLASSES));
        emp_cache_free_slow(found, block, "test");
    }
}

static inline void alloc_many(uint32_t class_id, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = alloc(class_id);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, emp_classes[class_id].geometry.size);
    }
}

static inline void release_many(uint32_t class_id, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        release(class_id, blocks[i]);
    }
}

/* Until the bin has all of its room. */
static inline void use_often(uint32_t class_id)
{
    for (unsigned round = 0; round < GROW_ROUNDS; round++) {
        alloc_many(class_id, 1000);
        release_many(class_id, 1000);
    }
}

/* Blocks of a class that are not free in any slab. */
static inline int64_t missing(uint32_t class_id)
{
    int64_t count = 0;

    for (uint32_t s = 0; s < emp_shard_count; s++) {
        emp_shard_recount_all(emp_shards[s], class_id);
        emp_mutex_lock(&emp_shards[s]->lock);
        count += emp_shards[s]->classes[class_id].slots;
        count -= emp_shards[s]->classes[class_id].free_blocks;
        emp_mutex_unlock(&emp_shards[s]->lock);
    }
    return count;
}

static inline int all_blocks_are_back(void **state)
{
    (void)state;
    emp_cache_flush("test");
    for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
        if (emp_classes[c].geometry.size != 0 && missing(c) != 0) {
            print_error("class %u: %d blocks are missing\n", c, (int)missing(c));
            return -1;
        }
    }
    return 0;
}

#endif
