/*
 * Purpose: the os room does not go through the C library's wrappers, which programs replace. This
 *          program replaces them and counts.
 * Design:  [os.req.raw]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"
#include "os/os_memory.h"
#include "os/os_output.h"

static unsigned wrapper_calls;

int munmap(void *base, size_t bytes)
{
    wrapper_calls++;
    return (int)syscall(SYS_munmap, base, bytes);
}

int mprotect(void *base, size_t bytes, int protection)
{
    wrapper_calls++;
    return (int)syscall(SYS_mprotect, base, bytes, protection);
}

int madvise(void *base, size_t bytes, int advice)
{
    wrapper_calls++;
    return (int)syscall(SYS_madvise, base, bytes, advice);
}

ssize_t write(int fd, const void *text, size_t bytes)
{
    wrapper_calls++;
    return syscall(SYS_write, fd, text, bytes);
}

static void no_wrapper_of_the_c_library_is_called(void **state)
{
    (void)state;
    const size_t bytes = (size_t)4 << 20;
    if (EMP_ASAN || EMP_TSAN) {
        skip();
    }
    wrapper_calls = 0;
    void *const base = emp_os_reserve(bytes, bytes);
    const bool is_committed = emp_os_commit(base, bytes);
    emp_os_advise_huge(base, bytes, true);
    const bool is_purged = emp_os_purge(base, bytes);
    const bool is_unmapped = emp_os_unmap(base, bytes);
    emp_os_resident_bytes();
    emp_os_write_all(-1, "x", 1);
    assert_int_equal(wrapper_calls, 0);
    assert_true(is_committed);
    assert_true(is_purged);
    assert_true(is_unmapped);
    assert_int_equal(munmap(NULL, 0), -1);
    assert_int_equal(wrapper_calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wrapper_of_the_c_library_is_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
