/*
 * Purpose: early and late allocation, libraries loaded and unloaded, and which object malloc
 *          binds to, both by the loader's own word (LD_DEBUG=bindings) and by the symbols'
 *          addresses.
 * Owner:   tests of the drop-in. [preload.req.unversioned]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/child_group.h"
#include "support/program_run.h"

static struct program_result result;

/* Runs a child under LD_DEBUG=bindings; the loader writes on standard error. */
static void bind(const char *preload)
{
    const char *const argv[] = {program_beside("aligned_child"), "memalign_rounds_the_alignment_up",
                                NULL};
    const char *const environment[] = {"LD_DEBUG=bindings", "LD_BIND_NOW=1", preload, NULL};
    struct program_request request = {argv, environment, NULL, 0};

    assert_true(program_run(&request, &result));
    assert_int_equal(result.exit_code, 0);
}

/* True when the loader bound the child's own symbol to the drop-in. */
static int is_bound(const char *symbol)
{
    char line[3 * PROGRAM_PATH_BYTES];

    (void)snprintf(line, sizeof(line), "aligned_child [0] to %s [0]: normal symbol `%s'",
                   program_drop_in(), symbol);
    return strstr(result.errors, line) != NULL;
}

static void the_loader_binds_the_family_to_the_drop_in(void **state)
{
    static const char *const symbols[] = {
        "malloc", "free",    "calloc",         "realloc",       "memalign",
        "valloc", "pvalloc", "posix_memalign", "aligned_alloc", "malloc_usable_size"};

    (void)state;
    bind(program_preload());
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); ++i) {
        if (!is_bound(symbols[i])) {
            print_error("%s is not bound to %s\n", symbols[i], program_drop_in());
        }
        assert_true(is_bound(symbols[i]));
    }
}

static void without_preload_nothing_is_bound_to_it(void **state)
{
    (void)state;
    bind("LD_PRELOAD=");
    assert_false(is_bound("malloc"));
}

/* Constructors of others allocate before ours runs: the environment must count all the same. */
static void options_count_from_the_first_allocation(void **state)
{
    const char *const argv[] = {program_beside("early_child"),
                                "memory_lives_from_before_main_to_after_it", NULL};
    const char *const environment[] = {program_preload(), "ECHOMEM_STATS=1", NULL};
    struct program_request request = {argv, environment, NULL, 0};

    (void)state;
    assert_true(program_run(&request, &result));
    assert_int_equal(result.exit_code, 0);
    assert_true(program_served(result.errors) > 0);
}

int main(void)
{
    static const struct child_program programs[] = {
        {"early_child", NULL, "early_plugin.so"},
        {"loading_child", NULL, NULL},
        {"contract_child", NULL, "interposer_plugin.so"},
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loader_binds_the_family_to_the_drop_in),
        cmocka_unit_test(without_preload_nothing_is_bound_to_it),
        cmocka_unit_test(options_count_from_the_first_allocation),
    };
    int failed = cmocka_run_group_tests_name("dropin binding", tests, NULL, NULL);

    return failed +
           child_group_run("dropin loading", programs, sizeof(programs) / sizeof(programs[0]));
}
