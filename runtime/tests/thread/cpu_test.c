/*
 * Purpose: the processor number is that of a processor this thread may run on; counts; no errno.
 * Design:  [thread.req.cpu-id] [thread.inv.cpu-bounded]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "thread/cpu.h"

static void the_number_follows_the_thread_to_every_allowed_processor(void **state)
{
    (void)state;
    cpu_set_t allowed;
    unsigned visited = 0;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &allowed)) {
            continue;
        }
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        assert_int_equal(emp_cpu_current(), i);
        assert_int_equal(emp_cpu_current_slow(), i);
        visited++;
    }
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
    assert_int_equal(visited, CPU_COUNT(&allowed));
}

static void the_count_is_that_of_the_affinity_mask(void **state)
{
    (void)state;
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    assert_int_equal(emp_cpu_count(), CPU_COUNT(&allowed));
    assert_true(emp_cpu_count() >= 1);
}

static void the_count_stays_when_the_mask_changes_later(void **state)
{
    (void)state;
    const unsigned before = emp_cpu_count();
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(emp_cpu_current(), &one);
        sched_setaffinity(0, sizeof one, &one);
        _exit(emp_cpu_count() == before ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void errno_is_preserved(void **state)
{
    (void)state;
    errno = 4711;
    emp_cpu_current();
    emp_cpu_current_slow();
    emp_cpu_count();
    assert_int_equal(errno, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_follows_the_thread_to_every_allowed_processor),
        cmocka_unit_test(the_count_is_that_of_the_affinity_mask),
        cmocka_unit_test(the_count_stays_when_the_mask_changes_later),
        cmocka_unit_test(errno_is_preserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
