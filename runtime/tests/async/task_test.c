/*
 * What: a task in one thread: its life from spawn to the last reference in every order, wakes in
 *       each of its states, abort, results, bodies inside the object and apart from it, wrong
 *       arguments, want of memory at each allocation, spawn sites.
 * How:  a scheduler that only queues, a body that says what its polls do and counts its ends; the
 *       pool's own count says whether every object came back.
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
#include "core/async_memory_pool.h"
#include "support/async_pool.h"
#include "support/task_queue.h"

#define RUNS 100u

/* What a poll does, in this order. */
enum deed {
    WAKE_SELF = 1,    /* by reference */
    KEEP_WAKER = 2,   /* a clone, in kept */
    KEEP_HANDLE = 4,  /* a reference, in held */
    ABORT_SELF = 8,   /* as somebody else might meanwhile */
    SET_RESULT = 16,  /* the number of polls */
    BE_READY = 32,    /* at once, else at the last of `pending` polls */
    LEAVE_HANDLE = 64 /* gives `held` back, while it runs */
};

struct plan {
    unsigned deeds;
    unsigned pending; /* polls that stay pending before one is ready */
};

static struct emp_async_pool *pool;
static struct task_queue_test queue;
static struct emp_waker kept;
static struct emp_task *held;
static struct emp_task *current; /* as the last poll saw it */
static void *body_seen;          /* as the last poll saw it */
static unsigned polls;
static unsigned drops;
static bool told; /* emp_task_is_cancelled at the end of the last poll */

static enum emp_poll follow_plan(struct emp_task *task, void *body)
{
    struct plan *plan = body;
    const unsigned deeds = plan->deeds;

    polls++;
    current = emp_task_current();
    body_seen = body;
    if ((deeds & KEEP_WAKER) != 0 && kept.vt == NULL) {
        struct emp_waker own = emp_task_waker(task);

        kept = emp_waker_clone(&own);
    }
    if ((deeds & KEEP_HANDLE) != 0 && held == NULL) {
        held = emp_task_retain(task);
    }
    if ((deeds & WAKE_SELF) != 0) {
        struct emp_waker own = emp_task_waker(task);

        emp_waker_wake_by_ref(&own);
        emp_waker_wake_by_ref(&own);
    }
    if ((deeds & SET_RESULT) != 0) {
        assert_int_equal(emp_task_set_result(task, &polls, sizeof polls), EMP_OK);
        assert_int_equal(emp_task_set_result(task, &polls, sizeof polls), EMP_ERR_STATE);
    }
    if ((deeds & ABORT_SELF) != 0) {
        assert_true(emp_task_abort(task));
        assert_false(emp_task_abort(task));
    }
    if ((deeds & LEAVE_HANDLE) != 0) {
        emp_task_release(held);
        held = NULL;
    }
    told = emp_task_is_cancelled(task);
    if ((deeds & BE_READY) != 0 || plan->pending == 0) {
        return EMP_POLL_READY;
    }
    plan->pending--;
    return EMP_POLL_PENDING;
}

static void count_drop(void *body)
{
    assert_ptr_equal(body, body_seen != NULL ? body_seen : body);
    drops++;
}

static const struct emp_task_type small = {"small", 16, 8, follow_plan, count_drop};
static const struct emp_task_type exact = {"exact", 64, 64, follow_plan, count_drop};
static const struct emp_task_type large = {"large", 65, 8, follow_plan, count_drop};
static const struct emp_task_type wide = {"wide", 1000, 64, follow_plan, count_drop};
static const struct emp_task_type plain = {"plain", 16, 0, follow_plan, NULL};
static const struct emp_task_type *const types[] = {&small, &exact, &large, &wide, &plain};
#define TYPES (sizeof types / sizeof types[0])

static int begin(void **state)
{
    (void)state;
    kept = (struct emp_waker){NULL, NULL};
    held = NULL;
    current = NULL;
    body_seen = NULL;
    polls = 0;
    drops = 0;
    told = false;
    task_queue_init(&queue);
    return emp_async_pool_create(NULL, &pool) == EMP_OK ? 0 : -1;
}

/* Everything came back. */
static int end(void **state)
{
    (void)state;
    const uint64_t left = async_pool_in_use(pool, "task") + async_pool_in_use(pool, "task-header") +
                          async_pool_in_use(pool, "future") + async_pool_in_use(pool, "waiter");

    return left == 0 && emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

static struct emp_spawn spawn_of(const struct emp_task_type *type, const struct plan *plan)
{
    return (struct emp_spawn){.pool = pool,
                              .scheduler = &queue.scheduler,
                              .type = type,
                              .args = plan,
                              .args_bytes = sizeof *plan};
}

static struct emp_task *spawn_held(const struct emp_task_type *type, struct plan plan,
                                   struct emp_future **join)
{
    struct emp_spawn spawn = spawn_of(type, &plan);
    struct emp_task *task = NULL;

    assert_int_equal(emp_task_spawn(&spawn, join, &task), EMP_OK);
    assert_non_null(task);
    return task;
}

static void spawn_detached(const struct emp_task_type *type, struct plan plan)
{
    struct emp_spawn spawn = spawn_of(type, &plan);

    assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
}

static void task_is_submitted_once_and_runs_to_its_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TYPES; i++) {
        polls = 0;
        body_seen = NULL;
        spawn_detached(types[i], (struct plan){0, 0});
        assert_int_equal(polls, 0);
        assert_int_equal(queue.length, 1);
        assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
        assert_int_equal(polls, 1);
        assert_int_equal(queue.length, 0);
    }
    assert_int_equal(drops, TYPES - 1);
    assert_int_equal(queue.submits[EMP_SUBMIT_SPAWN], TYPES);
}

static enum emp_poll check_body(struct emp_task *task, void *body)
{
    const unsigned char *bytes = body;

    assert_int_equal((uintptr_t)body % 64, 0);
    for (unsigned i = 0; i < task->type->body_bytes; i++) {
        assert_int_equal(bytes[i], i < 5 ? i + 1 : 0);
    }
    memset(body, 0xa5, task->type->body_bytes);
    polls++;
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
        struct emp_spawn spawn = {.pool = pool,
                                  .scheduler = &queue.scheduler,
                                  .type = &checked[i / 2],
                                  .args = args,
                                  .args_bytes = sizeof args};

        assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
        assert_int_equal(task_queue_run(&queue, RUNS), 1);
    }
    assert_int_equal(polls, 10);
}

static void current_is_the_running_task_and_nothing_otherwise(void **state)
{
    (void)state;
    struct emp_task *task = spawn_held(&small, (struct plan){0, 0}, NULL);

    assert_null(emp_task_current());
    (void)task_queue_run(&queue, RUNS);
    assert_ptr_equal(current, task);
    assert_null(emp_task_current());
    emp_task_release(task);
}

static void wake_while_it_runs_submits_once_for_the_end_of_the_queue(void **state)
{
    (void)state;
    spawn_detached(&small, (struct plan){WAKE_SELF, 3});
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_AGAIN);
    assert_int_equal(queue.length, 1);
    assert_int_equal(queue.submits[EMP_SUBMIT_YIELD], 1);
    assert_int_equal(task_queue_run(&queue, RUNS), 3);
    assert_int_equal(polls, 4);
    assert_int_equal(drops, 1);
}

static void wake_of_an_idle_task_submits_it_and_further_wakes_merge(void **state)
{
    (void)state;
    spawn_detached(&small, (struct plan){KEEP_WAKER, 2});
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    assert_int_equal(queue.length, 0);
    for (unsigned i = 0; i < 3; i++) {
        emp_waker_wake_by_ref(&kept);
    }
    assert_int_equal(queue.length, 1);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    emp_waker_wake(&kept);
    assert_null(kept.vt);
    assert_int_equal(queue.submits[EMP_SUBMIT_WAKE], 2);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(polls, 3);
    emp_waker_drop(&kept); /* the last poll took another */
}

static void wake_after_the_end_does_not_submit(void **state)
{
    (void)state;
    spawn_detached(&large, (struct plan){KEEP_WAKER | BE_READY, 0});
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(drops, 1);
    emp_waker_wake_by_ref(&kept);
    struct emp_waker twin = emp_waker_clone(&kept);

    emp_waker_wake(&kept);
    emp_waker_drop(&twin);
    assert_int_equal(queue.length, 0);
    assert_int_equal(polls, 1);
}

static void task_that_nobody_can_wake_ends_at_once(void **state)
{
    (void)state;
    struct emp_future *join = NULL;

    spawn_detached(&small, (struct plan){0, 1});
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(polls, 1);
    assert_int_equal(drops, 1);
    emp_task_release(spawn_held(&wide, (struct plan){0, 1}, &join));
    body_seen = NULL;
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(drops, 2);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
}

static void last_waker_dropped_hands_the_body_to_a_runner(void **state)
{
    (void)state;
    spawn_detached(&small, (struct plan){KEEP_WAKER, 1});
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    emp_waker_drop(&kept);
    assert_int_equal(drops, 0);
    assert_int_equal(queue.length, 1);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(drops, 1);
    assert_int_equal(polls, 1);
}

static void last_handle_released_inside_its_poll_keeps_the_task_until_it_ends(void **state)
{
    (void)state;
    held = spawn_held(&large, (struct plan){LEAVE_HANDLE | BE_READY, 0}, NULL);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(drops, 1);
}

static void abort_ends_a_task_with_its_next_run_in_each_state(void **state)
{
    (void)state;
    struct emp_future *join = NULL;
    struct emp_task *task = spawn_held(&small, (struct plan){0, 1}, &join);

    assert_true(emp_task_abort(task)); /* in the queue */
    assert_false(emp_task_abort(task));
    assert_false(emp_task_is_complete(task));
    assert_int_equal(drops, 0);
    assert_int_equal(queue.length, 1);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(polls, 0);
    assert_int_equal(drops, 1);
    assert_true(emp_task_is_complete(task));
    assert_false(emp_task_abort(task));
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
    emp_task_release(task);

    task = spawn_held(&small, (struct plan){0, 1}, NULL);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    assert_true(emp_task_abort(task)); /* idle */
    assert_int_equal(queue.length, 1);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(polls, 1);
    assert_int_equal(drops, 2);
    emp_task_release(task);

    spawn_detached(&small, (struct plan){ABORT_SELF, 1}); /* running */
    body_seen = NULL;
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_true(told);
    assert_int_equal(drops, 3);
}

static void abort_wins_over_a_result_that_was_set_before(void **state)
{
    (void)state;
    struct emp_future *join = NULL;

    emp_task_release(
        spawn_held(&small, (struct plan){SET_RESULT | ABORT_SELF | BE_READY, 0}, &join));
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
}

static void result_is_seen_at_the_end_and_not_before(void **state)
{
    (void)state;
    struct emp_future *join = NULL;
    unsigned value = 0;
    size_t bytes = 0;

    emp_task_release(spawn_held(&small, (struct plan){SET_RESULT, 0}, &join));
    assert_int_equal(emp_future_poll(join, NULL, &value, sizeof value, &bytes), EMP_ERR_AGAIN);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(emp_future_poll(join, NULL, &value, sizeof value, &bytes), EMP_OK);
    assert_int_equal(bytes, sizeof value);
    assert_int_equal(value, 1);
    emp_future_drop(join);
    emp_task_release(spawn_held(&small, (struct plan){0, 0}, &join));
    (void)task_queue_run(&queue, RUNS);
    assert_int_equal(emp_future_poll(join, NULL, &value, sizeof value, &bytes), EMP_OK);
    assert_int_equal(bytes, 0);
    emp_future_drop(join);
}

static enum emp_poll set_long_result(struct emp_task *task, void *body)
{
    char value[1000];

    (void)body;
    memset(value, 0x5a, sizeof value);
    assert_int_equal(emp_task_set_result(task, value, sizeof value), EMP_OK);
    return EMP_POLL_READY;
}

static void long_result_arrives_whole_or_goes_with_a_join_side_that_left(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"long", 0, 0, set_long_result, NULL};
    struct emp_spawn spawn = {.pool = pool, .scheduler = &queue.scheduler, .type = &type};
    struct emp_future *join = NULL;
    unsigned char value[1000];
    size_t bytes = 0;

    for (unsigned stays = 0; stays < 2; stays++) {
        assert_int_equal(emp_task_spawn(&spawn, &join, NULL), EMP_OK);
        if (!stays) {
            emp_future_drop(join);
        }
        assert_int_equal(task_queue_run(&queue, RUNS), 1);
    }
    assert_int_equal(emp_future_poll(join, NULL, value, sizeof value, &bytes), EMP_OK);
    assert_int_equal(bytes, sizeof value);
    assert_int_equal(value[0], 0x5a);
    assert_int_equal(value[999], 0x5a);
    emp_future_drop(join);
}

static void result_of_a_join_side_that_was_cancelled_is_nobodys_error(void **state)
{
    (void)state;
    struct emp_future *join = NULL;

    emp_task_release(spawn_held(&small, (struct plan){SET_RESULT, 0}, &join));
    assert_int_equal(emp_future_cancel(join), EMP_OK);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
}

/* Two tasks that wait for each other's result keep nothing of each other once one has ended. */
static enum emp_poll await_other(struct emp_task *task, void *body)
{
    struct emp_future *other = NULL;
    struct emp_waker own = emp_task_waker(task);

    polls++;
    memcpy(&other, body, sizeof other);
    return emp_future_poll(other, &own, NULL, 0, NULL) == EMP_ERR_AGAIN ? EMP_POLL_PENDING
                                                                        : EMP_POLL_READY;
}

static void drop_other(void *body)
{
    struct emp_future *other = NULL;

    memcpy(&other, body, sizeof other);
    emp_future_drop(other);
    drops++;
}

static void tasks_that_await_each_other_are_freed_when_one_is_aborted(void **state)
{
    (void)state;
    static const struct emp_task_type type = {"ring", 8, 8, await_other, drop_other};
    struct emp_future *promise = emp_future_new(pool);
    struct emp_future *first_join = NULL;
    struct emp_task *first = NULL;
    struct emp_spawn spawn = {.pool = pool,
                              .scheduler = &queue.scheduler,
                              .type = &type,
                              .args = &promise,
                              .args_bytes = sizeof promise};

    assert_int_equal(emp_task_spawn(&spawn, &first_join, &first), EMP_OK);
    spawn.args = &first_join;
    struct emp_future *second_join = NULL;

    assert_int_equal(emp_task_spawn(&spawn, &second_join, NULL), EMP_OK);
    assert_int_equal(task_queue_run(&queue, RUNS), 2);
    assert_true(emp_task_abort(first));
    assert_int_equal(task_queue_run(&queue, RUNS), 2);
    assert_int_equal(drops, 2);
    assert_int_equal(emp_future_poll(second_join, NULL, NULL, 0, NULL), EMP_OK);
    emp_future_drop(second_join);
    emp_task_release(first);
    emp_promise_drop(promise);
}

static void body_apart_goes_back_at_the_end_though_a_handle_stays(void **state)
{
    (void)state;
    struct emp_task *task = spawn_held(&wide, (struct plan){0, 0}, NULL);

    assert_int_equal(async_pool_in_use(pool, "task-header"), 1);
    assert_int_equal(async_pool_in_use(pool, "task"), 0);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(drops, 1);
    assert_null(task->body);
    assert_true(emp_task_is_complete(task));
    emp_task_release(task);
    assert_int_equal(async_pool_in_use(pool, "task-header"), 0);
}

/* What the owner of a handle, a join future and a waker may do with each. */
enum part { HANDLE, JOIN, WAKER, RUN, PARTS };

static void every_order_of_letting_go_frees_everything_once(void **state)
{
    (void)state;
    unsigned orders = 0;

    for (unsigned code = 0; code < PARTS * PARTS * PARTS * PARTS; code++) {
        const unsigned order[PARTS] = {code % PARTS, code / PARTS % PARTS,
                                       code / PARTS / PARTS % PARTS, code / PARTS / PARTS / PARTS};
        struct emp_future *join = NULL;

        if ((1u << order[0] | 1u << order[1] | 1u << order[2] | 1u << order[3]) != 15) {
            continue;
        }
        drops = 0;
        body_seen = NULL;
        struct emp_task *task = spawn_held(&large, (struct plan){0, 1}, &join);
        struct emp_waker waker = emp_task_waker(task);

        waker = emp_waker_clone(&waker);
        for (unsigned i = 0; i < PARTS; i++) {
            if (order[i] == HANDLE) {
                emp_task_release(task);
            } else if (order[i] == JOIN) {
                emp_future_drop(join);
            } else if (order[i] == WAKER) {
                emp_waker_drop(&waker);
            } else {
                (void)task_queue_run(&queue, RUNS);
            }
        }
        (void)task_queue_run(&queue, RUNS);
        assert_int_equal(drops, 1);
        orders++;
    }
    assert_int_equal(orders, 24);
}

static void batch_makes_tasks_of_consecutive_args(void **state)
{
    (void)state;
    struct plan plans[20];
    struct emp_spawn spawn = spawn_of(&large, plans);

    for (unsigned i = 0; i < 20; i++) {
        plans[i] = (struct plan){WAKE_SELF, i};
    }
    assert_int_equal(emp_task_spawn_batch(&spawn, 20), 20);
    assert_int_equal(queue.length, 20);
    while (queue.length > 0) {
        body_seen = NULL;
        (void)task_queue_run_one(&queue);
    }
    assert_int_equal(polls, 20 + 19 * 20 / 2);
    assert_int_equal(drops, 20);
    assert_int_equal(emp_task_spawn_batch(&spawn, 0), 0);
    spawn.pool = NULL;
    assert_int_equal(emp_task_spawn_batch(&spawn, 3), 0);
}

static void wrong_arguments_are_refused_and_nothing_happens(void **state)
{
    (void)state;
    const struct plan plan = {0, 0};
    const struct emp_spawn right = spawn_of(&small, &plan);
    const struct emp_task_type bad_types[] = {{"no poll", 8, 8, NULL, NULL},
                                              {"too big", 65537, 8, follow_plan, NULL},
                                              {"too wide", 64, 128, follow_plan, NULL},
                                              {"no power", 64, 24, follow_plan, NULL}};
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
    wrong[0].args_bytes = small.body_bytes + 1;
    assert_int_equal(emp_task_spawn(&wrong[0], NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_task_spawn(NULL, NULL, NULL), EMP_ERR_INVALID);
    assert_int_equal(queue.length, 0);
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
    struct emp_spawn spawn = spawn_of(type, &plan);

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
    const struct emp_task_type *const both[] = {&small, &wide};

    for (unsigned i = 0; i < 2; i++) {
        const unsigned needed = 2 + i; /* object, future; and the body */
        struct emp_future *join = NULL;

        for (unsigned takes = 0; takes < needed; takes++) {
            assert_int_equal(spawn_with(both[i], takes, &join), EMP_ERR_NOMEM);
            assert_null(join);
            assert_int_equal(queue.length, 0);
            assert_int_equal(
                async_pool_in_use(pool, "task") + async_pool_in_use(pool, "task-header"), 0);
        }
        assert_int_equal(spawn_with(both[i], needed, &join), EMP_OK);
        body_seen = NULL;
        assert_int_equal(task_queue_run(&queue, RUNS), 1);
        emp_future_drop(join);
    }
}

static void tasks_know_the_place_that_spawned_them(void **state)
{
    (void)state;
    const struct plan plan = {0, 0};
    uint16_t ids[2] = {0, 0};

    for (unsigned round = 0; round < 3; round++) {
        struct emp_spawn spawn = spawn_of(&small, &plan);
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
        assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
        body_seen = NULL;
        assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
        body_seen = NULL;
    }
    assert_null(emp_spawn_site_of(0));
    assert_null(emp_spawn_site_of(EMP_SPAWN_SITES - 1));
    assert_null(emp_spawn_site_of(UINT16_MAX));
}

static void made_task_can_be_given_up_before_it_is_submitted(void **state)
{
    (void)state;
    const struct plan plan = {0, 0};
    struct emp_spawn spawn = spawn_of(&wide, &plan);
    struct emp_future *join = NULL;
    struct emp_task *task = NULL;

    assert_int_equal(emp_task_make(&spawn, EMP_TASK_STACKFUL, &join, NULL, &task), EMP_OK);
    emp_task_discard(task);
    assert_int_equal(drops, 0);
    assert_int_equal(emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    emp_future_drop(join);
    spawn.type = NULL;
    assert_int_equal(emp_task_make(&spawn, 0, NULL, NULL, &task), EMP_ERR_INVALID);
}

#define TASK_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TASK_TEST(task_is_submitted_once_and_runs_to_its_end),
        TASK_TEST(body_begins_with_the_args_and_the_rest_is_zero),
        TASK_TEST(current_is_the_running_task_and_nothing_otherwise),
        TASK_TEST(wake_while_it_runs_submits_once_for_the_end_of_the_queue),
        TASK_TEST(wake_of_an_idle_task_submits_it_and_further_wakes_merge),
        TASK_TEST(wake_after_the_end_does_not_submit),
        TASK_TEST(task_that_nobody_can_wake_ends_at_once),
        TASK_TEST(last_waker_dropped_hands_the_body_to_a_runner),
        TASK_TEST(last_handle_released_inside_its_poll_keeps_the_task_until_it_ends),
        TASK_TEST(abort_ends_a_task_with_its_next_run_in_each_state),
        TASK_TEST(abort_wins_over_a_result_that_was_set_before),
        TASK_TEST(result_is_seen_at_the_end_and_not_before),
        TASK_TEST(long_result_arrives_whole_or_goes_with_a_join_side_that_left),
        TASK_TEST(result_of_a_join_side_that_was_cancelled_is_nobodys_error),
        TASK_TEST(tasks_that_await_each_other_are_freed_when_one_is_aborted),
        TASK_TEST(body_apart_goes_back_at_the_end_though_a_handle_stays),
        TASK_TEST(every_order_of_letting_go_frees_everything_once),
        TASK_TEST(batch_makes_tasks_of_consecutive_args),
        TASK_TEST(wrong_arguments_are_refused_and_nothing_happens),
        TASK_TEST(want_of_memory_at_each_allocation_leaves_nothing_behind),
        TASK_TEST(tasks_know_the_place_that_spawned_them),
        TASK_TEST(made_task_can_be_given_up_before_it_is_submitted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
