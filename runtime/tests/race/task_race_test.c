/*
 * What: every pair of what two holders may do with a task at one time, beside a runner: each wake
 *       reaches a poll, the body ends once, on the runner's thread, and every object comes back.
 * How:  three threads that start each round together: two do their deeds with a reference of their
 *       own, one runs; what is left in the queue is run afterwards. Under the thread sanitizer the
 *       same program looks for races.
 * Shows: [async.proto.task] [sync.proto.task-word]
 * ctest-timeout: 300
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "async/task_core.h"
#include "core/async_memory_pool.h"
#include "support/async_pool.h"
#include "support/task_queue.h"
#include "sync/atomic.h"

#define ROUNDS 200u
#define RUNS   20u

/* What a holder does. The first three wake. */
enum deed { WAKE_VALUE, WAKE_REF, WAKE_TWIN, ABORT, DROP, WATCH, DEEDS };

static struct emp_async_pool *pool;
static struct task_queue_test queue;
static pthread_barrier_t start;
static pthread_barrier_t finish;
static bool quits;               /* between the barriers: const */
static enum deed deeds[2];       /* as quits */
static struct emp_task *task;    /* as quits */
static uint32_t wakes_expected;  /* as quits */
static uint32_t signals;         /* atomic: test. shown before each wake */
static uint32_t drops;           /* atomic: test */
static uint32_t drops_elsewhere; /* atomic: test. bodies that ended on another thread */
static uint32_t aborts;          /* atomic: test. that returned true */
static uint32_t readies;         /* atomic: test. polls that were ready */
static uint32_t unseen;          /* atomic: test. looks that missed the end of the body */
static uint32_t content;         /* plain: the body's; a race if two run at one time */
static _Thread_local bool is_runner;

static enum emp_poll poll_signals(struct emp_task *self, void *body)
{
    (void)self;
    (void)body;
    content++;
    /* order(test): relaxed; the wake must bring it */
    if (wakes_expected == 0 || emp_load_relaxed(&signals) < wakes_expected) {
        return EMP_POLL_PENDING;
    }
    /* order(test): relaxed; read after the threads have met */
    emp_fetch_add_relaxed(&readies, 1u);
    return EMP_POLL_READY;
}

static void end_body(void *body)
{
    (void)body;
    content++;
    /* order(test): relaxed; read after the threads have met */
    emp_fetch_add_relaxed(&drops, 1u);
    if (!is_runner) {
        /* order(test): relaxed; as above */
        emp_fetch_add_relaxed(&drops_elsewhere, 1u);
    }
}

static const struct emp_task_type type = {"raced", 80, 8, poll_signals, end_body};

/* Does a deed with one reference, which is gone then. */
static void do_deed(enum deed deed)
{
    struct emp_waker waker = emp_task_waker(task);

    if (deed <= WAKE_TWIN) {
        /* order(test): relaxed; the wake publishes it */
        emp_fetch_add_relaxed(&signals, 1u);
    }
    if (deed == WAKE_VALUE) {
        emp_waker_wake(&waker);
    } else if (deed == WAKE_REF) {
        emp_waker_wake_by_ref(&waker);
        emp_waker_drop(&waker);
    } else if (deed == WAKE_TWIN) {
        struct emp_waker twin = emp_waker_clone(&waker);

        emp_waker_drop(&waker);
        emp_waker_wake(&twin);
    } else if (deed == ABORT) {
        if (emp_task_abort(task)) {
            /* order(test): relaxed; read after the threads have met */
            emp_fetch_add_relaxed(&aborts, 1u);
        }
        emp_task_release(task);
    } else if (deed == DROP) {
        emp_task_release(task);
    } else {
        if (emp_task_is_complete(task) && content < 1) {
            /* order(test): relaxed; read after the threads have met */
            emp_fetch_add_relaxed(&unseen, 1u);
        }
        emp_task_release(task);
    }
}

static void *holder(void *arg)
{
    const unsigned number = (unsigned)(uintptr_t)arg;

    for (;;) {
        (void)pthread_barrier_wait(&start);
        if (quits) {
            return NULL;
        }
        do_deed(deeds[number]);
        (void)pthread_barrier_wait(&finish);
    }
}

static void *runner(void *arg)
{
    is_runner = true;
    for (;;) {
        (void)pthread_barrier_wait(&start);
        if (quits) {
            return arg;
        }
        (void)task_queue_run(&queue, RUNS);
        (void)pthread_barrier_wait(&finish);
    }
}

/* A task with one reference per holder, in the queue or idle. */
static void spawn_for_two(bool is_idle)
{
    const struct emp_spawn spawn = {.pool = pool, .scheduler = &queue.scheduler, .type = &type};

    signals = 0;
    drops = 0;
    drops_elsewhere = 0;
    aborts = 0;
    readies = 0;
    unseen = 0;
    content = 0;
    wakes_expected = (deeds[0] <= WAKE_TWIN ? 1u : 0u) + (deeds[1] <= WAKE_TWIN ? 1u : 0u);
    assert_int_equal(emp_task_spawn(&spawn, NULL, &task), EMP_OK);
    (void)emp_task_retain(task);
    if (is_idle) {
        assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    }
}

static void check_round(void)
{
    is_runner = true;
    (void)task_queue_run(&queue, RUNS);
    assert_int_equal(queue.length, 0);
    assert_int_equal(drops, 1);
    assert_int_equal(drops_elsewhere, 0);
    assert_int_equal(unseen, 0);
    assert_int_equal(readies + aborts >= 1 || wakes_expected == 0, 1);
    if (deeds[0] != ABORT && deeds[1] != ABORT) {
        assert_int_equal(readies, wakes_expected > 0);
    } else if (deeds[0] == ABORT && deeds[1] == ABORT) {
        assert_int_equal(aborts, 1);
    }
}

static void every_pair_of_deeds_beside_a_runner_ends_the_task_once(void **state)
{
    (void)state;
    pthread_t threads[3];

    task_queue_init(&queue);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(pthread_barrier_init(&start, NULL, 4), 0);
    assert_int_equal(pthread_barrier_init(&finish, NULL, 4), 0);
    quits = false;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < 2 ? holder : runner, (void *)(uintptr_t)i), 0);
    }
    for (unsigned round = 0; round < ROUNDS * DEEDS * DEEDS * 2; round++) {
        deeds[0] = (enum deed)(round / 2 % DEEDS);
        deeds[1] = (enum deed)(round / 2 / DEEDS % DEEDS);
        if (deeds[0] > deeds[1]) {
            continue;
        }
        spawn_for_two(round % 2 != 0);
        (void)pthread_barrier_wait(&start);
        (void)pthread_barrier_wait(&finish);
        check_round();
    }
    quits = true;
    (void)pthread_barrier_wait(&start);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(async_pool_in_use(pool, "task-header"), 0);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

#define STORM_WAKERS 4u
#define STORM_WAKES  20000u

static uint32_t storm_polls; /* plain: the task's */

static enum emp_poll poll_storm(struct emp_task *self, void *body)
{
    (void)self;
    (void)body;
    storm_polls++;
    /* order(test): relaxed; the wake must bring it */
    return emp_load_relaxed(&signals) == STORM_WAKERS * STORM_WAKES ? EMP_POLL_READY
                                                                    : EMP_POLL_PENDING;
}

static void *storm(void *arg)
{
    struct emp_waker waker = emp_task_waker(arg);

    for (unsigned i = 0; i < STORM_WAKES; i++) {
        /* order(test): relaxed; the wake publishes it */
        emp_fetch_add_relaxed(&signals, 1u);
        emp_waker_wake_by_ref(&waker);
    }
    emp_waker_drop(&waker);
    return NULL;
}

static void storm_of_wakes_loses_none_and_polls_no_more_than_it_wakes(void **state)
{
    (void)state;
    static const struct emp_task_type stormy = {"stormy", 0, 0, poll_storm, NULL};
    pthread_t threads[STORM_WAKERS];

    task_queue_init(&queue);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    const struct emp_spawn spawn = {.pool = pool, .scheduler = &queue.scheduler, .type = &stormy};

    signals = 0;
    storm_polls = 0;
    assert_int_equal(emp_task_spawn(&spawn, NULL, &task), EMP_OK);
    for (unsigned i = 0; i < STORM_WAKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, storm, emp_task_retain(task)), 0);
    }
    while (!emp_task_is_complete(task)) {
        (void)task_queue_run(&queue, RUNS);
    }
    for (unsigned i = 0; i < STORM_WAKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(queue.length, 0);
    assert_in_range(storm_polls, 1, STORM_WAKERS * STORM_WAKES + 1);
    emp_task_release(task);
    assert_int_equal(async_pool_in_use(pool, "task"), 0);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_deeds_beside_a_runner_ends_the_task_once),
        cmocka_unit_test(storm_of_wakes_loses_none_and_polls_no_more_than_it_wakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
