/*
 * What: a thread that prepares itself for faults while another one is just installing the handler:
 *       the handler stays out, and the next time the thread gets its stack.
 * How:  the installation is stopped in the middle, in a sigaction of our own before that of the C
 *       library.
 * Shows: [thread.proto.fault]
 * ctest-not-under: address thread
 *       (they have a sigaction of their own, and the former a stack for each thread)
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "thread/fault.h"

static pthread_barrier_t turn;
static bool stops; /* the next sigaction for SIGSEGV meets the other thread, twice */

/* Stands before the C library's. */
int sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    int (*next)(int, const struct sigaction *, struct sigaction *);

    *(void **)&next = dlsym(RTLD_NEXT, "sigaction");
    if (stops && number == SIGSEGV) {
        stops = false;
        (void)pthread_barrier_wait(&turn);
        (void)pthread_barrier_wait(&turn);
    }
    return next(number, action, before);
}

static bool has_stack(void)
{
    stack_t now = {0};

    return sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) == 0;
}

/* What the thread found: a stack in the middle of the installation, and after it. */
static struct {
    bool early;
    bool late;
} found;

static void *prepare_twice(void *arg)
{
    (void)pthread_barrier_wait(&turn);
    emp_fault_prepare_thread();
    found.early = has_stack();
    (void)pthread_barrier_wait(&turn);
    (void)pthread_barrier_wait(&turn); /* the handler is installed */
    emp_fault_prepare_thread();
    found.late = has_stack();
    return arg;
}

static bool explain_nothing(const void *address)
{
    (void)address;
    return false;
}

static void a_thread_that_came_too_early_gets_its_stack_the_next_time(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_barrier_init(&turn, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, prepare_twice, NULL), 0);
    stops = true;
    assert_true(emp_fault_init(explain_nothing));
    (void)pthread_barrier_wait(&turn);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(found.early);
    assert_true(found.late);
    assert_int_equal(pthread_barrier_destroy(&turn), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_came_too_early_gets_its_stack_the_next_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
