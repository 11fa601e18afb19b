/*
 * What: every variant of the bitmap operations that this processor runs gives the answers of a
 *       naive model and stays inside its output.
 * How:  exhaustive small patterns, random words of every density from a printed seed, guards behind
 *       the output and around the states.
 * Shows: [slab.req.bitmap-variants] [slab.req.bitmap-dispatch] [slab.inv.bitmap-room]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slab/bitmap_expand.h"
#include "sync/slot_state.h"

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

static void check_run(void)
{
    static const size_t sizes[] = {8, 48, 1024, 32768};

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (unsigned count = 1; count <= 64; count++) {
            void *out[EMP_BITMAP_EXPAND_ROOM + 1];

            out[EMP_BITMAP_EXPAND_ROOM] = GUARD;
            emp_bitmap_ops.run(BASE, sizes[s], count, out);
            for (unsigned i = 0; i < count; i++) {
                assert_int_equal((uintptr_t)out[i], BASE + i * sizes[s]);
            }
            assert_ptr_equal(out[EMP_BITMAP_EXPAND_ROOM], GUARD);
        }
    }
}

static void run_of_every_length_counts_up_and_stays_in_its_room(void **state)
{
    (void)state;
    with_each_variant(check_run);
}

/* Guards on both sides: unlike the others it may not write one entry too many. */
static void check_turn(void)
{
    void *from[200];
    void *out[200];

    for (uintptr_t i = 0; i < 200; i++) {
        from[i] = (void *)(i + 1);
    }
    for (unsigned count = 0; count <= 190; count++) {
        for (unsigned i = 0; i < 200; i++) {
            out[i] = GUARD;
        }
        emp_bitmap_ops.turn(from + 3, count, out + 5);
        for (unsigned i = 0; i < 200; i++) {
            bool inside = i >= 5 && i < 5 + count;

            assert_ptr_equal(out[i], inside ? from[3 + count - 1 - (i - 5)] : GUARD);
        }
    }
}

static void turn_of_every_length_turns_exactly_that(void **state)
{
    (void)state;
    with_each_variant(check_turn);
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

/* The lowest `count` bits, one by one. */
static uint64_t lowest_by_hand(uint64_t word, unsigned count)
{
    uint64_t bits = 0;

    for (unsigned bit = 0; bit < 64 && count > 0; bit++) {
        if ((word >> bit & 1) != 0) {
            bits |= (uint64_t)1 << bit;
            count--;
        }
    }
    return bits;
}

static void check_lowest(void)
{
    for (unsigned count = 0; count <= 64; count++) {
        assert_int_equal(emp_bitmap_ops.lowest(0, count), 0);
        assert_int_equal(emp_bitmap_ops.lowest(~(uint64_t)0, count),
                         lowest_by_hand(~(uint64_t)0, count));
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t one = (uint64_t)1 << bit;

            assert_int_equal(emp_bitmap_ops.lowest(one, count), count == 0 ? 0 : one);
            assert_int_equal(emp_bitmap_ops.lowest(~one, count), lowest_by_hand(~one, count));
        }
    }
    for (unsigned i = 0; i < RANDOM_WORDS; i++) {
        uint64_t word = i % 2 == 0 ? random_word(1 + i / 2 % 7) : random_next();
        unsigned count = i % 65;

        assert_int_equal(emp_bitmap_ops.lowest(word, count), lowest_by_hand(word, count));
    }
}

static void lowest_of_every_count_equals_the_model(void **state)
{
    (void)state;
    seed_random(__func__);
    with_each_variant(check_lowest);
}

/* The states of whole words, the last of which ends where memory does: reading on is a fault. */
static uint8_t *states_map(unsigned words)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (words * 64u + page - 1) / page * page;
    char *base = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(base != MAP_FAILED);
    assert_int_equal(mprotect(base + page, bytes, PROT_READ | PROT_WRITE), 0);
    return (uint8_t *)base + page + bytes - words * 64u;
}

static void states_unmap(uint8_t *states, unsigned words)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (words * 64u + page - 1) / page * page;

    assert_int_equal(munmap(states + words * 64u - bytes - page, bytes + 2 * page), 0);
}

/* Random states of which about parts/8 are free, all others equally often; returns the word. */
static uint64_t states_fill(uint8_t *states, unsigned parts)
{
    static const uint8_t others[] = {EMP_SLOT_USED, EMP_SLOT_HELD, EMP_SLOT_NONE};
    uint64_t word = random_word(parts);

    for (unsigned i = 0; i < 64; i++) {
        states[i] = (word >> i & 1) != 0 ? EMP_SLOT_FREE : others[(random_next() >> 20) % 3];
    }
    return word;
}

static void check_gather(void)
{
    uint8_t *states = states_map(1);

    for (unsigned value = 0; value < 4; value++) {
        memset(states, (int)value, 64);
        assert_int_equal(emp_bitmap_ops.gather(states), value == EMP_SLOT_FREE ? ~(uint64_t)0 : 0);
        for (unsigned i = 0; i < 64; i++) { /* one state among others, at every place */
            for (unsigned other = 0; other < 4; other++) {
                uint64_t bit = (uint64_t)1 << i;

                states[i] = (uint8_t)other;
                assert_int_equal(emp_bitmap_ops.gather(states),
                                 value == EMP_SLOT_FREE ? ~bit | (other == EMP_SLOT_FREE ? bit : 0)
                                 : other == EMP_SLOT_FREE ? bit
                                                          : 0);
            }
            states[i] = (uint8_t)value;
        }
    }
    for (unsigned i = 0; i < RANDOM_WORDS / 4; i++) {
        uint64_t word = states_fill(states, i % 9);

        assert_int_equal(emp_bitmap_ops.gather(states), word);
    }
    states_unmap(states, 1);
}

static void gather_of_every_state_at_every_place_equals_the_model(void **state)
{
    (void)state;
    seed_random(__func__);
    with_each_variant(check_gather);
}

static void check_next(void)
{
    static const uint8_t others[] = {EMP_SLOT_USED, EMP_SLOT_HELD, EMP_SLOT_NONE};
    uint64_t word = 0;

    for (unsigned count = 1; count <= 128; count += 1 + count / 7) {
        uint8_t *states = states_map(count);

        for (unsigned i = 0; i < count * 64; i++) {
            states[i] = others[(random_next() >> 20) % 3];
        }
        for (unsigned from = 0; from <= count; from++) {
            assert_int_equal(emp_bitmap_ops.next(states, count, from, &word), count);
        }
        for (unsigned hit = 0; hit < count; hit++) {
            uint8_t kept[64];

            memcpy(kept, states + hit * 64, 64);
            uint64_t bits = states_fill(states + hit * 64, 1 + hit % 7) | (uint64_t)1 << hit % 64;

            states[hit * 64 + hit % 64] = EMP_SLOT_FREE;
            for (unsigned from = 0; from <= count; from += 1 + count / 9) {
                word = 0;
                assert_int_equal(emp_bitmap_ops.next(states, count, from, &word),
                                 from <= hit ? hit : count);
                assert_true(from > hit || word == bits);
            }
            /* what lies behind the count, or before the start, is not seen */
            assert_int_equal(emp_bitmap_ops.next(states, hit, 0, &word), hit);
            assert_int_equal(emp_bitmap_ops.next(states, count, hit + 1, &word), count);
            memcpy(states + hit * 64, kept, 64);
        }
        states_unmap(states, count);
    }
}

static void next_from_everywhere_finds_the_first_word_and_tells_it(void **state)
{
    (void)state;
    seed_random(__func__);
    with_each_variant(check_next);
}

/* The arithmetic of the variants once more: 64-bit product, upper half, checked by product. */
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
        cmocka_unit_test(run_of_every_length_counts_up_and_stays_in_its_room),
        cmocka_unit_test(turn_of_every_length_turns_exactly_that),
        cmocka_unit_test(find_nonzero_from_everywhere_finds_the_first),
        cmocka_unit_test(lowest_of_every_count_equals_the_model),
        cmocka_unit_test(gather_of_every_state_at_every_place_equals_the_model),
        cmocka_unit_test(next_from_everywhere_finds_the_first_word_and_tells_it),
        cmocka_unit_test(dispatch_takes_the_vector_variant_where_it_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
