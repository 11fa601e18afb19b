/*
 * Purpose: both clocks go forward only, agree roughly, and follow the injected offset.
 * Design:  [os.req.clock] [os.inv.clock-monotone]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "os/os_clock.h"

#define S ((uint64_t)1000000000)

static void neither_clock_ever_goes_back(void **state)
{
    (void)state;
    uint64_t last_ns = 0;
    uint64_t last_coarse_ns = 0;
    for (int i = 0; i < 100000; i++) {
        const uint64_t now_ns = emp_os_now_ns();
        const uint64_t coarse_ns = emp_os_now_coarse_ns();
        assert_true(now_ns >= last_ns);
        assert_true(coarse_ns >= last_coarse_ns);
        last_ns = now_ns;
        last_coarse_ns = coarse_ns;
    }
}

static void the_clocks_move_with_real_time_and_stay_together(void **state)
{
    (void)state;
    const uint64_t before_ns = emp_os_now_ns();
    usleep(20000);
    const uint64_t coarse_ns = emp_os_now_coarse_ns();
    const uint64_t after_ns = emp_os_now_ns();
    assert_true(after_ns - before_ns >= S / 50);
    assert_true(coarse_ns <= after_ns);
    assert_true(after_ns - coarse_ns < S);
}

static void advance_moves_both_clocks_by_the_same_amount(void **state)
{
    (void)state;
    const uint64_t before_ns = emp_os_now_ns();
    const uint64_t coarse_ns = emp_os_now_coarse_ns();
    emp_os_clock_advance(3600 * S);
    assert_in_range(emp_os_now_ns() - before_ns, 3600 * S, 3660 * S);
    assert_in_range(emp_os_now_coarse_ns() - coarse_ns, 3600 * S, 3660 * S);
}

static void errno_is_preserved(void **state)
{
    (void)state;
    errno = 4711;
    emp_os_now_ns();
    emp_os_now_coarse_ns();
    emp_os_clock_advance(1);
    assert_int_equal(errno, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neither_clock_ever_goes_back),
        cmocka_unit_test(the_clocks_move_with_real_time_and_stay_together),
        cmocka_unit_test(advance_moves_both_clocks_by_the_same_amount),
        cmocka_unit_test(errno_is_preserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
