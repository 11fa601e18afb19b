/*
 * Purpose: rights and environment of this process.
 * Owner:   os. Threads: any; async-signal-safe.
 * Design:  [os.req.process]
 * Source:  getauxval(3), AT_SECURE.
 */
#include "os/os_process.h"

#include <sys/auxv.h>

extern char **environ;

bool emp_os_is_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

char *const *emp_os_environment(void)
{
    return environ;
}
