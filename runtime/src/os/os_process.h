/*
 * Purpose: what the system tells about this process: its rights and its environment.
 * Owner:   os. Threads: any; async-signal-safe.
 * Design:  [os.req.process]
 */
#ifndef EMP_OS_OS_PROCESS_H
#define EMP_OS_OS_PROCESS_H

#include <stdbool.h>

/* True when the process has rights that its user has not (set-user-ID and the like): whoever
   started it must not steer it through the environment. */
bool emp_os_is_privileged(void);

/* The environment, ended by NULL, as long as nobody changes it; NULL before the C library's
   start. */
char *const *emp_os_environment(void);

#endif
