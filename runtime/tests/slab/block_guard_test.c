/*
 * What: the guard of the secure build: one free of a block is good and every other pointer, at
 *       every address of a slab, is told apart; every byte behind what was asked for is watched up
 *       to the eighth; two threads that free one block at once get one good answer.
 * How:  the calls of the guard itself on one slab per class, made without a heap, in every build;
 *       plain loops over all addresses, and a barrier for the race.
 * Shows: [slab.req.canary] [slab.req.guard] [slab.proto.guard]
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"
#include "slab/block_guard.h"
#include "span/arena.h"

#define RACES 2000u

static const uint32_t classes[] = {1, 2, 3, 4, 9, 33, 57, 58, 65};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

/* A slab of a class in no list, so that nobody else hands its blocks out. */
static struct emp_slab *slab_make(uint32_t class_id, uint16_t slots)
{
    size_t unit = 0;
    bool limited = false;

    unit = emp_unit_take(emp_classes[class_id].units, &limited);
    assert_true(unit != SIZE_MAX);
    assert_true(emp_slab_create(unit, class_id, 0, slots));
    for (unsigned u = 0; !EMP_SECURE && u < emp_classes[class_id].units; u++) {
        const struct emp_bitmap_geometry *geometry = &emp_classes[class_id].geometry;

        emp_slab_at(unit + u)->states = emp_slab_at(unit)->states;
        emp_slab_at(unit + u)->guard =
            (struct emp_slab_guard){geometry->slab_mask, geometry->size, geometry->reciprocal};
    }
    return emp_slab_at(unit);
}

static void slab_end(struct emp_slab *slab)
{
    emp_slab_retire(slab);
    emp_slab_destroy(slab);
}

static char *block_at(const struct emp_slab *slab, size_t slot)
{
    return (char *)emp_slab_base(slab) + slot * emp_classes[slab->class_id].geometry.size;
}

/* Number of the highest word that blocks were taken of. */
static size_t highest_word(const struct emp_slab *slab)
{
    return slab->touched != 0 ? (slab->touched - 1u) / 64u : 0;
}

/* What a free of this address must answer; blocks with even numbers are live. */
static enum emp_report_code expected_at(const struct emp_slab *slab, size_t offset)
{
    size_t size = emp_classes[slab->class_id].geometry.size;
    size_t slot = offset / size;

    if (offset % size != 0) {
        return offset % 8 != 0 ? EMP_REPORT_MISALIGNED : EMP_REPORT_INTERIOR;
    }
    if (slot >= slab->slots) {
        return EMP_REPORT_INVALID;
    }
    if (slot % 2 == 0) {
        return EMP_REPORT_COUNT;
    }
    return slot / 64 > highest_word(slab) ? EMP_REPORT_NEVER_ALLOCATED : EMP_REPORT_DOUBLE_FREE;
}

static void check_every_address(uint32_t class_id)
{
    const struct emp_class *info = &emp_classes[class_id];
    struct emp_slab *slab = slab_make(class_id, (uint16_t)(info->geometry.slots - 1));
    size_t bytes = info->units * EMP_UNIT_BYTES;

    for (size_t slot = 0; slot < slab->slots; slot += 2) {
        emp_block_guard_begin(block_at(slab, slot), 1 + slot % info->geometry.size);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (size_t offset = 0; offset < bytes; offset++) {
            enum emp_report_code expected = expected_at(slab, offset);

            if (round == 1 && expected == EMP_REPORT_COUNT) {
                size_t slot = offset / info->geometry.size;

                expected = slot / 64 > highest_word(slab) ? EMP_REPORT_NEVER_ALLOCATED
                                                          : EMP_REPORT_DOUBLE_FREE;
            }
            assert_int_equal(emp_block_guard_end(block_at(slab, 0) + offset, round == 0), expected);
        }
    }
    slab_end(slab);
}

static void every_address_of_a_slab_gets_its_answer_and_good_ones_only_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES; i++) {
        check_every_address(classes[i]);
    }
}

/* Changes one byte behind the request; tells whether the free saw it. The block is freed then. */
static bool is_watched(char *block, size_t requested, size_t behind)
{
    emp_block_guard_begin(block, requested);
    assert_true(emp_block_guard_is_whole(block));
    block[requested + behind] = (char)(block[requested + behind] ^ 1);
    bool whole = emp_block_guard_is_whole(block);
    bool seen = emp_block_guard_end(block, true) == EMP_REPORT_CANARY;

    assert_int_equal(whole, !seen);
    if (seen) { /* the block was left alone: it is live */
        block[requested + behind] = (char)(block[requested + behind] ^ 1);
        assert_int_equal(emp_block_guard_end(block, false), EMP_REPORT_COUNT);
    }
    return seen;
}

static void the_first_eight_bytes_behind_a_request_are_watched(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES; i++) {
        struct emp_slab *slab = slab_make(classes[i], 2);
        size_t size = emp_classes[classes[i]].geometry.size;

        size_t least = size > 600 ? size - EMP_GUARD_SLACK_MAX : 1;

        for (size_t requested = least; requested < size; requested++) {
            for (size_t behind = 0; requested + behind < size; behind++) {
                assert_true(is_watched(block_at(slab, 1), requested, behind) == (behind < 8));
            }
        }
        slab_end(slab);
    }
}

static void what_is_inside_a_request_is_left_as_it_was(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES; i++) {
        struct emp_slab *slab = slab_make(classes[i], 2);
        char *block = block_at(slab, 0);
        size_t size = emp_classes[classes[i]].geometry.size;
        enum emp_report_code fault = EMP_REPORT_COUNT;

        for (size_t requested = size; requested > 0 && requested + 300 > size; requested--) {
            memset(block, 0x5a, size);
            emp_block_guard_begin(block, requested);
            size_t usable = emp_block_guard_usable(block, &fault);

            assert_int_equal(usable, requested + EMP_GUARD_SLACK_MAX < size
                                         ? size - EMP_GUARD_SLACK_MAX
                                         : requested);
            for (size_t at = 0; at < requested; at++) {
                assert_int_equal(block[at], 0x5a);
            }
            for (size_t at = requested; at < usable + 1 && usable < size; at++) {
                assert_true(at < usable || (block[at] & 0x80) != 0);
            }
            assert_int_equal(emp_block_guard_end(block, false), EMP_REPORT_COUNT);
            assert_int_equal(emp_block_guard_usable(block, &fault), 0);
            assert_int_equal(fault, EMP_REPORT_DOUBLE_FREE);
        }
        slab_end(slab);
    }
}

static struct {
    char *block;
    uint32_t good;
    pthread_barrier_t barrier;
} race;

static void *free_in_a_race(void *arg)
{
    for (unsigned i = 0; i < RACES; i++) {
        (void)pthread_barrier_wait(&race.barrier);
        if (emp_block_guard_end(race.block, false) == EMP_REPORT_COUNT) {
            __atomic_fetch_add(&race.good, 1, __ATOMIC_RELAXED);
        }
        (void)pthread_barrier_wait(&race.barrier);
    }
    return arg;
}

static void of_two_frees_at_once_one_is_good(void **state)
{
    pthread_t thread;

    (void)state;
    struct emp_slab *slab = slab_make(4, 100);

    race.block = block_at(slab, 7);
    assert_int_equal(pthread_barrier_init(&race.barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, free_in_a_race, NULL), 0);
    for (unsigned i = 0; i < RACES; i++) {
        emp_block_guard_begin(race.block, 40);
        (void)pthread_barrier_wait(&race.barrier);
        if (emp_block_guard_end(race.block, false) == EMP_REPORT_COUNT) {
            __atomic_fetch_add(&race.good, 1, __ATOMIC_RELAXED);
        }
        (void)pthread_barrier_wait(&race.barrier);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(race.good, RACES);
    slab_end(slab);
}

static int start(void **state)
{
    (void)state;
    if (!emp_arena_init()) {
        return -1;
    }
    emp_size_class_init(emp_arena.base);
    emp_block_guard_init();
    return emp_guard_key != 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_of_a_slab_gets_its_answer_and_good_ones_only_once),
        cmocka_unit_test(the_first_eight_bytes_behind_a_request_are_watched),
        cmocka_unit_test(what_is_inside_a_request_is_left_as_it_was),
        cmocka_unit_test(of_two_frees_at_once_one_is_good),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
