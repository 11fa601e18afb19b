/*
 * What:  a new slab has all its slots free, none behind the last and its tags written; a block is
 *       released once, from its address alone, and nothing that is not the start of a block in use;
 *       a count finds exactly what was released; slots are taken by runs, by eights and one by one;
 *       pages are claimed and restored with the blocks that touch them, and forgotten when used;
 *       the tags follow the owner; an ended slab leaves no tag and releases nothing; the audit
 *       finds what is broken.
 * How:   one slab of each class; counts compared with the states after every step.
 * Shows: [slab.inv.counts] [slab.inv.tag] [slab.inv.fraction] [slab.proto.owner]
 *       [sync.proto.slot-state]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "slab/slab.h"
#include "span/unit.h"
#include "sync/atomic.h"
#include "support/random_stream.h"

static struct emp_slab *slab_make(uint32_t class_id)
{
    const struct emp_class *info = &emp_classes[class_id];
    bool limited = true;
    size_t unit = emp_unit_take(info->units, &limited);

    assert_int_not_equal(unit, SIZE_MAX);
    assert_true(emp_slab_create(unit, class_id, 3, (uint16_t)info->geometry.slots));
    assert_null(emp_slab_audit(emp_slab_at(unit)));
    return emp_slab_at(unit);
}

static void slab_end(struct emp_slab *slab)
{
    size_t unit = emp_slab_number(slab);
    unsigned units = emp_classes[slab->class_id].units;

    emp_slab_retire(slab);
    assert_false(emp_slab_exists(slab));
    assert_int_equal(slab->reciprocal, 0);
    emp_slab_destroy(slab);
    for (unsigned u = 0; u < units; u++) {
        assert_int_equal(emp_arena.tags[unit + u], 0);
    }
}

/* Takes slot number i, as a refill does. */
static void slot_take(struct emp_slab *slab, unsigned i)
{
    assert_true(emp_slab_word(slab, i / 64) >> i % 64 & 1);
    emp_slab_take_bits(slab, i / 64, (uint64_t)1 << i % 64);
    assert_false(emp_slab_word(slab, i / 64) >> i % 64 & 1);
    slab->free_count--;
}

/* Offset in the arena of byte `at` of a slab. */
static uintptr_t offset_of(const struct emp_slab *slab, uintptr_t at)
{
    return emp_slab_base(slab) - emp_arena.base + at;
}

/* What a free past the bin does, without a word of what the slab is. */
static bool release_at(const struct emp_slab *slab, uintptr_t at)
{
    struct emp_slab *found = NULL;
    bool done = emp_slab_release(emp_arena.slab_descriptors, offset_of(slab, at), &found);

    assert_true(!done || found == slab);
    return done;
}

/* Descriptors are used again: nothing of the last life is left. */
static void a_slab_begins_without_what_the_last_one_there_was(void **state)
{
    (void)state;
    struct emp_slab *slab = slab_make(1);
    const size_t unit = emp_slab_number(slab);

    slab->offered = 1;
    slab->idle_ticks = 9;
    slab->counted = 9;
    slab->touched = 600;
    slab->purged_pages = 9;
    slab_end(slab);
    slab = slab_make(1);
    assert_int_equal(emp_slab_number(slab), unit);
    assert_int_equal(slab->offered, 0);
    assert_int_equal(slab->idle_ticks, 0);
    assert_int_equal(slab->counted, 0);
    assert_int_equal(slab->touched, 0);
    assert_int_equal(slab->purged_pages, 0);
    slab_end(slab);
}

static void a_new_slab_is_free_and_tagged(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        struct emp_slab *slab = slab_make(c);
        size_t unit = emp_slab_number(slab);

        assert_int_equal(slab->free_count, emp_classes[c].geometry.slots);
        assert_int_equal(emp_slab_count(slab), 0);
        assert_false(emp_inbox_is_quiet(&slab->inbox));
        for (unsigned i = 0; i < emp_classes[c].words * 64u; i++) {
            assert_int_equal(slab->states[i], i < slab->slots ? EMP_SLOT_FREE : EMP_SLOT_NONE);
        }
        for (unsigned u = 0; u < emp_classes[c].units; u++) {
            uint32_t tag = emp_arena.tags[unit + u];

            assert_int_equal(emp_tag_class(tag), c);
            assert_int_equal(tag & 0xffff, emp_bin_offset(c));
            assert_int_equal(
                tag >> 16, emp_classes[c].geometry.size < EMP_LINE_BYTES ? 0xffff & ~(1 << 3) : 0);
        }
        emp_slab_set_owner(slab, 5);
        assert_int_equal(emp_slab_owner(slab), 5);
        for (unsigned u = 0; u < emp_classes[c].units; u++) {
            assert_int_equal(emp_tag_class(emp_arena.tags[unit + u]), c);
            assert_int_equal(emp_arena.tags[unit + u] >> 16,
                             emp_classes[c].geometry.size < EMP_LINE_BYTES ? 0xffff & ~(1 << 5)
                                                                           : 0);
        }
        assert_null(emp_slab_audit(slab));
        slab_end(slab);
    }
}

/* A slab with fewer slots than fit, as a pool at its limit has. */
static void a_part_of_a_slab_has_no_slots_behind_its_last(void **state)
{
    const uint32_t class_id = emp_size_class_of(64);
    bool limited = true;
    size_t unit = emp_unit_take(1, &limited);
    struct emp_slab *slab = emp_slab_at(unit);

    (void)state;
    assert_int_not_equal(unit, SIZE_MAX);
    assert_true(emp_slab_create(unit, class_id, 0, 77));
    assert_int_equal(emp_slab_word(slab, 0), ~(uint64_t)0);
    assert_int_equal(emp_slab_word(slab, 1), emp_bits_mask(13));
    for (unsigned w = 2; w < emp_classes[class_id].words; w++) {
        assert_int_equal(emp_slab_word(slab, w), 0);
    }
    slot_take(slab, 76);
    assert_false(release_at(slab, 77 * 64));
    assert_false(release_at(slab, 1023 * 64));
    assert_true(release_at(slab, 76 * 64));
    assert_int_equal(emp_slab_count(slab), 1);
    assert_null(emp_slab_audit(slab));
    slab_end(slab);
}

static void a_count_finds_what_was_released_and_nothing_twice(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(64));
    uint16_t known = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        slot_take(slab, i);
    }
    known = slab->free_count;
    for (unsigned i = 0; i < 200; i++) {
        assert_true(release_at(slab, (uintptr_t)i * 64));
        assert_false(release_at(slab, (uintptr_t)i * 64));
        assert_int_equal(slab->states[i], EMP_SLOT_FREE);
        assert_int_equal(slab->free_count, known); /* nobody counts at that time */
        assert_null(emp_slab_audit(slab));
    }
    assert_int_equal(emp_slab_count(slab), 200);
    assert_int_equal(slab->free_count, slab->slots);
    assert_int_equal(emp_slab_count(slab), 0);
    assert_null(emp_slab_audit(slab));
    slab_end(slab);
}

/* Every byte of a slab whose blocks are all in use: only first bytes of blocks may be released. */
static void only_the_first_byte_of_a_block_in_use_is_released(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        struct emp_slab *slab = slab_make(c);
        const struct emp_class *info = &emp_classes[c];
        unsigned released = 0;

        for (unsigned w = 0; w < info->words; w++) {
            emp_slab_take_bits(slab, w, emp_slab_word(slab, w));
        }
        slab->free_count = 0;
        for (uintptr_t at = 0; at < info->units * EMP_UNIT_BYTES; at++) {
            bool is_block = at % info->geometry.size == 0 && at / info->geometry.size < slab->slots;
            bool done = release_at(slab, at);

            assert_int_equal(done, is_block && info->units == 1); /* wide slabs: by their class */
            released += done;
        }
        assert_int_equal(released, info->units == 1 ? slab->slots : 0);
        assert_int_equal(emp_slab_count(slab), released);
        for (unsigned i = slab->slots; i < info->words * 64u; i++) {
            assert_int_equal(slab->states[i], EMP_SLOT_NONE);
        }
        uintptr_t offset = offset_of(slab, 0);
        struct emp_slab *found = NULL;

        slab_end(slab);
        assert_false(emp_slab_release(emp_arena.slab_descriptors, offset, &found));
    }
}

/* Bits taken are used, all others are what they were, whatever the mix of eights and ones. */
static void exactly_the_bits_asked_for_are_taken(void **state)
{
    const uint32_t class_id = emp_size_class_of(32);
    struct random_stream random = {random_seed("slab/take bits")};
    struct emp_slab *slab = slab_make(class_id);
    uint8_t before[3 * 64];

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t found = emp_slab_word(slab, 1);
        uint64_t bits = random_next(&random);

        /* whole eights as often as single bits */
        for (unsigned i = 0; i < 8; i++) {
            uint64_t eight = (uint64_t)0xff << (8 * i);

            bits = random_chance(&random, 1, 3)   ? bits | eight
                   : random_chance(&random, 1, 3) ? bits & ~eight
                                                  : bits;
        }
        bits &= found;
        memcpy(before, slab->states, sizeof(before));
        emp_slab_take_bits(slab, 1, bits);
        assert_int_equal(emp_slab_word(slab, 1), found & ~bits);
        for (unsigned i = 0; i < sizeof(before); i++) {
            bool taken = i / 64 == 1 && (bits >> i % 64 & 1) != 0;

            assert_int_equal(slab->states[i], taken ? EMP_SLOT_USED : before[i]);
        }
        for (unsigned i = 64; i < 128; i++) {
            if (slab->states[i] == EMP_SLOT_USED && random_chance(&random, 1, 2)) {
                assert_true(release_at(slab, (uintptr_t)i * 32));
            }
        }
    }
    for (unsigned i = 64; i < 128; i++) {
        (void)release_at(slab, (uintptr_t)i * 32);
    }
    assert_int_equal(emp_slab_count(slab), 0);
    slab_end(slab);
}

/* Slots kept back; each touches a page of mask, and none that touches one is free. */
static unsigned held_check(const struct emp_slab *slab, uint64_t mask)
{
    uint32_t size = emp_classes[slab->class_id].geometry.size;
    unsigned held = 0;

    for (unsigned i = 0; i < slab->slots; i++) {
        bool touches = false;

        for (uintptr_t p = i * size / 4096; p <= ((i + 1) * size - 1) / 4096; p++) {
            touches = touches || (mask >> p & 1) != 0;
        }
        assert_int_equal(slab->states[i] == EMP_SLOT_HELD, touches && slab->states[i] != 0);
        held += slab->states[i] == EMP_SLOT_HELD;
    }
    return held;
}

/* Slots side by side, of every number at every place: their neighbours keep what they are. */
static void a_run_of_slots_is_taken_and_nothing_beside_it(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(256));

    (void)state;
    for (unsigned count = 8; count <= 64; count++) {
        for (unsigned first = 64; first + count <= 192; first++) {
            memset(slab->states, EMP_SLOT_FREE, slab->slots);
            emp_slab_take_run(slab, first, count);
            for (unsigned i = 0; i < slab->slots; i++) {
                bool inside = i >= first && i < first + count;

                assert_int_equal(slab->states[i], inside ? EMP_SLOT_USED : EMP_SLOT_FREE);
            }
        }
    }
    memset(slab->states, EMP_SLOT_FREE, slab->slots);
    emp_slab_count(slab);
    slab_end(slab);
}

static void pages_go_with_every_block_that_touches_them(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        struct emp_slab *slab = slab_make(c);
        uint32_t size = emp_classes[c].geometry.size;
        unsigned pages = emp_classes[c].units * 16u;
        unsigned middle = slab->slots / 2u;

        slot_take(slab, middle);
        uint64_t mask = emp_slab_free_pages(slab);

        for (unsigned p = 0; p < pages; p++) {
            bool touches = middle * size < (p + 1) * 4096u && (middle + 1) * size > p * 4096u;

            assert_int_equal(mask >> p & 1, !touches);
        }
        uint16_t before = slab->free_count;
        unsigned news = 1;
        unsigned moved = emp_slab_claim_pages(slab, mask, &news);

        assert_int_equal(news, 0);
        assert_int_equal(slab->free_count, before - moved);
        assert_int_equal(held_check(slab, mask), moved);
        assert_int_equal(emp_slab_count(slab), 0); /* what is kept back is not free */
        assert_null(emp_slab_audit(slab));
        emp_slab_restore_pages(slab, mask);
        assert_int_equal(slab->free_count, before);
        assert_int_equal(held_check(slab, 0), 0);
        assert_int_equal(emp_slab_count(slab), 0);
        assert_int_equal(emp_slab_free_pages(slab), 0); /* given back once, not twice */
        emp_slot_set(&slab->states[middle], EMP_SLOT_FREE);
        slab->free_count++;
        emp_slab_touch_word(slab, 0, size);
        assert_int_not_equal(emp_slab_free_pages(slab), 0);
        slab_end(slab);
    }
}

/* Blocks that nobody has counted yet are claimed with their page all the same. */
static void pages_of_blocks_that_are_not_counted_yet_are_claimed(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(1024));

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        slot_take(slab, i);
    }
    slab->free_count = 0; /* as in a slab that has just come through the inbox */
    for (unsigned i = 0; i < 8; i++) {
        assert_true(release_at(slab, (uintptr_t)i * 1024));
    }
    assert_int_equal(emp_slab_free_pages(slab) & 7, 3);
    unsigned news = 0;

    assert_int_equal(emp_slab_claim_pages(slab, 3, &news), 8);
    assert_int_equal(news, slab->slots - 4);
    assert_int_equal(slab->free_count, slab->slots - 12);
    assert_null(emp_slab_audit(slab));
    emp_slab_restore_pages(slab, 3);
    assert_in_range(slab->free_count, 0, slab->slots - 4u);
    (void)emp_slab_count(slab);
    assert_int_equal(slab->free_count, slab->slots - 4);
    assert_null(emp_slab_audit(slab));
    for (unsigned i = 8; i < 12; i++) {
        assert_true(release_at(slab, (uintptr_t)i * 1024));
    }
    assert_int_equal(emp_slab_count(slab), 4);
    slab_end(slab);
}

static void a_block_that_is_kept_back_is_not_released(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(256));

    (void)state;
    unsigned news = 0;

    (void)emp_slab_claim_pages(slab, 1, &news);
    for (uintptr_t i = 0; i < 16; i++) {
        assert_false(release_at(slab, i * 256));
        assert_int_equal(slab->states[i], EMP_SLOT_HELD);
    }
    emp_slab_restore_pages(slab, 1);
    assert_int_equal(emp_slab_count(slab), 0);
    slab_end(slab);
}

static void the_audit_finds_what_is_broken(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(128));

    (void)state;
    slab->free_count++; /* more than there are, or can be */
    assert_non_null(emp_slab_audit(slab));
    slab->free_count--;
    slab->states[0] = EMP_SLOT_USED;
    assert_non_null(emp_slab_audit(slab));
    slab->states[0] = EMP_SLOT_FREE;
    slab->free_count--; /* less than there are: not counted yet */
    assert_null(emp_slab_audit(slab));
    assert_int_equal(emp_slab_count(slab), 1);
    emp_arena.tags[emp_slab_number(slab)] ^= 1;
    assert_non_null(emp_slab_audit(slab));
    emp_arena.tags[emp_slab_number(slab)] ^= 1;
    slab->magic ^= 1;
    assert_non_null(emp_slab_audit(slab));
    slab->magic ^= 1;
    slab->list = EMP_LIST_FULL; /* told: it is on its way through the inbox */
    assert_null(emp_slab_audit(slab));
    emp_inbox_quiet(&slab->inbox);
    assert_non_null(emp_slab_audit(slab));
    slab->list = EMP_LIST_DETACHED;
    assert_null(emp_slab_audit(slab));
    slab_end(slab);
}

/* Pages of 4 KiB that a block of a word touches, one block after the other. */
static uint64_t pages_of_word(unsigned word, uint32_t size)
{
    uint64_t mask = 0;

    for (uint64_t i = 0; i < EMP_WORD_BITS; i++) {
        uint64_t begin = ((uint64_t)word * EMP_WORD_BITS + i) * size;

        for (uint64_t page = begin / 4096; page <= (begin + size - 1) / 4096 && page < 64; page++) {
            mask |= (uint64_t)1 << page;
        }
    }
    return mask;
}

static void a_word_that_is_used_forgets_its_pages_and_no_others(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        struct emp_slab *slab = slab_make(c);
        uint32_t size = emp_classes[c].geometry.size;

        for (unsigned word = 0; word < emp_classes[c].words; word++) {
            slab->purged_pages = UINT64_MAX;
            emp_slab_touch_word(slab, word, size);
            assert_true(slab->purged_pages == ~pages_of_word(word, size));
        }
        slab->purged_pages = 0;
        slab_end(slab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slab_begins_without_what_the_last_one_there_was),
        cmocka_unit_test(a_new_slab_is_free_and_tagged),
        cmocka_unit_test(a_part_of_a_slab_has_no_slots_behind_its_last),
        cmocka_unit_test(a_count_finds_what_was_released_and_nothing_twice),
        cmocka_unit_test(only_the_first_byte_of_a_block_in_use_is_released),
        cmocka_unit_test(exactly_the_bits_asked_for_are_taken),
        cmocka_unit_test(a_run_of_slots_is_taken_and_nothing_beside_it),
        cmocka_unit_test(pages_go_with_every_block_that_touches_them),
        cmocka_unit_test(pages_of_blocks_that_are_not_counted_yet_are_claimed),
        cmocka_unit_test(a_block_that_is_kept_back_is_not_released),
        cmocka_unit_test(the_audit_finds_what_is_broken),
        cmocka_unit_test(a_word_that_is_used_forgets_its_pages_and_no_others),
    };

    if (!emp_arena_init()) {
        return 1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
