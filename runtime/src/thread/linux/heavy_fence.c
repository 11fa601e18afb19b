/*
 * Purpose: heavy_fence.h by membarrier(2), which the C library does not wrap.
 * Owner:   thread/linux; the registration is the process's, a forked child inherits it.
 * Threads: any; errno preserved.
 * Design:  [thread.req.heavy-fence]
 */
#include "thread/heavy_fence.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "sync/atomic.h"

enum answer { NOT_ASKED = 0, OFFERED, REFUSED };

static uint32_t answer_known; /* atomic: heavy-fence. enum answer */

bool emp_heavy_fence_init(void)
{
    /* order(heavy-fence): relaxed; the answer is the same whoever asks, it publishes nothing */
    uint32_t known = emp_load_relaxed(&answer_known);

    if (known == NOT_ASKED) {
        const int saved_errno = errno;
        const long result =
            syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);

        errno = saved_errno;
        known = result == 0 ? OFFERED : REFUSED;
        /* order(heavy-fence): relaxed; as above */
        emp_store_relaxed(&answer_known, known);
    }
    return known == OFFERED;
}

void emp_fence_heavy(void)
{
    const int saved_errno = errno;
    const long result = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);

    /* Cannot fail once it is registered. */
    emp_check(result == 0);
    errno = saved_errno;
}
