/* Histogram of latencies; see histogram.h. */
#include "histogram.h"

#include <stddef.h>

static size_t index_of(uint64_t value)
{
    if (value < STEPS) {
        return (size_t)value;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(value); /* >= STEP_BITS */
    unsigned shift = power - STEP_BITS;

    return ((size_t)(shift + 1) << STEP_BITS) + (size_t)((value >> shift) - STEPS);
}

/* The largest value of a bucket. */
static uint64_t value_of(size_t index)
{
    if (index < STEPS) {
        return index;
    }
    unsigned shift = (unsigned)(index >> STEP_BITS) - 1;
    uint64_t step = (index & (STEPS - 1)) + STEPS;

    return ((step + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[index_of(value)]++;
    histogram->total++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->total + 0.5);
    uint64_t seen = 0;

    for (size_t i = 0; i < sizeof(histogram->counts) / sizeof(histogram->counts[0]); i++) {
        seen += histogram->counts[i];
        if (seen >= wanted && seen > 0) {
            uint64_t value = value_of(i);

            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}
