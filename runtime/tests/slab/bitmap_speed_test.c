/*
 * What: the vector variant of expand and indices pays: it is not slower than plain C where it was
 *       chosen over it, and the table in docs/design/bitmap.md can be printed again.
 * How:  words of a given density from a fixed seed, best of many rounds, ns per slot; the claim is
 *       checked with a wide margin for full and half full words, in optimised builds only.
 * ctest-serial
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "slab/bitmap_expand.h"

#define WORDS      2048u
#define ROUNDS     40u
#define SEED       0x2545f4914f6cdd1du
#define BLOCK      48u
#define SLAB_BYTES 65536u
#define MARGIN     1.3

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SPEED_COUNTS 1
#else
#define SPEED_COUNTS 0
#endif

static const unsigned densities[] = {3, 10, 20, 50, 75, 90, 95, 100};

#define DENSITIES (sizeof densities / sizeof densities[0])

static uint64_t words[WORDS];
static void *blocks[WORDS * 4];
static uint32_t indices[64];

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void fill_words(unsigned percent)
{
    uint64_t state = SEED;

    for (unsigned i = 0; i < WORDS; i++) {
        words[i] = 0;
        for (unsigned bit = 0; bit < 64; bit++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            words[i] |= (uint64_t)((state >> 33) % 100 < percent) << bit;
        }
    }
}

/* Keeps the compiler from dropping what was written. */
static void escape(void *memory)
{
    __asm__ __volatile__("" ::"r"(memory) : "memory");
}

/* Best ns per slot of the chosen variant. */
static double measure_expand(void)
{
    void *out[EMP_BITMAP_EXPAND_ROOM];
    double best = 1e9;

    for (unsigned round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        uint64_t slots = 0;

        for (unsigned i = 0; i < WORDS; i++) {
            slots += emp_bitmap_ops.expand(words[i], (uintptr_t)0x100000 + i, BLOCK, out);
            escape(out);
        }
        double each = (now_ns() - begin) / (double)(slots == 0 ? 1 : slots);
        best = each < best ? each : best;
    }
    return best;
}

/* Best ns per pointer of 32 pointers at a time, as a flush has them. */
static double measure_indices(void)
{
    struct emp_bitmap_geometry g = emp_bitmap_geometry_make(0x100000, SLAB_BYTES, BLOCK);
    uint64_t state = SEED;
    double best = 1e9;

    for (unsigned i = 0; i < WORDS * 4; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        blocks[i] = (void *)(uintptr_t)(0x100000 + (state >> 33) % g.slots * BLOCK);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        double begin = now_ns();

        for (unsigned i = 0; i + 32 <= WORDS * 4; i += 32) {
            assert_int_equal(emp_bitmap_ops.indices(blocks + i, 32, &g, indices), 32);
            escape(indices);
        }
        double each = (now_ns() - begin) / (WORDS * 4);
        best = each < best ? each : best;
    }
    return best;
}

static void expand_by_the_vector_variant_pays(void **state)
{
    double plain[DENSITIES];
    double vector[DENSITIES];

    (void)state;
    if (!emp_bitmap_vector_usable()) {
        skip();
    }
    print_message("expand, ns per slot\ndensity      c  %6s\n", emp_bitmap_vector_ops.name);
    for (size_t i = 0; i < DENSITIES; i++) {
        fill_words(densities[i]);
        assert_true(emp_bitmap_dispatch_force("c"));
        plain[i] = measure_expand();
        assert_true(emp_bitmap_dispatch_force(emp_bitmap_vector_ops.name));
        vector[i] = measure_expand();
        print_message("%6u%% %6.3f  %6.3f\n", densities[i], plain[i], vector[i]);
    }
    for (size_t i = 0; SPEED_COUNTS && i < DENSITIES; i++) {
        assert_true(densities[i] < 50 || vector[i] <= plain[i] * MARGIN);
    }
}

static void indices_by_the_vector_variant_pay(void **state)
{
    (void)state;
    if (!emp_bitmap_vector_usable()) {
        skip();
    }
    assert_true(emp_bitmap_dispatch_force("c"));
    double plain = measure_indices();
    assert_true(emp_bitmap_dispatch_force(emp_bitmap_vector_ops.name));
    double vector = measure_indices();
    print_message("indices, ns per pointer: c %.3f, %s %.3f\n", plain, emp_bitmap_vector_ops.name,
                  vector);
    assert_true(!SPEED_COUNTS || vector <= plain * MARGIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expand_by_the_vector_variant_pays),
        cmocka_unit_test(indices_by_the_vector_variant_pay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
