/*
 * What: a million coroutines on 64 run slots, each asleep two frames deep with 256 bytes of locals:
 *       as soon as they sleep they take 0.64 GB at most; all of them go on with their locals
 *       intact, and neither mappings nor page tables of the process grow with them.
 * How:  resident bytes and page tables by the kernel's count, at once: nobody waits for an age or
 *       calls a tick. Builds with larger frames have a bound of their own.
 * Shows: [async.proto.run-slots]
 * ctest-timeout: 400
 * ctest-serial
 * ctest-not-under: address thread emulator
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "support/sleepers.h"

#define BOUND_BYTES 640000000u
#define TABLES_MAX  (4u << 20) /* of the heap; none are a coroutine's */

static void a_million_that_share_64_stacks_are_small_and_all_go_on(void **state)
{
    struct emp_coroutine_stats stats;

    (void)state;
    struct emp_async_pool *const pool = sleepers_start(EMP_COROUTINE_SHARED);

    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.shared_saved, SLEEPERS - 64);
    assert_in_range(sleepers_check_bytes(BOUND_BYTES, SIZE_MAX, 0), 1, TABLES_MAX);
    sleepers_wake_and_check();
    sleepers_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_that_share_64_stacks_are_small_and_all_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
