/*
 * What: memory nodes: the lists of the kernel are read right, and what the system says about this
 *       machine fits together, whatever number of nodes it has.
 * How:  lists as text, whole and cut at every place; the real queries against each other.
 * Shows: [os.req.numa]
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "os/linux/number_list.h"
#include "os/os_fault.h"
#include "os/os_memory.h"
#include "os/os_numa.h"

/* A list and what it says. */
struct list_case {
    const char *text;
    unsigned wanted;
    unsigned count;
    unsigned limit;
    bool has_wanted;
};

static const struct list_case cases[] = {
    {"0\n", 0, 1, 1, true},
    {"0", 1, 1, 1, false},
    {"0-3\n", 3, 4, 4, true},
    {"0-3,8,10-11\n", 10, 7, 12, true},
    {"0-3,8,10-11\n", 9, 7, 12, false},
    {"8,0-1\n", 8, 3, 9, true},
    {"\n", 0, 0, 0, false},
    {"", 0, 0, 0, false},
    {"7-3\n", 5, 0, 0, false},
    {"-4,2-,5\n", 5, 2, 6, true},
    {"99999999999\n", 5, 1, EMP_NUMBER_LIST_MAX + 1, false},
};

static void number_list_cut_anywhere_reads_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].text);

        for (size_t cut = 0; cut <= length; cut++) {
            struct emp_number_list list = {.wanted = cases[i].wanted};

            emp_number_list_take(&list, cases[i].text, cut);
            emp_number_list_take(&list, cases[i].text + cut, length - cut);
            emp_number_list_end(&list);
            assert_int_equal(list.count, cases[i].count);
            assert_int_equal(list.limit, cases[i].limit);
            assert_int_equal(list.has_wanted, cases[i].has_wanted);
        }
    }
}

static void numa_queries_fit_together(void **state)
{
    unsigned count = emp_os_numa_count();
    unsigned limit = emp_os_numa_limit();

    (void)state;
    assert_true(count >= 1);
    assert_true(limit >= count);
    assert_true(limit <= EMP_OS_NUMA_NODES_MAX);
    assert_true(emp_os_numa_current() < limit);
    assert_true(emp_os_numa_of_cpu(0) < limit);
    assert_int_equal(emp_os_numa_of_cpu(EMP_NUMBER_LIST_MAX - 1), EMP_OS_NUMA_NONE);
}

static void numa_of_address_knows_touched_pages_only(void **state)
{
    size_t bytes = 2 * emp_os_page_bytes();
    char *range = emp_os_map(bytes, emp_os_page_bytes(), EMP_OS_PAGES_NORMAL, NULL);

    (void)state;
    assert_non_null(range);
    range[0] = 1;
    assert_true(emp_os_numa_of_address(range + 7) < emp_os_numa_limit());
    assert_int_equal(emp_os_numa_of_address(NULL), EMP_OS_NUMA_NONE);
    assert_true(emp_os_unmap(range, bytes));
    assert_int_equal(emp_os_numa_of_address(range), EMP_OS_NUMA_NONE);
}

static void numa_prefer_takes_online_nodes_only_and_keeps_errno(void **state)
{
    size_t bytes = 4 * emp_os_page_bytes();
    char *range = emp_os_map(bytes, emp_os_page_bytes(), EMP_OS_PAGES_NORMAL, NULL);
    unsigned node = emp_os_numa_of_cpu(0);

    (void)state;
    assert_non_null(range);
    errno = 77;
    assert_true(emp_os_numa_prefer(range, bytes, node));
    range[0] = 1;
    assert_int_equal(emp_os_numa_of_address(range), node);
    assert_false(emp_os_numa_prefer(range, bytes, emp_os_numa_limit()));
    assert_false(emp_os_numa_prefer(range, bytes, EMP_OS_NUMA_NODES_MAX));
    assert_false(emp_os_numa_prefer(range, bytes, EMP_OS_NUMA_NONE));
    assert_false(emp_os_numa_prefer(range + 1, bytes, node));
    assert_int_equal(errno, 77);
    assert_true(emp_os_unmap(range, bytes));
}

#if EMP_FAULT

/* Every call refused from the n-th on: the answers are those of one node, or none; never wrong. */
static void numa_with_every_call_refused_is_one_node(void **state)
{
    size_t bytes = emp_os_page_bytes();
    char *range = emp_os_map(bytes, bytes, EMP_OS_PAGES_NORMAL, NULL);

    (void)state;
    assert_non_null(range);
    range[0] = 1;
    for (uint64_t nth = 1; nth <= 8; nth++) {
        emp_os_fault_arm(EMP_OS_CALL_NUMA, nth, EMP_OS_FAULT_FROM_ON, ENOSYS);
        assert_true(emp_os_numa_count() >= 1);
        assert_true(emp_os_numa_limit() >= 1);
        unsigned node = emp_os_numa_of_cpu(0);
        assert_true(node < EMP_OS_NUMA_NODES_MAX || node == EMP_OS_NUMA_NONE);
        node = emp_os_numa_of_address(range);
        assert_true(node < EMP_OS_NUMA_NODES_MAX || node == EMP_OS_NUMA_NONE);
    }
    emp_os_fault_arm(EMP_OS_CALL_NUMA, 1, EMP_OS_FAULT_FROM_ON, ENOSYS);
    assert_true(emp_os_numa_prefer(range, bytes, 0));
    assert_false(emp_os_numa_prefer(range, bytes, 1));
    emp_os_fault_arm(EMP_OS_CALL_NUMA, 1, EMP_OS_FAULT_FROM_ON, EPERM);
    assert_false(emp_os_numa_prefer(range, bytes, 0));
    emp_os_fault_arm(EMP_OS_CALL_NUMA, 1, EMP_OS_FAULT_ONCE, EPERM);
    assert_true(emp_os_numa_of_address(range) < EMP_OS_NUMA_NODES_MAX);
    emp_os_fault_disarm();
    assert_true(emp_os_unmap(range, bytes));
}

#else

static void numa_with_every_call_refused_is_one_node(void **state)
{
    (void)state;
    skip(); /* needs the fault build */
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_list_cut_anywhere_reads_the_same),
        cmocka_unit_test(numa_queries_fit_together),
        cmocka_unit_test(numa_of_address_knows_touched_pages_only),
        cmocka_unit_test(numa_prefer_takes_online_nodes_only_and_keeps_errno),
        cmocka_unit_test(numa_with_every_call_refused_is_one_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
