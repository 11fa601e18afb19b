/*
 * What: every variant of the bitmap operations that this processor runs gives the answers of a
 *       naive model and stays inside its output.
 * How:  exhaustive small patterns, random words of every density from a printed seed, guards behind
 *       the output.
 * Shows: [slab.req.bitmap-variants] [slab.req.bitmap-dispatch] [slab.inv.bitmap-room]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "slab/bitmap_expand.h"

#define SEED          0x9e3779b97f4a7c15u
#define RANDOM_WORDS  1000000u
#define GUARD         ((void *)(uintptr_t)0xfeedfacecafebeefu)
#define GUARD_ENTRIES 8u
#define BASE          ((uintptr_t)0x7f0000010000u)

static const char *const variants[] = {"c", "avx2", "neon"};
static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A word in which each bit is set with probability parts/8. */
static uint64_t random_word(unsigned parts)
{
    uint64_t word = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        word |= (uint64_t)((random_next() >> 20) % 8 < parts) << bit;
    }
    return word;
}

static void seed_random(const char *test)
{
    random_state = SEED;
    print_message("%s: seed 0x%llx\n", test, (unsigned long long)random_state);
}

/* Runs a check with each variant that this processor has. */
static void with_each_variant(void (*check)(void))
{
    unsigned ran = 0;

    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        if (emp_bitmap_dispatch_force(variants[i])) {
            assert_string_equal(emp_bitmap_ops.name, variants[i]);
            check();
            ran++;
        }
    }
    assert_int_equal(ran, emp_bitmap_vector_usable() ? 2 : 1);
}

static void check_expand_word(uint64_t word, size_t size)
{
    void *out[EMP_BITMAP_EXPAND_ROOM + GUARD_ENTRIES];
    unsigned expected = 0;
    unsigned count;

    for (unsigned i = 0; i < GUARD_ENTRIES; i++) {
        out[EMP_BITMAP_EXPAND_ROOM + i] = GUARD;
    }
    count = emp_bitmap_ops.expand(word, BASE, size, out);
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((word >> bit & 1) != 0) {
            assert_int_equal((uintptr_t)out[expected], BASE + bit * size);
            expected++;
        }
    }
    assert_int_equal(count, expected);
    for (unsigned i = 0; i < GUARD_ENTRIES; i++) {
        assert_ptr_equal(out[EMP_BITMAP_EXPAND_ROOM + i], GUARD);
    }
}

static void check_expand_patterns(void)
{
    static const size_t sizes[] = {8, 48, 1024, 32768};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        check_expand_word(0, sizes[s]);
        check_expand_word(~(uint64_t)0, sizes[s]);
        for (uint64_t byte = 0; byte < 256; byte++) {
            for (unsigned place = 0; place < 64; place += 8) {
                check_expand_word(byte << place, sizes[s]);
                check_expand_word(~(byte << place), sizes[s]);
            }
        }
    }
    for (uint64_t pair = 0; pair < 65536; pair++) {
        check_expand_word(pair << 24, 96);
        check_expand_word(pair * 0x0001000100010001u, 96);
    }
}

static void check_expand_random(void)
{
    for (unsigned i = 0; i < RANDOM_WORDS; i++) {
        uint64_t word = i % 2 == 0 ? random_word(1 + i / 2 % 7) : random_next();

        check_expand_word(word, 8 * (1 + i % 4096));
    }
}

static void expand_of_every_small_pattern_equals_the_model(void **state)
{
    (void)state;
    with_each_variant(check_expand_patterns);
}

static void expand_of_random_words_equals_the_model(void **state)
{
    (void)state;
    seed_random(__func__);
    with_each_variant(check_expand_random);
}

static void check_find(void)
{
    uint64_t words[128];

    for (unsigned count = 0; count <= 128; count++) {
        memset(words, 0, sizeof words);
        if (count < 128) {
            words[count] = 1; /* must not be seen */
        }
        assert_int_equal(emp_bitmap_ops.find_nonzero(words, count, 0), count);
        for (unsigned hit = 0; hit < count; hit++) {
            words[hit] = (uint64_t)1 << (hit % 64);
            for (unsigned from = 0; from <= count; from += 1 + count / 9) {
                assert_int_equal(emp_bitmap_ops.find_nonzero(words, count, from),
                                 from <= hit ? hit : count);
            }
            words[hit] = 0;
        }
    }
    assert_int_equal(emp_bitmap_ops.find_nonzero(words, 4, 9), 4);
}

static void find_nonzero_from_everywhere_finds_the_first(void **state)
{
    (void)state;
    with_each_variant(check_find);
}

static void check_run(void)
{
    void *ptrs[70];
    bool descending;

    for (unsigned count = 2; count <= 70; count++) {
        for (int direction = -1; direction <= 1; direction += 2) {
            for (unsigned i = 0; i < count; i++) {
                ptrs[i] = (void *)(BASE + (uintptr_t)((int64_t)i * direction * 48));
            }
            assert_true(emp_bitmap_ops.run(ptrs, count, 48, &descending));
            assert_int_equal(descending, direction < 0);
            assert_false(emp_bitmap_ops.run(ptrs, count, 64, &descending));
            for (unsigned i = 0; i < count; i++) {
                void *kept = ptrs[i];

                ptrs[i] = (void *)((uintptr_t)kept + 48 * 1024);
                assert_false(emp_bitmap_ops.run(ptrs, count, 48, &descending));
                ptrs[i] = (void *)((uintptr_t)kept ^ ((uintptr_t)1 << 40));
                assert_false(emp_bitmap_ops.run(ptrs, count, 48, &descending));
                ptrs[i] = kept;
            }
        }
    }
}

static void run_with_one_pointer_off_is_no_run(void **state)
{
    (void)state;
    with_each_variant(check_run);
}

static void run_that_turns_back_is_no_run(void **state)
{
    void *ptrs[3] = {(void *)BASE, (void *)(BASE + 64), (void *)BASE};
    bool descending;

    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        if (emp_bitmap_dispatch_force(variants[i])) {
            assert_false(emp_bitmap_ops.run(ptrs, 3, 64, &descending));
        }
    }
}

static void check_indices(void)
{
    static const uint32_t sizes[] = {8, 16, 48, 64, 80, 1024, 5120, 8192, 10240, 20480, 32768};
    void *ptrs[67];
    uint32_t index[67];

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t slab_bytes = sizes[s] > 8192 ? 262144 : 65536;
        struct emp_bitmap_geometry g = emp_bitmap_geometry_make(BASE, slab_bytes, sizes[s]);

        for (unsigned count = 0; count <= 67; count++) {
            for (unsigned i = 0; i < count; i++) {
                ptrs[i] = (void *)(BASE + (i % 5) * (uintptr_t)slab_bytes +
                                   random_next() % g.slots * sizes[s]);
            }
            assert_int_equal(emp_bitmap_ops.indices(ptrs, count, &g, index), count);
            for (unsigned i = 0; i < count; i++) {
                assert_int_equal(index[i], ((uintptr_t)ptrs[i] - BASE) % slab_bytes / sizes[s]);
            }
            for (unsigned bad = 0; bad < count; bad++) {
                void *kept = ptrs[bad];

                ptrs[bad] = (void *)((uintptr_t)kept + 1 + random_next() % (sizes[s] - 1));
                assert_int_equal(emp_bitmap_ops.indices(ptrs, count, &g, index), bad);
                ptrs[bad] = kept;
            }
        }
    }
}

static void indices_name_the_first_pointer_that_is_no_slot(void **state)
{
    (void)state;
    seed_random(__func__);
    with_each_variant(check_indices);
}

static void check_tail(void)
{
    for (uint32_t size = 8; size <= EMP_BITMAP_BLOCK_BYTES_MAX; size += 8) {
        uint32_t slab_bytes = size > 8192 ? 262144 : 65536;
        struct emp_bitmap_geometry g = emp_bitmap_geometry_make(BASE, slab_bytes, size);
        void *ptrs[4];
        uint32_t index[4];

        for (unsigned i = 0; i < 4; i++) {
            ptrs[i] = (void *)(BASE + (uintptr_t)(g.slots - 1) * size);
        }
        assert_int_equal(emp_bitmap_ops.indices(ptrs, 4, &g, index), 4);
        if (slab_bytes % size != 0) {
            ptrs[2] = (void *)(BASE + (uintptr_t)g.slots * size);
            assert_int_equal(emp_bitmap_ops.indices(ptrs, 4, &g, index), 2);
            assert_int_equal(emp_bitmap_ops.indices(ptrs + 2, 1, &g, index), 0);
        }
    }
}

static void indices_refuse_the_tail_behind_the_last_slot(void **state)
{
    (void)state;
    with_each_variant(check_tail);
}

static void dispatch_takes_the_vector_variant_where_it_runs(void **state)
{
    (void)state;
    assert_true(emp_bitmap_dispatch_force("c"));
    assert_string_equal(emp_bitmap_ops.name, "c");
    assert_false(emp_bitmap_dispatch_force("sse9"));
    assert_string_equal(emp_bitmap_ops.name, "c");
    emp_bitmap_dispatch_init();
    assert_string_equal(emp_bitmap_ops.name,
                        emp_bitmap_vector_usable() ? emp_bitmap_vector_ops.name : "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expand_of_every_small_pattern_equals_the_model),
        cmocka_unit_test(expand_of_random_words_equals_the_model),
        cmocka_unit_test(find_nonzero_from_everywhere_finds_the_first),
        cmocka_unit_test(run_with_one_pointer_off_is_no_run),
        cmocka_unit_test(run_that_turns_back_is_no_run),
        cmocka_unit_test(indices_name_the_first_pointer_that_is_no_slot),
        cmocka_unit_test(indices_refuse_the_tail_behind_the_last_slot),
        cmocka_unit_test(dispatch_takes_the_vector_variant_where_it_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
