/*
 * Purpose: bit counting in words, by the names the rest of the code uses.
 * Owner:   base; pure functions, any thread.
 * Design:  [base.req.arithmetic]
 */
#ifndef EMP_BASE_BITS_H
#define EMP_BASE_BITS_H

#include <stdint.h>

#include "base/compiler.h"

/* Index of the lowest set bit; x must not be zero. */
static inline unsigned emp_bits_lowest(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}

/* Index of the highest set bit; x must not be zero. */
static inline unsigned emp_bits_highest(uint64_t x)
{
    return 63u - (unsigned)__builtin_clzll(x);
}

/* Number of set bits. */
static inline unsigned emp_bits_count(uint64_t x)
{
    if (EMP_HAS_POPCOUNT) {
        return (unsigned)__builtin_popcountll(x);
    }
    x = x - ((x >> 1) & 0x5555555555555555u);
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)((x * 0x0101010101010101u) >> 56);
}

/* The n lowest bits set; n in 0..64. */
static inline uint64_t emp_bits_mask(unsigned n)
{
    return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

#endif
