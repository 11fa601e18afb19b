/*
 * What: the heavy fence asks the system for its service once, says what the system said, and is one
 *       call for each fence; errno stays.
 * How:  a syscall of our own before that of the C library counts what is asked for, and refuses
 *       once in a child.
 * Shows: [thread.req.heavy-fence]
 * ctest-not-under: address thread
 *       (their own calls go the same way)
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "thread/heavy_fence.h"

static unsigned registers;
static unsigned fences;
static bool refuses;

/* Stands before the C library's. */
long syscall(long number, ...)
{
    long (*next)(long, ...);
    long given[6];
    va_list list;

    va_start(list, number);
    for (unsigned i = 0; i < 6; i++) {
        given[i] = va_arg(list, long);
    }
    va_end(list);
    *(void **)&next = dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_membarrier) {
        const int command = (int)given[0];

        registers += command == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
        fences += command == MEMBARRIER_CMD_PRIVATE_EXPEDITED;
        if (refuses) {
            errno = ENOSYS;
            return -1;
        }
    }
    return next(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

static bool system_offers(void)
{
    const long offered = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

    return offered > 0 && (offered & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
}

/* First, in a process that has not asked: 0 when a refusal is believed and not asked again. */
static void a_system_that_refuses_is_asked_once(void **state)
{
    int status = -1;

    (void)state;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        refuses = true;
        errno = 4711;
        const bool said_no = !emp_heavy_fence_init() && !emp_heavy_fence_init();

        _exit(said_no && registers == 1 && errno == 4711 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_answer_is_that_of_the_system_and_asked_for_once(void **state)
{
    const bool offered = system_offers();

    (void)state;
    errno = 4711;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(emp_heavy_fence_init(), offered);
    }
    assert_int_equal(registers, 1);
    assert_int_equal(errno, 4711);
}

static void each_fence_is_one_call(void **state)
{
    (void)state;
    if (!emp_heavy_fence_init()) {
        skip();
    }
    errno = 4711;
    for (unsigned i = 1; i <= 3; i++) {
        emp_fence_heavy();
        assert_int_equal(fences, i);
    }
    assert_int_equal(errno, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_that_refuses_is_asked_once),
        cmocka_unit_test(the_answer_is_that_of_the_system_and_asked_for_once),
        cmocka_unit_test(each_fence_is_one_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
