/*
 * Purpose: mutual exclusion, sleeping and waking, try-lock, and the state after fork.
 * Design:  [thread.proto.mutex] [thread.inv.mutual-exclusion]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "thread/mutex.h"

#define THREADS 8
#define ROUNDS  50000

/* What the mutex of the counting tests protects: plain fields, where TSan sees missing order. */
struct counted {
    struct emp_mutex mutex;
    uint64_t entered;
    uint64_t inside;
    uint64_t collisions;
};

static struct counted counted;

static void counted_enter(void)
{
    counted.inside++;
    if (counted.inside != 1) {
        counted.collisions++;
    }
    counted.entered++;
    counted.inside--;
}

static void *lock_body(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        emp_mutex_lock(&counted.mutex);
        counted_enter();
        emp_mutex_unlock(&counted.mutex);
    }
    return NULL;
}

static void *try_body(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        while (!emp_mutex_try_lock(&counted.mutex)) {
            emp_cpu_relax();
        }
        counted_enter();
        emp_mutex_unlock(&counted.mutex);
    }
    return NULL;
}

/* Runs eight threads, every second one by try-lock when mixed. */
static void run_contention(bool mixed)
{
    pthread_t threads[THREADS];
    counted = (struct counted){.mutex = EMP_MUTEX_INIT(SPAN)};
    for (int i = 0; i < THREADS; i++) {
        void *(*const body)(void *) = mixed && i % 2 != 0 ? try_body : lock_body;
        assert_int_equal(pthread_create(&threads[i], NULL, body, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(counted.entered, (uint64_t)THREADS * ROUNDS);
    assert_int_equal(counted.collisions, 0);
    assert_false(emp_mutex_is_held(&counted.mutex));
}

static void mutex_admits_one_of_eight_threads_at_a_time(void **state)
{
    (void)state;
    run_contention(false);
}

static void mutex_admits_one_at_a_time_when_lock_and_try_lock_mix(void **state)
{
    (void)state;
    run_contention(true);
}

static void mutex_try_lock_of_a_held_mutex_returns_false_at_once(void **state)
{
    (void)state;
    struct emp_mutex mutex = EMP_MUTEX_INIT(SPAN);
    assert_true(emp_mutex_try_lock(&mutex));
    assert_true(emp_mutex_is_held(&mutex));
    assert_false(emp_mutex_try_lock(&mutex));
    emp_mutex_unlock(&mutex);
    assert_false(emp_mutex_is_held(&mutex));
    assert_true(emp_mutex_try_lock(&mutex));
    emp_mutex_unlock(&mutex);
}

static void mutex_init_sets_the_rank_and_leaves_the_mutex_free(void **state)
{
    (void)state;
    struct emp_mutex mutex = {77, 77};
    emp_mutex_init(&mutex, EMP_RANK_LARGE);
    assert_int_equal(mutex.rank, EMP_RANK_LARGE);
    assert_false(emp_mutex_is_held(&mutex));
    assert_int_equal(sizeof mutex, 8);
}

static struct emp_mutex slept_on = EMP_MUTEX_INIT(SPAN);

static uint64_t thread_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void *sleep_body(void *arg)
{
    uint64_t *const used_ns = arg;
    const uint64_t before_ns = thread_cpu_ns();
    emp_mutex_lock(&slept_on);
    emp_mutex_unlock(&slept_on);
    *used_ns = thread_cpu_ns() - before_ns;
    return NULL;
}

/* A waiter that spins would use 300 ms of processor time; one that sleeps uses microseconds. */
static void mutex_waiters_sleep_and_all_are_woken_by_unlocks(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t used_ns[THREADS];
    emp_mutex_lock(&slept_on);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_body, &used_ns[i]), 0);
    }
    /* order(test): relaxed; only that one of them has come so far */
    while (emp_load_relaxed(&slept_on.state) != EMP_MUTEX_AWAITED) {
        usleep(1000);
    }
    usleep(300000);
    /* order(test): relaxed; only read for the assertion */
    assert_int_equal(emp_load_relaxed(&slept_on.state), EMP_MUTEX_AWAITED);
    emp_mutex_unlock(&slept_on);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_in_range(used_ns[i], 0, 100000000);
    }
    assert_false(emp_mutex_is_held(&slept_on));
}

static void *errno_body(void *arg)
{
    int *const seen = arg;
    errno = 4711;
    emp_mutex_lock(&slept_on);
    emp_mutex_unlock(&slept_on);
    *seen = errno;
    return NULL;
}

static void mutex_preserves_errno_when_it_sleeps_and_wakes(void **state)
{
    (void)state;
    pthread_t thread;
    int seen = 0;
    emp_mutex_lock(&slept_on);
    assert_int_equal(pthread_create(&thread, NULL, errno_body, &seen), 0);
    /* order(test): relaxed; it is about to sleep */
    while (emp_load_relaxed(&slept_on.state) != EMP_MUTEX_AWAITED) {
        usleep(1000);
    }
    usleep(50000);
    errno = 815;
    emp_mutex_unlock(&slept_on);
    assert_int_equal(errno, 815);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen, 4711);
}

static void mutex_held_over_fork_is_free_after_reset_in_the_child(void **state)
{
    (void)state;
    struct emp_mutex mutex = EMP_MUTEX_INIT(SPAN);
    emp_mutex_lock(&mutex);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        emp_mutex_reset_in_child(&mutex);
        const bool was_free = emp_mutex_try_lock(&mutex);
        emp_mutex_unlock(&mutex);
        emp_mutex_lock(&mutex);
        emp_mutex_unlock(&mutex);
        _exit(was_free ? 0 : 1);
    }
    emp_mutex_unlock(&mutex);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex_admits_one_of_eight_threads_at_a_time),
        cmocka_unit_test(mutex_admits_one_at_a_time_when_lock_and_try_lock_mix),
        cmocka_unit_test(mutex_try_lock_of_a_held_mutex_returns_false_at_once),
        cmocka_unit_test(mutex_init_sets_the_rank_and_leaves_the_mutex_free),
        cmocka_unit_test(mutex_waiters_sleep_and_all_are_woken_by_unlocks),
        cmocka_unit_test(mutex_preserves_errno_when_it_sleeps_and_wakes),
        cmocka_unit_test(mutex_held_over_fork_is_free_after_reset_in_the_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
