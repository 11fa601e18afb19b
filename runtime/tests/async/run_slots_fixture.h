/*
 * What: for the tests of run slots: a pool with so many of them, an executor, shared coroutines
 *       that sleep with their locals filled until they are woken by hand.
 * How:  included by one file per program; what a program does not use is inline.
 */
#ifndef EMP_TESTS_ASYNC_RUN_SLOTS_FIXTURE_H
#define EMP_TESTS_ASYNC_RUN_SLOTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "core/async_memory_pool.h"

#define SLOTS 8u
#define FEW   24u
#define DEEP  (100u << 10)

static struct emp_async_pool *pool;
static struct emp_executor *executor;

static inline void begin(uint32_t slots, unsigned workers)
{
    struct emp_coroutine_policy policy;

    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    policy = emp_coroutine_get_policy(pool);
    assert_int_equal(policy.run_slots, 64);
    policy.run_slots = slots;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_OK);
    assert_int_equal(emp_executor_create(workers, &executor), EMP_OK);
}

static inline void end(void)
{
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static inline void run(enum emp_executor_until until)
{
    assert_int_equal(emp_executor_run(executor, until), EMP_OK);
}

static inline struct emp_coroutine_stats stats_now(void)
{
    struct emp_coroutine_stats stats;

    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    return stats;
}

static inline enum emp_status spawn(void (*entry)(void *args), const void *args, size_t bytes,
                                    struct emp_task **task)
{
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = entry,
        .args = args,
        .args_bytes = bytes,
        .flags = EMP_COROUTINE_SHARED,
        .site = EMP_SPAWN_SITE(),
    };

    return emp_coroutine_spawn(&it, NULL, task);
}

/* Sleepers that are woken by hand. */
struct sleeper {
    struct emp_task *task;
    const void *local;
    size_t bytes; /* of its frame */
    unsigned turns;
    unsigned wrong;
};

static struct sleeper sleepers[FEW];

static inline void sleep_with(struct sleeper *self, unsigned char *locals)
{
    const unsigned char seed = (unsigned char)(self - sleepers + 1);

    memset(locals, seed, self->bytes);
    self->local = locals;
    while (emp_coroutine_suspend() == EMP_OK) {
        for (size_t i = 0; i < self->bytes; i++) {
            self->wrong += locals[i] != seed;
        }
        self->turns++;
    }
    for (size_t i = 0; i < self->bytes; i++) {
        self->wrong += locals[i] != seed;
    }
}

static inline void body_small(void *args)
{
    unsigned char locals[200];

    sleep_with(*(struct sleeper **)args, locals);
}

static inline void body_deep(void *args)
{
    unsigned char locals[DEEP];

    sleep_with(*(struct sleeper **)args, locals);
}

static inline void sleeper_spawn(struct sleeper *self, void (*entry)(void *args), size_t bytes)
{
    *self = (struct sleeper){.bytes = bytes};
    assert_int_equal(spawn(entry, &self, sizeof self, &self->task), EMP_OK);
}

static inline void wake(struct sleeper *self)
{
    const struct emp_waker waker = emp_task_waker(self->task);

    emp_waker_wake_by_ref(&waker);
}

/* Wakes all, so many times, and ends them. */
static inline void turn_and_end_all(unsigned count, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            wake(&sleepers[(i * 7 + round) % count]);
        }
        run(EMP_EXECUTOR_UNTIL_IDLE);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(sleepers[i].turns, rounds);
        assert_true(emp_task_abort(sleepers[i].task));
    }
    run(EMP_EXECUTOR_UNTIL_IDLE);
    for (unsigned i = 0; i < count; i++) {
        assert_true(emp_task_is_complete(sleepers[i].task));
        assert_int_equal(sleepers[i].wrong, 0);
        emp_task_release(sleepers[i].task);
    }
}

#endif
