/*
 * What:  the tag of every unit can be read before anything is in use; chunks and units are given
 *       to one taker at a time, come back, and read as zero after a purge; the limit holds; the
 *       counters are the sums of what was taken; a freed block of the metadata allocator stays
 *       readable.
 * How:   random takes, gives and purges of chunks and units against a naive map of owners, every
 *       piece marked at its ends, from a printed seed.
 * Shows: [span.inv.tag-readable] [span.inv.meta-mapped] [span.proto.chunk] [span.proto.unit]
 *       [span.req.limit] [span.req.counts]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "span/arena.h"
#include "span/meta.h"
#include "span/unit.h"
#include "support/random_stream.h"

#define PIECES 200u

/* A piece of the arena that the test holds. */
struct piece {
    size_t first; /* unit */
    unsigned units;
};

static void the_tag_of_every_unit_is_readable_and_zero(void **state)
{
    const size_t units = emp_arena.bytes >> EMP_UNIT_SHIFT;
    uint32_t seen = 0;

    (void)state;
    for (size_t i = 0; i < units; i++) {
        seen |= emp_arena.tags[i];
    }
    assert_int_equal(seen, 0);
    assert_true(emp_arena_contains((void *)emp_arena.base));
    assert_false(emp_arena_contains((void *)(emp_arena.base + emp_arena.bytes)));
    assert_false(emp_arena_contains((void *)(emp_arena.base - 1)));
}

/* Writes the owner's number at both ends of every unit. */
static void piece_mark(const struct piece *piece)
{
    for (unsigned u = 0; u < piece->units; u++) {
        char *base = emp_unit_base(piece->first + u);

        memcpy(base, &piece->first, sizeof(piece->first));
        memcpy(base + EMP_UNIT_BYTES - sizeof(size_t), &piece->first, sizeof(size_t));
    }
}

static void piece_check(const struct piece *piece)
{
    for (unsigned u = 0; u < piece->units; u++) {
        const char *base = emp_unit_base(piece->first + u);

        assert_memory_equal(base, &piece->first, sizeof(piece->first));
        assert_memory_equal(base + EMP_UNIT_BYTES - sizeof(size_t), &piece->first, sizeof(size_t));
    }
}

static void units_belong_to_one_taker_at_a_time(void **state)
{
    static struct piece pieces[PIECES];
    static uint8_t owned[1u << 16]; /* by unit: in use */
    struct random_stream random = {random_seed("span/arena units")};

    (void)state;
    for (unsigned step = 0; step < 20000; step++) {
        struct piece *piece = &pieces[random_below(&random, PIECES)];

        if (piece->units == 0) {
            bool limited = true;

            piece->units = random_chance(&random, 1, 3) ? EMP_WIDE_UNITS : 1;
            piece->first = emp_unit_take(piece->units, &limited);
            assert_int_not_equal(piece->first, SIZE_MAX);
            assert_int_equal(piece->first % piece->units, 0);
            for (unsigned u = 0; u < piece->units; u++) {
                assert_int_equal(owned[piece->first + u]++, 0);
            }
            piece_mark(piece);
        } else {
            piece_check(piece);
            for (unsigned u = 0; u < piece->units; u++) {
                owned[piece->first + u]--;
            }
            emp_unit_give(piece->first, piece->units);
            piece->units = 0;
        }
        if (random_chance(&random, 1, 200)) {
            (void)emp_unit_purge(random_chance(&random, 1, 2));
            (void)emp_arena_purge(random_chance(&random, 1, 2));
        }
    }
    for (unsigned i = 0; i < PIECES; i++) {
        if (pieces[i].units != 0) {
            piece_check(&pieces[i]);
            emp_unit_give(pieces[i].first, pieces[i].units);
        }
    }
}

static void a_purged_chunk_reads_as_zero(void **state)
{
    bool zero = false;
    bool limited = true;
    size_t index = emp_arena_take(2, EMP_CHUNK_LARGE, &zero, &limited);

    (void)state;
    assert_int_not_equal(index, SIZE_MAX);
    memset(emp_arena_chunk_base(index), 0x5a, 2 * EMP_CHUNK_BYTES);
    emp_arena_give(index, 2, true);
    assert_true(emp_arena_purge(true) >= 2 * EMP_CHUNK_BYTES);
    assert_int_equal(emp_arena_take(2, EMP_CHUNK_LARGE, &zero, &limited), index);
    assert_true(zero);
    const char *base = emp_arena_chunk_base(index);

    for (size_t i = 0; i < 2 * EMP_CHUNK_BYTES; i += 512) {
        assert_int_equal(base[i], 0);
    }
    emp_arena_give(index, 2, true);
    assert_int_equal(emp_arena_take(2, EMP_CHUNK_LARGE, &zero, &limited), index);
    assert_false(zero); /* dirty until it is purged */
    emp_arena_give(index, 2, true);
}

static void the_limit_refuses_and_says_so(void **state)
{
    struct emp_span_counts counts;
    bool zero = false;
    bool limited = false;

    (void)state;
    emp_arena_read_counts(&counts);
    emp_arena_set_limit(counts.mapped_bytes);
    assert_int_equal(emp_arena_take(4096, EMP_CHUNK_LARGE, &zero, &limited), SIZE_MAX);
    assert_true(limited);
    assert_false(emp_arena_charge(1));
    emp_arena_set_limit(0);
    assert_true(emp_arena_charge(1));
    emp_arena_uncharge(1);
}

static void the_counters_are_the_sums_of_what_is_in_use(void **state)
{
    struct emp_span_counts before;
    struct emp_span_counts after;
    bool limited = true;

    (void)state;
    emp_arena_read_counts(&before);
    size_t one = emp_unit_take(1, &limited);
    size_t wide = emp_unit_take(EMP_WIDE_UNITS, &limited);

    emp_arena_read_counts(&after);
    assert_int_equal(after.used_bytes - before.used_bytes, 5 * EMP_UNIT_BYTES);
    assert_int_equal(after.used_bytes + after.free_bytes, after.mapped_bytes);
    emp_unit_give(one, 1);
    emp_unit_give(wide, EMP_WIDE_UNITS);
    (void)emp_unit_purge(true);
    (void)emp_arena_purge(true);
    emp_arena_read_counts(&after);
    assert_int_equal(after.used_bytes, before.used_bytes);
    assert_int_equal(after.dirty_bytes, 0);
}

static void freed_metadata_stays_readable_and_comes_back_clear(void **state)
{
    static char *blocks[64];
    unsigned long sum = 0;

    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        size_t bytes = (size_t)64 << i % 11;

        blocks[i] = emp_meta_alloc(bytes);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % EMP_LINE_BYTES, 0);
        memset(blocks[i], 0xff, bytes);
    }
    for (unsigned i = 0; i < 64; i++) {
        emp_meta_free(blocks[i], (size_t)64 << i % 11);
    }
    for (unsigned i = 0; i < 64; i++) {
        size_t bytes = (size_t)64 << i % 11;

        for (size_t at = 0; at < bytes; at += 64) {
            sum += (unsigned char)blocks[i][at];
        }
        const char *again = emp_meta_alloc(bytes);

        for (size_t at = 0; at < bytes; at++) {
            assert_int_equal(again[at], 0);
        }
    }
    assert_true(sum > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tag_of_every_unit_is_readable_and_zero),
        cmocka_unit_test(units_belong_to_one_taker_at_a_time),
        cmocka_unit_test(a_purged_chunk_reads_as_zero),
        cmocka_unit_test(the_limit_refuses_and_says_so),
        cmocka_unit_test(the_counters_are_the_sums_of_what_is_in_use),
        cmocka_unit_test(freed_metadata_stays_readable_and_comes_back_clear),
    };

    return !emp_arena_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
