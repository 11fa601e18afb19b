/*
 * Purpose: writing bytes to a file descriptor without the C library's buffers, and the end of the
 *          process.
 * Owner:   os. Threads: any; async-signal-safe, errno preserved, no allocation.
 * Design:  [os.req.output]
 */
#ifndef EMP_OS_OS_OUTPUT_H
#define EMP_OS_OS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

/* One write(2) of the bytes; false when the system took none of them. */
bool emp_os_write_once(int fd, const char *text, size_t bytes);

/* Writes all bytes, repeating short and interrupted writes; false: an error ended it. */
bool emp_os_write_all(int fd, const char *text, size_t bytes);

/* Ends the process with SIGABRT. */
EMP_NORETURN void emp_os_abort(void);

#endif
