/*
 * Purpose: saving and restoring errno around functions of the program that we call.
 * Owner:   os. Threads: each its own errno.
 * Design:  [os.req.errno]
 */
#ifndef EMP_OS_OS_ERRNO_H
#define EMP_OS_OS_ERRNO_H

/* errno of this thread now. */
int emp_os_errno(void);

/* Puts errno back. */
void emp_os_set_errno(int value);

#endif
