/*
 * Purpose: shuffles and size mixes.
 * Owner:   bench/support; pure but for the generator passed in.
 */
#include "support/rng.h"

#include <math.h>

void bench_rng_shuffle(struct bench_rng *rng, uint32_t *numbers, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = bench_rng_below(rng, i);
        uint32_t kept = numbers[i - 1];

        numbers[i - 1] = numbers[j];
        numbers[j] = kept;
    }
}

void bench_rng_sizes(struct bench_rng *rng, uint32_t *sizes, size_t count, const uint32_t range[2])
{
    double low = log((double)range[0]);
    double span = log((double)range[1]) - low;

    for (size_t i = 0; i < count; i++) {
        double u = (double)(bench_rng_next(rng) >> 11) * 0x1p-53;

        sizes[i] = (uint32_t)exp(low + u * span);
    }
}
