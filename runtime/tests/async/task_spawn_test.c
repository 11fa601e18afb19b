/*
 * What: tasks in the making: bodies inside the object and apart from it, batches, wrong arguments,
 *       want of memory at each allocation, spawn sites, tasks that another file submits.
 * How:  a scheduler that only queues, hooks that refuse the n-th object; the pool's own count says
 *       whether every object came back.
 * Shows: [async.proto.task]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "async/object.h"
#include "async/task_core.h"
#include "support/async_pool.h"
#include "support/planned_task.h"

static enum emp_poll check_body(struct emp_task *task, void *body)
{
    const unsigned char *bytes = body;

    assert_int_equal((uintptr_t)body % 64, 0);
    for (unsigned i = 0; i < task->type->body_bytes; i++) {
        assert_int_equal(bytes[i], i < 5 ? i + 1 : 0);
    }
    memset(body, 0xa5, task->type->body_bytes);
    planned_polls++;
    return EMP_POLL_READY;
}

static void body_begins_with_the_args_and_the_rest_is_zero(void **state)
{
    (void)state;
    static const unsigned char args[5] = {1, 2, 3, 4, 5};
    static const struct emp_task_type checked[] = {{"a", 5, 64, check_body, NULL},
                                                   {"b", 6, 64, check_body, NULL},
                                                   {"c", 64, 64, check_body, NULL},
                                                   {"d", 65, 64, check_body, NULL},
                                                   {"e", 65536, 64, check_body, NULL}};

    for (unsigned i = 0; i < 2 * sizeof checked / sizeof checked[0]; i++) {
        struct emp_spawn spawn = {.pool = planned_pool,
                                  .scheduler = &planned_queue.scheduler,
                                  .type = &checked[i / 2],
                                  .args = args,
                                  .args_bytes = sizeof args};

        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
        assert_int_equal(task_queue_run(&planned_queue, RUNS), 1);
    }
    assert_int_equal(planned_polls, 10);
}

static void batch_makes_tasks_of_consecutive_args(void **state)
{
    (void)state;
    struct plan plans[20];

    for (unsigned i = 0; i < 20; i++) {
        plans[i] = (struct plan){WAKE_SELF, i};
    }
    struct emp_spawn spawn = planned_spawn_of(&planned_large, plans);

    assert_int_equal(emp_task_spawn_batch(&spawn, 20), 20);
    assert_int_equal(planned_queue.length, 20);
    while (planned_queue.length > 0) {
        planned_body_seen = NULL;
        (void)task_queue_run_one(&planned_queue);
    }
    assert_int_equal(planned_polls, 20 + 19 * 20 / 2);
    assert_int_equal(planned_drops, 20);
    assert_int_equal(emp_task_spawn_batch(&spawn, 0), 0);
    spawn.pool = NULL;
    assert_int_equal(emp_task_spawn_batch(&spawn, 3), 0);
}

static void batch_ends_where_memory_does_and_says_how_far_it_came(void **state)
{
    (void)state;
    enum { LIMIT = 7, WANTED = 20 };
    struct emp_async_pool_config config = emp_async_pool_config_default();
    struct emp_async_pool *small = NULL;
    struct plan plans[WANTED];

    for (unsigned i = 0; i < WANTED; i++) {
        plans[i] = (struct plan){WAKE_SELF, i};
    }
    config.task_pool.max_capacity = LIMIT;
    assert_int_equal(emp_async_pool_create(&config, &small), EMP_OK);
    struct emp_spawn spawn = planned_spawn_of(&planned_large, plans);

    spawn.pool = small;
    for (unsigned round = 0; round < 2; round++) { /* what the first left serves the second */
        assert_int_equal(emp_task_spawn_batch(&spawn, WANTED), LIMIT);
        assert_int_equal(planned_queue.length, LIMIT);
        while (planned_queue.length > 0) {
            planned_body_seen = NULL;
            (void)task_queue_run_one(&planned_queue);
        }
    }
    assert_int_equal(planned_drops, 2 * LIMIT);
    assert_int_equal(emp_async_pool_destroy(small, NULL, NULL), EMP_OK);
}

static void wrong_arguments_are_refused_and_nothing_happens(void **state)
{
    (void)state;
    const struct plan plan = {0, 0};
    const struct emp_spawn right = planned_spawn_of(&planned_small, &plan);
    const struct emp_task_type bad_types[] = {{"no poll", 8, 8, NULL, NULL},
                                              {"too big", 65537, 8, planned_small.poll, NULL},
                                              {"too wide", 64, 128, planned_small.poll, NULL},
                                              {"no power", 64, 24, planned_small.poll, NULL}};
    struct emp_spawn wrong[8];

    for (unsigned i = 0; i < 8; i++) {
        wrong[i] = right;
    }
    wrong[0].pool = NULL;
    wrong[1].scheduler = NULL;
    wrong[2].type = NULL;
    wrong[3].args = NULL;
    for (unsigned i = 0; i < 4; i++) {
        wrong[4 + i].type = &bad_types[i];
        wrong[4 + i].args_bytes = 0;
    }
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(emp_task_spawn(&wrong[i], NULL, NULL), EMP_ERR_INVALID);
    }
    wrong[0] = right;
    wrong[0].args_bytes = planned_small.body_bytes + 1;
    assert_int_equal(emp_task_spawn(&wrong[0], NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_task_spawn(NULL, NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(planned_queue.length, 0);
    emp_task_release(NULL);
}

static struct emp_object_hooks hooks_real;
static unsigned takes_left;

static void *object_take_some(const struct emp_async_pool *from, enum emp_object_kind kind)
{
    return takes_left-- > 0 ? hooks_real.take(from, kind) : NULL;
}

static void *memory_take_some(size_t bytes)
{
    return takes_left-- > 0 ? hooks_real.memory_take(bytes) : NULL;
}

/* The thread's cache is emptied, so that each object comes through the hook. */
static enum emp_status spawn_with(const struct emp_task_type *type, unsigned takes,
                                  struct emp_future **join)
{
    const struct plan plan = {0, 0};
    struct emp_spawn spawn = planned_spawn_of(type, &plan);

    emp_cache_flush("test");
    takes_left = takes;
    hooks_real = emp_object_hooks;
    emp_object_hooks.take = object_take_some;
    emp_object_hooks.memory_take = memory_take_some;
    const enum emp_status status = emp_task_spawn(&spawn, join, NULL);

    emp_object_hooks = hooks_real;
    return status;
}

static void want_of_memory_at_each_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    const struct emp_task_type *const both[] = {&planned_small, &planned_wide};

    for (unsigned i = 0; i < 2; i++) {
        const unsigned needed = 2 + i; /* object, future; and the body */
        struct emp_future *join = NULL;

        for (unsigned takes = 0; takes < needed; takes++) {
            assert_int_equal(spawn_with(both[i], takes, &join), EMP_ERR_NOMEM);
            assert_null(join);
            assert_int_equal(planned_queue.length, 0);
            assert_int_equal(async_pool_in_use(planned_pool, "task") +
                                 async_pool_in_use(planned_pool, "task-header"),
                             0);
        }
        assert_int_equal(spawn_with(both[i], needed, &join), EMP_OK);
        planned_body_seen = NULL;
        assert_int_equal(task_queue_run(&planned_queue, RUNS), 1);
        emp_future_drop(join);
    }
}

static void tasks_know_the_place_that_spawned_them(void **state)
{
    (void)state;
    const struct plan plan = {0, 0};
    uint16_t ids[2] = {0, 0};

    for (unsigned round = 0; round < 3; round++) {
        struct emp_spawn spawn = planned_spawn_of(&planned_small, &plan);
        struct emp_task *first = NULL;
        struct emp_task *second = NULL;

        spawn.site = EMP_SPAWN_SITE();
        assert_int_equal(emp_task_spawn(&spawn, NULL, &first), EMP_OK);
        const struct emp_spawn_site *site = emp_spawn_site_of(first->site);

        assert_non_null(site);
        assert_ptr_equal(site, spawn.site);
        assert_string_equal(site->function, __func__);
        spawn.site = EMP_SPAWN_SITE();
        assert_int_equal(emp_task_spawn(&spawn, NULL, &second), EMP_OK);
        assert_int_not_equal(first->site, second->site);
        assert_true(round == 0 || (ids[0] == first->site && ids[1] == second->site));
        ids[0] = first->site;
        ids[1] = second->site;
        emp_task_release(first);
        emp_task_release(second);
        assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
        planned_body_seen = NULL;
        assert_int_equal(task_queue_run_one(&planned_queue), EMP_RUN_DONE);
        planned_body_seen = NULL;
    }
    assert_null(emp_spawn_site_of(0));
    assert_null(emp_spawn_site_of(EMP_SPAWN_SITES - 1));
    assert_null(emp_spawn_site_of(UINT16_MAX));
}

static void made_task_is_submitted_by_who_made_it(void **state)
{
    (void)state;
    const struct plan plan = {0, 0};
    struct emp_spawn spawn = planned_spawn_of(&planned_wide, &plan);
    struct emp_future *join = NULL;
    struct emp_task *task = NULL;

    assert_int_equal(emp_task_make(&spawn, EMP_TASK_STACKFUL, &join, NULL, &task), EMP_OK);
    assert_int_equal(planned_queue.length, 0);
    spawn.scheduler->submit(spawn.scheduler, task, EMP_SUBMIT_SPAWN);
    assert_int_equal(task_queue_run(&planned_queue, RUNS), 1);
    assert_int_equal(planned_drops, 1);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_OK);
    emp_future_drop(join);
    spawn.type = NULL;
    assert_int_equal(emp_task_make(&spawn, 0, NULL, NULL, &task), EMP_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TASK_TEST(body_begins_with_the_args_and_the_rest_is_zero),
        TASK_TEST(batch_makes_tasks_of_consecutive_args),
        TASK_TEST(batch_ends_where_memory_does_and_says_how_far_it_came),
        TASK_TEST(wrong_arguments_are_refused_and_nothing_happens),
        TASK_TEST(want_of_memory_at_each_allocation_leaves_nothing_behind),
        TASK_TEST(tasks_know_the_place_that_spawned_them),
        TASK_TEST(made_task_is_submitted_by_who_made_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
