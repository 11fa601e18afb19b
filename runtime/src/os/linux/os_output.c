/*
 * Purpose: os_output.h on Linux.
 * Owner:   os; no state.
 * Threads: any; async-signal-safe, errno preserved.
 * Design:  [os.req.output] [os.req.raw]
 * Cost:    one system call per attempt.
 */
#include "os/os_output.h"

#include <errno.h>
#include <stdlib.h>

#include "os/linux/raw_syscall.h"

static long output_write(int fd, const char *text, size_t bytes)
{
    const struct emp_raw_args args = {.a = fd, .b = (long)text, .c = (long)bytes};
    return emp_raw_syscall(SYS_write, args);
}

bool emp_os_write_once(int fd, const char *text, size_t bytes)
{
    return output_write(fd, text, bytes) > 0;
}

bool emp_os_write_all(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const long wrote = output_write(fd, text, bytes);
        if (wrote == -EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return false;
        }
        text += wrote;
        bytes -= (size_t)wrote;
    }
    return true;
}

EMP_NORETURN void emp_os_abort(void)
{
    abort();
}
