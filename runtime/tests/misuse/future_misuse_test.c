/*
 * What: references of futures and wakers that are given back once too often: the process ends
 *       before anything is dropped a second time.
 * How:  a child per case; what was dropped is counted in memory that the parent sees.
 * Shows: [async.proto.future] [async.proto.waker]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/future.h"
#include "async/waker.h"
#include "core/async_memory_pool.h"

/* What a child tells. */
static struct {
    uint32_t drops;  /* of the value, or of the data of the waker */
    uint32_t passed; /* the wrong call has returned */
} * told;

static void count_drop(void *what)
{
    (void)what;
    told->drops++;
}

static void wake_nobody(void *copy)
{
    (void)copy;
}

static void drop_consumer_twice(struct emp_async_pool *pool)
{
    static struct emp_value_type type = {"counted", count_drop, 8, 0};
    struct emp_future *const future = emp_future_new(pool);
    const uint64_t value = 1;

    (void)emp_future_resolve_typed(future, &type, &value);
    emp_promise_drop(future);
    emp_future_drop(future);
    emp_future_drop(future);
}

static void drop_producer_twice(struct emp_async_pool *pool)
{
    struct emp_future *const future = emp_future_new(pool);

    emp_future_drop(future);
    emp_promise_drop(future);
    told->drops++;
    emp_promise_drop(future);
}

static void drop_waker_twice(struct emp_async_pool *pool)
{
    static const struct emp_waker_calls calls = {.wake = wake_nobody, .drop = count_drop};
    struct emp_waker waker;

    (void)emp_waker_custom(pool, &calls, NULL, 0, &waker);
    struct emp_waker copy = waker;

    emp_waker_drop(&waker);
    emp_waker_drop(&copy);
}

static void last_reference_given_back_twice_ends_the_process_before_a_second_drop(void **state)
{
    static void (*const cases[])(struct emp_async_pool *) = {drop_consumer_twice,
                                                             drop_producer_twice, drop_waker_twice};

    (void)state;
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        told->drops = 0;
        told->passed = 0;
        const pid_t child = fork();

        if (child == 0) {
            const struct rlimit none = {0, 0};
            struct emp_async_pool *pool = NULL;

            (void)setrlimit(RLIMIT_CORE, &none);
            if (emp_async_pool_create(NULL, &pool) == EMP_OK) {
                cases[i](pool);
                told->passed = 1;
            }
            _exit(0);
        }
        int status = 0;

        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(told->drops, 1);
        assert_int_equal(told->passed, 0);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    (void)munmap(told, sizeof *told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_reference_given_back_twice_ends_the_process_before_a_second_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
