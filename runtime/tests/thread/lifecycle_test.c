/*
 * Purpose: the end of threads, fork, and threads of our own.
 * Design:  [thread.proto.lifecycle] [thread.inv.exit-once] [thread.inv.signals-blocked]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sync/atomic.h"
#include "thread/lifecycle.h"

#define MS ((uint64_t)1000000)

/* What on_exit has seen of one thread; read after the thread was joined. */
struct ending {
    unsigned rounds;
    unsigned last_rounds;
    unsigned after_last;
    unsigned others_after_last; /* destructors of another key that found us gone */
    bool attach_after_last;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static unsigned prepared;
static unsigned in_parent;
static unsigned in_child;

static void on_prepare(void)
{
    prepared++;
    errno = 1;
}

static void on_parent(void)
{
    in_parent += prepared;
}

static void on_child(void)
{
    in_child += prepared;
}

static void on_exit_round(void *arg, bool last)
{
    struct ending *const ending = arg;
    ending->after_last += ending->last_rounds;
    ending->rounds++;
    ending->last_rounds += last ? 1 : 0;
    if (last) {
        ending->attach_after_last = emp_lifecycle_attach(arg);
    }
    errno = 1;
}

static const struct emp_fork_hooks hooks = {on_prepare, on_parent, on_child};

static int init_once(void **state)
{
    (void)state;
    return emp_lifecycle_init(on_exit_round, &hooks) ? 0 : -1;
}

static void *attached_body(void *arg)
{
    errno = 4711;
    const bool is_attached = emp_lifecycle_attach(arg);
    return (void *)(uintptr_t)(is_attached && errno == 4711);
}

static void an_ending_thread_gets_every_round_and_exactly_one_last_one(void **state)
{
    (void)state;
    struct ending ending = {0};
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, attached_body, &ending), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    assert_int_equal(ending.rounds, EMP_LIFECYCLE_EXIT_ROUNDS);
    assert_int_equal(ending.last_rounds, 1);
    assert_int_equal(ending.after_last, 0);
    assert_false(ending.attach_after_last);
}

static pthread_key_t other_key;
static struct ending other_ending;

/* A destructor of the program that sets its key again, as long as the C library lets it. */
static void other_destructor(void *arg)
{
    const uintptr_t round = (uintptr_t)arg;
    other_ending.others_after_last += other_ending.last_rounds;
    if (round < EMP_LIFECYCLE_EXIT_ROUNDS - 1) {
        pthread_setspecific(other_key, (void *)(round + 1));
    }
}

static void *other_key_body(void *arg)
{
    pthread_setspecific(other_key, (void *)1);
    return attached_body(arg);
}

static void destructors_of_other_keys_still_find_the_cache_before_the_last_round(void **state)
{
    (void)state;
    pthread_t thread;
    other_ending = (struct ending){0};
    assert_int_equal(pthread_key_create(&other_key, other_destructor), 0);
    assert_int_equal(pthread_create(&thread, NULL, other_key_body, &other_ending), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_key_delete(other_key), 0);
    assert_int_equal(other_ending.last_rounds, 1);
    assert_int_equal(other_ending.others_after_last, 0);
}

static void *bystander_body(void *arg)
{
    return arg;
}

static void a_thread_that_never_attached_gets_no_exit_round(void **state)
{
    (void)state;
    struct ending ending = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, bystander_body, &ending), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(ending.rounds, 0);
}

static void fork_runs_prepare_first_then_one_hook_on_each_side_and_keeps_errno(void **state)
{
    (void)state;
    prepared = in_parent = in_child = 0;
    errno = 4711;
    const pid_t child = fork();
    const int seen = errno;
    assert_true(child >= 0);
    if (child == 0) {
        _exit(prepared == 1 && in_child == 1 && in_parent == 0 && seen == 4711 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(seen, 4711);
    assert_int_equal(prepared, 1);
    assert_int_equal(in_parent, 1);
    assert_int_equal(in_child, 0);
}

/* What a spawned thread has seen of itself. */
struct spawned {
    uint32_t done;
    sigset_t mask;
    char name[16];
    uint32_t thread_id;
    int detach_state;
    size_t stack_bytes;
};

static void spawned_body(void *arg)
{
    struct spawned *const spawned = arg;
    pthread_attr_t attributes;
    pthread_sigmask(SIG_SETMASK, NULL, &spawned->mask);
    prctl(PR_GET_NAME, spawned->name, 0, 0, 0);
    spawned->thread_id = emp_lifecycle_thread_id();
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getdetachstate(&attributes, &spawned->detach_state);
    pthread_attr_getstacksize(&attributes, &spawned->stack_bytes);
    pthread_attr_destroy(&attributes);
    /* order(test): release; the fields above come with it */
    emp_store_release(&spawned->done, 1u);
    emp_lifecycle_wake(&spawned->done);
}

static void wait_for(uint32_t *word)
{
    /* order(test): acquire; what the other thread wrote before is visible */
    while (emp_load_acquire(word) == 0) {
        emp_lifecycle_sleep(word, 0, 100 * MS);
    }
}

static void a_spawned_thread_blocks_all_signals_is_detached_and_has_the_name(void **state)
{
    (void)state;
    static struct spawned spawned;
    assert_true(emp_lifecycle_spawn(spawned_body, &spawned, "a-name-that-is-cut-at-fifteen"));
    wait_for(&spawned.done);
    for (int signal = 1; signal < 32; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP) {
            assert_int_equal(sigismember(&spawned.mask, signal), 1);
        }
    }
    assert_string_equal(spawned.name, "a-name-that-is-");
    assert_int_equal(spawned.detach_state, PTHREAD_CREATE_DETACHED);
    assert_true(spawned.stack_bytes >= 64 * 1024);
    assert_int_not_equal(spawned.thread_id, emp_lifecycle_thread_id());
}

static void spawn_leaves_the_callers_signal_mask_and_errno_alone(void **state)
{
    (void)state;
    static struct spawned spawned;
    sigset_t mine;
    sigset_t before;
    sigset_t after;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &mine, &before);
    errno = 4711;
    assert_true(emp_lifecycle_spawn(spawned_body, &spawned, "x"));
    assert_int_equal(errno, 4711);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    assert_int_equal(sigismember(&after, SIGUSR2), 1);
    assert_int_equal(sigismember(&after, SIGUSR1), 0);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
    wait_for(&spawned.done);
}

static uint32_t finished;

static void count_body(void *arg)
{
    (void)arg;
    /* order(test): release; a count that the test waits for */
    emp_fetch_add_acq_rel(&finished, 1u);
}

static void threads_can_be_spawned_one_after_the_other_for_ever(void **state)
{
    (void)state;
    uint32_t started = 0;
    finished = 0;
    for (int i = 0; i < 200; i++) {
        while (!emp_lifecycle_spawn(count_body, NULL, "many")) {
            usleep(1000);
        }
        started++;
    }
    /* order(test): acquire; a count */
    for (int i = 0; i < 1000 && emp_load_acquire(&finished) < started; i++) {
        usleep(10000);
    }
    /* order(test): acquire; a count */
    assert_int_equal(emp_load_acquire(&finished), started);
}

static void sleep_ends_by_itself_after_the_time(void **state)
{
    (void)state;
    uint32_t word = 5;
    const uint64_t before_ns = now_ns();
    errno = 4711;
    emp_lifecycle_sleep(&word, 5, 50 * MS);
    assert_int_equal(errno, 4711);
    assert_true(now_ns() - before_ns >= 45 * MS);
}

static void sleep_on_a_word_that_has_changed_returns_at_once(void **state)
{
    (void)state;
    uint32_t word = 6;
    const uint64_t before_ns = now_ns();
    emp_lifecycle_sleep(&word, 5, 20000 * MS);
    assert_true(now_ns() - before_ns < 10000 * MS);
}

static uint32_t bell;

static void *sleeper_body(void *arg)
{
    (void)arg;
    emp_lifecycle_sleep(&bell, 0, 60000 * MS);
    return NULL;
}

static void wake_ends_the_sleep_of_all_sleepers(void **state)
{
    (void)state;
    pthread_t sleepers[3];
    const uint64_t before_ns = now_ns();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&sleepers[i], NULL, sleeper_body, NULL), 0);
    }
    usleep(50000);
    /* order(test): release; pairs with the kernel's look at the word */
    emp_store_release(&bell, 1u);
    emp_lifecycle_wake(&bell);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(sleepers[i], NULL), 0);
    }
    assert_true(now_ns() - before_ns < 30000 * MS);
}

static void the_thread_id_of_the_first_thread_is_the_process_id(void **state)
{
    (void)state;
    assert_int_equal(emp_lifecycle_thread_id(), (uint32_t)getpid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ending_thread_gets_every_round_and_exactly_one_last_one),
        cmocka_unit_test(destructors_of_other_keys_still_find_the_cache_before_the_last_round),
        cmocka_unit_test(a_thread_that_never_attached_gets_no_exit_round),
        cmocka_unit_test(fork_runs_prepare_first_then_one_hook_on_each_side_and_keeps_errno),
        cmocka_unit_test(a_spawned_thread_blocks_all_signals_is_detached_and_has_the_name),
        cmocka_unit_test(spawn_leaves_the_callers_signal_mask_and_errno_alone),
        cmocka_unit_test(threads_can_be_spawned_one_after_the_other_for_ever),
        cmocka_unit_test(sleep_ends_by_itself_after_the_time),
        cmocka_unit_test(sleep_on_a_word_that_has_changed_returns_at_once),
        cmocka_unit_test(wake_ends_the_sleep_of_all_sleepers),
        cmocka_unit_test(the_thread_id_of_the_first_thread_is_the_process_id),
    };
    return cmocka_run_group_tests(tests, init_once, NULL);
}
