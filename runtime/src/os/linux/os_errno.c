/*
 * Purpose: os_errno.h; upper rooms may not include <errno.h>.
 * Owner:   os; no state of its own.
 * Threads: any; async-signal-safe.
 * Design:  [os.req.errno]
 */
#include "os/os_errno.h"

#include <errno.h>

int emp_os_errno(void)
{
    return errno;
}

void emp_os_set_errno(int value)
{
    errno = value;
}
