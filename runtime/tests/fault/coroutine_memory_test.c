/*
 * What: memory that ends at every moment of the life of coroutines: each call says so or succeeds,
 *       nobody hangs, what was there before is intact, and everything comes back.
 * How:  builds with EMP_FAULT refuse the n-th system call for every n until a run reaches none; in
 *       all builds the pools of objects have hard limits.
 * Shows: [async.proto.coroutine] [async.proto.stack-pool] [os.req.sparse]
 * ctest-not-under: address thread
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"
#include "os/os_fault.h"
#include "support/async_pool.h"
#include "thread/thread_fault.h"

#define COUNT    100u
#define NTH_MAX  400u
#define IDLE_NS  1000000000ull
#define ARG_SIZE 600u

static struct emp_async_pool *pool;
static struct emp_executor *executor;

static struct {
    unsigned ran;
    unsigned wrong;
    unsigned refused; /* waits for which memory was missing */
} seen;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void body(void *args)
{
    const unsigned char *const bytes = args;
    const enum emp_status slept = emp_sleep_until(now_ns() + 1000);

    seen.ran++;
    seen.refused += slept != EMP_OK;
    for (unsigned i = 0; i < ARG_SIZE; i++) {
        seen.wrong += bytes[i] != (unsigned char)(bytes[0] + i);
    }
    (void)emp_coroutine_suspend();
    for (unsigned i = 0; i < ARG_SIZE; i++) {
        seen.wrong += bytes[i] != (unsigned char)(bytes[0] + i);
    }
}

static unsigned spawn_some(struct emp_task **tasks)
{
    unsigned made = 0;

    for (unsigned n = 0; n < COUNT; n++) {
        unsigned char args[ARG_SIZE];
        const struct emp_coroutine_spawn it = {
            .pool = pool,
            .scheduler = emp_executor_scheduler(executor),
            .entry = body,
            .args = args,
            .args_bytes = sizeof args,
            .stack_bytes = n % 2 == 0 ? 0 : 200000,
            .site = EMP_SPAWN_SITE(),
        };

        for (unsigned i = 0; i < ARG_SIZE; i++) {
            args[i] = (unsigned char)(n + i);
        }
        const enum emp_status status = emp_coroutine_spawn(&it, NULL, &tasks[made]);

        assert_true(status == EMP_OK || status == EMP_ERR_NOMEM);
        made += status == EMP_OK;
    }
    return made;
}

/* Spawns, lets all run into their wait, parks, wakes, ends; then nothing is left. */
static unsigned live_once(void)
{
    struct emp_task *tasks[COUNT];
    struct emp_coroutine_stats stats;
    const unsigned made = spawn_some(tasks);
    static uint64_t clock_ns = 1;

    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
    for (unsigned i = 0; i < 6; i++) {
        clock_ns += IDLE_NS;
        while (emp_coroutine_tick(pool, clock_ns)) {
        }
    }
    for (unsigned i = 0; i < made; i++) {
        (void)emp_task_abort(tasks[i]);
        emp_task_release(tasks[i]);
    }
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    assert_int_equal(seen.wrong, 0);
    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    assert_int_equal(stats.parked, 0);
    assert_int_equal(stats.slots_used, stats.free_warm + stats.free_cold);
    return made;
}

static void begin(const struct emp_async_pool_config *config)
{
    memset(&seen, 0, sizeof seen);
    assert_int_equal(emp_async_pool_create(config, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
}

static void end(void)
{
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(async_pool_in_use(pool, "task"), 0);
    assert_int_equal(async_pool_in_use(pool, "waker"), 0);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static void pools_with_limits_refuse_and_go_on(void **state)
{
    struct emp_async_pool_config config = emp_async_pool_config_default();

    (void)state;
    config.task_pool.max_capacity = COUNT / 2;
    config.waker_pool.max_capacity = COUNT / 4;
    begin(&config);
    for (unsigned round = 0; round < 3; round++) {
        seen.refused = 0;
        assert_in_range(live_once(), 1, COUNT / 2);
        assert_true(seen.refused > 0);
    }
    end();
}

#if EMP_FAULT

static void every_system_call_may_be_refused(void **state)
{
    static const enum emp_os_fault_mode modes[] = {EMP_OS_FAULT_ONCE, EMP_OS_FAULT_FROM_ON,
                                                   EMP_OS_FAULT_EVERY_SECOND};

    (void)state;
    for (unsigned mode = 0; mode < sizeof(modes) / sizeof(modes[0]); mode++) {
        uint64_t hits = 1;

        for (uint64_t nth = 1; hits != 0 && nth < NTH_MAX; nth += nth < 60 ? 1 : 7) {
            begin(NULL);
            emp_os_fault_arm(EMP_OS_CALL_ANY, nth, modes[mode], ENOMEM);
            (void)live_once();
            hits = emp_os_fault_hits();
            emp_os_fault_disarm();
            assert_int_equal(live_once(), COUNT); /* the memory is back */
            end();
            (void)emp_purge();
        }
    }
}

static unsigned abandoned;
static unsigned char abandoned_args[ARG_SIZE];

static void note_abandoned(void *args)
{
    abandoned++;
    memcpy(abandoned_args, args, ARG_SIZE);
}

/* Who gave the arguments learns that entry does not run, once, and the join side that it is over;
   with the address space back the next one runs. */
static void one_that_gets_no_stack_is_abandoned_once(void **state)
{
    unsigned char args[ARG_SIZE];
    struct emp_future *join = NULL;

    (void)state;
    begin(NULL);
    for (unsigned i = 0; i < ARG_SIZE; i++) {
        args[i] = (unsigned char)(i * 7);
    }
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = body,
        .abandon = note_abandoned,
        .args = args,
        .args_bytes = sizeof args,
    };

    abandoned = 0;
    assert_int_equal(emp_coroutine_spawn(&it, &join, NULL), EMP_OK);
    emp_os_fault_arm(EMP_OS_CALL_RESERVE, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    assert_true(emp_os_fault_hits() > 0);
    emp_os_fault_disarm();
    assert_int_equal(abandoned, 1);
    assert_memory_equal(abandoned_args, args, sizeof args);
    assert_int_equal(seen.ran, 0);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);

    struct emp_task *task = NULL;

    assert_int_equal(emp_coroutine_spawn(&it, NULL, &task), EMP_OK);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
    (void)emp_task_abort(task);
    emp_task_release(task);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    assert_int_equal(seen.ran, 1);
    assert_int_equal(abandoned, 1);
    end();
}

static void a_pool_without_memory_is_refused_as_a_whole(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 20; nth++) {
        emp_os_fault_arm(EMP_OS_CALL_ANY, nth, EMP_OS_FAULT_FROM_ON, ENOMEM);
        const enum emp_status status = emp_async_pool_create(NULL, &pool);

        emp_os_fault_disarm();
        assert_true(status == EMP_OK || status == EMP_ERR_NOMEM);
        if (status == EMP_OK) {
            assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
        }
    }
}

static void a_thread_without_a_stack_for_the_handler_runs_coroutines(void **state)
{
    (void)state;
    begin(NULL);
    emp_thread_fault_arm(EMP_THREAD_CALL_STACK);
    assert_int_equal(emp_executor_start(executor, 1), EMP_OK);
    struct emp_task *tasks[COUNT];
    const unsigned made = spawn_some(tasks);

    for (unsigned i = 0; i < made; i++) {
        (void)emp_task_abort(tasks[i]);
        emp_task_release(tasks[i]);
    }
    end();
    emp_thread_fault_arm(0);
}

#else

static void one_that_gets_no_stack_is_abandoned_once(void **state)
{
    (void)state;
    skip();
}

static void every_system_call_may_be_refused(void **state)
{
    (void)state;
    skip();
}

static void a_pool_without_memory_is_refused_as_a_whole(void **state)
{
    (void)state;
    skip();
}

static void a_thread_without_a_stack_for_the_handler_runs_coroutines(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_with_limits_refuse_and_go_on),
        cmocka_unit_test(every_system_call_may_be_refused),
        cmocka_unit_test(a_pool_without_memory_is_refused_as_a_whole),
        cmocka_unit_test(one_that_gets_no_stack_is_abandoned_once),
        cmocka_unit_test(a_thread_without_a_stack_for_the_handler_runs_coroutines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
