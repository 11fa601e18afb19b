/*
 * What:  ends of threads and of the process: key destructors that allocate and free before and
 *        after ours, in every round; threads that only free; thousands of threads; atexit
 *        handlers; exit while others allocate; a main thread that ends first.
 * How:   each end of a process in a child that must end with code 0; caches and blocks counted
 *        after ends of threads.
 * Shows: [local.proto.cache] [thread.proto.lifecycle]
 * ctest-timeout: 300
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/settled.h"

/*
 * PTHREAD_DESTRUCTOR_ITERATIONS, as POSIX promises. The thread sanitizer ends its own account of a
 * thread in the last round: what comes after it there dies in __tsan::MetaMap::GetSync.
 */
#define ROUNDS (EMP_TSAN ? 3u : 4u)

#define CHURN   3000u
#define WORKERS 16u

static struct emp_stats read_stats(void)
{
    struct emp_stats stats;

    emp_park();
    assert_int_equal(settled_stats_read(&stats), EMP_OK);
    return stats;
}

/* A value of a key: a block that its destructor frees, making another one for the next round. */
struct legacy {
    pthread_key_t *key;
    unsigned rounds;
    char rest[100];
};

static pthread_key_t key_before; /* made before the library starts */
static pthread_key_t key_after;

static void hand_down(void *value)
{
    struct legacy old = *(struct legacy *)value;
    void *garbage[50];

    for (unsigned i = 0; i < 50; i++) {
        garbage[i] = emp_malloc(i * 70);
    }
    emp_batch_free(garbage, 50);
    emp_free(value);
    if (old.rounds < ROUNDS) {
        struct legacy *next = emp_malloc(sizeof(*next));

        *next = (struct legacy){.key = old.key, .rounds = old.rounds + 1};
        (void)pthread_setspecific(*old.key, next);
    }
}

static void *leave_legacies(void *arg)
{
    pthread_key_t *keys[] = {&key_before, &key_after};

    for (unsigned i = 0; i < 2; i++) {
        struct legacy *first = emp_malloc(sizeof(*first));

        *first = (struct legacy){.key = keys[i], .rounds = 1};
        (void)pthread_setspecific(*keys[i], first);
    }
    return arg;
}

static void destructors_of_keys_may_allocate_in_every_round(void **state)
{
    (void)state;
    struct emp_stats before = read_stats();

    for (unsigned i = 0; i < 200; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, leave_legacies, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    struct emp_stats after = read_stats();

    assert_int_equal(after.threads, before.threads);
    assert_int_equal(after.allocated, before.allocated);
    assert_int_equal(emp_audit(), 0);
}

static void *only_free(void *arg)
{
    void **blocks = arg;

    for (unsigned i = 0; i < 100; i++) {
        emp_free(blocks[i]);
    }
    return NULL;
}

static void a_thread_whose_first_call_is_a_free_leaves_nothing_behind(void **state)
{
    (void)state;
    struct emp_stats before = read_stats();

    for (unsigned round = 0; round < 200; round++) {
        void *blocks[100];
        pthread_t thread;

        for (unsigned i = 0; i < 100; i++) {
            blocks[i] = emp_malloc(1 + i * 11);
        }
        assert_int_equal(pthread_create(&thread, NULL, only_free, blocks), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    struct emp_stats after = read_stats();

    assert_int_equal(after.threads, before.threads);
    assert_int_equal(after.allocated, before.allocated);
}

static void *churn(void *arg)
{
    for (unsigned i = 0; i < 30; i++) {
        emp_free(emp_malloc(i * 33));
    }
    return arg;
}

static void thousands_of_threads_leave_no_metadata(void **state)
{
    uint64_t metadata = 0;

    (void)state;
    for (unsigned i = 0; i < CHURN; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, churn, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (i == CHURN / 10) {
            metadata = read_stats().metadata;
        }
    }
    assert_int_equal(read_stats().metadata, metadata);
}

static uint32_t threads_work; /* atomic, relaxed: threads that have begun to allocate */

/* The end of the process ends it. */
static void *work_to_the_end(void *arg)
{
    void *blocks[64] = {NULL};

    __atomic_fetch_add(&threads_work, 1, __ATOMIC_RELAXED);
    for (uint64_t i = 0; i < UINT64_MAX; i++) {
        emp_free(blocks[i % 64]);
        blocks[i % 64] = emp_malloc(i % 100 == 0 ? 50000 : i % 2000);
    }
    return arg;
}

static void start_workers(void)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, work_to_the_end, NULL) != 0 ||
            pthread_detach(thread) != 0) {
            _exit(90);
        }
    }
    while (__atomic_load_n(&threads_work, __ATOMIC_RELAXED) < WORKERS) {
        emp_free(emp_malloc(100));
    }
}

static void *late_block;

static void allocate_at_exit(void)
{
    void *more = emp_malloc(3000);

    emp_free(late_block);
    if (more == NULL || emp_audit() != 0) {
        _exit(91);
    }
    late_block = more;
}

__attribute__((destructor)) static void free_after_all_handlers(void)
{
    emp_free(late_block); /* NULL in the parent */
    emp_free(emp_malloc(100));
}

static void exit_with_handlers(void)
{
    late_block = emp_malloc(100);
    (void)atexit(allocate_at_exit);
    (void)atexit(allocate_at_exit);
    exit(0);
}

static void exit_while_others_allocate(void)
{
    start_workers();
    late_block = emp_malloc(100);
    exit(0);
}

static void exit_from_another_thread(void)
{
    pthread_t thread;

    emp_free(emp_malloc(100));
    if (pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))exit_with_handlers,
                       NULL) != 0) {
        _exit(92);
    }
    (void)pthread_join(thread, NULL);
    _exit(93);
}

static void *exit_when_main_is_gone(void *arg)
{
    (void)pthread_join(*(pthread_t *)arg, NULL);
    emp_free(emp_malloc(5000));
    exit(emp_audit() == 0 ? 0 : 94);
}

static void main_thread_ends_first(void)
{
    static pthread_t main_thread;
    pthread_t thread;

    main_thread = pthread_self();
    emp_free(emp_malloc(100));
    if (pthread_create(&thread, NULL, exit_when_main_is_gone, &main_thread) != 0) {
        _exit(95);
    }
    pthread_exit(NULL);
}

static void quick_exit_at_once(void)
{
    start_workers();
    quick_exit(0);
}

static void every_end_of_a_process_is_quiet(void **state)
{
    static const struct {
        const char *name;
        void (*body)(void);
        unsigned times;
    } ends[] = {
        {"exit with handlers", exit_with_handlers, 3},
        {"exit while others allocate", exit_while_others_allocate, 20},
        {"exit from another thread", exit_from_another_thread, 3},
        /*
         * The leak check of one sanitizer loses what the stack of the main thread held; the other
         * knows no main thread to join: "CHECK failed: tsan_rtl_thread.cpp:292 ((tid)) <
         * ((kMaxTid)) (0xffffffff, 0x1fc0)".
         */
        {"main thread ends first", main_thread_ends_first, EMP_ASAN || EMP_TSAN ? 0 : 3},
        {"quick_exit", quick_exit_at_once, 3},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        for (unsigned time = 0; time < ends[i].times; time++) {
            int status = 0;

            (void)fflush(NULL);
            pid_t child = fork();

            assert_true(child >= 0);
            if (child == 0) {
                (void)alarm(60);
                ends[i].body();
                _exit(96);
            }
            assert_int_equal(waitpid(child, &status, 0), child);
            if (status != 0) {
                fail_msg("%s: status 0x%x", ends[i].name, (unsigned)status);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destructors_of_keys_may_allocate_in_every_round),
        cmocka_unit_test(a_thread_whose_first_call_is_a_free_leaves_nothing_behind),
        cmocka_unit_test(thousands_of_threads_leave_no_metadata),
        cmocka_unit_test(every_end_of_a_process_is_quiet),
    };

    if (pthread_key_create(&key_before, hand_down) != 0) {
        return 1;
    }
    emp_free(emp_malloc(1));
    if (pthread_key_create(&key_after, hand_down) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
