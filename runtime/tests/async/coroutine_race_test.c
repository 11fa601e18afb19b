/*
 * What: coroutines on several workers, with threads that wake, cancel and park at the same time:
 *       every one ends, once, with its locals intact, wherever it went on; pins hold meanwhile;
 *       stacks are given back and used again by the hundred thousand. The same with most of them
 *       on a few run slots and a collector beside them.
 * How:  seeded streams say what each does next; the parker's clock runs a thousand times too fast.
 * Shows: [async.proto.coroutine] [async.proto.park] [async.proto.run-slots]
 *        [async.inv.stack-once] [async.inv.no-thread-kept] [sync.proto.stack-word]
 *        [sync.proto.parting]
 * ctest-timeout: 300
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "base/compiler.h"
#include "core/async_memory_pool.h"
#include "support/async_pool.h"
#include "sync/atomic.h"
#include "thread/fiber.h"

#define WORKERS 3u
#define TOTAL   100000u
#define LIVE    64u
#define SLOTS   8u
#define STEPS   6u
#define WORDS   24u
#define SEED    20261127u

static struct emp_async_pool *pool;
static struct emp_executor *executor;

/* Counts of all bodies; the test's own atomics. */
static struct {
    uint64_t begun;
    uint64_t ended;
    uint64_t wrong;     /* locals that changed */
    uint64_t cancelled; /* waits that said so */
    uint64_t moved;     /* steps on another thread than the one before */
    uint32_t stop;      /* for the threads beside */
} total;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void add(uint64_t *count, uint64_t by)
{
    /* order(test-count): relaxed; read when all threads are joined */
    emp_fetch_add_relaxed(count, by);
}

/* Identity of the thread, read by a call so that nothing of it is kept. */
static EMP_NOINLINE uintptr_t this_thread(void)
{
    __asm__ __volatile__("" ::: "memory");
    return (uintptr_t)pthread_self();
}

/* errno belongs to the thread: set and read between two waits, by calls. */
static EMP_NOINLINE void set_errno(int value)
{
    errno = value;
}

static EMP_NOINLINE int get_errno(void)
{
    return errno;
}

/* One step of a body; false: it is cancelled. */
static bool step(uint64_t choice)
{
    enum emp_status status = EMP_OK;

    switch (choice % 5) {
    case 0:
    case 1:
        status = emp_yield();
        break;
    case 2:
        status = emp_sleep_until(now_ns() + choice / 8 % 50000);
        break;
    case 3: {
        struct emp_future *const future = emp_future_new(pool);

        status = emp_await_until(future, NULL, 0, NULL, now_ns() + choice / 8 % 20000);
        status = status == EMP_ERR_TIMED_OUT ? EMP_OK : status;
        emp_future_drop(future);
        emp_promise_drop(future);
        break;
    }
    default: {
        const struct emp_waker own = emp_task_waker(emp_task_current());

        emp_waker_wake_by_ref(&own);
        status = emp_coroutine_suspend();
        break;
    }
    }
    return status == EMP_OK;
}

static void body(void *args)
{
    uint64_t seed = *(const uint64_t *)args;
    volatile uint64_t locals[WORDS];
    uint64_t wrong = 0;

    add(&total.begun, 1);
    for (unsigned turn = 0; turn < STEPS; turn++) {
        const uintptr_t thread = this_thread();
        const int number = (int)(seed % 100);

        for (unsigned i = 0; i < WORDS; i++) {
            locals[i] = seed + i;
        }
        set_errno(number);
        wrong += get_errno() != number;
        const bool goes_on = step(seed >> 8);

        add(&total.moved, thread != this_thread());
        for (unsigned i = 0; i < WORDS; i++) {
            wrong += locals[i] != seed + i;
        }
        if (!goes_on) {
            add(&total.cancelled, 1);
            break;
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
    }
    add(&total.wrong, wrong);
    add(&total.ended, 1);
}

/* What a collector does with one that holds still. */
static void look(const struct emp_stack_range *range, void *arg)
{
    const size_t bytes = (size_t)((const char *)range->limit - (const char *)range->low);

    if (!range->is_running && bytes > sizeof(void *)) {
        *(uint64_t *)arg += ((const unsigned char *)range->low)[bytes - 1];
    }
}

/* arg: NULL, or a sum for a collector that looks at all of them. */
static void *park_all_the_time(void *arg)
{
    uint64_t clock = now_ns();

    /* order(test-count): acquire; the end of the test */
    while (emp_load_acquire(&total.stop) == 0) {
        clock += 1000000000u;
        (void)emp_coroutine_tick(pool, clock);
        if (arg != NULL) {
            emp_stack_each(pool, look, arg);
        }
    }
    return NULL;
}

/* How the n-th is made: some pinned, of the others three quarters shared if any. */
static uint32_t flags_of(unsigned n, bool has_shared)
{
    if (n % 16 == 0) {
        return EMP_COROUTINE_PINNED;
    }
    return has_shared && n % 4 != 0 ? (uint32_t)EMP_COROUTINE_SHARED : 0u;
}

/* Keeps LIVE coroutines alive until TOTAL were made; some are cancelled. */
static void spawn_all(unsigned count, bool has_shared)
{
    struct emp_task *live[LIVE] = {0};
    uint64_t seed = SEED;

    for (unsigned i = 0; i < count; i++) {
        struct emp_task **const place = &live[i % LIVE];
        struct emp_coroutine_spawn it = {
            .pool = pool,
            .scheduler = emp_executor_scheduler(executor),
            .entry = body,
            .args = &seed,
            .args_bytes = sizeof seed,
            .flags = flags_of(i, has_shared),
            .stack_bytes = i % 3 == 0 ? 12000u : 0u,
            .site = EMP_SPAWN_SITE(),
        };

        if (*place != NULL) {
            while (!emp_task_is_complete(*place)) {
                const struct emp_waker waker = emp_task_waker(*place);

                if (i % 7 == 0) {
                    (void)emp_task_abort(*place);
                } else {
                    emp_waker_wake_by_ref(&waker); /* for nothing: it must look again */
                }
                (void)sched_yield();
            }
            emp_task_release(*place);
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        assert_int_equal(emp_coroutine_spawn(&it, NULL, place), EMP_OK);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        emp_task_release(live[i]);
    }
}

static void survive(bool has_shared)
{
    const unsigned count = EMP_TSAN ? TOTAL / 10 : TOTAL;
    pthread_t parker;
    struct emp_coroutine_stats stats;
    struct emp_coroutine_policy policy;
    uint64_t sum = 0;

    memset(&total, 0, sizeof total);
    print_message("seed %u\n", SEED);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    policy = emp_coroutine_get_policy(pool);
    policy.run_slots = SLOTS;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_OK);
    assert_int_equal(emp_executor_create(WORKERS, &executor), EMP_OK);
    assert_int_equal(emp_executor_start(executor, WORKERS), EMP_OK);
    assert_int_equal(pthread_create(&parker, NULL, park_all_the_time, has_shared ? &sum : NULL), 0);
    spawn_all(count, has_shared);
    assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_DRAIN), EMP_OK);
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    /* order(test-count): release; the parker may end */
    emp_store_release(&total.stop, 1);
    assert_int_equal(pthread_join(parker, NULL), 0);

    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    print_message("moved %llu, cancelled %llu, parked %llu, saved %llu, put off %llu\n",
                  (unsigned long long)total.moved, (unsigned long long)total.cancelled,
                  (unsigned long long)stats.parks, (unsigned long long)stats.shared_saves,
                  (unsigned long long)stats.shared_waits);
    assert_int_equal(total.ended, total.begun);
    assert_in_range(total.begun, count - count / 7, count); /* some are cancelled before */
    assert_int_equal(total.wrong, 0);
    assert_true(total.moved > 0);
    assert_int_equal(stats.parked, 0);
    assert_int_equal(stats.parks, stats.unparks);
    assert_int_equal(stats.shared_saved, 0);
    assert_int_equal(stats.shared_saves > 0, stats.run_slots != 0);
    assert_int_equal(stats.run_slots != 0, has_shared && !emp_fiber_watched);
    assert_int_equal(stats.slots_used, stats.free_warm + stats.free_cold + stats.run_slots);
    assert_true(stats.slots_used < 1000);
    assert_int_equal(async_pool_in_use(pool, "waiter"), 0);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static void coroutines_survive_wakes_cancels_and_parking_on_several_threads(void **state)
{
    (void)state;
    survive(false);
}

static void they_do_so_on_shared_run_slots_with_a_collector_beside_them(void **state)
{
    (void)state;
    survive(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coroutines_survive_wakes_cancels_and_parking_on_several_threads),
        cmocka_unit_test(they_do_so_on_shared_run_slots_with_a_collector_beside_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
