/*
 * Purpose: resident bytes from /proc/self/statm, without the C library's files.
 * Owner:   os; no state.
 * Threads: any; async-signal-safe, errno preserved, no allocation.
 * Design:  [os.req.contract]
 * Source:  Linux man-pages proc_pid_statm(5): "size resident shared text lib data dt", in pages.
 * Cost:    three system calls.
 */
#include "os/os_memory.h"

#include <errno.h>
#include <fcntl.h>

#include "os/linux/raw_syscall.h"
#include "os/os_fault.h"

#define STATM_BYTES 128

/* The second number of the line; 0 when the text is not what it should be. */
static size_t resident_parse(const char *text)
{
    size_t pages = 0;
    while (*text >= '0' && *text <= '9') {
        text++;
    }
    if (*text++ != ' ') {
        return 0;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(pages, (size_t)10, &pages)) {
            return 0;
        }
        pages += (size_t)(*text - '0');
    }
    return *text == ' ' ? pages : 0;
}

/* Reads the file into text; false when there is none. */
static bool resident_read(char text[STATM_BYTES])
{
    if (emp_os_fault_ask(EMP_OS_CALL_QUERY) >= 0) {
        return false;
    }
    const struct emp_raw_args open_args = {
        .a = AT_FDCWD,
        .b = (long)"/proc/self/statm",
        .c = O_RDONLY | O_CLOEXEC,
    };
    const long fd = emp_raw_syscall(SYS_openat, open_args);
    if (emp_raw_failed(fd)) {
        return false;
    }
    const struct emp_raw_args read_args = {.a = fd, .b = (long)text, .c = STATM_BYTES - 1};
    long got;
    do {
        got = emp_raw_syscall(SYS_read, read_args);
    } while (got == -EINTR);
    emp_raw_syscall(SYS_close, (struct emp_raw_args){.a = fd});
    text[emp_raw_failed(got) ? 0 : got] = '\0';
    return !emp_raw_failed(got);
}

size_t emp_os_resident_bytes(void)
{
    char text[STATM_BYTES];
    size_t bytes = 0;
    if (!resident_read(text)) {
        return 0;
    }
    return __builtin_mul_overflow(resident_parse(text), emp_os_page_bytes(), &bytes) ? 0 : bytes;
}
