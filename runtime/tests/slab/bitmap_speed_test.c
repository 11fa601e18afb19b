/*
 * What: the vector variant pays: it is not slower than plain C where it was chosen over it. Prints
 *       the tables of docs/design/bitmap.md.
 * How:  words of a given density from a fixed seed, best of many rounds, ns per slot; the claim is
 *       checked with a wide margin for full and half full words, in optimised builds only.
 * ctest-serial
 * ctest-not-under: emulator
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "slab/bitmap_expand.h"
#include "sync/slot_state.h"

#define WORDS      2048u
#define ROUNDS     40u
#define SEED       0x2545f4914f6cdd1du
#define BLOCK      48u
#define SLAB_WORDS 128u
#define BLOCKS     8192u
#define MARGIN     1.3

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SPEED_COUNTS 1
#else
#define SPEED_COUNTS 0
#endif

static const unsigned densities[] = {3, 10, 20, 50, 75, 90, 95, 100};

#define DENSITIES (sizeof densities / sizeof densities[0])

static uint64_t words[WORDS];
static uint8_t states[SLAB_WORDS * 64u] __attribute__((aligned(64)));
static uint64_t gathered[SLAB_WORDS];
static uint64_t empty[SLAB_WORDS];

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

/* All words once; how many slots they had. */
static uint64_t expand_once(void)
{
    void *out[EMP_BITMAP_EXPAND_ROOM];
    uint64_t slots = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        slots += emp_bitmap_ops.expand(words[i], (uintptr_t)0x100000 + i, BLOCK, out);
        escape(out);
    }
    return slots;
}

/* The states of a slab, word by word. */
static uint64_t gather_once(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        gathered[i % SLAB_WORDS] = emp_bitmap_ops.gather(states + i % SLAB_WORDS * 64u);
    }
    escape(gathered);
    return BLOCKS;
}

/* The states of a slab of 8-byte blocks with one free block at its end. */
static uint64_t next_once(void)
{
    uint64_t word = 0;

    for (unsigned i = 0; i + SLAB_WORDS <= BLOCKS; i += SLAB_WORDS) {
        assert_int_equal(emp_bitmap_ops.next(states, SLAB_WORDS, 0, &word), SLAB_WORDS - 1);
        escape(states);
    }
    return BLOCKS;
}

/* The words of every density, each in turn less than all of it. */
static uint64_t lowest_once(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        gathered[i % SLAB_WORDS] = emp_bitmap_ops.lowest(words[i % WORDS], 1 + i % 64);
    }
    escape(gathered);
    return BLOCKS;
}

/* The bitmap of a slab of 8-byte blocks with one free block at its end, word by word. */
static uint64_t find_once(void)
{
    for (unsigned i = 0; i + SLAB_WORDS <= BLOCKS; i += SLAB_WORDS) {
        assert_int_equal(emp_bitmap_ops.find_nonzero(empty, SLAB_WORDS, 0), SLAB_WORDS - 1);
        escape(empty);
    }
    return BLOCKS;
}

static void prepare_states(void)
{
    fill_words(50);
    states[sizeof(states) - 1] = EMP_SLOT_FREE;
    empty[SLAB_WORDS - 1] = 1;
}

/* Best ns per item of a variant in one round more. */
static double better(const char *variant, uint64_t (*once)(void), double best)
{
    assert_true(emp_bitmap_dispatch_force(variant));
    double begin = now_ns();
    uint64_t items = once();
    double each = (now_ns() - begin) / (double)(items == 0 ? 1 : items);

    return each < best ? each : best;
}

/* Both variants by turns: a machine that is slower for a while is slower for both of them. */
static void measure(uint64_t (*once)(void), double *plain, double *vector)
{
    *plain = 1e9;
    *vector = 1e9;
    for (unsigned round = 0; round < ROUNDS; round++) {
        *plain = better("c", once, *plain);
        *vector = better(emp_bitmap_vector_ops.name, once, *vector);
    }
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
        measure(expand_once, &plain[i], &vector[i]);
        print_message("%6u%% %6.3f  %6.3f\n", densities[i], plain[i], vector[i]);
    }
    for (size_t i = 0; SPEED_COUNTS && i < DENSITIES; i++) {
        assert_true(densities[i] < 50 || vector[i] <= plain[i] * MARGIN);
    }
}

static void the_other_operations_by_the_vector_variant_pay(void **state)
{
    static const struct {
        const char *name;
        uint64_t (*once)(void);
    } rows[] = {{"gather, per word", gather_once},
                {"next, per word", next_once},
                {"lowest, per word", lowest_once},
                {"find_nonzero, per word", find_once}};

    (void)state;
    if (!emp_bitmap_vector_usable()) {
        skip();
    }
    prepare_states();
    print_message("%-24s      c  %6s\n", "ns", emp_bitmap_vector_ops.name);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double plain = 0;
        double vector = 0;

        measure(rows[i].once, &plain, &vector);
        print_message("%-24s %6.3f  %6.3f\n", rows[i].name, plain, vector);
        assert_true(!SPEED_COUNTS || vector <= plain * MARGIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expand_by_the_vector_variant_pays),
        cmocka_unit_test(the_other_operations_by_the_vector_variant_pay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
