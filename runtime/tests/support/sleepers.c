/*
 * What: sleepers.h with the executor that comes along.
 */
#include "support/sleepers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "core/advanced_memory_pool.h"
#include "support/process_memory.h"

#define WORDS 32u /* 256 bytes */
#define GROUP 64u

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static struct emp_task **tasks;
static uint64_t intact;
static uint64_t wrong;
static unsigned mappings_before;

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

struct emp_async_pool *sleepers_start(uint32_t flags)
{
    tasks = emp_malloc(SLEEPERS * sizeof(*tasks));
    assert_non_null(tasks);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
    mappings_before = process_mappings();
    for (uint64_t i = 0; i < SLEEPERS; i++) {
        const struct emp_coroutine_spawn it = {
            .pool = pool,
            .scheduler = emp_executor_scheduler(executor),
            .entry = outer,
            .args = &i,
            .args_bytes = sizeof i,
            .flags = flags,
            .site = EMP_SPAWN_SITE(),
        };

        assert_int_equal(emp_coroutine_spawn(&it, NULL, &tasks[i]), EMP_OK);
        if (i % GROUP == GROUP - 1) {
            run();
        }
    }
    run();
    return pool;
}

void sleepers_wake_and_check(void)
{
    for (unsigned i = 0; i < SLEEPERS; i++) {
        const struct emp_waker waker = emp_task_waker(tasks[i]);

        emp_waker_wake_by_ref(&waker);
        if (i % GROUP == GROUP - 1) {
            run();
        }
    }
    run();
    assert_int_equal(wrong, 0);
    assert_int_equal(intact, SLEEPERS);
}

void sleepers_end(void)
{
    for (unsigned i = 0; i < SLEEPERS; i++) {
        emp_task_release(tasks[i]);
    }
    emp_free(tasks);
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

size_t sleepers_check_bytes(size_t bound, size_t kept_tables_above, size_t bound_of_kept_tables)
{
    const size_t resident = process_status_bytes("VmRSS");
    const size_t tables = process_status_bytes("VmPTE");

    bound = SLEEPERS_LARGE ? SLEEPERS_BOUND_OF_DEBUG : bound;
    if (tables > kept_tables_above && bound < bound_of_kept_tables) {
        bound = bound_of_kept_tables;
    }
    print_message("resident %zu, page tables %zu, together %zu bytes; peak %zu\n", resident, tables,
                  resident + tables, process_status_bytes("VmHWM"));
    assert_true(resident + tables <= bound);
    assert_in_range(process_mappings(), 1, mappings_before + 40);
    return tables;
}
