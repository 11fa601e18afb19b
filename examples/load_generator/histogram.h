/*
 * Latencies in a histogram of fixed memory: every power of two is divided into 64 steps, so a value
 * is known to within 1.6 % from a nanosecond to hours.
 */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

#define STEP_BITS 6u
#define STEPS     (1u << STEP_BITS)

struct histogram {
    uint64_t counts[(64 - STEP_BITS + 1) * STEPS];
    uint64_t total;
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value that at least `share` (0..1) of all are not above; 0 when there are none. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
