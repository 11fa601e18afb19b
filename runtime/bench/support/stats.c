/*
 * Purpose: medians, geometric means and percentiles.
 * Owner:   bench/support; one thread per object; allocates nothing.
 */
#include "support/stats.h"

#include <math.h>
#include <stdlib.h>

#define STEPS_PER_DOUBLING 16u
#define LINEAR_LOG2        12u

_Static_assert(BENCH_HISTOGRAM_LINEAR == 1u << LINEAR_LOG2, "the linear part ends at a doubling");

static int stats_compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

void bench_samples_add(struct bench_samples *samples, double value)
{
    samples->values[samples->count % BENCH_SAMPLES_MAX] = value;
    samples->count++;
}

double bench_samples_median(struct bench_samples *samples)
{
    size_t kept = samples->count < BENCH_SAMPLES_MAX ? samples->count : BENCH_SAMPLES_MAX;

    return bench_median(samples->values, kept);
}

/* Shell sort rather than qsort: glibc's qsort allocates, and here every allocation is measured. */
static void stats_sort(double *values, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap /= 2) {
        for (size_t i = gap; i < count; i++) {
            double value = values[i];
            size_t j = i;

            for (; j >= gap && stats_compare(&values[j - gap], &value) > 0; j -= gap) {
                values[j] = values[j - gap];
            }
            values[j] = value;
        }
    }
}

double bench_median(double *values, size_t count)
{
    if (count == 0) {
        return 0;
    }
    stats_sort(values, count);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double bench_geomean(const double *values, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += log(values[i]);
    }
    return count == 0 ? 0 : exp(sum / (double)count);
}

static unsigned histogram_bucket(uint64_t ticks)
{
    unsigned top;

    if (ticks < BENCH_HISTOGRAM_LINEAR) {
        return (unsigned)ticks;
    }
    top = 63u - (unsigned)__builtin_clzll(ticks);
    return BENCH_HISTOGRAM_LINEAR + (top - LINEAR_LOG2) * STEPS_PER_DOUBLING +
           (unsigned)((ticks >> (top - 4)) & (STEPS_PER_DOUBLING - 1));
}

/* Lower border of a bucket, in ticks. */
static double histogram_ticks(unsigned bucket)
{
    unsigned above = bucket - BENCH_HISTOGRAM_LINEAR;

    if (bucket < BENCH_HISTOGRAM_LINEAR) {
        return bucket;
    }
    return ldexp(1.0 + (double)(above % STEPS_PER_DOUBLING) / STEPS_PER_DOUBLING,
                 (int)(LINEAR_LOG2 + above / STEPS_PER_DOUBLING));
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t ticks)
{
    histogram->counts[histogram_bucket(ticks)]++;
    histogram->total++;
}

double bench_histogram_quantile(const struct bench_histogram *histogram, double share)
{
    double wanted = ceil(share * (double)histogram->total);
    double seen = 0;

    for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted && seen > 0) {
            return histogram_ticks(i);
        }
    }
    return 0;
}

double bench_histogram_over_per_million(const struct bench_histogram *histogram, double ticks)
{
    double over = 0;

    for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        over += histogram_ticks(i) > ticks ? histogram->counts[i] : 0;
    }
    return histogram->total == 0 ? 0 : over * 1e6 / (double)histogram->total;
}
