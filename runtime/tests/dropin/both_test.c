/*
 * Purpose: a program that is linked with libechomem.a runs with the drop-in preloaded: two copies
 *          of the library live in one process and never mix their blocks.
 * Owner:   tests of the drop-in. [preload.req.family]
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/program_run.h"

#define BLOCKS  2000
#define THREADS 4

static struct program_result result;

/* Takes blocks from both copies in turn, checks them, and frees each where it is from. */
static void *use_both(void *arg)
{
    unsigned char **linked = calloc(BLOCKS, sizeof(*linked));
    unsigned char **preloaded = calloc(BLOCKS, sizeof(*preloaded));

    for (size_t i = 0; i < BLOCKS; ++i) {
        linked[i] = emp_malloc(i + 1);
        preloaded[i] = malloc(i + 1);
        if (linked[i] == NULL || preloaded[i] == NULL) {
            exit(1);
        }
        memset(linked[i], 1, i + 1);
        memset(preloaded[i], 2, i + 1);
    }
    for (size_t i = 0; i < BLOCKS; ++i) {
        if (linked[i][0] != 1 || linked[i][i] != 1 || preloaded[i][0] != 2 ||
            preloaded[i][i] != 2) {
            exit(2);
        }
        emp_free(linked[i]);
        free(preloaded[i]);
    }
    free(linked);
    free(preloaded);
    return arg;
}

/* What the program does when it is started again with the drop-in. */
static int run_inside(void)
{
    pthread_t threads[THREADS];
    struct emp_stats stats;

    for (int i = 0; i < THREADS; ++i) {
        if (pthread_create(&threads[i], NULL, use_both, NULL) != 0) {
            return 3;
        }
    }
    for (int i = 0; i < THREADS; ++i) {
        (void)pthread_join(threads[i], NULL);
    }
    if (emp_stats_read(&stats) != EMP_OK || emp_audit() != 0) {
        return 4;
    }
    (void)printf("linked copy served %llu\n", (unsigned long long)stats.allocations);
    return stats.allocations != 0 ? 0 : 5;
}

static void both_copies_serve_their_own(void **state)
{
    const char *const argv[] = {program_beside("dropin_both_test"), "inside", NULL};
    const char *const environment[] = {program_preload(), "ECHOMEM_STATS=1", NULL};
    struct program_request request = {argv, environment, NULL, 0};

    (void)state;
    assert_true(program_run(&request, &result));
    if (result.exit_code != 0) {
        print_error("%s%s", result.output, result.errors);
    }
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "linked copy served "));
    assert_true(program_served(result.errors) >= BLOCKS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_copies_serve_their_own)};

    if (argc > 1 && strcmp(argv[1], "inside") == 0) {
        return run_inside();
    }
    return cmocka_run_group_tests_name("dropin both copies", tests, NULL, NULL);
}
