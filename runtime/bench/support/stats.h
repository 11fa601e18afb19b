/*
 * Purpose: medians, geometric means and percentiles.
 * Owner:   bench/support; one thread per object.
 */
#ifndef BENCH_SUPPORT_STATS_H
#define BENCH_SUPPORT_STATS_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_SAMPLES_MAX 2048

/* Values of one metric inside one process; later ones overwrite the oldest when it is full. */
struct bench_samples {
    double values[BENCH_SAMPLES_MAX];
    uint64_t count; /* added so far */
};

/* Adds a value. */
void bench_samples_add(struct bench_samples *samples, double value);

/* Median of the values kept; 0 when there are none. Reorders them. */
double bench_samples_median(struct bench_samples *samples);

/* Median of count values; 0 when count is 0. Reorders them. */
double bench_median(double *values, size_t count);

/* Geometric mean of count positive values; 0 when count is 0. */
double bench_geomean(const double *values, size_t count);

#define BENCH_HISTOGRAM_LINEAR  4096u
#define BENCH_HISTOGRAM_BUCKETS (BENCH_HISTOGRAM_LINEAR + 64u * 16u)

/* Counts of ticks: exact below 4096, then 16 buckets per doubling. */
struct bench_histogram {
    uint64_t total;
    uint32_t counts[BENCH_HISTOGRAM_BUCKETS];
};

/* Adds one duration, in ticks. */
void bench_histogram_add(struct bench_histogram *histogram, uint64_t ticks);

/* Smallest duration, in ticks, that is not exceeded by the share (0..1) of all durations. */
double bench_histogram_quantile(const struct bench_histogram *histogram, double share);

/* How many of a million durations are longer than ticks. */
double bench_histogram_over_per_million(const struct bench_histogram *histogram, double ticks);

#endif
