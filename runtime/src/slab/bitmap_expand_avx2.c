/*
 * Purpose: the bitmap operations with AVX2: four addresses or 32 states per instruction.
 * Owner:   slab; one constant table of 2 KiB.
 * Threads: pure functions over memory the caller owns.
 * Design:  [slab.req.bitmap-variants] [slab.inv.bitmap-room]
 * Source:  byte table as in simdjson and CRoaring ("index extraction"), D. Lemire and W. Mula.
 * Cost:    expand: about 5 ns for a full word, 8 ns for any other above SPARSE_MAX bits, 2 to 6 ns
 *          below (docs/design/bitmap.md, "Cost").
 */
#include "slab/bitmap_expand.h"

#include <immintrin.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "sync/atomic.h"

#define ALL_SLOTS (~(uint64_t)0)

/* Up to this many bits, counting trailing zeros is faster than eight table look-ups (measured). */
#define SPARSE_MAX 12u

/* The positions of the set bits of a 4-bit value, lowest first, one byte each. */
#define LIST_0 0x00000000u
#define LIST_1 0x00000000u
#define LIST_2 0x00000001u
#define LIST_3 0x00000100u
#define LIST_4 0x00000002u
#define LIST_5 0x00000200u
#define LIST_6 0x00000201u
#define LIST_7 0x00020100u
#define LIST_8 0x00000003u
#define LIST_9 0x00000300u
#define LIST_A 0x00000301u
#define LIST_B 0x00030100u
#define LIST_C 0x00000302u
#define LIST_D 0x00030200u
#define LIST_E 0x00030201u
#define LIST_F 0x03020100u

/* The positions of the set bits of a byte, from its halves; what follows them means nothing. */
#define BYTE(high, low, low_count) \
    ((uint64_t)LIST_##low | (uint64_t)(LIST_##high + 0x04040404u) << (8 * (low_count)))
#define ROW(high)                                                                                 \
    BYTE(high, 0, 0), BYTE(high, 1, 1), BYTE(high, 2, 1), BYTE(high, 3, 2), BYTE(high, 4, 1),     \
        BYTE(high, 5, 2), BYTE(high, 6, 2), BYTE(high, 7, 3), BYTE(high, 8, 1), BYTE(high, 9, 2), \
        BYTE(high, A, 2), BYTE(high, B, 3), BYTE(high, C, 2), BYTE(high, D, 3), BYTE(high, E, 3), \
        BYTE(high, F, 4)

static const uint64_t bit_positions[256] __attribute__((aligned(64))) = {
    ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7),
    ROW(8), ROW(9), ROW(A), ROW(B), ROW(C), ROW(D), ROW(E), ROW(F),
};

/* Unaligned load and store of four 64-bit lanes. */
static inline __m256i avx2_load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

static inline void avx2_store(void *to, __m256i lanes)
{
    _mm256_storeu_si256((__m256i *)to, lanes);
}

static inline __m256i avx2_all(uint64_t value)
{
    return _mm256_set1_epi64x((long long)value);
}

/*
 * Bits side by side: an arithmetic run, no table, rounded up to sixteen addresses. A full word took
 * 4.6 ns unrolled, 10.8 ns as gcc 12 leaves the loop.
 */
static void bitmap_run_avx2(uintptr_t base, size_t size, unsigned count, void **out)
{
    __m256i lanes = _mm256_set_epi64x((long long)(base + 3 * size), (long long)(base + 2 * size),
                                      (long long)(base + size), (long long)base);
    __m256i step = avx2_all(4 * size);

    for (unsigned i = 0; i < count; i += 16) {
#pragma GCC unroll 4
        for (unsigned lane = 0; lane < 16; lane += 4) {
            avx2_store(out + i + lane, lanes);
            lanes = _mm256_add_epi64(lanes, step);
        }
    }
}

static void bitmap_turn_avx2(void *const *from, unsigned count, void **out)
{
    for (; count >= 16; count -= 16, out += 16) {
#pragma GCC unroll 4
        for (unsigned lane = 0; lane < 16; lane += 4) {
            avx2_store(out + lane,
                       _mm256_permute4x64_epi64(avx2_load(from + count - 4 - lane), 0x1b));
        }
    }
    for (; count >= 4; count -= 4, out += 4) {
        avx2_store(out, _mm256_permute4x64_epi64(avx2_load(from + count - 4), 0x1b));
    }
    for (; count > 0; count--) {
        *out++ = from[count - 1];
    }
}

/* Writes the addresses of the four lowest bits, of what there is; returns the word without them. */
static inline uint64_t expand_four(uint64_t word, uintptr_t base, size_t size, void **out)
{
#pragma GCC unroll 4
    for (unsigned i = 0; i < 4; i++) {
        /* tzcnt of no bit is 64: an address nobody asked for, past the count */
        out[i] = (void *)(base + _tzcnt_u64(word) * size);
        word = _blsr_u64(word);
    }
    return word;
}

/* Few bits: in fours, because a branch per bit costs more than up to three stores for nothing. */
static unsigned expand_sparse(uint64_t word, uintptr_t base, size_t size, void **out)
{
    unsigned count = emp_bits_count(word);

    word = expand_four(word, base, size, out);
    if (count > 4) {
        word = expand_four(word, base, size, out + 4);
    }
    if (count > 8) {
        expand_four(word, base, size, out + 8);
    }
    return count;
}

/*
 * Many bits: a byte of the word at a time through the table, no branch on the bits. After k bytes
 * out has moved by at most 8 k, and a turn stores eight: never more than 64 in all.
 * [slab.inv.bitmap-room]
 */
static unsigned expand_dense(uint64_t word, uintptr_t base, size_t size, void **out)
{
    unsigned count = emp_bits_count(word);
    __m256i sizes = avx2_all(size);
    __m256i origin = avx2_all(base);
    __m256i step = avx2_all(8 * size);

    for (unsigned i = 0; i < 8; i++) {
        uint64_t byte = word & 0xffu;
        __m128i list = _mm_cvtsi64_si128((long long)bit_positions[byte]);
        __m256i low = _mm256_mul_epu32(sizes, _mm256_cvtepu8_epi64(list));
        __m256i high = _mm256_mul_epu32(sizes, _mm256_cvtepu8_epi64(_mm_srli_si128(list, 4)));

        avx2_store(out, _mm256_add_epi64(origin, low));
        avx2_store(out + 4, _mm256_add_epi64(origin, high));
        out += emp_bits_count(byte);
        origin = _mm256_add_epi64(origin, step);
        word >>= 8;
    }
    return count;
}

static unsigned bitmap_expand_avx2(uint64_t word, uintptr_t base, size_t size, void **out)
{
    if (word == ALL_SLOTS) {
        bitmap_run_avx2(base, size, EMP_BITMAP_EXPAND_ROOM, out);
        return EMP_BITMAP_EXPAND_ROOM;
    }
    if (emp_bits_count(word) <= SPARSE_MAX) {
        return expand_sparse(word, base, size, out);
    }
    return expand_dense(word, base, size, out);
}

/*
 * Halves the stretch in which the count-th set bit lies, six times. One pdep would do it, but takes
 * hundreds of cycles on some processors that have it.
 */
static uint64_t bitmap_lowest_avx2(uint64_t word, unsigned count)
{
    unsigned place = 0;

    if (emp_bits_count(word) <= count) {
        return word;
    }
    for (unsigned width = 32; width != 0; width /= 2) {
        unsigned below = emp_bits_count(_bzhi_u64(word >> place, width));
        bool is_above = below <= count;

        count -= is_above ? below : 0;
        place += is_above ? width : 0;
    }
    return _bzhi_u64(word, place);
}

static unsigned bitmap_find_nonzero_avx2(const uint64_t *words, unsigned count, unsigned from)
{
    unsigned i = from;

    for (; i + 4 <= count; i += 4) {
        __m256i zero = _mm256_cmpeq_epi64(avx2_load(words + i), _mm256_setzero_si256());
        unsigned nonzero = ~(unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(zero)) & 0xfu;

        if (nonzero != 0) {
            return i + emp_bits_lowest(nonzero);
        }
    }
    return emp_bitmap_find_nonzero_c(words, count, i);
}

/* A bit per byte of 32 that is 1. */
static inline uint64_t gather_half(const uint8_t *states)
{
    __m256i free = _mm256_cmpeq_epi8(avx2_load(states), _mm256_set1_epi8(1));

    return (uint32_t)_mm256_movemask_epi8(free);
}

static uint64_t bitmap_gather_avx2(const uint8_t *states)
{
    uint64_t word = gather_half(states) | gather_half(states + 32) << 32;

    /* order(slot-state): acquire; pairs with emp_slot_release of each state read above */
    emp_fence_acquire();
    return word;
}

static unsigned bitmap_next_avx2(const uint8_t *states, unsigned count, unsigned from,
                                 uint64_t *word)
{
    const __m256i one = _mm256_set1_epi8(1);

    for (unsigned i = from; i < count; i++) {
        const uint8_t *line = states + (size_t)i * 64;
        __m256i low = _mm256_cmpeq_epi8(avx2_load(line), one);
        __m256i high = _mm256_cmpeq_epi8(avx2_load(line + 32), one);
        __m256i any = _mm256_or_si256(low, high);

        if (!_mm256_testz_si256(any, any)) {
            *word = (uint32_t)_mm256_movemask_epi8(low) |
                    (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
            /* order(slot-state): acquire; pairs with emp_slot_release of each state read above */
            emp_fence_acquire();
            return i;
        }
    }
    return count;
}

const struct emp_bitmap_ops emp_bitmap_vector_ops = {
    .name = "avx2",
    .expand = bitmap_expand_avx2,
    .run = bitmap_run_avx2,
    .turn = bitmap_turn_avx2,
    .find_nonzero = bitmap_find_nonzero_avx2,
    .lowest = bitmap_lowest_avx2,
    .gather = bitmap_gather_avx2,
    .next = bitmap_next_avx2,
};

/* The call may come before constructors ran, so the processor table is filled here first. */
bool emp_bitmap_vector_usable(void)
{
    __builtin_cpu_init();
    return !EMP_TSAN && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
