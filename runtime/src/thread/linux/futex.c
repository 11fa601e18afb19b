/*
 * Purpose: futex.h by syscall(2), which the C library does not wrap any further.
 * Owner:   thread/linux; no state.
 * Threads: any; errno preserved.
 * Design:  [thread.req.futex]
 * Cost:    one system call.
 */
#include "thread/linux/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

void emp_futex_wait(uint32_t *word, uint32_t expected, uint64_t ns)
{
    const int saved_errno = errno;
    const struct timespec limit = {
        .tv_sec = (time_t)(ns / NS_PER_S),
        .tv_nsec = (long)(ns % NS_PER_S),
    };
    const struct timespec *const timeout = ns == EMP_FUTEX_FOREVER ? NULL : &limit;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0);
    errno = saved_errno;
}

void emp_futex_wake(uint32_t *word, uint32_t count)
{
    const int saved_errno = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    errno = saved_errno;
}
