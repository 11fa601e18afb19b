/*
 * Purpose: time for rooms that may not see the system: monotonic microseconds and nanoseconds.
 * Owner:   monitor. Threads: any; errno preserved. Cost: no system call.
 * Design:  [monitor.req.stopwatch]
 */
#ifndef EMP_MONITOR_STOPWATCH_H
#define EMP_MONITOR_STOPWATCH_H

#include <stdint.h>

/* Exact time in nanoseconds. */
uint64_t emp_stopwatch_ns(void);

/* Exact time in microseconds, wrapping after 71 minutes: only differences mean anything. */
uint32_t emp_stopwatch_us(void);

/* Coarse time in milliseconds, wrapping after 49 days. */
uint32_t emp_stopwatch_coarse_ms(void);

#endif
