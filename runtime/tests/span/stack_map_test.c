/*
 * What: address space for stacks: slots and guards where they should be, by every kind of guard;
 *       pages that go and read as zero afterwards; a hundred thousand guarded stacks in few
 *       mappings; sizes that the system does not have.
 * How:  the kernel is asked to write to an address for us, which says what a touch would do.
 * Shows: [span.proto.stack-map] [span.inv.stack-guard] [os.req.sparse]
 * ctest-not-under: address thread
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os_fault.h"
#include "os/os_memory.h"
#include "os/os_sparse.h"
#include "span/stack_map.h"
#include "support/process_memory.h"

#define MANY 100000u

static struct emp_stack_map map;

static int close_map(void **state)
{
    (void)state;
    emp_stack_map_close(&map);
    assert_null(map.base);
    emp_stack_map_close(&map); /* twice is once */
    return 0;
}

static void a_guard_closes_the_low_end_of_its_slot_only(void **state)
{
    (void)state;
    for (uint32_t shift = 14; shift <= 20; shift += 2) {
        assert_true(emp_stack_map_open(&map, shift, 64));
        const enum emp_stack_guard kind = emp_stack_map_guard(&map, 3);
        char *const low = emp_stack_map_low(&map, 3);

        assert_int_not_equal(kind, EMP_STACK_GUARD_WORD);
        assert_true(emp_os_is_closed(low - 1));
        assert_true(emp_os_is_closed(low - map.guard_bytes));
        assert_false(emp_os_is_closed(low));
        assert_false(emp_os_is_closed(low - map.guard_bytes - 64));
        assert_false(emp_os_is_closed(emp_stack_map_top(&map, 3) - 64));
        assert_int_equal(emp_stack_map_top(&map, 3) - low, emp_stack_map_bytes(&map));
        emp_stack_map_close(&map);
    }
}

static void an_address_is_found_in_its_slot(void **state)
{
    uint32_t slot = 99;

    (void)state;
    assert_true(emp_stack_map_open(&map, 16, 64));
    assert_true(emp_stack_map_find(&map, map.base, &slot));
    assert_int_equal(slot, 0);
    assert_true(emp_stack_map_find(&map, emp_stack_map_top(&map, 5) - 1, &slot));
    assert_int_equal(slot, 5);
    assert_false(emp_stack_map_find(&map, map.base - 1, &slot));
    assert_false(emp_stack_map_find(&map, map.base + ((size_t)map.slots << map.shift), &slot));
    emp_stack_map_close(&map);
    assert_false(emp_stack_map_find(&map, NULL, &slot));
}

static void purged_stacks_read_as_zero_and_keep_their_guards(void **state)
{
    (void)state;
    assert_true(emp_stack_map_open(&map, 16, 64));
    for (uint32_t slot = 0; slot < 4; slot++) {
        (void)emp_stack_map_guard(&map, slot);
        memset(emp_stack_map_top(&map, slot) - 5000, 0x77, 5000);
        assert_in_range(emp_stack_map_used(&map, slot), 5000, 5000 + emp_os_page_bytes());
    }
    assert_true(emp_stack_map_purge(&map, 1, 2));
    for (uint32_t slot = 0; slot < 4; slot++) {
        const bool is_purged = slot == 1 || slot == 2;

        assert_int_equal(*(emp_stack_map_top(&map, slot) - 1), is_purged ? 0 : 0x77);
        assert_true(emp_os_is_closed(emp_stack_map_low(&map, slot) - 1));
    }
}

static void stripped_stacks_have_neither_pages_nor_guards(void **state)
{
    (void)state;
    assert_true(emp_stack_map_open(&map, 16, 128));
    const uint32_t group = emp_stack_map_group(&map);

    assert_int_equal((size_t)group << map.shift, (size_t)2 << 20);
    for (uint32_t slot = 0; slot < group; slot++) {
        (void)emp_stack_map_guard(&map, slot);
        *(emp_stack_map_top(&map, slot) - 1) = 1;
    }
    const bool is_stripped = emp_stack_map_strip(&map, 0, group);

    assert_int_equal(is_stripped, map.kind == EMP_STACK_GUARD_LIGHT);
    for (uint32_t slot = 0; is_stripped && slot < group; slot++) {
        assert_int_equal(emp_stack_map_used(&map, slot), 0);
        assert_false(emp_os_is_closed(emp_stack_map_low(&map, slot) - 64)); /* it writes there */
        assert_int_equal(*(emp_stack_map_top(&map, slot) - 1), 0);
    }
}

static void many_guarded_stacks_are_few_mappings(void **state)
{
    const unsigned before = process_mappings();

    (void)state;
    assert_true(emp_stack_map_open(&map, 16, 1u << 17));
    const uint32_t count = map.slots < MANY ? map.slots : MANY;
    unsigned words = 0;

    for (uint32_t slot = 0; slot < count; slot++) {
        words += emp_stack_map_guard(&map, slot) == EMP_STACK_GUARD_WORD;
    }
    /* By page tables: one mapping in all; by mappings of their own: 8192 guards, two each. */
    assert_true(process_mappings() - before <=
                (map.kind == EMP_STACK_GUARD_LIGHT ? 4 : 2 * 8192 + 4));
    assert_true(words == 0 || map.kind != EMP_STACK_GUARD_LIGHT);
}

static void a_limited_address_space_gets_fewer_slots(void **state)
{
    struct rlimit before;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    const struct rlimit limited = {(rlim_t)4 << 30, before.rlim_max};

    assert_int_equal(setrlimit(RLIMIT_AS, &limited), 0);
    const bool is_limited = emp_os_address_limit() == limited.rlim_cur; /* emulators refuse */
    const bool is_open = emp_stack_map_open(&map, 16, 1u << 20);

    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_true(is_open);
    assert_true(!is_limited || (size_t)map.slots << map.shift <= (size_t)512 << 20);
}

#if EMP_FAULT

static void each_refusal_leaves_a_kind_of_guard_that_works(void **state)
{
    (void)state;
    emp_os_fault_arm(EMP_OS_CALL_GUARD, 1, EMP_OS_FAULT_ONCE, EINVAL);
    assert_true(emp_stack_map_open(&map, 16, 64));
    assert_int_equal(map.kind, EMP_STACK_GUARD_MAPPING);
    assert_int_equal(emp_stack_map_guard(&map, 1), EMP_STACK_GUARD_MAPPING);
    assert_true(emp_os_is_closed(emp_stack_map_low(&map, 1) - 1));
    *(emp_stack_map_top(&map, 1) - 1) = 1;
    assert_true(emp_stack_map_purge(&map, 0, 3));
    assert_int_equal(*(emp_stack_map_top(&map, 1) - 1), 0);
    assert_false(emp_stack_map_strip(&map, 0, 3));
    emp_os_fault_arm(EMP_OS_CALL_GUARD, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    assert_int_equal(emp_stack_map_guard(&map, 2), EMP_STACK_GUARD_WORD);
    emp_os_fault_disarm();
}

static void no_address_space_is_an_answer(void **state)
{
    (void)state;
    emp_os_fault_arm(EMP_OS_CALL_RESERVE, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    assert_false(emp_stack_map_open(&map, 16, 64));
    emp_os_fault_arm(EMP_OS_CALL_COMMIT, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    assert_false(emp_stack_map_open(&map, 16, 64));
    assert_null(emp_stack_map_table(4096));
    emp_os_fault_arm(EMP_OS_CALL_QUERY, 1, EMP_OS_FAULT_FROM_ON, ENOSYS);
    assert_true(emp_stack_map_open(&map, 16, 64));
    *(emp_stack_map_top(&map, 1) - 1) = 1;
    assert_int_equal(emp_stack_map_used(&map, 1), 0); /* not known */
    emp_os_fault_disarm();
}

#else

static void each_refusal_leaves_a_kind_of_guard_that_works(void **state)
{
    (void)state;
    skip();
}

static void no_address_space_is_an_answer(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_guard_closes_the_low_end_of_its_slot_only, close_map),
        cmocka_unit_test_teardown(an_address_is_found_in_its_slot, close_map),
        cmocka_unit_test_teardown(purged_stacks_read_as_zero_and_keep_their_guards, close_map),
        cmocka_unit_test_teardown(stripped_stacks_have_neither_pages_nor_guards, close_map),
        cmocka_unit_test_teardown(many_guarded_stacks_are_few_mappings, close_map),
        cmocka_unit_test_teardown(a_limited_address_space_gets_fewer_slots, close_map),
        cmocka_unit_test_teardown(each_refusal_leaves_a_kind_of_guard_that_works, close_map),
        cmocka_unit_test_teardown(no_address_space_is_an_answer, close_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
