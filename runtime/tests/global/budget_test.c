/*
 * What: the hard limit of a class is exact for all threads together; slots come back; classes have
 *       names.
 * How:  the global room alone; several threads take one block after the other until they are
 *       refused.
 * Design: [global.req.limit]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "slab/size_class.h"
#include "span/arena.h"

#define LIMIT        1000u
#define LIMIT_CLASS  emp_size_class_of(288)
#define LIMIT_TAKERS 4u

/* Takes one by one until refused; returns the blocks it has. */
static void *limit_taker(void *arg)
{
    struct emp_central_note note = {0};
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;
    uintptr_t count = 0;

    (void)arg;
    while (emp_central_take(LIMIT_CLASS, out, 1, &home, &note) != 0) {
        count++;
        if (count > LIMIT) {
            break;
        }
    }
    return note.limited ? (void *)count : (void *)(uintptr_t)1000000;
}

static void a_limit_is_exact_for_all_threads_together(void **state)
{
    pthread_t threads[LIMIT_TAKERS];
    uintptr_t sum = 0;

    (void)state;
    emp_budgets[LIMIT_CLASS].limit = LIMIT;
    for (unsigned i = 0; i < LIMIT_TAKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, limit_taker, NULL), 0);
    }
    for (unsigned i = 0; i < LIMIT_TAKERS; i++) {
        void *count = NULL;

        pthread_join(threads[i], &count);
        sum += (uintptr_t)count;
    }
    assert_int_equal(sum, LIMIT);
    assert_int_equal(emp_budgets[LIMIT_CLASS].slots, LIMIT);
    assert_int_equal(emp_budgets[LIMIT_CLASS].failures, LIMIT_TAKERS);
}

static void a_reservation_gets_what_is_left_and_can_be_taken_back(void **state)
{
    const uint32_t class_id = emp_size_class_of(640);
    uint64_t before = 99;

    (void)state;
    emp_budgets[class_id].limit = 100;
    assert_int_equal(emp_budget_reserve(class_id, 60, &before), 60);
    assert_int_equal(before, 0);
    assert_int_equal(emp_budget_reserve(class_id, 60, &before), 40);
    assert_int_equal(before, 60);
    assert_int_equal(emp_budget_reserve(class_id, 60, &before), 0);
    emp_budget_release(class_id, 60);
    assert_int_equal(emp_budget_reserve(class_id, 10, &before), 10);
    emp_budgets[class_id].limit = 20; /* lowered below what exists: nothing more, nothing less */
    assert_int_equal(emp_budget_reserve(class_id, 1, &before), 0);
    emp_budgets[class_id].limit = 0;
    assert_int_equal(emp_budget_reserve(class_id, 5000, &before), 5000);
    emp_budget_release(class_id, 5050);
    assert_int_equal(emp_budgets[class_id].slots, 0);
}

static void a_class_has_a_name_for_events(void **state)
{
    char name[32];
    char tiny[4];

    (void)state;
    assert_string_equal(emp_budget_name(emp_size_class_of(80), name, sizeof(name)), "class-80");
    assert_string_equal(emp_budget_name(emp_size_class_of(32768), name, sizeof(name)),
                        "class-32768");
    assert_string_equal(emp_budget_name(1, tiny, sizeof(tiny)), "cla");
    emp_budgets[EMP_POOL_CLASS_FIRST].name = "sessions";
    assert_string_equal(emp_budget_name(EMP_POOL_CLASS_FIRST, name, sizeof(name)), "sessions");
    emp_budgets[EMP_POOL_CLASS_FIRST].name = NULL;
}

static int start(void **state)
{
    (void)state;
    if (!emp_arena_init()) {
        return -1;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
    return emp_shard_init(2) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reservation_gets_what_is_left_and_can_be_taken_back),
        cmocka_unit_test(a_limit_is_exact_for_all_threads_together),
        cmocka_unit_test(a_class_has_a_name_for_events),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
