/*
 * Purpose: a pair is never read half old, half new, while two threads replace it; a writer that a
 *          fork left behind does not stop the child.
 * Design:  [monitor.proto.callback] [monitor.inv.callback-pair]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/callback.h"

#define READS  2000000
#define STRIDE 4096

static struct emp_callback_cell cell = EMP_CALLBACK_CELL_INIT;
static uint32_t is_over;
static char base[1];

/* A pair whose argument follows from its function, so that a reader can tell a mixed one. */
static struct emp_callback_pair pair_of(uintptr_t number)
{
    return (struct emp_callback_pair){
        .function = (emp_callback_fn *)(number * STRIDE),
        .arg = (void *)((uintptr_t)base + number),
    };
}

static bool is_whole(struct emp_callback_pair pair)
{
    return pair.arg == (void *)((uintptr_t)base + (uintptr_t)pair.function / STRIDE);
}

static void *writer_body(void *arg)
{
    uintptr_t number = (uintptr_t)arg;
    /* order(test): relaxed; a flag that ends the loop some time */
    while (emp_load_relaxed(&is_over) == 0) {
        emp_callback_set(&cell, pair_of(number));
        number += 2;
    }
    return NULL;
}

static void a_reader_never_sees_half_a_pair_while_two_writers_replace_it(void **state)
{
    (void)state;
    pthread_t writers[2];
    unsigned changes = 0;
    emp_callback_fn *last = NULL;
    emp_callback_set(&cell, pair_of(1));
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, writer_body, (void *)(i + 1)), 0);
    }
    unsigned mixed = 0;
    for (unsigned i = 0; i < READS || changes < 100; i++) {
        const struct emp_callback_pair pair = emp_callback_get(&cell);
        mixed += is_whole(pair) ? 0 : 1;
        changes += pair.function != last ? 1 : 0;
        last = pair.function;
    }
    /* order(test): relaxed; a flag that ends the loop some time */
    emp_store_relaxed(&is_over, 1u);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(writers[i], NULL), 0);
    }
    assert_int_equal(mixed, 0);
}

static void a_new_cell_has_no_function_and_set_and_get_agree(void **state)
{
    (void)state;
    struct emp_callback_cell fresh = EMP_CALLBACK_CELL_INIT;
    assert_null((void *)(uintptr_t)emp_callback_get(&fresh).function);
    for (uintptr_t i = 1; i < 10; i++) {
        emp_callback_set(&fresh, pair_of(i));
        assert_true(is_whole(emp_callback_get(&fresh)));
        assert_int_equal((uintptr_t)emp_callback_get(&fresh).function, i * STRIDE);
    }
}

/* As if another thread had been inside set when this one forked. */
static void a_child_forgets_the_writer_that_it_has_not_got(void **state)
{
    (void)state;
    struct emp_callback_cell forked = EMP_CALLBACK_CELL_INIT;
    emp_callback_set(&forked, pair_of(1));
    emp_mutex_lock(&forked.writer);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        emp_callback_reset_in_child(&forked);
        emp_callback_set(&forked, pair_of(2));
        _exit(is_whole(emp_callback_get(&forked)) ? 0 : 1);
    }
    emp_mutex_unlock(&forked.writer);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_cell_has_no_function_and_set_and_get_agree),
        cmocka_unit_test(a_reader_never_sees_half_a_pair_while_two_writers_replace_it),
        cmocka_unit_test(a_child_forgets_the_writer_that_it_has_not_got),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
