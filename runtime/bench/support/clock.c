/*
 * Purpose: clocks of the bench.
 * Owner:   bench/support; any thread.
 */
#include "support/clock.h"

#include <errno.h>
#include <time.h>

#define CALIBRATION_NS 20000000u

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double bench_ticks_per_ns(void)
{
    static double ratio;

    if (ratio <= 0) {
        uint64_t begin_ns = bench_now_ns();
        uint64_t begin_ticks = bench_ticks();
        uint64_t now_ns = begin_ns;

        while (now_ns - begin_ns < CALIBRATION_NS) {
            now_ns = bench_now_ns();
        }
        ratio = (double)(bench_ticks() - begin_ticks) / (double)(now_ns - begin_ns);
    }
    return ratio;
}

void bench_sleep_ns(uint64_t ns)
{
    struct timespec left = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}
