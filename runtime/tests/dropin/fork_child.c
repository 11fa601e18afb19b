/*
 * Purpose: fork and the drop-in: the child of a process whose other threads hold every lock must
 *          allocate, free, start threads and end like any program. [preload.req.family]
 * Owner:   tests of the drop-in; run by thread_test.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dropin/child_cases.h"

#define BUSY_THREADS  16
#define FORKS         250
#define FORKS_LEAST   10
#define STORM_SECONDS 20
#define CHILD_SECONDS 60

extern char **environ;

static atomic_bool stop;
static void *_Atomic exchanged[64]; /* blocks that change their owner between the busy threads */

static void *busy_thread(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg * 2654435761u + 7;

    while (!atomic_load(&stop)) {
        size_t size;

        state = state * 1664525u + 1013904223u;
        size = 1 + (state >> 10) % ((state & 7) == 0 ? 60000 : 600);
        free(atomic_exchange(&exchanged[state >> 26], malloc(size)));
    }
    return NULL;
}

static void *thread_of_child(void *arg)
{
    for (size_t size = 1; size < 200000; size = size * 2 + 3) {
        free(malloc(size));
    }
    return arg;
}

/* What a child does with memory; a wait for a lock that nobody holds any more ends by alarm. */
static void live_as_child(bool starts_thread)
{
    void *blocks[200];

    (void)alarm(CHILD_SECONDS);
    for (size_t i = 0; i < 200; ++i) {
        blocks[i] = malloc(i * 37 + 1);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, i * 37 + 1);
    }
    for (size_t i = 0; i < 200; ++i) {
        blocks[i] = realloc(blocks[i], i * 61 + 1);
        CHECK(blocks[i] != NULL);
    }
    for (size_t i = 0; i < 200; ++i) {
        free(blocks[i]);
    }
    for (size_t i = 0; i < 64; ++i) {
        free(atomic_exchange(&exchanged[i], NULL));
    }
    if (starts_thread) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, thread_of_child, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

/* On a busy machine fewer forks make a test: as many as fit into its time, and a few. */
static bool goes_on(int forks, time_t *end)
{
    if (forks == 0) {
        *end = time(NULL) + STORM_SECONDS;
    }
    return forks < FORKS_LEAST || time(NULL) < *end;
}

static void await(pid_t child)
{
    int status = 0;

    CHECK(child > 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_SIZE(status, ==, 0);
}

static void start_busy(pthread_t threads[BUSY_THREADS])
{
    for (uintptr_t i = 0; i < BUSY_THREADS; ++i) {
        CHECK(pthread_create(&threads[i], NULL, busy_thread, (void *)i) == 0);
    }
}

static void stop_busy(pthread_t threads[BUSY_THREADS])
{
    atomic_store(&stop, true);
    for (size_t i = 0; i < BUSY_THREADS; ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void fork_storm_while_sixteen_threads_allocate(void)
{
    time_t end = 0;
    pthread_t threads[BUSY_THREADS];

    start_busy(threads);
    for (int i = 0; i < FORKS && goes_on(i, &end); ++i) {
        pid_t child = fork();

        if (child == 0) {
            live_as_child(i % 8 == 0);
            exit(0);
        }
        await(child);
        free(malloc(100));
    }
    stop_busy(threads);
}

static void *forking_thread(void *arg)
{
    time_t end = 0;
    for (int i = 0; i < 40 && goes_on(i, &end); ++i) {
        pid_t child = fork();

        if (child == 0) {
            live_as_child(i % 4 == 0);
            exit(0);
        }
        await(child);
    }
    return arg;
}

static void several_threads_fork(void)
{
    pthread_t threads[BUSY_THREADS];
    pthread_t forking[3];

    start_busy(threads);
    for (int i = 0; i < 3; ++i) {
        CHECK(pthread_create(&forking[i], NULL, forking_thread, NULL) == 0);
    }
    for (int i = 0; i < 3; ++i) {
        CHECK(pthread_join(forking[i], NULL) == 0);
    }
    stop_busy(threads);
}

/* A daemon's way: the child forks again and ends, the grandchild works. */
static void grandchildren_live_on(void)
{
    time_t end = 0;
    pthread_t threads[BUSY_THREADS];

    start_busy(threads);
    for (int i = 0; i < 30 && goes_on(i, &end); ++i) {
        pid_t child = fork();

        if (child == 0) {
            pid_t grandchild = fork();

            live_as_child(grandchild == 0);
            if (grandchild != 0) {
                await(grandchild);
            }
            exit(0);
        }
        await(child);
    }
    stop_busy(threads);
}

static void *kept_by_handlers;

static void handler_allocates(void)
{
    void *fresh = malloc(333);

    CHECK(fresh != NULL);
    free(kept_by_handlers);
    kept_by_handlers = fresh;
}

static void other_fork_handlers_may_allocate(void)
{
    time_t end = 0;
    pthread_t threads[BUSY_THREADS];

    CHECK(pthread_atfork(handler_allocates, handler_allocates, handler_allocates) == 0);
    start_busy(threads);
    for (int i = 0; i < 60 && goes_on(i, &end); ++i) {
        pid_t child = fork();

        if (child == 0) {
            live_as_child(false);
            exit(0);
        }
        await(child);
    }
    stop_busy(threads);
}

static void parent_and_child_free_the_same_blocks(void)
{
    void *blocks[500];
    pid_t child;

    for (size_t i = 0; i < 500; ++i) {
        blocks[i] = malloc(i + 1);
    }
    child = fork();
    for (size_t i = 0; i < 500; ++i) {
        free(blocks[i]);
    }
    if (child == 0) {
        live_as_child(true);
        exit(0);
    }
    await(child);
}

static void spawn_and_vfork_work_under_load(void)
{
    time_t end = 0;
    pthread_t threads[BUSY_THREADS];
    char *argv[] = {"true", NULL};

    start_busy(threads);
    for (int i = 0; i < 30 && goes_on(i, &end); ++i) {
        pid_t child = 0;

        CHECK_SIZE(posix_spawnp(&child, "true", NULL, NULL, argv, environ), ==, 0);
        await(child);
    }
    stop_busy(threads);
}

/* The maintenance thread is not copied by fork; the child's memory goes back all the same. */
static void a_child_gives_memory_back_too(void)
{
    pid_t child;

    free(malloc(100));
    child = fork();
    if (child == 0) {
        for (int round = 0; round < 3; ++round) {
            void *blocks[2000];

            for (size_t i = 0; i < 2000; ++i) {
                blocks[i] = malloc(4000);
                CHECK(blocks[i] != NULL);
                memset(blocks[i], 1, 4000);
            }
            for (size_t i = 0; i < 2000; ++i) {
                free(blocks[i]);
            }
        }
        exit(0);
    }
    await(child);
}

static const struct child_case cases[] = {
    {"fork_storm_while_sixteen_threads_allocate", fork_storm_while_sixteen_threads_allocate},
    {"several_threads_fork", several_threads_fork},
    {"grandchildren_live_on", grandchildren_live_on},
    {"other_fork_handlers_may_allocate", other_fork_handlers_may_allocate},
    {"parent_and_child_free_the_same_blocks", parent_and_child_free_the_same_blocks},
    {"spawn_and_vfork_work_under_load", spawn_and_vfork_work_under_load},
    {"a_child_gives_memory_back_too", a_child_gives_memory_back_too},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
