/*
 * What: statistics of the process: they add up, follow large blocks exactly, print as text, as JSON
 *       that a parser takes, and as OpenMetrics with a type for every number and the end mark.
 * How:  counters before and after known operations; python3 parses the JSON, or a check of brackets
 *       and quotes where there is none.
 * Shows: [core.req.stats]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/program_run.h"
#include "support/settled.h"

#define MIB        ((size_t)1 << 20)
#define TEXT_BYTES (256 * 1024)

static struct program_result result; /* large: not on the stack */
static char text[TEXT_BYTES];

static struct emp_stats read_stats(void)
{
    struct emp_stats stats;

    assert_int_equal(settled_stats_read(&stats), EMP_OK);
    return stats;
}

/* What emp_stats_print writes. */
static const char *print(enum emp_stats_format format)
{
    int file = memfd_create("stats", MFD_CLOEXEC);

    assert_true(file >= 0);
    assert_int_equal(emp_stats_print(file, format), EMP_OK);
    ssize_t bytes = pread(file, text, TEXT_BYTES - 1, 0);

    assert_true(bytes > 0 && bytes < TEXT_BYTES - 1);
    text[bytes] = '\0';
    assert_int_equal(close(file), 0);
    return text;
}

static void large_blocks_are_counted_to_the_byte(void **state)
{
    static const size_t sizes[] = {100000, 900000, 3 * MIB, 40 * MIB};

    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct emp_stats before = read_stats();
        void *block = emp_malloc(sizes[i]);
        struct emp_stats during = read_stats();
        size_t usable = emp_usable_size(block);

        assert_int_equal(during.large_blocks, before.large_blocks + 1);
        assert_int_equal(during.large_bytes, before.large_bytes + usable);
        assert_int_equal(during.allocated, before.allocated + usable);
        emp_free(block);
        struct emp_stats after = read_stats();

        assert_int_equal(after.large_blocks, before.large_blocks);
        assert_int_equal(after.large_bytes, before.large_bytes);
    }
}

static void the_gauges_stand_in_their_order(void **state)
{
    static void *blocks[5000];

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 5000; i++) {
            blocks[i] = emp_malloc(1 + i * 13 % 4000);
        }
        struct emp_stats stats = read_stats();

        assert_true(stats.allocated <= stats.active);
        assert_true(stats.active <= stats.resident);
        assert_true(stats.active <= stats.mapped);
        assert_true(stats.metadata > 0);
        assert_true(stats.threads >= 1);
        assert_int_equal(stats.partitions, stats.expansions);
        assert_true(stats.allocations >= 5000);
        for (unsigned i = 0; i < 5000; i++) {
            emp_free(blocks[i]);
        }
        (void)emp_purge();
        stats = read_stats();
        assert_true(stats.allocated <= stats.active);
        assert_true(stats.purged > 0);
        assert_true(stats.purge_calls > 0);
    }
    assert_int_equal(emp_stats_read(NULL), EMP_ERR_INVALID);
}

/* Metadata with pages, by the estimate of resident bytes. */
static uint64_t metadata_with_pages(void)
{
    struct emp_stats stats;

    assert_int_equal(settled_stats_read(&stats), EMP_OK);
    return stats.resident - stats.active - stats.dirty;
}

static void metadata_of_slabs_that_ended_is_not_resident_after_a_purge(void **state)
{
    static void *blocks[400000]; /* 390 slabs of 64 KiB, each with 1 KiB of states */
    const size_t count = sizeof(blocks) / sizeof(blocks[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = emp_malloc(64);
        assert_non_null(blocks[i]);
    }
    const uint64_t used = metadata_with_pages();

    for (size_t i = 0; i < count; i++) {
        emp_free(blocks[i]);
    }
    (void)emp_purge();
    assert_in_range(used - metadata_with_pages(), count / 2, used); /* a byte for two states */
}

static void alignments_and_failures_are_counted(void **state)
{
    (void)state;
    emp_park(); /* what the thread's cache has is not counted */
    struct emp_stats before = read_stats();

    emp_free(emp_aligned_alloc(256, 1000));
    emp_free(emp_aligned_alloc(4096, 1000));
    struct emp_stats after = read_stats();

    assert_int_equal(after.aligns, before.aligns + 2);
}

static void text_begins_with_what_was_served(void **state)
{
    (void)state;
    emp_free(emp_malloc(100));
    const char *out = print(EMP_STATS_TEXT);

    assert_true(program_served(out) >= 1);
    assert_non_null(strstr(out, "class-"));
    assert_non_null(strstr(out, "  metadata "));
}

/* Quotes and brackets match; strings have no line ends. */
static bool is_balanced(const char *json)
{
    int depth = 0;
    bool quoted = false;

    for (; *json != '\0' && *json != '\n'; json++) {
        if (*json == '"' && json[-1] != '\\') {
            quoted = !quoted;
        }
        depth += quoted ? 0 : (*json == '{' || *json == '[') - (*json == '}' || *json == ']');
        if (depth < 0) {
            return false;
        }
    }
    return depth == 0 && !quoted && *json == '\n';
}

static void json_is_taken_by_a_parser(void **state)
{
    static const char check[] =
        "import json,sys\n"
        "stats = json.load(sys.stdin)\n"
        "assert stats['schema'] == 'echomem.stats/1'\n"
        "names = [one['name'] for one in stats['classes']]\n"
        "assert len(names) == len(set(names))\n"
        "assert 'a \"quoted\\\\ name' in names\n"
        "assert stats['allocations'] == sum(one['allocations'] for one in stats['classes'])\n"
        "del stats['schema'], stats['classes']\n"
        "assert all(isinstance(value, int) for value in stats.values())\n";
    const char *const argv[] = {"python3", "-c", check, NULL};
    struct emp_pool_config config = emp_pool_config_default(72);
    struct emp_pool *pool = NULL;

    (void)state;
    config.name = "a \"quoted\\ name";
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    emp_pool_free(pool, emp_pool_alloc(pool));
    const char *out = print(EMP_STATS_JSON);

    assert_true(is_balanced(out));
    if (program_exists("python3")) {
        const struct program_request request = {argv, NULL, out, 30};

        assert_true(program_run(&request, &result));
        assert_string_equal(result.errors, "");
        assert_int_equal(result.exit_code, 0);
    }
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
}

static void openmetrics_has_a_type_for_every_number(void **state)
{
    char *out = strdup(print(EMP_STATS_OPENMETRICS));
    char *rest = NULL;
    char typed[128] = "";
    unsigned numbers = 0;
    bool ended = false;

    (void)state;
    for (char *line = strtok_r(out, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char name[96];
        char kind[16];
        unsigned long long value = 0;

        assert_false(ended);
        if (strcmp(line, "# EOF") == 0) {
            ended = true;
        } else if (sscanf(line, "# TYPE %95s %15s", name, kind) == 2) {
            (void)snprintf(typed, sizeof(typed), "%s", name);
        } else if (line[0] != '#') {
            assert_int_equal(sscanf(line, "%95[a-z0-9_] %llu", name, &value), 2);
            assert_int_equal(strncmp(name, typed, strlen(typed)), 0);
            assert_int_equal(strncmp(name, "emp_", 4), 0);
            numbers++;
        }
    }
    assert_true(ended);
    assert_true(numbers >= 20);
    free(out);
}

static void a_format_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_int_equal(emp_stats_print(1, (enum emp_stats_format)99), EMP_ERR_INVALID);
    assert_int_equal(emp_stats_print(-1, EMP_STATS_JSON), EMP_OK); /* write errors are ignored */
}

static void every_status_and_the_version_have_a_text(void **state)
{
    (void)state;
    for (int status = EMP_OK; status <= EMP_ERR_TOO_BIG; status++) {
        assert_true(strlen(emp_status_text((enum emp_status)status)) > 3);
    }
    assert_non_null(emp_status_text((enum emp_status)12345));
    assert_int_equal(strncmp(emp_version(), "0.", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_blocks_are_counted_to_the_byte),
        cmocka_unit_test(the_gauges_stand_in_their_order),
        cmocka_unit_test(metadata_of_slabs_that_ended_is_not_resident_after_a_purge),
        cmocka_unit_test(alignments_and_failures_are_counted),
        cmocka_unit_test(text_begins_with_what_was_served),
        cmocka_unit_test(json_is_taken_by_a_parser),
        cmocka_unit_test(openmetrics_has_a_type_for_every_number),
        cmocka_unit_test(a_format_that_is_none_is_refused),
        cmocka_unit_test(every_status_and_the_version_have_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
