/*
 * Purpose: bytes arrive whole and in order, errors are told, errno stays, abort is SIGABRT.
 * Design:  [os.req.output] [os.req.errno]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os_errno.h"
#include "os/os_output.h"

#define LONG_BYTES ((size_t)1 << 20)

static void write_once_puts_the_bytes_into_the_file(void **state)
{
    (void)state;
    int ends[2];
    char got[16] = {0};
    assert_int_equal(pipe(ends), 0);
    errno = 4711;
    assert_true(emp_os_write_once(ends[1], "twelve bytes", 12));
    assert_int_equal(errno, 4711);
    assert_int_equal(read(ends[0], got, sizeof got), 12);
    assert_string_equal(got, "twelve bytes");
    close(ends[0]);
    close(ends[1]);
}

static void both_say_false_to_a_file_that_cannot_be_written(void **state)
{
    (void)state;
    errno = 4711;
    assert_false(emp_os_write_once(-1, "x", 1));
    assert_false(emp_os_write_all(-1, "x", 1));
    assert_true(emp_os_write_all(-1, "", 0));
    assert_int_equal(errno, 4711);
}

static char long_text[LONG_BYTES];

/* Reads slowly, so that the pipe is full most of the time and writes come back short. */
static void *reader_body(void *arg)
{
    const int fd = *(const int *)arg;
    char part[700];
    size_t wrong = 0;
    size_t total = 0;
    ssize_t got;
    while ((got = read(fd, part, sizeof part)) > 0) {
        wrong += memcmp(part, long_text + total, (size_t)got) != 0 ? 1 : 0;
        total += (size_t)got;
    }
    return (void *)(uintptr_t)(wrong == 0 && total == LONG_BYTES);
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void write_all_survives_full_pipes_and_interrupts(void **state)
{
    (void)state;
    int ends[2];
    pthread_t reader;
    void *is_right = NULL;
    const struct sigaction action = {.sa_handler = on_alarm};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    for (size_t i = 0; i < LONG_BYTES; i++) {
        long_text[i] = (char)(i * 31 % 251);
    }
    assert_int_equal(pipe(ends), 0);
    /* The thread first: a clone that an alarm interrupts starts again, for ever when busy. And the
       reader without alarms: the kernel gives one to whatever thread is free, and a reader that an
       alarm stops fills the pipe for good. */
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &alarms, NULL), 0);
    assert_int_equal(pthread_create(&reader, NULL, reader_body, &ends[0]), 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL), 0);
    ualarm(1000, 1000);
    assert_true(emp_os_write_all(ends[1], long_text, LONG_BYTES));
    ualarm(0, 0);
    close(ends[1]);
    assert_int_equal(pthread_join(reader, &is_right), 0);
    assert_non_null(is_right);
    close(ends[0]);
}

static void abort_ends_the_process_with_sigabrt(void **state)
{
    (void)state;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        emp_os_abort();
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void errno_is_read_and_put_back(void **state)
{
    (void)state;
    errno = 4711;
    assert_int_equal(emp_os_errno(), 4711);
    emp_os_set_errno(815);
    assert_int_equal(errno, 815);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_once_puts_the_bytes_into_the_file),
        cmocka_unit_test(both_say_false_to_a_file_that_cannot_be_written),
        cmocka_unit_test(write_all_survives_full_pipes_and_interrupts),
        cmocka_unit_test(abort_ends_the_process_with_sigabrt),
        cmocka_unit_test(errno_is_read_and_put_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
