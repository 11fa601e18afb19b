/*
 * Purpose: python3, sqlite3, perl, git, gcc, node and redis-server give the same output with the
 *          drop-in as without, twice, and the summary proves that the drop-in served them.
 *          ctest-timeout: 300
 * Owner:   tests of the drop-in. [preload.req.family] [preload.req.summary]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dropin/program_rows.h"
#include "support/program_run.h"

#define ROW_COUNT (sizeof(program_rows) / sizeof(program_rows[0]))
#define ROUNDS    2

static struct program_result without;
static struct program_result with;

/* Runs a row with the preload given, or none. */
static void run(const struct program_row *row, const char *preload, struct program_result *result)
{
    const char *const environment[] = {preload, "ECHOMEM_STATS=1", "LC_ALL=C", row->variable, NULL};
    struct program_request request = {row->argv, environment, row->input, 100};

    assert_true(program_run(&request, result));
    assert_false(result->timed_out);
}

static void same_output_and_served(void **state)
{
    const struct program_row *row = *state;

    for (size_t i = 0; row->needs[i] != NULL; ++i) {
        if (!program_exists(row->needs[i])) {
            print_message("%s is not installed: skipped\n", row->needs[i]);
            skip();
        }
    }
    run(row, "LD_PRELOAD=", &without);
    assert_int_equal(without.exit_code, 0);
    assert_true(without.output_bytes > 0);
    assert_int_equal(program_served(without.errors), 0);
    for (int round = 0; round < ROUNDS; ++round) {
        run(row, program_preload(), &with);
        if (with.exit_code != 0 || program_served(with.errors) < row->served_min) {
            print_error("%s: exit code %d, served %llu of at least %llu\n%.2000s\n", row->name,
                        with.exit_code, program_served(with.errors), row->served_min, with.errors);
        }
        assert_int_equal(with.exit_code, 0);
        assert_int_equal(with.output_bytes, without.output_bytes);
        assert_memory_equal(with.output, without.output, without.output_bytes);
        assert_true(program_served(with.errors) >= row->served_min);
    }
    print_message("%s: %zu bytes of output the same, %llu allocations served\n", row->name,
                  with.output_bytes, program_served(with.errors));
}

int main(void)
{
    static struct CMUnitTest tests[ROW_COUNT];

    for (size_t i = 0; i < ROW_COUNT; ++i) {
        tests[i] = (struct CMUnitTest){program_rows[i].name, same_output_and_served, NULL, NULL,
                                       (void *)(uintptr_t)&program_rows[i]};
    }
    return cmocka_run_group_tests_name("dropin programs", tests, NULL, NULL);
}
