/*
 * Purpose: the two clocks of the bench: nanoseconds for phases, processor ticks for single calls.
 * Owner:   bench/support; any thread; no state but the calibration.
 * Cost:    about 30 ns for nanoseconds, 10 ns for ticks.
 */
#ifndef BENCH_SUPPORT_CLOCK_H
#define BENCH_SUPPORT_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t bench_now_ns(void);

/* Ticks per nanosecond, measured once against CLOCK_MONOTONIC (takes 20 ms the first time). */
double bench_ticks_per_ns(void);

/* Sleeps for the whole of ns, also when a signal interrupts it. */
void bench_sleep_ns(uint64_t ns);

/* The processor's constant-rate counter; not ordered with the code around it. */
#if defined(__x86_64__)
static inline uint64_t bench_ticks(void)
{
    return __builtin_ia32_rdtsc();
}
#else
static inline uint64_t bench_ticks(void)
{
    uint64_t ticks;

    __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}
#endif

#endif
