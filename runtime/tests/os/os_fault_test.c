/*
 * Purpose: the fault plan itself, and every function of the os room under every refusal. Runs only
 *          in builds that can refuse.
 * Design:  [os.proto.fault] [os.inv.no-change-on-failure] [os.inv.purged-is-zero]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os_fault.h"
#include "os/os_memory.h"

#if EMP_FAULT

#define MIB ((size_t)1 << 20)

static int disarm(void **state)
{
    (void)state;
    emp_os_fault_disarm();
    return 0;
}

/* Answers of ten commit calls in a row as a text of 0 (failed) and 1. */
static void answers(char text[11])
{
    char *const base = emp_os_map(4 * MIB, 2 * MIB, EMP_OS_PAGES_NORMAL, NULL);
    for (int i = 0; i < 10; i++) {
        text[i] = emp_os_commit(base, MIB) ? '1' : '0';
    }
    text[10] = '\0';
    emp_os_fault_disarm();
    assert_true(emp_os_unmap(base, 4 * MIB));
}

static void each_mode_fails_the_calls_that_its_name_says(void **state)
{
    (void)state;
    char text[11];
    emp_os_fault_arm(EMP_OS_CALL_COMMIT, 3, EMP_OS_FAULT_ONCE, ENOMEM);
    answers(text);
    assert_string_equal(text, "1101111111");
    emp_os_fault_arm(EMP_OS_CALL_COMMIT, 3, EMP_OS_FAULT_FROM_ON, ENOMEM);
    answers(text);
    assert_string_equal(text, "1100000000");
    assert_int_equal(emp_os_fault_hits(), 8);
    emp_os_fault_arm(EMP_OS_CALL_COMMIT, 3, EMP_OS_FAULT_EVERY_SECOND, ENOMEM);
    answers(text);
    assert_string_equal(text, "1101010101");
}

static void calls_are_counted_by_kind_and_together(void **state)
{
    (void)state;
    emp_os_fault_arm(EMP_OS_CALL_PURGE, 1000, EMP_OS_FAULT_ONCE, EINVAL);
    void *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    assert_true(emp_os_purge(base, MIB)); /* the first of this process looks first */
    assert_true(emp_os_purge(base, MIB));
    assert_true(emp_os_unmap(base, MIB));
    assert_int_equal(emp_os_fault_count(EMP_OS_CALL_MAP), 1);
    assert_int_equal(emp_os_fault_count(EMP_OS_CALL_PURGE), 3);
    assert_int_equal(emp_os_fault_count(EMP_OS_CALL_UNMAP), 1);
    assert_int_equal(emp_os_fault_count(EMP_OS_CALL_RESERVE), 0);
    assert_int_equal(emp_os_fault_count(EMP_OS_CALL_ANY), 5);
    assert_int_equal(emp_os_fault_hits(), 0);
}

static void a_plan_for_any_kind_counts_all_calls(void **state)
{
    (void)state;
    emp_os_fault_arm(EMP_OS_CALL_ANY, 2, EMP_OS_FAULT_ONCE, ENOMEM);
    void *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    assert_non_null(base);
    assert_false(emp_os_commit(base, MIB));
    assert_true(emp_os_commit(base, MIB));
    assert_int_equal(emp_os_fault_hits(), 1);
    emp_os_fault_disarm();
    assert_true(emp_os_unmap(base, MIB));
}

static void refused_mappings_give_null_and_keep_errno(void **state)
{
    (void)state;
    errno = 4711;
    emp_os_fault_arm(EMP_OS_CALL_RESERVE, 1, EMP_OS_FAULT_ONCE, ENOMEM);
    assert_null(emp_os_reserve(MIB, 4096));
    emp_os_fault_arm(EMP_OS_CALL_MAP, 1, EMP_OS_FAULT_ONCE, EPERM);
    assert_null(emp_os_map(MIB, 4096, EMP_OS_PAGES_NORMAL, NULL));
    emp_os_fault_arm(EMP_OS_CALL_QUERY, 1, EMP_OS_FAULT_FROM_ON, ENOENT);
    assert_int_equal(emp_os_resident_bytes(), 0);
    assert_int_equal(emp_os_address_limit(), SIZE_MAX);
    assert_int_equal(errno, 4711);
}

/* The second mapping is the one with room for the alignment. */
static void a_reservation_refused_at_its_second_mapping_leaves_nothing_mapped(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (int i = 0; i < 8; i++) {
        emp_os_fault_arm(EMP_OS_CALL_RESERVE, 2, EMP_OS_FAULT_ONCE, ENOMEM);
        void *const base = emp_os_reserve(MIB, 1024 * MIB);
        refused += base == NULL ? 1 : 0;
        if (base == NULL) {
            assert_int_equal(emp_os_fault_count(EMP_OS_CALL_RESERVE), 2);
            assert_int_equal(emp_os_fault_count(EMP_OS_CALL_UNMAP), 1);
        } else {
            assert_true(emp_os_unmap(base, MIB));
        }
    }
    assert_true(refused > 0);
}

/* Cutting may be refused at the limit of mappings: the range is still aligned and whole. */
static void a_range_whose_cuts_are_refused_is_still_right(void **state)
{
    (void)state;
    emp_os_fault_arm(EMP_OS_CALL_UNMAP, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    char *const base = emp_os_reserve(MIB, 64 * MIB);
    assert_non_null(base);
    assert_int_equal((uintptr_t)base % (64 * MIB), 0);
    assert_true(emp_os_commit(base, MIB));
    memset(base, 1, MIB);
    assert_false(emp_os_unmap(base, MIB));
    assert_int_equal(base[MIB - 1], 1);
    emp_os_fault_disarm();
    assert_true(emp_os_unmap(base, MIB));
}

static void huge_pages_that_are_refused_fall_back_step_by_step(void **state)
{
    (void)state;
    enum emp_os_pages got = EMP_OS_PAGES_HUGE_1G;
    emp_os_fault_arm(EMP_OS_CALL_MAP_HUGE, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    char *const base = emp_os_map(1024 * MIB, 1, EMP_OS_PAGES_HUGE_1G, &got);
    assert_non_null(base);
    assert_int_equal(emp_os_fault_hits(), 2);
    assert_int_equal(got, EMP_OS_PAGES_NORMAL);
    assert_int_equal((uintptr_t)base % (2 * MIB), 0);
    assert_int_equal(emp_os_fault_count(EMP_OS_CALL_ADVISE), 1);
    emp_os_fault_disarm();
    assert_true(emp_os_unmap(base, 1024 * MIB));
}

static void a_refused_remap_leaves_the_block_as_it_was(void **state)
{
    (void)state;
    char *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    memset(base, 9, MIB);
    emp_os_fault_arm(EMP_OS_CALL_REMAP, 1, EMP_OS_FAULT_ONCE, ENOMEM);
    assert_null(emp_os_remap(base, MIB, 2 * MIB, true));
    assert_int_equal(base[0], 9);
    assert_int_equal(base[MIB - 1], 9);
    emp_os_fault_disarm();
    assert_true(emp_os_unmap(base, MIB));
}

static void refused_advice_and_names_are_no_harm(void **state)
{
    (void)state;
    char *const base = emp_os_map(2 * MIB, 2 * MIB, EMP_OS_PAGES_NORMAL, NULL);
    emp_os_fault_arm(EMP_OS_CALL_ADVISE, 1, EMP_OS_FAULT_FROM_ON, EINVAL);
    assert_false(emp_os_advise_huge(base, 2 * MIB, true));
    emp_os_fault_arm(EMP_OS_CALL_NAME, 1, EMP_OS_FAULT_FROM_ON, EINVAL);
    emp_os_name_range(base, 2 * MIB, "x");
    base[0] = 1;
    emp_os_fault_disarm();
    assert_true(emp_os_unmap(base, 2 * MIB));
}

/* Exit code of a child that runs body: what it learns about purging stays in the child. */
static int code_of(int (*body)(void))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(body());
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The page on which the first purge looks is refused as well as the purge itself. */
static int refuse_first_purge(void)
{
    unsigned char *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    memset(base, 7, MIB);
    emp_os_fault_arm(EMP_OS_CALL_PURGE, 1, EMP_OS_FAULT_FROM_ON, EINVAL);
    if (emp_os_purge(base, MIB)) {
        return 1;
    }
    if (base[0] != 7 || base[MIB - 1] != 7) {
        return 2;
    }
    emp_os_fault_disarm();
    return emp_os_purge(base, MIB) && base[0] == 0 && base[MIB - 1] == 0 ? 0 : 3;
}

/* Only the look is refused: the range is zero all the same. */
static int refuse_to_be_looked_at(void)
{
    unsigned char *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    memset(base, 7, MIB);
    emp_os_fault_arm(EMP_OS_CALL_PURGE, 1, EMP_OS_FAULT_ONCE, EINVAL);
    return emp_os_purge(base, MIB) && base[0] == 0 && base[MIB - 1] == 0 ? 0 : 1;
}

/* Every purge of this child is answered with yes and does nothing. */
static int lie_about_purging(void)
{
    unsigned char *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    emp_os_fault_arm(EMP_OS_CALL_PURGE, 1, EMP_OS_FAULT_FROM_ON, EMP_OS_FAULT_LIE);
    for (int round = 0; round < 3; round++) {
        memset(base, 7, MIB);
        if (!emp_os_purge(base, MIB)) {
            return 1;
        }
        for (size_t i = 0; i < MIB; i++) {
            if (base[i] != 0) {
                return 2;
            }
        }
    }
    return emp_os_fault_hits() == 4 ? 0 : 3; /* the look and three purges */
}

static void a_refused_first_purge_changes_no_byte_and_is_asked_again(void **state)
{
    (void)state;
    assert_int_equal(code_of(refuse_first_purge), 0);
    assert_int_equal(code_of(refuse_to_be_looked_at), 0);
}

static void memory_is_zero_after_purge_even_where_the_system_only_says_so(void **state)
{
    (void)state;
    assert_int_equal(code_of(lie_about_purging), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_refused_first_purge_changes_no_byte_and_is_asked_again, disarm),
        cmocka_unit_test_teardown(memory_is_zero_after_purge_even_where_the_system_only_says_so,
                                  disarm),
        cmocka_unit_test_teardown(each_mode_fails_the_calls_that_its_name_says, disarm),
        cmocka_unit_test_teardown(calls_are_counted_by_kind_and_together, disarm),
        cmocka_unit_test_teardown(a_plan_for_any_kind_counts_all_calls, disarm),
        cmocka_unit_test_teardown(refused_mappings_give_null_and_keep_errno, disarm),
        cmocka_unit_test_teardown(a_reservation_refused_at_its_second_mapping_leaves_nothing_mapped,
                                  disarm),
        cmocka_unit_test_teardown(a_range_whose_cuts_are_refused_is_still_right, disarm),
        cmocka_unit_test_teardown(huge_pages_that_are_refused_fall_back_step_by_step, disarm),
        cmocka_unit_test_teardown(a_refused_remap_leaves_the_block_as_it_was, disarm),
        cmocka_unit_test_teardown(refused_advice_and_names_are_no_harm, disarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void faults_need_a_fault_build(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults_need_a_fault_build)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
