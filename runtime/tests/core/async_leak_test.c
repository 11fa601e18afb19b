/*
 * What: the end of the pools of a runtime tells each group of objects that were never given back,
 *       with their exact number: by kind, tasks also by where they were spawned; also what another
 *       thread left, and whatever caches hold; the blocks of the heap that they held go back.
 * How:  objects that are left on purpose, beside many that were given back by this thread and by
 *       one that still lives; a callback that keeps the groups.
 * Shows: [core.proto.async-pool]
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/channel.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "async/future.h"
#include "async/task.h"
#include "async/waker.h"
#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/async_pool.h"
#include "support/settled.h"
#include "support/task_queue.h"

#define GROUPS 16u

struct groups {
    unsigned count;
    struct emp_async_leak group[GROUPS];
};

static struct emp_async_pool *pool;
static struct task_queue_test queue;

static void keep_group(const struct emp_async_leak *leak, void *arg)
{
    struct groups *groups = arg;

    assert_true(groups->count < GROUPS);
    assert_true(leak->objects > 0);
    groups->group[groups->count++] = *leak;
}

/* Objects of a kind that were left; of all sites, or at a line. */
static uint64_t left_at(const struct groups *groups, const char *kind, uint32_t line)
{
    uint64_t objects = 0;

    for (unsigned i = 0; i < groups->count; i++) {
        if (strcmp(groups->group[i].kind, kind) == 0 &&
            (line == 0 || groups->group[i].line == line)) {
            objects += groups->group[i].objects;
        }
    }
    return objects;
}

static enum emp_poll poll_nothing(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    return EMP_POLL_READY;
}

static const struct emp_task_type small_type = {"small", 0, 8, poll_nothing, NULL};
static const struct emp_task_type large_type = {"large", 200, 8, poll_nothing, NULL};

static int begin(void **state)
{
    (void)state;
    task_queue_init(&queue);
    return emp_async_pool_create(NULL, &pool) == EMP_OK ? 0 : -1;
}

static int audit(void **state)
{
    (void)state;
    return emp_audit() == 0 ? 0 : -1;
}

static void nothing_is_told_of_a_pool_that_is_empty(void **state)
{
    struct groups groups = {0};
    struct emp_future *futures[100];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        futures[i] = emp_future_new(pool);
    }
    for (unsigned i = 0; i < 100; i++) {
        emp_promise_drop(futures[i]);
        emp_future_drop(futures[i]);
    }
    assert_int_equal(emp_async_pool_destroy(pool, keep_group, &groups), EMP_OK);
    assert_int_equal(groups.count, 0);
}

static void ignore(void *copy)
{
    (void)copy;
}

static void each_kind_is_told_with_its_number(void **state)
{
    static const struct emp_waker_calls calls = {ignore, NULL, false};
    struct groups groups = {0};
    struct emp_future *future = NULL;
    struct emp_waker waker;

    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        future = emp_future_new(pool);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(emp_waker_custom(pool, &calls, NULL, 0, &waker), EMP_OK);
    }
    assert_int_equal(emp_future_poll(future, &waker, NULL, 0, NULL), EMP_ERR_AGAIN);
    assert_int_equal(async_pool_in_use(pool, "future"), 7);
    assert_int_equal(async_pool_in_use(pool, "waker"), 3);
    assert_int_equal(async_pool_in_use(pool, "waiter"), 1);
    assert_int_equal(emp_async_pool_destroy(pool, keep_group, &groups), EMP_ERR_BUSY);
    assert_int_equal(groups.count, 3);
    assert_int_equal(left_at(&groups, "future", 0), 7);
    assert_int_equal(left_at(&groups, "waker", 0), 3);
    assert_int_equal(left_at(&groups, "waiter", 0), 1);
    assert_null(groups.group[0].file);
}

static void spawn(const struct emp_task_type *type, struct emp_spawn_site *site, unsigned count)
{
    struct emp_spawn how = {
        .pool = pool, .scheduler = &queue.scheduler, .type = type, .site = site};

    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(emp_task_spawn(&how, NULL, NULL), EMP_OK);
    }
}

static void tasks_are_told_by_where_they_were_spawned(void **state)
{
    struct groups groups = {0};
    struct emp_spawn_site *first = EMP_SPAWN_SITE();
    struct emp_spawn_site *second = EMP_SPAWN_SITE();

    (void)state;
    assert_int_not_equal(first->line, second->line);
    spawn(&small_type, first, 5);
    spawn(&small_type, second, 11);
    spawn(&small_type, NULL, 2);
    spawn(&large_type, second, 4);
    assert_int_equal(emp_async_pool_destroy(pool, keep_group, &groups), EMP_ERR_BUSY);
    assert_int_equal(groups.count, 4);
    assert_int_equal(left_at(&groups, "task", first->line), 5);
    assert_int_equal(left_at(&groups, "task", second->line), 11);
    assert_int_equal(left_at(&groups, "task", 0), 18);
    assert_int_equal(left_at(&groups, "task-header", second->line), 4);
    for (unsigned i = 0; i < groups.count; i++) {
        if (groups.group[i].line != 0) {
            assert_string_equal(groups.group[i].function, __func__);
            assert_non_null(strstr(groups.group[i].file, "async_leak_test.c"));
        }
    }
}

#define MANY 1000u

static struct emp_future *many[MANY];
static pthread_barrier_t barrier;

/* Gives all but 13 back, and lives on with a full cache. */
static void *give_back(void *arg)
{
    for (unsigned i = 13; i < MANY; i++) {
        emp_promise_drop(many[i]);
        emp_future_drop(many[i]);
    }
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    return arg;
}

static void what_a_living_thread_has_in_its_cache_is_not_told(void **state)
{
    struct groups groups = {0};
    pthread_t thread;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = emp_future_new(pool);
        assert_non_null(many[i]);
    }
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, give_back, NULL), 0);
    (void)pthread_barrier_wait(&barrier);
    assert_int_equal(emp_async_pool_destroy(pool, keep_group, &groups), EMP_ERR_BUSY);
    (void)pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(groups.count, 1);
    assert_int_equal(left_at(&groups, "future", 0), 13);
    assert_int_equal(pthread_barrier_destroy(&barrier), 0);
}

static void wait_for_ever(void *args)
{
    (void)args;
    (void)emp_coroutine_suspend();
}

/* A coroutine that waits for its first run or, parked, for its second. */
static void leave_coroutine(uint32_t flags, bool runs)
{
    static const char args[500];
    const struct emp_coroutine_spawn how = {.pool = pool,
                                            .scheduler = &queue.scheduler,
                                            .entry = wait_for_ever,
                                            .args = args,
                                            .args_bytes = sizeof args,
                                            .flags = flags};
    struct emp_task *task = NULL;

    assert_int_equal(emp_coroutine_spawn(&how, NULL, &task), EMP_OK);
    if (runs) {
        assert_int_equal(task_queue_run(&queue, 1), 1);
        for (uint64_t second = 1; second < 10; second++) {
            (void)emp_coroutine_tick(pool, second * 1000000000u);
        }
    }
}

/* Values that are there and that were taken, a future without one, and a task that has ended. */
static void leave_futures(void)
{
    char value[300] = {0};
    struct emp_future *const taken = emp_future_new(pool);
    struct emp_future *const there = emp_future_new(pool);
    struct emp_task *task = NULL;
    const struct emp_spawn how = {.pool = pool, .scheduler = &queue.scheduler, .type = &large_type};

    assert_int_equal(emp_future_resolve(there, value, sizeof value), EMP_OK);
    assert_int_equal(emp_future_resolve(taken, value, sizeof value), EMP_OK);
    assert_int_equal(emp_future_take(taken, NULL, value, sizeof value, NULL), EMP_OK);
    assert_non_null(emp_future_new(pool));
    assert_int_equal(emp_task_spawn(&how, NULL, &task), EMP_OK);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
}

static uint64_t heap_bytes(void)
{
    struct emp_stats stats;

    emp_park();
    assert_int_equal(settled_stats_read(&stats), EMP_OK);
    return stats.allocated;
}

static void what_was_left_loses_its_blocks_of_the_heap(void **state)
{
    const struct emp_channel_config config = {
        .kind = EMP_CHANNEL_COMPACT, .element_bytes = 1000, .capacity = 5};
    struct emp_channel *channel = NULL;

    (void)state;
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    const uint64_t before = heap_bytes();

    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    leave_futures();
    leave_coroutine(0, true);
    leave_coroutine(EMP_COROUTINE_SHARED, true);
    leave_coroutine(0, false);
    leave_coroutine(EMP_COROUTINE_SHARED, false);
    spawn(&large_type, NULL, 100);
    assert_int_equal(emp_channel_create(pool, &config, &channel), EMP_OK);
    assert_true(heap_bytes() > before + (uint64_t)100 * 200);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_ERR_BUSY);
    assert_int_equal(heap_bytes(), before);
}

static void without_a_callback_the_status_still_tells(void **state)
{
    (void)state;
    assert_non_null(emp_future_new(pool));
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_ERR_BUSY);
}

static void a_pool_that_ended_is_refused(void **state)
{
    (void)state;
    assert_int_equal(emp_async_pool_destroy(NULL, NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, audit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_told_of_a_pool_that_is_empty),
        CASE(each_kind_is_told_with_its_number),
        CASE(tasks_are_told_by_where_they_were_spawned),
        CASE(what_a_living_thread_has_in_its_cache_is_not_told),
        CASE(what_was_left_loses_its_blocks_of_the_heap),
        CASE(without_a_callback_the_status_still_tells),
        CASE(a_pool_that_ended_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
