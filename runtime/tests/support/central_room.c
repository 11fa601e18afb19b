/*
 * Purpose: see central_room.h.
 * Owner:   test support; one thread.
 */
#define _GNU_SOURCE
#include "support/central_room.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "global/central.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/unit.h"

void *central_blocks[CENTRAL_BLOCKS_MAX];
bool central_system_refuses;
void (*central_on_purge)(void *base, size_t bytes);

static size_t processors[2]; /* two that this thread may use, of different shards */
static unsigned processor_count;
static uint64_t purged_bytes;

int central_start(void **state)
{
    cpu_set_t allowed;

    (void)state;
    if (!emp_arena_init()) {
        return -1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
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

uint32_t central_go_to(unsigned which)
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

void central_take(uint32_t class_id, size_t from, size_t count)
{
    struct emp_central_note note = {0};
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;

    while (count > 0) {
        unsigned want = count < EMP_TAKE_MAX ? (unsigned)count : EMP_TAKE_MAX;
        unsigned got = emp_central_take(class_id, out, want, &home, &note);

        assert_in_range(got, 1, want);
        memcpy(&central_blocks[from], out, got * sizeof(void *));
        from += got;
        count -= got;
    }
}

void central_give(uint32_t class_id, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        assert_int_equal(emp_central_give(class_id, central_blocks[i]), EMP_PROBE_GOOD);
    }
}

static int compare_pointers(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left;
    uintptr_t b = *(const uintptr_t *)right;

    return (a > b) - (a < b);
}

void central_sort(size_t count)
{
    qsort(central_blocks, count, sizeof(void *), compare_pointers);
}

struct emp_slab *central_slab(uint32_t class_id, const void *block)
{
    return emp_slab_at(emp_slab_number_of((uintptr_t)block, &emp_classes[class_id]));
}

void central_recount(uint32_t class_id)
{
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        emp_shard_recount_all(emp_shards[s], class_id);
    }
}

uint64_t central_total(uint32_t class_id, size_t offset)
{
    uint64_t sum = 0;

    for (uint32_t s = 0; s < emp_shard_count; s++) {
        sum += *(const uint64_t *)(const void *)((const char *)&emp_shards[s]->classes[class_id] +
                                                 offset);
    }
    return sum;
}

/* Free slots by looking at each. */
static unsigned states_free(const struct emp_slab *slab)
{
    unsigned count = 0;

    for (unsigned i = 0; i < slab->slots; i++) {
        count += emp_slot_is_free(&slab->states[i]);
    }
    return count;
}

/* One slab in a list; exact: it was counted a moment ago. */
static void slab_check(const struct emp_slab *slab, unsigned list, bool exact)
{
    assert_int_equal(slab->list, list);
    assert_null(emp_slab_audit(slab));
    assert_true(slab->free_count <= states_free(slab));
    if (list < EMP_LIST_OPEN) {
        assert_false(emp_inbox_is_quiet(&slab->inbox));
    }
    if (exact) {
        unsigned bucket = slab->free_count == slab->slots
                              ? EMP_LIST_EMPTY
                              : (unsigned)slab->free_count * EMP_LIST_BUCKETS / slab->slots;

        assert_int_equal(slab->free_count, states_free(slab));
        assert_int_equal(list, slab->free_count == 0 ? EMP_LIST_FULL : bucket);
        assert_int_equal(emp_inbox_is_quiet(&slab->inbox), list == EMP_LIST_FULL);
    }
}

/* What the slabs of some lists have. */
struct list_sums {
    int64_t slots;
    int64_t free_blocks;
};

/* Walks a list in both directions at once; returns its slabs. */
static unsigned list_check(uint32_t shard, uint32_t class_id, unsigned list, bool exact,
                           struct list_sums *sums)
{
    const struct emp_shard_class *class_state = &emp_shards[shard]->classes[class_id];
    uint32_t above = 0;
    unsigned count = 0;

    for (uint32_t item = class_state->list[list]; item != 0; count++) {
        const struct emp_slab *slab = emp_slab_at(item - 1);

        assert_true(emp_slab_exists(slab));
        assert_int_equal(slab->class_id, class_id);
        assert_int_equal(emp_slab_owner(slab), shard);
        assert_int_equal(slab->prev, above);
        slab_check(slab, list, exact);
        sums->slots += slab->slots;
        sums->free_blocks += slab->free_count;
        above = item;
        item = slab->next;
    }
    assert_int_equal(class_state->tail[list], above);
    return count;
}

static void class_check(uint32_t shard, uint32_t class_id, bool exact)
{
    const struct emp_shard_class *class_state = &emp_shards[shard]->classes[class_id];
    struct list_sums sums = {0, 0};
    unsigned open = 0;

    for (unsigned list = 0; list < EMP_LIST_OPEN; list++) {
        open += list_check(shard, class_id, list, exact, &sums);
    }
    assert_int_equal(class_state->open_count, open);
    assert_int_equal(class_state->full_count,
                     list_check(shard, class_id, EMP_LIST_FULL, exact, &sums));
    assert_int_equal(class_state->slots, sums.slots);
    assert_int_equal(class_state->free_blocks, sums.free_blocks);
}

/* Slabs of a shard by walking the arena; none may be outside every list. */
static void slabs_check(uint32_t shard)
{
    size_t limit = emp_unit_limit();
    unsigned linked = 0;

    for (size_t unit = 0; unit < limit; unit++) {
        const struct emp_slab *slab = emp_slab_at(unit);

        if (emp_arena.tags[unit] != 0 && emp_slab_exists(slab) && emp_slab_owner(slab) == shard) {
            assert_true(slab->list < EMP_LIST_COUNT);
            linked++;
        }
    }
    for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
        const struct emp_shard_class *class_state = &emp_shards[shard]->classes[c];

        linked -= class_state->open_count + class_state->full_count;
    }
    assert_int_equal(linked, 0);
}

int central_check(void **state)
{
    (void)state;
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        slabs_check(s);
        for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
            if (emp_classes[c].geometry.size != 0) {
                class_check(s, c, false);
                central_recount(c);
                class_check(s, c, true);
                /* what left and came back is what is not there */
                assert_true(emp_shards[s]->classes[c].free_blocks <=
                            emp_shards[s]->classes[c].slots);
            }
        }
    }
    return 0;
}

static bool page_giver(void *base, size_t bytes)
{
    assert_int_equal((uintptr_t)base % 4096, 0);
    if (central_on_purge != NULL) {
        central_on_purge(base, bytes);
    }
    if (central_system_refuses) {
        return false;
    }
    memset(base, 0, bytes); /* what the system does */
    purged_bytes += bytes;
    return true;
}

struct emp_tick_result central_tick(bool all)
{
    struct emp_tick_result result = {0};

    purged_bytes = 0;
    emp_shard_tick(all, 77, page_giver, &result);
    assert_int_equal(result.given_bytes, purged_bytes);
    return result;
}
