/*
 * Purpose: the global room alone with two shards, for the tests of its parts: a shard is chosen by
 *          pinning the thread to a processor, blocks are taken and given in any number, and the
 *          counts of every shard are compared with its slabs.
 * Owner:   test support; one thread. The including file defines _GNU_SOURCE.
 */
#ifndef EMP_TESTS_SUPPORT_TWO_SHARDS_H
#define EMP_TESTS_SUPPORT_TWO_SHARDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "global/central.h"
#include "global/shard.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/unit.h"

#define BLOCKS_MAX 40000u

static void *blocks[BLOCKS_MAX];
static struct emp_central_fault faults[EMP_GIVE_MAX];
static size_t processors[2]; /* two that this thread may use, of different shards */
static unsigned processor_count;

static inline int start(void **state)
{
    cpu_set_t allowed;

    (void)state;
    if (!emp_arena_init()) {
        return -1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base, 0, 16);
    if (!emp_shard_init(2)) {
        return -1;
    }
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && processor_count < 2; cpu++) {
        if (CPU_ISSET(cpu, &allowed) &&
            (processor_count == 0 || (cpu & 1) != (processors[0] & 1))) {
            processors[processor_count++] = cpu;
        }
    }
    return 0;
}

/* Moves this thread to a shard; skips the test where the machine has only one. */
static inline uint32_t go_to(unsigned which)
{
    cpu_set_t one;

    if (processor_count < 2) {
        skip();
    }
    CPU_ZERO(&one);
    CPU_SET(processors[which], &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(emp_shard_current(), processors[which] & 1);
    return emp_shard_current();
}

/* Takes exactly `count` blocks of a class into blocks[from...]. */
static inline void take(uint32_t class_id, size_t from, size_t count)
{
    struct emp_central_note note = {0};
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;

    while (count > 0) {
        unsigned want = count < EMP_TAKE_MAX ? (unsigned)count : EMP_TAKE_MAX;
        unsigned got = emp_central_take(class_id, out, want, &home, &note);

        assert_in_range(got, 1, want);
        memcpy(&blocks[from], out, got * sizeof(void *));
        from += got;
        count -= got;
    }
}

/* Gives blocks back; none may be faulty. */
static inline void give(uint32_t class_id, size_t from, size_t count)
{
    while (count > 0) {
        unsigned step = count < EMP_GIVE_MAX ? (unsigned)count : EMP_GIVE_MAX;

        assert_int_equal(emp_central_give(class_id, &blocks[from], step, faults), 0);
        from += step;
        count -= step;
    }
}

/* Slabs and free blocks of a class by walking, beside what the shards count. */
static inline void check_counts(void **state)
{
    size_t limit = emp_unit_limit();

    (void)state;
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        static int64_t slots[EMP_BINS];
        static int64_t free_blocks[EMP_BINS];
        static uint32_t linked[EMP_BINS];
        const char *broken = NULL;

        memset(slots, 0, sizeof(slots));
        memset(free_blocks, 0, sizeof(free_blocks));
        memset(linked, 0, sizeof(linked));
        emp_mutex_lock(&emp_shards[s]->lock);
        (void)emp_shard_drain_inbox(emp_shards[s]);
        for (size_t unit = 0; unit < limit; unit++) {
            struct emp_slab *slab = emp_slab_at(unit);

            if ((emp_arena.tags[unit] & 0xffu) == 0 || !emp_slab_exists(slab) ||
                emp_slab_owner(slab) != s) {
                continue;
            }
            broken = emp_slab_audit(slab) != NULL ? emp_slab_audit(slab) : broken;
            slots[slab->class_id] += slab->slots;
            free_blocks[slab->class_id] += slab->free_count;
            linked[slab->class_id] += slab->list < EMP_LIST_COUNT;
        }
        for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
            const struct emp_shard_class *class_state = &emp_shards[s]->classes[c];

            slots[c] -= class_state->slots;
            free_blocks[c] -= class_state->free_blocks;
            linked[c] -= class_state->partial_count + class_state->empty_count;
        }
        emp_mutex_unlock(&emp_shards[s]->lock);
        assert_null(broken);
        for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
            assert_int_equal(slots[c], 0); /* what the slabs have less what the shard counts */
            assert_int_equal(free_blocks[c], 0);
            assert_int_equal(linked[c], 0);
        }
    }
}

static inline int after(void **state)
{
    check_counts(state);
    return 0;
}

static inline int compare_pointers(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left;
    uintptr_t b = *(const uintptr_t *)right;

    return (a > b) - (a < b);
}

#endif
