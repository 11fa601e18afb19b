/*
 * Purpose: monotonic time.
 * Owner:   os. Threads: any; errno preserved.
 * Design:  [os.req.clock]
 */
#ifndef EMP_OS_OS_CLOCK_H
#define EMP_OS_OS_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC plus the injected offset; never goes back. No system call. */
uint64_t emp_os_now_ns(void);

/* Like emp_os_now_ns with the resolution of the timer tick (1-4 ms), cheaper. */
uint64_t emp_os_now_coarse_ns(void);

/* Moves both clocks forward by ns, so that tests need not wait. The library never calls it. */
void emp_os_clock_advance(uint64_t ns);

#endif
