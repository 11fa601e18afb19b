/*
 * Purpose: see stopwatch.h. Owner: monitor. Threads: any. Design: [monitor.req.stopwatch]
 */
#include "monitor/stopwatch.h"

#include "os/os_clock.h"

uint64_t emp_stopwatch_ns(void)
{
    return emp_os_now_ns();
}

uint32_t emp_stopwatch_us(void)
{
    return (uint32_t)(emp_os_now_ns() / 1000u);
}

uint32_t emp_stopwatch_coarse_ms(void)
{
    return (uint32_t)(emp_os_now_coarse_ns() / 1000000u);
}
