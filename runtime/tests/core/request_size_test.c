/*
 * What: emp_good_size is what a request gets; a sized free accepts the size and the alignment of
 *       the request whatever the option align was then and is now, and after realloc has left the
 *       block where it was; it reports others, each once.
 * How:  every size to 40 KiB and some of each kind above; every alignment to 1 GiB; random walks of
 *       realloc from a printed seed; a misuse callback that counts and goes on.
 * Shows: [core.proto.allocate] [core.proto.release]
 * ctest-timeout: 120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/random_stream.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

#define FOREIGN        "E1005"
#define SIZE_MISMATCH  "E1006"
#define ALIGN_MISMATCH "E1007"

static const size_t large_sizes[] = {32 * KIB + 1, 50000,        64 * KIB + 1, 300000,
                                     MIB - 4096,   MIB,          MIB + 1,      5 * MIB,
                                     32 * MIB,     32 * MIB + 1, 41 * MIB + 5};
#define LARGE_SIZES (sizeof(large_sizes) / sizeof(large_sizes[0]))

static struct {
    unsigned count;
    char code[32];
} reports;

static enum emp_misuse_action count_report(const struct emp_misuse *misuse, void *arg)
{
    (void)arg;
    reports.count++;
    strncpy(reports.code, misuse->code, sizeof(reports.code) - 1);
    return EMP_MISUSE_CONTINUE;
}

static int watch(void **state)
{
    (void)state;
    memset(&reports, 0, sizeof(reports));
    return emp_misuse_set_callback(count_report, NULL) == EMP_OK ? 0 : -1;
}

static int back_to_default(void **state)
{
    (void)state;
    return emp_option_set("align", "natural") == EMP_OK &&
                   emp_option_set("huge_pages", "off") == EMP_OK &&
                   emp_misuse_set_callback(NULL, NULL) == EMP_OK && emp_audit() == 0
               ? 0
               : -1;
}

static void set_option(const char *name, const char *value)
{
    assert_int_equal(emp_option_set(name, value), EMP_OK);
}

/* What a block has is the good size; a block borrowed from a larger class may have more. */
static void check_good_size(size_t size, int is_exact)
{
    void *block = emp_malloc(size);
    size_t usable = emp_usable_size(block);
    size_t good = emp_good_size(size);

    assert_non_null(block);
    assert_true(good >= size);
    assert_true(is_exact ? usable == good : usable >= good && usable * 2 <= good * 3);
    emp_free_sized(block, size);
}

static void the_good_size_is_the_size_served(void **state)
{
    static const char *const aligns[] = {"natural", "line"};

    (void)state;
    for (unsigned a = 0; a < 2; a++) {
        set_option("align", aligns[a]);
        for (size_t size = 0; size <= 32 * KIB; size++) {
            check_good_size(size, 0);
        }
        for (unsigned i = 0; i < LARGE_SIZES; i++) {
            check_good_size(large_sizes[i], 1);
        }
    }
    set_option("huge_pages", "2m");
    check_good_size(41 * MIB + 5, 1);
    assert_int_equal(emp_good_size(41 * MIB + 5) % (2 * MIB), 0);
    assert_int_equal(emp_good_size(SIZE_MAX), 0);
    assert_int_equal(emp_good_size(SIZE_MAX / 2), 0);
    assert_int_equal(reports.count, 0);
}

static void the_option_align_may_change_between(void **state)
{
    static void *natural[3000];
    static void *line[3000];

    (void)state;
    for (size_t size = 0; size < 3000; size++) {
        natural[size] = emp_malloc(size);
    }
    set_option("align", "line");
    for (size_t size = 0; size < 3000; size++) {
        line[size] = emp_malloc(size);
        assert_int_equal((uintptr_t)line[size] % 64, 0);
        emp_free_sized(natural[size], size);
        emp_free_sized(emp_calloc(1, size), size);
    }
    set_option("align", "natural");
    for (size_t size = 0; size < 3000; size++) {
        emp_free_sized(line[size], size);
    }
    assert_int_equal(reports.count, 0);
}

static void every_alignment_of_the_request_is_accepted(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)1 << 30; align *= 2) {
        for (size_t size = 0; size <= 40000; size += size < 300 ? 1 : 331) {
            if (align > 64 * KIB && size % 10 != 0) {
                continue; /* each of these is a run or a mapping of its own */
            }
            char *block = emp_aligned_alloc(align, size);

            assert_non_null(block);
            assert_int_equal((uintptr_t)block % align, 0);
            emp_free_aligned_sized(block, align, size);
        }
        emp_free_aligned_sized(NULL, align + 1, 3);
    }
    assert_int_equal(reports.count, 0);
}

static void realloc_in_place_keeps_the_sized_free_valid(void **state)
{
    struct random_stream random = {random_seed("core/request_size")};

    (void)state;
    for (unsigned walk = 0; walk < 2000; walk++) {
        unsigned limit = walk % 20 == 0 ? 3u << 20 : walk % 3 == 0 ? 100000u : 700u;
        size_t size = random_below(&random, limit);
        unsigned char *block = emp_malloc(size);

        set_option("align", random_chance(&random, 1, 8) ? "line" : "natural");
        for (unsigned step = 0; step < 12; step++) {
            size_t next = 1 + random_below(&random, limit);

            if (random_chance(&random, 1, 2)) {
                next = size - size / 4 + 1 + random_below(&random, (uint32_t)(size / 2 + 1));
            }
            if (size != 0) {
                block[0] = (unsigned char)step;
            }
            block = emp_realloc(block, next);
            assert_non_null(block);
            assert_true(size == 0 || block[0] == (unsigned char)step);
            assert_true(emp_usable_size(block) >= next);
            block[next - 1] = 1;
            size = next;
        }
        emp_free_sized(block, size);
    }
    assert_int_equal(reports.count, 0);
}

/* The last call was reported, once and with this code. */
static void check_report(const char *code)
{
    assert_int_equal(reports.count, 1);
    assert_string_equal(reports.code, code);
    reports.count = 0;
}

static void other_sizes_are_reported_once(void **state)
{
    static long long outside[64];
    char *block = emp_malloc(500);
    char *run = emp_malloc(100000);
    char *mapped = emp_malloc(40 * MIB);

    (void)state;
    emp_free_sized(block, 100);
    check_report(SIZE_MISMATCH);
    emp_free_sized(block, SIZE_MAX);
    check_report(SIZE_MISMATCH);
    emp_free_sized(block, SIZE_MAX - 7);
    check_report(SIZE_MISMATCH);
    emp_free_sized(run, 1000);
    check_report(SIZE_MISMATCH);
    emp_free_sized(run, 10 * MIB);
    check_report(SIZE_MISMATCH);
    emp_free_sized(mapped, 50 * MIB);
    check_report(SIZE_MISMATCH);
    emp_free_aligned_sized(mapped, (size_t)1 << 40, 40 * MIB);
    check_report(ALIGN_MISMATCH);
    emp_free_aligned_sized(block, 48, 500);
    check_report(ALIGN_MISMATCH);
    emp_free_sized(outside, 100);
    check_report(FOREIGN);
    assert_null(emp_realloc(outside, 1000));
    check_report(FOREIGN);
    emp_free_sized(block, 500);
    emp_free_sized(run, 100000);
    emp_free_sized(mapped, 40 * MIB);
    assert_int_equal(reports.count, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, watch, back_to_default)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_good_size_is_the_size_served),
        CASE(the_option_align_may_change_between),
        CASE(every_alignment_of_the_request_is_accepted),
        CASE(realloc_in_place_keeps_the_sized_free_valid),
        CASE(other_sizes_are_reported_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
