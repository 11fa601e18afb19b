/*
 * Purpose: os_clock.h on Linux; clock_gettime is answered by the vDSO without a system call.
 * Owner:   os; one number, the injected offset.
 * Threads: any; async-signal-safe, errno preserved.
 * Design:  [os.req.clock] [os.inv.clock-monotone]
 * Source:  Linux man-pages clock_gettime(2), vdso(7).
 * Cost:    no system call; coarse reads no hardware counter either.
 */
#include "os/os_clock.h"

#include <errno.h>
#include <time.h>

#include "sync/atomic.h"

#define NS_PER_S 1000000000ull

static uint64_t clock_offset_ns; /* atomic, relaxed: only grows, nothing comes with it */

/* A clock that cannot be read stands still at the offset, which also never goes back. */
static uint64_t clock_read(clockid_t clock)
{
    struct timespec now = {0};
    const int saved_errno = errno;
    if (clock_gettime(clock, &now) != 0) {
        now = (struct timespec){0};
        errno = saved_errno;
    }
    /* order(clock-offset): relaxed; a number that only grows */
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec +
           emp_load_relaxed(&clock_offset_ns);
}

uint64_t emp_os_now_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t emp_os_now_coarse_ns(void)
{
    return clock_read(CLOCK_MONOTONIC_COARSE);
}

void emp_os_clock_advance(uint64_t ns)
{
    /* order(clock-offset): relaxed; a number that only grows */
    emp_fetch_add_relaxed(&clock_offset_ns, ns);
}
