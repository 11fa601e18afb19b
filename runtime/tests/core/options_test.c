/*
 * What: options: every one described, set by call and by the environment, bad values refused with
 *       one line and the default kept, start-only options refused later, effects of those that act
 *       at once.
 * How:  the public calls; environments in a child that asks through emp_option_describe.
 * Shows: [core.req.options]
 * ctest-not-under: emulator
 *       (the test starts itself again, which an emulated program cannot)
 */
#define _GNU_SOURCE
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

static struct program_result result; /* large: not on the stack */

/* The description of an option by its name. */
static struct emp_option_info describe(const char *name)
{
    struct emp_option_info info = {0};

    for (size_t i = 0; emp_option_describe(i, &info) == EMP_OK; i++) {
        if (strcmp(info.name, name) == 0) {
            return info;
        }
    }
    fail_msg("no option %s", name);
    return info;
}

static void every_option_is_described(void **state)
{
    static const char *const types[] = {"time", "size", "bool", "choice", "int"};
    struct emp_option_info info;
    size_t count = 0;

    (void)state;
    for (; emp_option_describe(count, &info) == EMP_OK; count++) {
        bool known = false;

        for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
            known = known || strcmp(info.type, types[t]) == 0;
        }
        assert_true(known);
        assert_true(strlen(info.meaning) > 20);
        assert_string_equal(info.current_text, info.default_text);
        assert_string_equal(info.origin, "default");
    }
    assert_true(count >= 10);
    assert_int_equal(emp_option_describe(count, &info), EMP_ERR_NOT_FOUND);
    assert_int_equal(emp_option_describe(SIZE_MAX, &info), EMP_ERR_NOT_FOUND);
    assert_int_equal(emp_option_describe(0, NULL), EMP_ERR_NOT_FOUND);
}

static void a_value_set_by_a_call_is_in_force(void **state)
{
    static const char *const good[][2] = {
        {"purge_delay", "250ms"},
        {"purge_delay", "5s"},
        {"purge_delay", "1000000us"},
        {"purge_delay", "17"},
        {"limit", "0"},
        {"limit", "64g"},
        {"limit", "64GiB"},
        {"limit", "100000MB"},
        {"background", "0"},
        {"background", "yes"},
        {"background", "off"},
        {"thp", "never"},
        {"thp", "auto"},
        {"foreign_free", "ignore"},
        {"foreign_free", "abort"},
        {"align", "line"},
        {"align", "natural"},
        {"rate_limits", "false"},
        {"rate_limits", "true"},
        {"huge_pages", "2m"},
        {"huge_pages", "off"},
        {"limit", "0"},
        {"purge_delay", "1s"},
        {"background", "1"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(emp_option_set(good[i][0], good[i][1]), EMP_OK);
        assert_string_equal(describe(good[i][0]).origin, "call");
        assert_string_equal(describe(good[i][0]).current_text, good[i][1]);
        emp_free(emp_malloc(100));
    }
}

static void bad_names_and_values_change_nothing(void **state)
{
    static const char *const bad[][2] = {
        {"purge_delay", ""},
        {"purge_delay", "s"},
        {"purge_delay", "1h"},
        {"purge_delay", "-1s"},
        {"purge_delay", "1 s"},
        {"purge_delay", "99999999999999999999s"},
        {"limit", "1x"},
        {"limit", "g"},
        {"limit", "18446744073709551615g"},
        {"limit", "0x10"},
        {"background", "maybe"},
        {"background", "2"},
        {"thp", "AUTO"},
        {"thp", ""},
        {"foreign_free", "drop"},
        {"limit", "1234567890123456789012345678901234567890"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct emp_option_info before = describe(bad[i][0]);

        assert_int_equal(emp_option_set(bad[i][0], bad[i][1]), EMP_ERR_INVALID);
        assert_string_equal(describe(bad[i][0]).current_text, before.current_text);
    }
    assert_int_equal(emp_option_set("no_such_option", "1"), EMP_ERR_NOT_FOUND);
    assert_int_equal(emp_option_set("", "1"), EMP_ERR_NOT_FOUND);
    assert_int_equal(emp_option_set(NULL, "1"), EMP_ERR_INVALID);
    assert_int_equal(emp_option_set("limit", NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_option_set("simd", "c"), EMP_ERR_STATE); /* only at the start */
}

static void every_block_starts_on_a_line_when_told_so(void **state)
{
    void *blocks[200];

    (void)state;
    assert_int_equal(emp_option_set("align", "line"), EMP_OK);
    for (unsigned i = 0; i < 200; i++) {
        blocks[i] = i % 2 == 0 ? emp_malloc(i * 7) : emp_calloc(1, i * 7);
    }
    assert_int_equal(emp_option_set("align", "natural"), EMP_OK);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        emp_free(blocks[i]);
    }
}

/* Runs this program as a child that prints one option. */
static void ask_child(const char *environment, const char *option)
{
    const char *const argv[] = {"/proc/self/exe", option, NULL};
    const char *const added[] = {environment, NULL};
    const struct program_request request = {argv, added, NULL, 20};

    assert_true(program_run(&request, &result));
    assert_int_equal(result.exit_code, 0);
}

static void the_environment_sets_options(void **state)
{
    static const char *const given[][3] = {
        {"ECHOMEM_PURGE_DELAY=3s", "purge_delay", "3s environment\n"},
        {"ECHOMEM_LIMIT=1g", "limit", "1g environment\n"},
        {"echomem_limit=2g", "limit", "2g environment\n"}, /* whatever the case */
        {"ECHOMEM_SIMD=c", "simd", "c environment\n"},
        {"ECHOMEM_BACKGROUND=off", "background", "off environment\n"},
        {"ECHOMEM_ON_ERROR=continue", "on_error", "continue environment\n"},
        {"ECHOMEM_STATS=1", "stats", "text environment\n"},
        {"ECHOMEM_UNRELATED=1", "limit", "0 default\n"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        ask_child(given[i][0], given[i][1]);
        assert_string_equal(result.output, given[i][2]);
        assert_string_equal(result.errors, "");
    }
}

static void a_bad_environment_gets_one_line_and_the_default(void **state)
{
    static const char *const given[][3] = {
        {"ECHOMEM_PURGE_DELAY=soon", "purge_delay", "1s default\n"},
        {"ECHOMEM_LIMIT=-5", "limit", "0 default\n"},
        {"ECHOMEM_LIMIT=", "limit", "0 default\n"},
        {"ECHOMEM_SIMD=avx512", "simd", "auto default\n"},
        {"ECHOMEM_BACKGROUND=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "background",
         "1 default\n"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        ask_child(given[i][0], given[i][1]);
        assert_string_equal(result.output, given[i][2]);
        assert_int_equal(strncmp(result.errors, "libechomem: ECHOMEM_", 20), 0);
        assert_non_null(strstr(result.errors, "the default stays"));
        assert_ptr_equal(strchr(result.errors, '\n'), result.errors + strlen(result.errors) - 1);
    }
}

/* The child: prints what one option is, after the allocator has worked. */
static int print_option(const char *name)
{
    emp_free(emp_malloc(100));
    struct emp_option_info info = {0};

    for (size_t i = 0; emp_option_describe(i, &info) == EMP_OK; i++) {
        if (strcmp(info.name, name) == 0) {
            return printf("%s %s\n", info.current_text, info.origin) > 0 ? 0 : 1;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_described),
        cmocka_unit_test(a_value_set_by_a_call_is_in_force),
        cmocka_unit_test(bad_names_and_values_change_nothing),
        cmocka_unit_test(every_block_starts_on_a_line_when_told_so),
        cmocka_unit_test(the_environment_sets_options),
        cmocka_unit_test(a_bad_environment_gets_one_line_and_the_default),
    };

    return argc == 2 ? print_option(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
