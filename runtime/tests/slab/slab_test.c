/*
 * What:  a new slab has all its slots free and its tags written; remote blocks come home when it
 *       is drained, a block freed twice is named and counted once; pages are claimed and restored
 *       with the blocks that touch them; the tags follow the owner; an ended slab leaves no tag;
 *       the audit finds what is broken.
 * How:   one slab of each class; counts compared with the set bits after every step.
 * Shows: [slab.inv.counts] [slab.inv.tag] [slab.proto.owner]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "slab/slab.h"
#include "span/unit.h"
#include "sync/atomic.h"
#include "sync/remote_word.h"

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

static struct {
    unsigned count;
    void *blocks[8];
} told;

static void tell(void *block)
{
    if (told.count < 8) {
        told.blocks[told.count] = block;
    }
    told.count++;
}

static void slab_end(struct emp_slab *slab)
{
    size_t unit = emp_slab_number(slab);
    unsigned units = emp_classes[slab->class_id].units;

    emp_slab_retire(slab);
    assert_false(emp_slab_exists(slab));
    told.count = 0;
    emp_slab_destroy(slab, tell);
    assert_int_equal(told.count, 0);
    for (unsigned u = 0; u < units; u++) {
        assert_int_equal(emp_arena.tags[unit + u], 0);
    }
}

/* Takes slot number i out of free[], as a refill does. */
static void slot_take(struct emp_slab *slab, unsigned i)
{
    slab->free[i / 64] &= ~((uint64_t)1 << i % 64);
    slab->free_count--;
}

static void a_new_slab_is_free_and_tagged(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        struct emp_slab *slab = slab_make(c);
        size_t unit = emp_slab_number(slab);

        assert_int_equal(slab->free_count, emp_classes[c].geometry.slots);
        for (unsigned u = 0; u < emp_classes[c].units; u++) {
            uint32_t tag = emp_arena.tags[unit + u];

            assert_int_equal(tag & 0xff, c);
            assert_int_equal(tag >> 24, 3);
            assert_int_equal((tag >> 8 & 0xffff) != 0,
                             emp_classes[c].geometry.size < EMP_LINE_BYTES);
            assert_int_equal(tag >> (8 + 3) & 1, 0);
        }
        emp_slab_set_owner(slab, 5);
        assert_int_equal(emp_arena.tags[unit] >> 24, 5);
        assert_int_equal(emp_arena.tags[unit] >> (8 + 5) & 1, 0);
        assert_null(emp_slab_audit(slab));
        slab_end(slab);
    }
}

static void remote_blocks_come_home_once(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(64));

    (void)state;
    told.count = 0;
    for (unsigned i = 0; i < 200; i++) {
        slot_take(slab, i);
    }
    for (unsigned i = 0; i < 200; i++) {
        (void)emp_remote_publish(&slab->remote[i / 64], (uint64_t)1 << i % 64);
    }
    assert_int_equal(emp_slab_drain(slab, tell), 200);
    assert_int_equal(told.count, 0);
    assert_int_equal(slab->free_count, slab->slots);
    assert_null(emp_slab_audit(slab));
    (void)emp_remote_publish(&slab->remote[1], 4);
    assert_int_equal(emp_slab_drain(slab, tell), 0);
    assert_int_equal(told.count, 1);
    assert_ptr_equal(told.blocks[0], (void *)(emp_slab_base(slab) + 66 * 64));
    assert_int_equal(slab->free_count, slab->slots);
    assert_null(emp_slab_audit(slab));
    slab_end(slab);
}

static void one_drain_names_every_block_that_was_freed_twice(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(64));
    static const unsigned slots[] = {0, 5, 63, 64, 700};

    (void)state;
    told.count = 0;
    slot_take(slab, 6);
    for (unsigned i = 0; i < 5; i++) {
        (void)emp_remote_publish(&slab->remote[slots[i] / 64], (uint64_t)1 << slots[i] % 64);
    }
    (void)emp_remote_publish(&slab->remote[0], 64); /* the one that is not free */
    assert_int_equal(emp_slab_drain(slab, tell), 1);
    assert_int_equal(told.count, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_ptr_equal(told.blocks[i], (void *)(emp_slab_base(slab) + slots[i] * 64));
    }
    assert_null(emp_slab_audit(slab));
    slab_end(slab);
}

/* The two ways in which a free reaches a block whose bit is cleared because its page is purged. */
static void a_free_of_a_block_whose_page_is_being_purged_is_named(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(80));
    uintptr_t base = emp_slab_base(slab);

    (void)state;
    told.count = 0;
    (void)emp_slab_claim_pages(slab, 0x7); /* block 51 lies on the border of two pages */
    slab->free[0] |= (uint64_t)1 << 51;    /* by the holder */
    slab->free_count++;
    (void)emp_remote_publish(&slab->remote[1], 2); /* by somebody else: block 65 */
    emp_slab_restore_pages(slab, 0x7, tell);
    assert_int_equal(told.count, 1);
    assert_ptr_equal(told.blocks[0], (void *)(base + 51 * 80));
    assert_int_equal(emp_slab_drain(slab, tell), 0);
    assert_int_equal(told.count, 2);
    assert_ptr_equal(told.blocks[1], (void *)(base + 65 * 80));
    assert_int_equal(slab->free_count, slab->slots);
    assert_null(emp_slab_audit(slab));
    slab_end(slab);
}

static void a_block_freed_twice_is_named_when_its_slab_ends(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(32));
    uintptr_t base = emp_slab_base(slab);

    (void)state;
    (void)emp_remote_publish(&slab->remote[0], 8);
    emp_slab_retire(slab);
    told.count = 0;
    emp_slab_destroy(slab, tell);
    assert_int_equal(told.count, 1);
    assert_ptr_equal(told.blocks[0], (void *)(base + 3 * 32));
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
        unsigned moved = emp_slab_claim_pages(slab, mask);

        assert_int_equal(slab->free_count, before - moved);
        assert_null(emp_slab_audit(slab));
        told.count = 0;
        emp_slab_restore_pages(slab, mask, tell);
        assert_int_equal(told.count, 0);
        assert_int_equal(slab->free_count, before);
        assert_int_equal(emp_slab_free_pages(slab), 0); /* given back once, not twice */
        slab->free[middle / 64] |= (uint64_t)1 << middle % 64;
        slab->free_count++;
        emp_slab_touch_word(slab, 0, size);
        assert_int_not_equal(emp_slab_free_pages(slab), 0);
        slab_end(slab);
    }
}

static void the_audit_finds_what_is_broken(void **state)
{
    struct emp_slab *slab = slab_make(emp_size_class_of(128));

    (void)state;
    slab->free_count--;
    assert_non_null(emp_slab_audit(slab));
    slab->free_count++;
    slab->free[0] ^= 1;
    assert_non_null(emp_slab_audit(slab));
    slab->free[0] ^= 1;
    emp_arena.tags[emp_slab_number(slab)] ^= 1;
    assert_non_null(emp_slab_audit(slab));
    emp_arena.tags[emp_slab_number(slab)] ^= 1;
    assert_null(emp_slab_audit(slab));
    slab_end(slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_slab_is_free_and_tagged),
        cmocka_unit_test(remote_blocks_come_home_once),
        cmocka_unit_test(one_drain_names_every_block_that_was_freed_twice),
        cmocka_unit_test(a_free_of_a_block_whose_page_is_being_purged_is_named),
        cmocka_unit_test(a_block_freed_twice_is_named_when_its_slab_ends),
        cmocka_unit_test(pages_go_with_every_block_that_touches_them),
        cmocka_unit_test(the_audit_finds_what_is_broken),
    };

    if (!emp_arena_init()) {
        return 1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base, 64, 16);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
