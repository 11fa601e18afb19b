/*
 * Purpose: alignment arithmetic that cannot overflow unnoticed.
 * Owner:   base; pure functions, any thread.
 * Design:  [base.req.arithmetic]
 */
#ifndef EMP_BASE_ALIGN_H
#define EMP_BASE_ALIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when x is a power of two; zero is none. */
static inline bool emp_align_is_pow2(size_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

/* Smallest multiple of align (a power of two) that is >= x; wraps for x near SIZE_MAX. */
static inline size_t emp_align_up(size_t x, size_t align)
{
    return (x + align - 1) & ~(align - 1);
}

/* Largest multiple of align (a power of two) that is <= x. */
static inline size_t emp_align_down(size_t x, size_t align)
{
    return x & ~(align - 1);
}

/* Multiplies into *out; false when the product does not fit. */
static inline bool emp_align_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

#endif
