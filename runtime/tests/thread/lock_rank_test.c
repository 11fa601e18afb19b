/*
 * Purpose: a lock waited for out of order ends a debug build; an order that is allowed does not.
 *          Each case runs in a child, whose end is what is looked at.
 * Design:  [thread.inv.lock-order]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "thread/mutex.h"

static struct emp_mutex shards[3] = {EMP_MUTEX_INIT(SHARD), EMP_MUTEX_INIT(SHARD),
                                     EMP_MUTEX_INIT(SHARD)};
static struct emp_mutex registry = EMP_MUTEX_INIT(REGISTRY);
static struct emp_mutex span = EMP_MUTEX_INIT(SPAN);
static struct emp_mutex span_other = EMP_MUTEX_INIT(SPAN);

/* Signal that ended a child running body, 0 when it ended by itself. */
static int signal_of(void (*body)(void))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        signal(SIGILL, SIG_DFL);
        close(STDERR_FILENO);
        body();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void expect_end(void (*body)(void))
{
    if (!EMP_DEBUG) {
        skip();
    }
    assert_int_not_equal(signal_of(body), 0);
}

static void take_ascending(void)
{
    emp_mutex_lock(&registry);
    emp_mutex_lock(&shards[0]);
    emp_mutex_lock(&shards[1]);
    emp_mutex_lock(&shards[2]);
    emp_mutex_lock(&span);
    emp_mutex_unlock(&shards[1]);
    emp_mutex_unlock(&span);
    emp_mutex_lock(&span);
    emp_mutex_unlock(&registry);
    emp_mutex_unlock(&span);
    emp_mutex_unlock(&shards[2]);
    emp_mutex_unlock(&shards[0]);
    emp_mutex_lock(&registry);
    emp_mutex_unlock(&registry);
}

static void take_descending_ranks(void)
{
    emp_mutex_lock(&span);
    emp_mutex_lock(&registry);
}

static void take_descending_shards(void)
{
    emp_mutex_lock(&shards[1]);
    emp_mutex_lock(&shards[0]);
}

static void take_equal_ranks(void)
{
    emp_mutex_lock(&span);
    emp_mutex_lock(&span_other);
}

static void take_twice(void)
{
    emp_mutex_lock(&shards[1]);
    emp_mutex_lock(&shards[1]);
}

static void give_back_what_is_not_held(void)
{
    emp_mutex_unlock(&span);
}

static void try_descending(void)
{
    emp_mutex_lock(&span);
    if (!emp_mutex_try_lock(&registry)) {
        _exit(1);
    }
    emp_mutex_unlock(&registry);
    emp_mutex_unlock(&span);
}

static void lock_below_a_tried_lock(void)
{
    if (emp_mutex_try_lock(&span)) {
        emp_mutex_lock(&registry);
    }
}

static void forget_in_child(void)
{
    emp_mutex_lock(&span);
    emp_mutex_reset_in_child(&span);
    emp_mutex_lock(&registry);
    emp_mutex_unlock(&registry);
}

static void locks_taken_in_ascending_rank_are_allowed(void **state)
{
    (void)state;
    assert_int_equal(signal_of(take_ascending), 0);
}

static void a_lower_rank_waited_for_under_a_higher_one_ends_the_process(void **state)
{
    (void)state;
    expect_end(take_descending_ranks);
}

static void shards_waited_for_in_descending_address_end_the_process(void **state)
{
    (void)state;
    expect_end(take_descending_shards);
}

static void two_locks_of_one_rank_other_than_shard_end_the_process(void **state)
{
    (void)state;
    expect_end(take_equal_ranks);
}

static void a_lock_waited_for_twice_by_its_holder_ends_the_process(void **state)
{
    (void)state;
    expect_end(take_twice);
}

static void unlock_of_a_lock_that_is_not_held_ends_the_process(void **state)
{
    (void)state;
    expect_end(give_back_what_is_not_held);
}

static void try_lock_may_take_any_order_because_it_never_waits(void **state)
{
    (void)state;
    assert_int_equal(signal_of(try_descending), 0);
}

static void a_tried_lock_counts_as_held_for_later_waits(void **state)
{
    (void)state;
    expect_end(lock_below_a_tried_lock);
}

static void reset_in_child_forgets_that_the_lock_was_held(void **state)
{
    (void)state;
    assert_int_equal(signal_of(forget_in_child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_taken_in_ascending_rank_are_allowed),
        cmocka_unit_test(a_lower_rank_waited_for_under_a_higher_one_ends_the_process),
        cmocka_unit_test(shards_waited_for_in_descending_address_end_the_process),
        cmocka_unit_test(two_locks_of_one_rank_other_than_shard_end_the_process),
        cmocka_unit_test(a_lock_waited_for_twice_by_its_holder_ends_the_process),
        cmocka_unit_test(unlock_of_a_lock_that_is_not_held_ends_the_process),
        cmocka_unit_test(try_lock_may_take_any_order_because_it_never_waits),
        cmocka_unit_test(a_tried_lock_counts_as_held_for_later_waits),
        cmocka_unit_test(reset_in_child_forgets_that_the_lock_was_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
