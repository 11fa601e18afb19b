/*
 * Purpose: threads and the drop-in: a thousand of them, threads that only free, allocation in key
 *          destructors, cancellation, the smallest stack, detached threads at exit.
 *          [preload.req.family]
 * Owner:   tests of the drop-in; run by thread_test.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "dropin/child_cases.h"

#define MANY_THREADS      1000
#define HANDED_BLOCKS     20000
#define KEYS              8
#define CANCELLED_THREADS 200

/* Allocates, fills, checks and frees blocks of mixed sizes; the seed makes threads differ. */
static void churn(unsigned seed, unsigned rounds)
{
    unsigned char *held[64] = {NULL};
    size_t sizes[64] = {0};
    uint32_t state = seed * 2654435761u + 1;

    for (unsigned i = 0; i < rounds; ++i) {
        unsigned slot;

        state = state * 1664525u + 1013904223u;
        slot = (state >> 26) % 64;
        if (held[slot] != NULL) {
            CHECK_SIZE(held[slot][0], ==, slot);
            CHECK_SIZE(held[slot][sizes[slot] - 1], ==, slot);
        }
        free(held[slot]);
        sizes[slot] = 1 + (state >> 8) % ((state & 15) == 0 ? 40000 : 700);
        held[slot] = malloc(sizes[slot]);
        CHECK(held[slot] != NULL);
        held[slot][0] = (unsigned char)slot;
        held[slot][sizes[slot] - 1] = (unsigned char)slot;
    }
    for (unsigned slot = 0; slot < 64; ++slot) {
        free(held[slot]);
    }
}

static void *churn_thread(void *arg)
{
    churn((unsigned)(uintptr_t)arg, 500);
    return NULL;
}

static void thousand_threads_at_once(void)
{
    static pthread_t threads[MANY_THREADS];
    pthread_attr_t attributes;

    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 128 * 1024) == 0);
    for (uintptr_t i = 0; i < MANY_THREADS; ++i) {
        CHECK(pthread_create(&threads[i], &attributes, churn_thread, (void *)i) == 0);
    }
    for (size_t i = 0; i < MANY_THREADS; ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    (void)pthread_attr_destroy(&attributes);
}

static void thread_after_thread(void)
{
    for (uintptr_t i = 0; i < 3000; ++i) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, churn_thread, (void *)i) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

static void *free_all(void *arg)
{
    void **blocks = arg;

    for (size_t i = 0; i < HANDED_BLOCKS; ++i) {
        free(blocks[i]);
    }
    return NULL;
}

/* The blocks must come back: a second round may not need twice the memory. */
static void a_thread_that_only_frees_returns_blocks(void)
{
    static void *blocks[HANDED_BLOCKS];
    size_t first = 0;

    for (int round = 0; round < 20; ++round) {
        pthread_t thread;

        for (size_t i = 0; i < HANDED_BLOCKS; ++i) {
            blocks[i] = malloc(200);
            CHECK(blocks[i] != NULL);
        }
        if (round == 0) {
            first = mallinfo2().uordblks;
        }
        CHECK_SIZE(mallinfo2().uordblks, <, first + first / 2);
        CHECK(pthread_create(&thread, NULL, free_all, blocks) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

static pthread_key_t keys[KEYS];
static atomic_uint destructor_calls;

/* Allocates again in each of the rounds that POSIX guarantees. */
static void key_destructor(void *value)
{
    unsigned *round = value;

    churn(*round, 40);
    atomic_fetch_add(&destructor_calls, 1);
    if (*round < 3) {
        unsigned *next = malloc(sizeof(*next));
        size_t which = atomic_load(&destructor_calls) % KEYS;

        CHECK(next != NULL);
        *next = *round + 1;
        free(pthread_getspecific(keys[which]));
        CHECK(pthread_setspecific(keys[which], next) == 0);
    }
    free(round);
}

static void *thread_with_keys(void *arg)
{
    for (size_t i = 0; i < KEYS; ++i) {
        unsigned *round = calloc(1, sizeof(*round));

        CHECK(round != NULL);
        CHECK(pthread_setspecific(keys[i], round) == 0);
    }
    return arg;
}

static void run_key_threads(void)
{
    for (int i = 0; i < 50; ++i) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, thread_with_keys, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK_SIZE(atomic_load(&destructor_calls), >=, 50u * KEYS);
}

/* A constructor makes these keys before main; the drop-in has made its own before that. */
static void key_destructors_may_allocate(void)
{
    for (size_t i = 0; i < KEYS; ++i) {
        CHECK(pthread_key_create(&keys[i], key_destructor) == 0);
    }
    run_key_threads();
}

/* No key is left: allocation must not depend on getting one for each thread. */
static void all_keys_taken(void)
{
    pthread_key_t key;

    for (size_t i = 0; i < KEYS; ++i) {
        CHECK(pthread_key_create(&keys[i], key_destructor) == 0);
    }
    while (pthread_key_create(&key, NULL) == 0) {
        continue;
    }
    run_key_threads();
}

static atomic_bool cancelled_thread_runs;

static void *churn_until_cancelled(void *arg)
{
    for (unsigned seed = (unsigned)(uintptr_t)arg;; ++seed) {
        churn(seed, 20);
        atomic_store(&cancelled_thread_runs, true);
        pthread_testcancel();
    }
    return NULL;
}

/* Deferred cancellation while others allocate: nothing may be left locked. */
static void cancel_storm(void)
{
    pthread_t others[4];

    for (uintptr_t i = 0; i < 4; ++i) {
        CHECK(pthread_create(&others[i], NULL, churn_until_cancelled, (void *)(i * 1000)) == 0);
    }
    for (uintptr_t i = 0; i < CANCELLED_THREADS; ++i) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, churn_until_cancelled, (void *)i) == 0);
        if (i % 2 == 0) {
            sched_yield();
        }
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        free(malloc(100));
    }
    for (size_t i = 0; i < 4; ++i) {
        CHECK(pthread_cancel(others[i]) == 0);
        CHECK(pthread_join(others[i], NULL) == 0);
    }
    CHECK(atomic_load(&cancelled_thread_runs));
    churn(1, 1000);
}

static void *first_call_is_free(void *arg)
{
    free(arg);
    return NULL;
}

static void the_first_call_of_a_thread_may_be_free(void)
{
    for (int i = 0; i < 500; ++i) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, first_call_is_free, malloc(64 + (size_t)i)) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

static void *small_stack_thread(void *arg)
{
    for (size_t size = 1; size < ((size_t)64 << 20); size *= 3) {
        void *block = malloc(size);

        CHECK(block != NULL);
        block = realloc(block, size * 2);
        CHECK(block != NULL);
        free(block);
    }
    return arg;
}

static void the_smallest_stack_suffices(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
    CHECK(pthread_create(&thread, &attributes, small_stack_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    (void)pthread_attr_destroy(&attributes);
}

static void detached_threads_run_while_the_process_ends(void)
{
    for (uintptr_t i = 0; i < 16; ++i) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, churn_until_cancelled, (void *)(i * 1000)) == 0);
        CHECK(pthread_detach(thread) == 0);
    }
    (void)usleep(20000);
}

static void *outlives_main(void *arg)
{
    (void)usleep(20000);
    churn(3, 1000);
    exit(arg == NULL ? 0 : 1);
}

static void the_main_thread_may_end_first(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, outlives_main, NULL) == 0);
    pthread_exit(NULL);
}

static atomic_uint ticks;

static void count_tick(int number)
{
    (void)number;
    atomic_fetch_add(&ticks, 1);
}

/* A handler that does not allocate may interrupt every instruction of the allocator. */
static void signals_may_interrupt_anywhere(void)
{
    struct sigaction action = {.sa_handler = count_tick, .sa_flags = SA_RESTART};
    struct itimerval period = {{0, 50}, {0, 50}};
    struct itimerval never = {{0, 0}, {0, 0}};

    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &period, NULL) == 0);
    for (unsigned seed = 0; seed < 20000 && atomic_load(&ticks) < 3000; ++seed) {
        churn(seed, 300);
    }
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK_SIZE(atomic_load(&ticks), >, 100);
}

static const struct child_case cases[] = {
    {"thousand_threads_at_once", thousand_threads_at_once},
    {"thread_after_thread", thread_after_thread},
    {"a_thread_that_only_frees_returns_blocks", a_thread_that_only_frees_returns_blocks},
    {"key_destructors_may_allocate", key_destructors_may_allocate},
    {"all_keys_taken", all_keys_taken},
    {"cancel_storm", cancel_storm},
    {"the_first_call_of_a_thread_may_be_free", the_first_call_of_a_thread_may_be_free},
    {"the_smallest_stack_suffices", the_smallest_stack_suffices},
    {"detached_threads_run_while_the_process_ends", detached_threads_run_while_the_process_ends},
    {"signals_may_interrupt_anywhere", signals_may_interrupt_anywhere},
    {"the_main_thread_may_end_first", the_main_thread_may_end_first},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
