/*
 * Purpose: the stopwatch tells the monotonic clock in the units that its names say.
 * Design:  [monitor.req.stopwatch]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "monitor/stopwatch.h"
#include "os/os_clock.h"

#define S ((uint64_t)1000000000)

static void each_unit_moves_by_the_time_that_passes(void **state)
{
    (void)state;
    const uint64_t ns = emp_stopwatch_ns();
    const uint32_t us = emp_stopwatch_us();
    const uint32_t ms = emp_stopwatch_coarse_ms();
    emp_os_clock_advance(5 * S);
    assert_in_range(emp_stopwatch_ns() - ns, 5 * S, 15 * S);
    assert_in_range((uint32_t)(emp_stopwatch_us() - us), 5000000, 15000000);
    assert_in_range((uint32_t)(emp_stopwatch_coarse_ms() - ms), 5000, 15000);
}

static void differences_are_right_across_the_wrap_of_microseconds(void **state)
{
    (void)state;
    const uint32_t half = UINT32_MAX / 2 + 1;
    if (emp_stopwatch_us() < half) {
        emp_os_clock_advance((uint64_t)half * 1000);
    }
    const uint32_t before = emp_stopwatch_us();
    const uint32_t past_wrap_us = UINT32_MAX - before + 1000;
    emp_os_clock_advance((uint64_t)past_wrap_us * 1000);
    const uint32_t after = emp_stopwatch_us();
    assert_true(after < before);
    assert_in_range((uint32_t)(after - before), past_wrap_us, past_wrap_us + 10000000);
}

static void errno_is_preserved(void **state)
{
    (void)state;
    errno = 4711;
    emp_stopwatch_ns();
    emp_stopwatch_us();
    emp_stopwatch_coarse_ms();
    assert_int_equal(errno, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_unit_moves_by_the_time_that_passes),
        cmocka_unit_test(differences_are_right_across_the_wrap_of_microseconds),
        cmocka_unit_test(errno_is_preserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
