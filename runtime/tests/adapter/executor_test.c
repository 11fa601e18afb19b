/*
 * What: the executor: tasks on the calling thread and on workers, submits by many threads, sharing
 *       of work, turns of tasks that never rest, timers, the ways to stop, what it refuses.
 * How:  tasks that count, wake themselves or wait for wakers and timers; every test ends with a
 *       clean destroy of executor and pool, which says that nothing was lost or left.
 * Shows: [adapter.proto.executor]
 * ctest-timeout: 300
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/future.h"
#include "async/task.h"
#include "core/async_memory_pool.h"

#define WORKERS 4u
#define MANY    1000u

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static uint64_t ran;   /* shared */
static uint64_t ended; /* shared: bodies dropped */

static void bump(uint64_t *counter)
{
    (void)__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static uint64_t now(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void create(unsigned workers)
{
    ran = 0;
    ended = 0;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(workers, &executor), EMP_OK);
}

static void destroy(void)
{
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static struct emp_executor_stats stats_now(void)
{
    struct emp_executor_stats stats;

    assert_int_equal(emp_executor_get_stats(executor, &stats), EMP_OK);
    return stats;
}

static void nap(uint64_t ns)
{
    const struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    (void)nanosleep(&time, NULL);
}

static uint64_t clock_ns(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Yields so often, then ends. */
static enum emp_poll yield_some(struct emp_task *task, void *body)
{
    unsigned *left = body;

    bump(&ran);
    if ((*left)-- == 0) {
        return EMP_POLL_READY;
    }
    struct emp_waker own = emp_task_waker(task);

    emp_waker_wake_by_ref(&own);
    return EMP_POLL_PENDING;
}

static void count_end(void *body)
{
    (void)body;
    bump(&ended);
}

static const struct emp_task_type yielding = {"yielding", 8, 8, yield_some, count_end};

static struct emp_spawn spawn_of(const struct emp_task_type *type, const void *args, size_t bytes)
{
    return (struct emp_spawn){.pool = pool,
                              .scheduler = emp_executor_scheduler(executor),
                              .type = type,
                              .args = args,
                              .args_bytes = bytes};
}

static void spawn_yielding(unsigned times)
{
    const struct emp_spawn spawn = spawn_of(&yielding, &times, sizeof times);

    assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
}

static void calling_thread_runs_until_idle(void **state)
{
    (void)state;
    create(1);
    for (unsigned i = 0; i < MANY; i++) {
        spawn_yielding(3);
    }
    assert_int_equal(now(&ran), 0);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
    assert_int_equal(now(&ran), 4 * MANY);
    assert_int_equal(now(&ended), MANY);
    assert_int_equal(stats_now().alive, 0);
    assert_int_equal(stats_now().spawned, MANY);
    assert_int_equal(stats_now().polls, 4 * MANY);
    destroy();
}

static void workers_run_what_other_threads_spawn(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= WORKERS; workers++) {
        create(workers);
        assert_int_equal(emp_executor_start(executor, workers), EMP_OK);
        for (unsigned i = 0; i < MANY; i++) {
            spawn_yielding(3);
        }
        assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_DRAIN), EMP_OK);
        destroy();
        assert_int_equal(now(&ran), 4 * MANY);
        assert_int_equal(now(&ended), MANY);
    }
}

/* Spawns a tree of tasks: from each a few more, down to depth 0. */
struct branch {
    struct emp_executor *executor;
    unsigned depth;
};
static enum emp_poll grow(struct emp_task *task, void *body);
static const struct emp_task_type branching = {"branching", sizeof(struct branch), 8, grow,
                                               count_end};

static enum emp_poll grow(struct emp_task *task, void *body)
{
    struct branch *branch = body;
    const struct branch next = {branch->executor, branch->depth - 1};
    const struct emp_spawn spawn = spawn_of(&branching, &next, sizeof next);

    (void)task;
    bump(&ran);
    for (unsigned i = 0; branch->depth > 0 && i < 4; i++) {
        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
    }
    return EMP_POLL_READY;
}

static void calling_thread_waits_until_all_is_done_beside_workers(void **state)
{
    (void)state;
    create(WORKERS);
    assert_int_equal(emp_executor_start(executor, WORKERS - 1), EMP_OK);
    const struct branch root = {executor, 6};
    const struct emp_spawn spawn = spawn_of(&branching, &root, sizeof root);

    for (unsigned round = 1; round <= 5; round++) {
        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
        assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
        assert_int_equal(now(&ran), 5461 * round);
        assert_int_equal(now(&ended), 5461 * round);
        assert_int_equal(stats_now().alive, 0);
    }
    destroy();
}

/* Two tasks on a worker: the first blocks its thread until the second has run elsewhere. */
static uint64_t met; /* shared */

static enum emp_poll block_until_met(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    while (now(&met) == 0) {
        (void)sched_yield();
    }
    return EMP_POLL_READY;
}

static enum emp_poll meet(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    bump(&met);
    return EMP_POLL_READY;
}

static const struct emp_task_type blocking = {"blocking", 0, 0, block_until_met, NULL};
static const struct emp_task_type meeting = {"meeting", 0, 0, meet, NULL};

static enum emp_poll spawn_both(struct emp_task *task, void *body)
{
    const struct emp_spawn first = spawn_of(&blocking, NULL, 0);
    const struct emp_spawn second = spawn_of(&meeting, NULL, 0);

    (void)task;
    (void)body;
    assert_int_equal(emp_task_spawn(&first, NULL, NULL), EMP_OK);
    assert_int_equal(emp_task_spawn(&second, NULL, NULL), EMP_OK);
    return EMP_POLL_READY;
}

static void work_behind_a_task_that_blocks_is_taken_by_another_worker(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"both", 0, 0, spawn_both, NULL};

    create(2);
    assert_int_equal(emp_executor_start(executor, 2), EMP_OK);
    const struct emp_spawn spawn = spawn_of(&type, NULL, 0);

    for (unsigned i = 0; i < 50; i++) {
        __atomic_store_n(&met, 0, __ATOMIC_RELEASE);
        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
        while (stats_now().alive != 0) {
            nap(20000);
        }
        assert_int_equal(now(&met), 1);
    }
    assert_true(stats_now().steals > 0);
    destroy();
}

/* Two tasks that wake each other for ever, by way of the place for what was woken last. */
static struct emp_waker partner[2];
static uint64_t stop_partners; /* shared */

static enum emp_poll wake_partner(struct emp_task *task, void *body)
{
    const unsigned own = *(unsigned *)body;
    struct emp_waker waker = emp_task_waker(task);

    if (now(&stop_partners) != 0) {
        emp_waker_wake(&partner[1 - own]);
        return EMP_POLL_READY;
    }
    if (partner[own].vt == NULL) {
        partner[own] = emp_waker_clone(&waker);
    }
    emp_waker_wake_by_ref(&partner[1 - own]);
    if (partner[1 - own].vt == NULL) {
        emp_waker_wake_by_ref(&waker);
    }
    return EMP_POLL_PENDING;
}

static enum emp_poll stop_them(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    bump(&stop_partners);
    return EMP_POLL_READY;
}

static void tasks_that_wake_each_other_do_not_starve_the_rest(void **state)
{
    (void)state;
    static const struct emp_task_type partners = {"partners", 4, 4, wake_partner, count_end};
    static const struct emp_task_type stopper = {"stopper", 0, 0, stop_them, NULL};

    create(1);
    partner[0] = (struct emp_waker){NULL, NULL};
    partner[1] = partner[0];
    stop_partners = 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct emp_spawn spawn = spawn_of(&partners, &i, sizeof i);

        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
    }
    const struct emp_spawn spawn = spawn_of(&stopper, NULL, 0);

    assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
    emp_waker_drop(&partner[0]);
    emp_waker_drop(&partner[1]);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
    assert_int_equal(now(&ended), 2);
    destroy();
}

/* A thread that spawns, and wakes one shared task again and again. */
static enum emp_poll wait_for_all(struct emp_task *task, void *body);
static const struct emp_task_type waiting = {"waiting", 0, 0, wait_for_all, count_end};
static uint64_t arrived; /* shared */
static uint64_t expected;

static enum emp_poll wait_for_all(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    return now(&arrived) == expected ? EMP_POLL_READY : EMP_POLL_PENDING;
}

static void *spawn_and_wake(void *arg)
{
    struct emp_waker *waker = arg;

    for (unsigned i = 0; i < 10; i++) {
        spawn_yielding(i % 3);
        emp_waker_wake_by_ref(waker);
    }
    bump(&arrived);
    emp_waker_wake(waker);
    return NULL;
}

static void thousand_threads_spawn_and_wake(void **state)
{
    (void)state;
    static pthread_t threads[MANY];
    static struct emp_waker wakers[MANY];
    struct emp_task *task = NULL;

    create(WORKERS);
    arrived = 0;
    expected = MANY;
    assert_int_equal(emp_executor_start(executor, WORKERS), EMP_OK);
    const struct emp_spawn spawn = spawn_of(&waiting, NULL, 0);

    assert_int_equal(emp_task_spawn(&spawn, NULL, &task), EMP_OK);
    const struct emp_waker waker = emp_task_waker(task);

    for (unsigned i = 0; i < MANY; i++) {
        wakers[i] = emp_waker_clone(&waker);
        assert_int_equal(pthread_create(&threads[i], NULL, spawn_and_wake, &wakers[i]), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    emp_task_release(task);
    /* The waiting task and ten of each thread, at least: wakes from outside count too. */
    assert_true(stats_now().injections >= 10 * MANY + 1);
    assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_DRAIN), EMP_OK);
    destroy();
    assert_int_equal(now(&ended), 10 * MANY + 1);
}

/* A timer that notes when it fired. */
struct noted_timer {
    struct emp_timer timer; /* first */
    uint64_t fired_ns;
    unsigned order;
};
static unsigned fired;

static void note_timer(struct emp_timer *timer)
{
    struct noted_timer *noted = (struct noted_timer *)(void *)timer;

    noted->fired_ns = clock_ns();
    noted->order = fired++;
}

static void timers_fire_in_order_and_not_early_and_stopped_ones_never(void **state)
{
    (void)state;
    static const unsigned delays_ms[] = {30, 5, 20, 10, 25, 1, 15};
    enum { TIMERS = sizeof delays_ms / sizeof delays_ms[0] };
    static struct noted_timer timers[TIMERS];
    struct emp_scheduler *scheduler;

    create(1);
    fired = 0;
    scheduler = emp_executor_scheduler(executor);
    /* After the wheel began: timers that are due when they are started fire in any order. */
    const uint64_t begin_ns = clock_ns();

    for (unsigned i = 0; i < TIMERS; i++) {
        timers[i].timer.deadline_ns = begin_ns + delays_ms[i] * 1000000u;
        timers[i].timer.fire = note_timer;
        timers[i].fired_ns = 0;
        assert_int_equal(scheduler->timer_start(scheduler, &timers[i].timer), EMP_OK);
    }
    assert_true(scheduler->timer_stop(scheduler, &timers[2].timer));
    assert_false(scheduler->timer_stop(scheduler, &timers[2].timer));
    assert_int_equal(stats_now().timers, TIMERS - 1);
    while (stats_now().timers > 0) {
        assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
        nap(500000);
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        unsigned before = 0;

        for (unsigned j = 0; j < TIMERS; j++) {
            before += j != 2 && delays_ms[j] < delays_ms[i];
        }
        if (i != 2) {
            assert_true(timers[i].fired_ns >= timers[i].timer.deadline_ns);
            assert_int_equal(timers[i].order, before);
            assert_false(scheduler->timer_stop(scheduler, &timers[i].timer));
        } else {
            assert_int_equal(timers[i].fired_ns, 0);
        }
    }
    destroy();
}

/* A task that sleeps by a timer whose owner is its body. */
struct sleeper {
    struct emp_timer timer; /* first */
    struct emp_waker waker;
    uint64_t delay_ns;
    bool is_started;
    bool has_fired; /* written by the timer before the wake */
};

static void wake_sleeper(struct emp_timer *timer)
{
    struct sleeper *sleeper = (struct sleeper *)(void *)timer;
    struct emp_waker waker = sleeper->waker;

    sleeper->has_fired = true;
    emp_waker_wake(&waker);
}

static enum emp_poll sleep_once(struct emp_task *task, void *body)
{
    struct sleeper *sleeper = body;
    struct emp_waker own = emp_task_waker(task);

    if (sleeper->is_started) {
        assert_true(sleeper->has_fired);
        return EMP_POLL_READY;
    }
    sleeper->is_started = true;
    sleeper->waker = emp_waker_clone(&own);
    sleeper->timer.deadline_ns = clock_ns() + sleeper->delay_ns;
    sleeper->timer.fire = wake_sleeper;
    assert_int_equal(task->scheduler->timer_start(task->scheduler, &sleeper->timer), EMP_OK);
    return EMP_POLL_PENDING;
}

static const struct emp_task_type sleeping = {"sleeping", sizeof(struct sleeper), 16, sleep_once,
                                              count_end};

static void sleeping_tasks_are_woken_by_parked_workers(void **state)
{
    (void)state;
    create(WORKERS);
    assert_int_equal(emp_executor_start(executor, WORKERS - 1), EMP_OK);
    for (unsigned i = 0; i < MANY; i++) {
        const struct sleeper sleeper = {.delay_ns = (i * 7919 % 50) * 1000000u};
        const struct emp_spawn spawn = spawn_of(&sleeping, &sleeper, sizeof sleeper);

        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
    }
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    assert_int_equal(now(&ended), MANY);
    assert_int_equal(stats_now().timers, 0);
    destroy();
}

/* Waits for ever; its last wakers are in held. */
static enum emp_poll wait_for_ever(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    bump(&ran);
    return EMP_POLL_PENDING;
}

static const struct emp_task_type forever = {"forever", 0, 0, wait_for_ever, count_end};

static void destroy_cancels_what_is_queued_and_refuses_while_a_task_waits(void **state)
{
    (void)state;
    struct emp_task *task = NULL;

    create(2);
    assert_int_equal(emp_executor_start(executor, 1), EMP_OK);
    const struct emp_spawn spawn = spawn_of(&forever, NULL, 0);

    assert_int_equal(emp_task_spawn(&spawn, NULL, &task), EMP_OK);
    while (now(&ran) == 0) {
        nap(100000);
    }
    assert_int_equal(emp_executor_destroy(executor), EMP_ERR_BUSY);
    assert_int_equal(stats_now().alive, 1);
    assert_int_equal(emp_executor_start(executor, 1), EMP_ERR_STATE);
    assert_true(emp_task_abort(task));
    emp_task_release(task);
    destroy();
    assert_int_equal(now(&ended), 1);
}

static void cancelling_stop_ends_tasks_that_never_would(void **state)
{
    (void)state;
    create(2);
    assert_int_equal(emp_executor_start(executor, 2), EMP_OK);
    for (unsigned i = 0; i < 10; i++) {
        spawn_yielding(UINT32_MAX);
    }
    nap(1000000);
    assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_CANCEL), EMP_OK);
    destroy();
    assert_int_equal(now(&ended), 10);
}

static enum emp_poll call_from_inside(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_ERR_STATE);
    assert_int_equal(emp_executor_destroy(executor), EMP_ERR_STATE);
    assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_DRAIN), EMP_OK);
    bump(&ran);
    return EMP_POLL_READY;
}

static void stop_from_a_task_ends_the_run(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"inside", 0, 0, call_from_inside, NULL};

    create(1);
    const struct emp_spawn spawn = spawn_of(&type, NULL, 0);

    assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_STOP), EMP_OK);
    assert_int_equal(now(&ran), 1);
    destroy();
}

static void wrong_calls_are_refused(void **state)
{
    (void)state;
    struct emp_executor_stats stats;

    assert_int_equal(emp_executor_create(0, &executor), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_create(EMP_EXECUTOR_WORKERS_MAX + 1, &executor), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_create(1, NULL), EMP_ERR_INVALID);
    create(2);
    assert_int_equal(emp_executor_start(NULL, 1), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_start(executor, 0), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_start(executor, 3), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_start(executor, 1), EMP_OK);
    assert_int_equal(emp_executor_start(executor, 2), EMP_ERR_BUSY);
    assert_int_equal(emp_executor_start(executor, 1), EMP_OK);
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_ERR_BUSY);
    assert_int_equal(emp_executor_run(executor, (enum emp_executor_until)3), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_stop(executor, (enum emp_executor_stop)0), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_get_stats(executor, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_get_stats(NULL, &stats), EMP_ERR_INVALID);
    assert_int_equal(emp_executor_destroy(NULL), EMP_ERR_INVALID);
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calling_thread_runs_until_idle),
        cmocka_unit_test(workers_run_what_other_threads_spawn),
        cmocka_unit_test(calling_thread_waits_until_all_is_done_beside_workers),
        cmocka_unit_test(work_behind_a_task_that_blocks_is_taken_by_another_worker),
        cmocka_unit_test(tasks_that_wake_each_other_do_not_starve_the_rest),
        cmocka_unit_test(thousand_threads_spawn_and_wake),
        cmocka_unit_test(timers_fire_in_order_and_not_early_and_stopped_ones_never),
        cmocka_unit_test(sleeping_tasks_are_woken_by_parked_workers),
        cmocka_unit_test(destroy_cancels_what_is_queued_and_refuses_while_a_task_waits),
        cmocka_unit_test(cancelling_stop_ends_tasks_that_never_would),
        cmocka_unit_test(stop_from_a_task_ends_the_run),
        cmocka_unit_test(wrong_calls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
