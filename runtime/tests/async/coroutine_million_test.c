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
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <time.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"

#define COUNT          1000000u
#define WORDS          32u /* 256 bytes */
#define BOUND_BYTES    650000000u
#define BOUND_OF_DEBUG 800000000u /* larger frames, no inline switch */

#ifdef __OPTIMIZE__
#define OPTIMIZED 1
#else
#define OPTIMIZED 0 /* a build for coverage: every local has its place in the frame */
#endif
#define BOUND_OF_PTES 780000000u /* 129 bytes of page tables for each */
#define PTES_KEPT     (50u << 20)

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static uint64_t intact;
static uint64_t wrong;

/* A line "<name>: <n> kB" of /proc/self/status, in bytes. */
static size_t status_bytes(const char *name)
{
    FILE *const file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long kib = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            (void)sscanf(line + strlen(name) + 1, "%lu", &kib);
        }
    }
    fclose(file);
    return (size_t)kib << 10;
}

static unsigned mappings(void)
{
    FILE *const maps = fopen("/proc/self/maps", "r");
    unsigned lines = 0;
    int c;

    assert_non_null(maps);
    while ((c = fgetc(maps)) != EOF) {
        lines += c == '\n';
    }
    fclose(maps);
    return lines;
}

static __attribute__((noinline)) unsigned inner(uint64_t seed)
{
    volatile uint64_t locals[WORDS];
    unsigned changed = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        locals[i] = seed * 31 + i;
    }
    changed += emp_coroutine_suspend() != EMP_OK;
    for (unsigned i = 0; i < WORDS; i++) {
        changed += locals[i] != seed * 31 + i;
    }
    return changed;
}

static void outer(void *args)
{
    const uint64_t seed = *(const uint64_t *)args;
    volatile uint64_t own = ~seed;
    const unsigned changed = inner(seed);

    if (changed == 0 && own == ~seed) {
        intact++;
    } else {
        wrong++;
    }
}

static void run(void)
{
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
}

static void spawn_all(struct emp_task **tasks)
{
    for (uint64_t i = 0; i < COUNT; i++) {
        const struct emp_coroutine_spawn it = {
            .pool = pool,
            .scheduler = emp_executor_scheduler(executor),
            .entry = outer,
            .args = &i,
            .args_bytes = sizeof i,
            .site = EMP_SPAWN_SITE(),
        };

        assert_int_equal(emp_coroutine_spawn(&it, NULL, &tasks[i]), EMP_OK);
        if (i % 64 == 63) {
            run();
        }
    }
    run();
}

/* Waits, without calling anything that parks, until all are. */
static void wait_until_parked(void)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    const time_t limit = time(NULL) + 120;
    struct emp_coroutine_stats stats = {0};

    while (stats.parked < COUNT && time(NULL) < limit) {
        (void)nanosleep(&pause, NULL);
        assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    }
    assert_int_equal(stats.parked, COUNT);
}

static void check_bytes(void)
{
    const size_t resident = status_bytes("VmRSS");
    const size_t tables = status_bytes("VmPTE");
    size_t bound = EMP_DEBUG || EMP_SECURE || !OPTIMIZED ? BOUND_OF_DEBUG : BOUND_BYTES;

    bound = tables > PTES_KEPT && bound < BOUND_OF_PTES ? BOUND_OF_PTES : bound;
    print_message("resident %zu, page tables %zu, together %zu bytes; peak %zu\n", resident, tables,
                  resident + tables, status_bytes("VmHWM"));
    assert_true(resident + tables <= bound);
}

static void a_million_parked_coroutines_are_small_and_all_go_on(void **state)
{
    struct emp_task **const tasks = emp_malloc(COUNT * sizeof(*tasks));

    (void)state;
    assert_non_null(tasks);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
    const unsigned before = mappings();

    spawn_all(tasks);
    wait_until_parked();
    check_bytes();
    assert_in_range(mappings(), 1, before + 40);
    for (unsigned i = 0; i < COUNT; i++) {
        const struct emp_waker waker = emp_task_waker(tasks[i]);

        emp_waker_wake_by_ref(&waker);
        if (i % 64 == 63) {
            run();
        }
    }
    run();
    assert_int_equal(wrong, 0);
    assert_int_equal(intact, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        emp_task_release(tasks[i]);
    }
    emp_free(tasks);
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_parked_coroutines_are_small_and_all_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
