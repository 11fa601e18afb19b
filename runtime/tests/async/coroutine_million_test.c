/*
 * What: a million coroutines, each asleep two frames deep with 256 bytes of locals: parked by the
 *       default policy, with nobody calling a tick, they take 0.65 GB at most; all of them go on
 *       with their locals intact, and the mappings of the process do not grow with them.
 * How:  resident bytes and page tables by the kernel's count. Builds with larger frames have a
 *       bound of their own, and so has a kernel that keeps empty page tables (before 6.14).
 * Shows: [async.proto.park]
 * ctest-timeout: 400
 * ctest-serial
 * ctest-not-under: address thread emulator
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "async/coroutine_memory.h"
#include "support/sleepers.h"

#define BOUND_BYTES   650000000u
#define BOUND_OF_PTES 780000000u /* 129 bytes of page tables for each */
#define PTES_KEPT     (50u << 20)

/* Waits, without calling anything that parks, until all are. */
static void wait_until_parked(struct emp_async_pool *pool)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    const time_t limit = time(NULL) + 120;
    struct emp_coroutine_stats stats = {0};

    while (stats.parked < SLEEPERS && time(NULL) < limit) {
        (void)nanosleep(&pause, NULL);
        assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    }
    assert_int_equal(stats.parked, SLEEPERS);
}

static void a_million_parked_coroutines_are_small_and_all_go_on(void **state)
{
    (void)state;
    wait_until_parked(sleepers_start(0));
    (void)sleepers_check_bytes(BOUND_BYTES, PTES_KEPT, BOUND_OF_PTES);
    sleepers_wake_and_check();
    sleepers_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_parked_coroutines_are_small_and_all_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
