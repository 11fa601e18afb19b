/*
 * Purpose: the parts of cpu.h that ask the system.
 * Owner:   thread; one number read once.
 * Threads: any; async-signal-safe, errno preserved.
 * Design:  [thread.req.cpu-id] [thread.inv.cpu-bounded]
 * Source:  Linux man-pages getcpu(2), sched_getaffinity(2).
 * Cost:    current_slow: the vDSO, or one system call; count: one system call in all.
 */
#define _GNU_SOURCE /* sched_getcpu */
#include "thread/cpu.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/check.h"

#define AFFINITY_WORDS  128 /* 8192 processors, the largest NR_CPUS of Linux */
#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ull
#define HASH_BITS       10u

unsigned emp_cpu_current_slow(void)
{
    const int saved_errno = errno;
    const int id = sched_getcpu();
    errno = saved_errno;
    if (id >= 0) {
        return (unsigned)id;
    }
    const uint64_t thread = (uint64_t)(uintptr_t)emp_cpu_thread_pointer();
    return (unsigned)((thread * HASH_MULTIPLIER) >> (64u - HASH_BITS));
}

/* Processors in the affinity mask of this process, 1 when the kernel does not say. */
static unsigned cpu_count_read(void)
{
    uint64_t mask[AFFINITY_WORDS] = {0};
    unsigned count = 0;
    const int saved_errno = errno;
    const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    errno = saved_errno;
    for (long i = 0; i < bytes / (long)sizeof mask[0]; i++) {
        count += emp_bits_count(mask[i]);
    }
    return count == 0 ? 1 : count;
}

unsigned emp_cpu_count(void)
{
    static unsigned count_once; /* atomic, relaxed: every thread may compute it, all alike */
    /* order(cpu-count): relaxed; a number that stands alone */
    unsigned count = emp_load_relaxed(&count_once);
    if (emp_unlikely(count == 0)) {
        unsigned none = 0;
        count = cpu_count_read();
        /* order(cpu-count): relaxed; the first answer stays, also when the mask changes */
        if (!emp_cas_relaxed(&count_once, &none, count)) {
            count = none;
        }
    }
    emp_assert(count >= 1);
    return count;
}
