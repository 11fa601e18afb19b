/*
 * Purpose: threads whose stacks the C library throws away: it frees with the lock of its stack
 *          cache held, so a free that made a thread there would wait for itself for ever.
 *          [preload.req.own-frees]
 * Owner:   tests of the drop-in; run by stack_cache_test.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "dropin/child_cases.h"

#define STACK_BYTES ((size_t)24 << 20) /* two of them are more than the C library keeps */
#define AT_ONCE     6
#define ROUNDS      150
#define HEAP_BLOCKS 2000 /* enough memory that it is worth a thread to give it back */

static void *touch(void *arg)
{
    void *block = malloc(100);

    CHECK(block != NULL);
    free(block);
    return arg;
}

static void stacks_are_thrown_away(void)
{
    pthread_attr_t attributes;
    pthread_t threads[AT_ONCE];

    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    for (unsigned round = 0; round < ROUNDS; ++round) {
        for (unsigned i = 0; i < AT_ONCE; ++i) {
            CHECK(pthread_create(&threads[i], &attributes, touch, NULL) == 0);
        }
        for (unsigned i = 0; i < AT_ONCE; ++i) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
    }
    (void)pthread_attr_destroy(&attributes);
}

static void the_c_library_may_free_with_its_locks_held(void)
{
    static void *blocks[HEAP_BLOCKS];

    for (unsigned i = 0; i < HEAP_BLOCKS; ++i) {
        blocks[i] = malloc(8000);
        CHECK(blocks[i] != NULL);
    }
    stacks_are_thrown_away();
    for (unsigned i = 0; i < HEAP_BLOCKS; ++i) {
        free(blocks[i]);
    }
}

static unsigned tasks(void)
{
    DIR *directory = opendir("/proc/self/task");
    const struct dirent *entry;
    unsigned count = 0;

    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    CHECK(closedir(directory) == 0);
    return count;
}

/* The loaded drop-in still has its thread for the program's own frees. */
static void the_program_still_gets_the_thread(void)
{
    static void *blocks[HEAP_BLOCKS];
    unsigned most = 0;

    for (unsigned i = 0; i < HEAP_BLOCKS; ++i) {
        blocks[i] = malloc(40000);
        CHECK(blocks[i] != NULL);
    }
    for (unsigned i = 0; i < HEAP_BLOCKS; ++i) {
        free(blocks[i]);
    }
    for (unsigned wait = 0; wait < 20000 && most < 2; ++wait) {
        most = tasks();
        (void)usleep(1000);
    }
    CHECK_SIZE(most, ==, 2);
}

static const struct child_case cases[] = {
    {"the_c_library_may_free_with_its_locks_held", the_c_library_may_free_with_its_locks_held},
    {"the_program_still_gets_the_thread", the_program_still_gets_the_thread},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
