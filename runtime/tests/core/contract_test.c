/*
 * What: the contract of the general allocator on the emp_ calls: sizes and alignments, zeroed
 *       memory after dirty reuse in every kind of block, content kept by realloc whatever way it
 *       takes, errno, overflow of products and sums, blocks of several GiB.
 * How:  matrices over every size class and its neighbours; an audit after each test.
 * Shows: [core.proto.allocate] [core.proto.release]
 * ctest-timeout: 300
 * ctest-not-under: emulator
 *       (blocks larger than its address space of 4 GiB)
 */
#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/runtime.h"
#include "support/settled.h"

#define KIB    ((size_t)1 << 10)
#define MIB    ((size_t)1 << 20)
#define GIB    ((size_t)1 << 30)
#define REUSES 40u

/* One or more sizes of every kind of block: slabs, runs, chunks, mappings. */
static const size_t kinds[] = {1,    8,       16,      24,       100,          1024,    1025,
                               8192, 8193,    32768,   32769,    65536,        100000,  MIB - 1,
                               MIB,  MIB + 1, 3 * MIB, 32 * MIB, 32 * MIB + 1, 40 * MIB};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int audit_after(void **state)
{
    (void)state;
    return emp_audit() == 0 ? 0 : -1;
}

static bool is_zero(const unsigned char *bytes, size_t count)
{
    return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* A byte that depends on the place. */
static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 31 + (at >> 8) * 7 + 1);
}

/* Marks a block at its ends and at every page. */
static void mark(unsigned char *block, size_t size)
{
    for (size_t at = 0; at < size; at += at < 64 ? 1 : 509) {
        block[at] = pattern(at);
    }
    block[size - 1] = pattern(size - 1);
}

static bool is_marked(const unsigned char *block, size_t size, size_t marked)
{
    for (size_t at = 0; at < size; at += at < 64 ? 1 : 509) {
        if (block[at] != pattern(at)) {
            return false;
        }
    }
    return size != marked || block[size - 1] == pattern(size - 1);
}

static void every_size_is_usable_and_aligned(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 70000; size += size < 2100 ? 1 : 61) {
        unsigned char *block = emp_malloc(size);
        size_t usable = emp_usable_size(block);

        assert_non_null(block);
        assert_true(usable >= size);
        assert_int_equal(usable, emp_good_size(usable));
        assert_int_equal((uintptr_t)block % (size < 16 ? 8 : alignof(max_align_t)), 0);
        memset(block, 0xff, usable);
        emp_free(block);
    }
}

static void zero_bytes_give_distinct_blocks(void **state)
{
    void *blocks[1000];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        blocks[i] = emp_malloc(0);
        assert_non_null(blocks[i]);
        for (unsigned j = i > 20 ? i - 20 : 0; j < i; j++) {
            assert_ptr_not_equal(blocks[i], blocks[j]);
        }
    }
    for (unsigned i = 0; i < 1000; i++) {
        emp_free(blocks[i]);
    }
}

static void calloc_is_zero_after_dirty_reuse(void **state)
{
    (void)state;
    for (unsigned k = 0; k < KINDS; k++) {
        size_t size = kinds[k];
        unsigned rounds = size > 4 * MIB ? 3 : REUSES;

        for (unsigned i = 0; i < rounds; i++) {
            unsigned char *dirty = emp_malloc(size);

            memset(dirty, 0xa5, size);
            emp_free(dirty);
            if (i % 8 == 7) {
                emp_park(); /* the next one comes from the shared tiers */
            }
            if (i % 16 == 15) {
                (void)emp_purge(); /* and from pages that were given back */
            }
            unsigned char *clean = emp_calloc(1, size);

            assert_non_null(clean);
            assert_true(is_zero(clean, size));
            memset(clean, 0x5a, size);
            emp_free(clean);
        }
    }
}

static void calloc_in_every_class_is_zero(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= emp_size_class_count(); c++) {
        struct emp_size_class_info info;
        static unsigned char *blocks[300];

        assert_int_equal(emp_size_class_describe(c, &info), EMP_OK);
        size_t size = info.block_bytes - (EMP_SECURE ? 1 : 0);

        for (unsigned i = 0; i < 300; i++) {
            blocks[i] = emp_malloc(size);
            memset(blocks[i], 0xff, size);
        }
        for (unsigned i = 0; i < 300; i++) {
            emp_free(blocks[i]);
        }
        for (unsigned i = 0; i < 300; i++) {
            blocks[i] = emp_calloc(size, 1);
            assert_true(is_zero(blocks[i], size));
        }
        for (unsigned i = 0; i < 300; i++) {
            emp_free(blocks[i]);
        }
    }
}

static void products_that_overflow_are_refused(void **state)
{
    static const size_t factors[][2] = {{SIZE_MAX, 2},
                                        {2, SIZE_MAX},
                                        {SIZE_MAX, SIZE_MAX},
                                        {(size_t)1 << 32, (size_t)1 << 32},
                                        {((size_t)1 << 32) + 1, (size_t)1 << 32},
                                        {SIZE_MAX / 2 + 1, 2},
                                        {SIZE_MAX / 3 + 1, 3},
                                        {PTRDIFF_MAX, 1},
                                        {1, SIZE_MAX}};

    (void)state;
    for (unsigned i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        errno = 0;
        assert_null(emp_calloc(factors[i][0], factors[i][1]));
        assert_int_equal(errno, ENOMEM);
    }
    emp_free(emp_calloc(0, SIZE_MAX));
    emp_free(emp_calloc(SIZE_MAX, 0));
}

static void sizes_near_the_limit_are_refused_by_every_call(void **state)
{
    unsigned char *kept = emp_malloc(100);

    (void)state;
    mark(kept, 100);
    for (size_t below = 0; below <= 8192; below += below < 64 ? 1 : 1021) {
        static const size_t tops[] = {SIZE_MAX, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 8192};

        for (unsigned t = 0; t < 3; t++) {
            size_t size = tops[t] - below;
            void *one[1];

            emp_free(emp_malloc(100)); /* a small free before must not matter */
            errno = 0;
            assert_null(emp_malloc(size));
            assert_int_equal(errno, ENOMEM);
            errno = 0;
            assert_null(emp_realloc(kept, size));
            assert_int_equal(errno, ENOMEM);
            errno = 0;
            assert_null(emp_aligned_alloc(64, size));
            assert_int_equal(errno, ENOMEM);
            errno = 0;
            assert_null(emp_aligned_alloc(GIB, size));
            assert_int_equal(errno, ENOMEM);
            assert_int_equal(emp_batch_alloc(size, one, 1), 0);
            assert_int_equal(emp_good_size(size), 0);
        }
    }
    assert_true(is_marked(kept, 100, 100));
    emp_free(kept);
}

static void every_alignment_of_every_size(void **state)
{
    static const size_t sizes[] = {0,    1,     63,    64,     65,  1000,   4096,
                                   5000, 32768, 33000, 200000, MIB, 3 * MIB};

    (void)state;
    for (size_t align = 1; align <= GIB; align *= 2) {
        for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            unsigned char *block = emp_aligned_alloc(align, sizes[s]);

            if (align > 64 * MIB && block == NULL) {
                continue; /* a machine without that much address space */
            }
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % align, 0);
            size_t usable = emp_usable_size(block);

            assert_true(usable >= sizes[s]);
            if (sizes[s] > 0) {
                mark(block, sizes[s]);
                assert_true(is_marked(block, sizes[s], sizes[s]));
            }
            if (s % 2 == 0) {
                emp_free_aligned_sized(block, align, sizes[s]);
            } else {
                emp_free(block);
            }
        }
    }
}

static void alignments_that_are_none_are_refused(void **state)
{
    static const size_t aligns[] = {0, 3, 5, 48, 100, GIB + 1, 2 * GIB, SIZE_MAX};

    (void)state;
    for (unsigned i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
        errno = 0;
        assert_null(emp_aligned_alloc(aligns[i], 100));
        assert_int_equal(errno, EINVAL);
    }
}

static void realloc_keeps_the_content_between_all_kinds(void **state)
{
    (void)state;
    for (unsigned from = 0; from < KINDS; from++) {
        for (unsigned to = 0; to < KINDS; to++) {
            size_t least = kinds[from] < kinds[to] ? kinds[from] : kinds[to];
            unsigned char *block = emp_malloc(kinds[from]);

            mark(block, kinds[from]);
            unsigned char *other = emp_realloc(block, kinds[to]);

            assert_non_null(other);
            assert_true(is_marked(other, least, kinds[from]));
            assert_true(emp_usable_size(other) >= kinds[to]);
            emp_free(other);
        }
    }
}

static void realloc_of_null_allocates_and_to_zero_frees(void **state)
{
    struct emp_stats before;
    struct emp_stats after;

    (void)state;
    emp_park();
    assert_int_equal(settled_stats_read(&before), EMP_OK);
    for (unsigned k = 0; k < KINDS; k++) {
        void *block = emp_realloc(NULL, kinds[k]);

        assert_non_null(block);
        assert_null(emp_realloc(block, 0));
    }
    emp_park();
    assert_int_equal(settled_stats_read(&after), EMP_OK);
    assert_int_equal(after.allocated, before.allocated);
}

static void a_run_grows_and_shrinks_where_it_is(void **state)
{
    unsigned char *block = emp_malloc(100 * KIB);

    (void)state;
    if (emp_runtime_annotates) { /* a checker sees stale pointers only when the block moves */
        emp_free(block);
        skip();
    }
    mark(block, 100 * KIB);
    unsigned char *larger = emp_realloc(block, 400 * KIB); /* the chunk behind it is free */

    assert_ptr_equal(larger, block);
    assert_true(is_marked(larger, 100 * KIB, 0));
    mark(larger, 400 * KIB);
    unsigned char *smaller = emp_realloc(larger, 40 * KIB);

    assert_ptr_equal(smaller, block);
    assert_true(is_marked(smaller, 40 * KIB, 0));
    assert_true(emp_usable_size(smaller) < 100 * KIB);
    unsigned char *neighbour = emp_malloc(60 * KIB); /* takes what the shrink gave back */

    memset(neighbour, 0xee, 60 * KIB);
    assert_true(is_marked(smaller, 40 * KIB, 0));
    emp_free(neighbour);
    emp_free(smaller);
}

static void a_run_used_again_is_zeroed_for_calloc(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        unsigned char *block = emp_calloc(i + 1, 64 * KIB);

        assert_non_null(block);
        for (size_t at = 0; at < (i + 1) * 64 * KIB; at++) {
            assert_int_equal(block[at], 0);
        }
        memset(block, 0xee, (i + 1) * 64 * KIB);
        emp_free(block);
        block = emp_malloc((i + 1) * 64 * KIB); /* the same one */
        memset(block, 0xee, (i + 1) * 64 * KIB);
        emp_free(block);
        block = emp_calloc(i + 1, 64 * KIB);
        for (size_t at = 0; at < (i + 1) * 64 * KIB; at++) {
            assert_int_equal(block[at], 0);
        }
        emp_free(block);
    }
}

static void a_mapped_block_is_moved_by_the_system_not_copied(void **state)
{
    struct emp_stats before;
    struct emp_stats after;

    (void)state;
    unsigned char *block = emp_malloc(64 * MIB);

    block[0] = 1;
    block[64 * MIB - 1] = 2;
    assert_int_equal(settled_stats_read(&before), EMP_OK);
    block = emp_realloc(block, 4 * GIB); /* touched nowhere else: a copy would be felt */
    assert_non_null(block);
    assert_int_equal(block[0], 1);
    assert_int_equal(block[64 * MIB - 1], 2);
    assert_int_equal(block[4 * GIB - 1], 0);
    assert_int_equal(settled_stats_read(&after), EMP_OK);
    assert_int_equal(after.large_blocks, before.large_blocks);
    assert_true(after.mapped - before.mapped == 4 * GIB - 64 * MIB);
    block = emp_realloc(block, 40 * MIB);
    assert_non_null(block);
    assert_int_equal(block[0], 1);
    assert_int_equal(settled_stats_read(&after), EMP_OK);
    assert_int_equal(before.mapped - after.mapped, 24 * MIB);
    emp_free(block);
}

static void blocks_of_many_gib_that_are_hardly_touched(void **state)
{
    (void)state;
    for (size_t size = GIB; size <= 16 * GIB; size *= 2) {
        unsigned char *block = emp_calloc(size / 1024, 1024);

        if (block == NULL) {
            assert_int_equal(errno, ENOMEM);
            print_message("no address space for %zu GiB\n", size / GIB);
            continue;
        }
        for (size_t at = 0; at < size; at += size / 16) {
            assert_int_equal(block[at], 0);
            block[at] = 1;
        }
        assert_int_equal(block[size - 1], 0);
        assert_true(emp_usable_size(block) >= size);
        emp_free(block);
    }
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    for (unsigned k = 0; k < KINDS; k++) {
        errno = 4321;
        void *block = emp_malloc(kinds[k]);
        void *zeroed = emp_calloc(1, kinds[k]);
        void *aligned = emp_aligned_alloc(128, kinds[k]);

        block = emp_realloc(block, kinds[(k + 5) % KINDS]);
        assert_int_equal(errno, 4321);
        emp_free(block);
        emp_free_sized(zeroed, kinds[k]);
        emp_free_aligned_sized(aligned, 128, kinds[k]);
        emp_free(NULL);
        emp_free_sized(NULL, 100);
        emp_free_aligned_sized(NULL, 64, 100);
        assert_int_equal(emp_usable_size(NULL), 0);
        (void)emp_tick();
        emp_park();
        (void)emp_purge();
        assert_int_equal(errno, 4321);
    }
}

static void sized_frees_accept_every_size_of_the_request(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 40000; size += size < 1100 ? 1 : 37) {
        emp_free_sized(emp_malloc(size), size);
    }
    for (unsigned k = 0; k < KINDS; k++) {
        emp_free_sized(emp_malloc(kinds[k]), kinds[k]);
        emp_free_sized(emp_realloc(emp_malloc(kinds[k]), kinds[k] + 1), kinds[k] + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_size_is_usable_and_aligned, audit_after),
        cmocka_unit_test_teardown(zero_bytes_give_distinct_blocks, audit_after),
        cmocka_unit_test_teardown(calloc_is_zero_after_dirty_reuse, audit_after),
        cmocka_unit_test_teardown(calloc_in_every_class_is_zero, audit_after),
        cmocka_unit_test_teardown(products_that_overflow_are_refused, audit_after),
        cmocka_unit_test_teardown(sizes_near_the_limit_are_refused_by_every_call, audit_after),
        cmocka_unit_test_teardown(every_alignment_of_every_size, audit_after),
        cmocka_unit_test_teardown(alignments_that_are_none_are_refused, audit_after),
        cmocka_unit_test_teardown(realloc_keeps_the_content_between_all_kinds, audit_after),
        cmocka_unit_test_teardown(realloc_of_null_allocates_and_to_zero_frees, audit_after),
        cmocka_unit_test_teardown(a_run_grows_and_shrinks_where_it_is, audit_after),
        cmocka_unit_test_teardown(a_run_used_again_is_zeroed_for_calloc, audit_after),
        cmocka_unit_test_teardown(a_mapped_block_is_moved_by_the_system_not_copied, audit_after),
        cmocka_unit_test_teardown(blocks_of_many_gib_that_are_hardly_touched, audit_after),
        cmocka_unit_test_teardown(errno_is_left_alone, audit_after),
        cmocka_unit_test_teardown(sized_frees_accept_every_size_of_the_request, audit_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
