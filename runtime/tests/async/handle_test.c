/*
 * What: ids and handles: a task is found by its id while it lives and never afterwards, slots serve
 *       again without an old id coming back, short ids keep their distance, handles hold what they
 *       were made of, and lookups race with the end of tasks.
 * How:  tasks in a queue that the test runs by hand; for the turns of slots the table itself, with
 *       objects that are no tasks. Threads look up every id while tasks end.
 * Shows: [async.proto.id] [sync.proto.id-slot] [sync.proto.id-list]
 */
#include "async/handle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "async/id_table.h"
#include "async/object.h"
#include "base/compiler.h"
#include "core/async_memory_pool.h"
#include "support/async_pool.h"
#include "support/random_stream.h"
#include "support/task_queue.h"
#include "sync/atomic.h"

static struct emp_async_pool *pool;
static struct task_queue_test queue;
static unsigned polls;

static enum emp_poll poll_twice(struct emp_task *task, void *body)
{
    unsigned *left = body;

    (void)task;
    polls++;
    return (*left)-- == 0 ? EMP_POLL_READY : EMP_POLL_PENDING;
}

static const struct emp_task_type type = {"twice", sizeof(unsigned), 4, poll_twice, NULL};

static int begin(void **state)
{
    (void)state;
    polls = 0;
    task_queue_init(&queue);
    return emp_async_pool_create(NULL, &pool) == EMP_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

/* A task that is ready after so many polls more, and a reference of it. */
static struct emp_task *task_of(unsigned polls_more)
{
    struct emp_spawn spawn = {.pool = pool,
                              .scheduler = &queue.scheduler,
                              .type = &type,
                              .args = &polls_more,
                              .args_bytes = sizeof polls_more};
    struct emp_task *task = NULL;

    assert_int_equal(emp_task_spawn(&spawn, NULL, &task), EMP_OK);
    return task;
}

static void a_task_is_found_by_its_id_until_it_ends(void **state)
{
    struct emp_task *task = task_of(0);
    emp_id id = emp_task_id(task);

    (void)state;
    assert_int_not_equal(id, 0);
    assert_int_equal(emp_task_id(task), id);
    assert_ptr_equal(emp_task_find(pool, id), task);
    emp_task_release(task);
    assert_ptr_equal(emp_task_find_short(pool, emp_id_short(id)), task);
    emp_task_release(task);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_null(emp_task_find(pool, id));
    assert_null(emp_task_find_short(pool, emp_id_short(id)));
    assert_int_equal(emp_task_id(task), 0);
    emp_task_release(task);
}

static void an_id_alone_keeps_its_task_reachable(void **state)
{
    struct emp_task *task = task_of(1);
    emp_id id = emp_task_id(task);

    (void)state;
    emp_task_release(task);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    task = emp_task_find(pool, id);
    assert_non_null(task);
    assert_true(emp_task_abort(task));
    emp_task_release(task);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_null(emp_task_find(pool, id));
}

static void numbers_that_are_no_id_find_nothing(void **state)
{
    struct emp_task *task = task_of(0);
    emp_id id = emp_task_id(task);
    struct random_stream random = {random_seed(__func__)};

    (void)state;
    static const emp_id wrong[] = {0,
                                   1,
                                   UINT32_MAX,
                                   UINT64_MAX,
                                   (emp_id)1 << 32,
                                   ((emp_id)1 << 32) | UINT32_MAX,
                                   ((emp_id)1 << 32) | 2};

    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null(emp_task_find(pool, wrong[i]));
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_null(emp_task_find(pool, id ^ ((emp_id)1 << bit)));
        if (bit < 32) {
            assert_null(emp_task_find_short(pool, emp_id_short(id) ^ ((uint32_t)1 << bit)));
        }
    }
    for (unsigned i = 0; i < 100000; i++) {
        emp_id guess = random_next(&random);

        assert_true(guess == id || emp_task_find(pool, guess) == NULL);
    }
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    emp_task_release(task);
}

static void a_stale_id_never_finds_a_later_task(void **state)
{
    enum { TASKS = 5000 };
    static emp_id ids[TASKS];

    (void)state;
    for (unsigned i = 0; i < TASKS; i++) {
        struct emp_task *task = task_of(0);

        ids[i] = emp_task_id(task);
        emp_task_release(task);
        for (unsigned k = i < 20 ? 0 : i - 20; k < i; k++) {
            assert_null(emp_task_find(pool, ids[k]));
        }
        assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    }
    for (unsigned i = 0; i < TASKS; i++) {
        assert_null(emp_task_find(pool, ids[i]));
    }
}

static void a_slot_serves_once_per_turn_of_the_others(void **state)
{
    enum { TURNS = 200 };
    static uint32_t uses[2 * EMP_ID_TURN]; /* by slot */
    int object = 0;

    (void)state;
    for (uint32_t use = 0; use < TURNS * EMP_ID_TURN; use++) {
        emp_id id = emp_id_begin(pool->ids, &object);
        uint32_t slot = (uint32_t)id;

        assert_in_range(slot, 1, 2 * EMP_ID_TURN - 1);
        assert_true(emp_id_end(pool->ids, id));
        assert_null(emp_id_find(pool->ids, id));
        uses[slot]++;
        assert_true(uses[slot] <= use / EMP_ID_TURN + 1);
    }
}

static void a_short_id_comes_back_after_four_million_others_at_the_earliest(void **state)
{
    int object = 0;
    emp_id first = emp_id_begin(pool->ids, &object);
    uint32_t short_id = emp_id_short(first);
    uint64_t others = 0;

    (void)state;
    assert_true(emp_id_end(pool->ids, first));
    for (;;) {
        emp_id id = emp_id_begin(pool->ids, &object);

        assert_true(id != first);
        assert_true(emp_id_end(pool->ids, id));
        if (emp_id_short(id) == short_id) {
            break;
        }
        others++;
    }
    print_message("[  NUMBER  ] %llu ids between\n", (unsigned long long)others);
    assert_true(others >= 4000000);
}

static void an_id_beyond_the_short_slots_has_no_short_one(void **state)
{
    (void)state;
    assert_int_equal(emp_id_short(((emp_id)1 << 32) | ((emp_id)1 << 20)), 0);
    assert_int_equal(emp_id_short(((emp_id)0x12345 << 32) | 7), (0x345u << 20) | 7);
}

static void a_waker_of_an_id_wakes_while_the_task_lives(void **state)
{
    struct emp_task *task = task_of(1);
    struct emp_waker waker;

    (void)state;
    assert_int_equal(emp_waker_of_id(pool, emp_task_id(task), &waker), EMP_OK);
    emp_task_release(task);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_PENDING);
    assert_int_equal(queue.length, 0);
    emp_waker_wake_by_ref(&waker);
    emp_waker_wake_by_ref(&waker);
    assert_int_equal(queue.length, 1);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_int_equal(polls, 2);
    emp_waker_wake(&waker);
    assert_int_equal(queue.length, 0);
}

static void handles_hold_what_they_were_made_of(void **state)
{
    static const int64_t values[] = {0, 1, -1, 1234567, EMP_HANDLE_VALUE_MAX, EMP_HANDLE_VALUE_MIN};

    (void)state;
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        struct emp_handle handle = emp_handle_of_value(values[i]);

        assert_int_equal(emp_handle_kind(handle), EMP_HANDLE_VALUE);
        assert_true(emp_handle_value(handle) == values[i]);
        assert_null(emp_handle_task(handle));
        assert_null(emp_handle_future(handle));
        assert_int_equal(emp_handle_id(handle), 0);
    }
    for (unsigned i = EMP_OK; i <= EMP_ERR_TOO_BIG; i++) {
        struct emp_handle handle = emp_handle_of_error((enum emp_status)i);

        assert_int_equal(emp_handle_kind(handle), EMP_HANDLE_ERROR);
        assert_int_equal(emp_handle_error(handle), i);
    }
    static const emp_id ids[] = {((emp_id)1 << 32) | 1, ((emp_id)UINT32_MAX << 32) | 0x1fffffff};

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(emp_handle_kind(emp_handle_of_id(ids[i])), EMP_HANDLE_ID);
        assert_true(emp_handle_id(emp_handle_of_id(ids[i])) == ids[i]);
    }
}

static void what_no_handle_can_hold_is_invalid(void **state)
{
    struct emp_handle handle = emp_handle_of_value(EMP_HANDLE_VALUE_MAX + 1);

    (void)state;
    assert_int_equal(emp_handle_kind(handle), EMP_HANDLE_INVALID);
    handle = emp_handle_of_value(EMP_HANDLE_VALUE_MIN - 1);
    assert_int_equal(emp_handle_kind(handle), EMP_HANDLE_INVALID);
    assert_int_equal(emp_handle_kind(emp_handle_of_id(0)), EMP_HANDLE_INVALID);
    assert_int_equal(emp_handle_kind(emp_handle_of_id(1u << 29)), EMP_HANDLE_INVALID);
    assert_int_equal(emp_handle_kind(emp_handle_of_task(NULL)), EMP_HANDLE_INVALID);
    assert_int_equal(emp_handle_kind(emp_handle_of_future(NULL)), EMP_HANDLE_INVALID);
    handle = emp_handle_of_future(NULL);
    emp_handle_drop(&handle);
    emp_handle_drop(&handle);
    for (uint64_t tag = 5; tag < 7; tag++) {
        assert_int_equal(emp_handle_kind((struct emp_handle){tag}), EMP_HANDLE_INVALID);
    }
}

static void handles_own_their_task_or_future(void **state)
{
    struct emp_task *task = task_of(0);
    struct emp_future *future = emp_future_new(pool);
    struct emp_handle by_task = emp_handle_of_task(task);
    struct emp_handle by_id = emp_handle_of_id(emp_task_id(task));
    struct emp_handle by_future = emp_handle_of_future(future);
    struct emp_handle twin = emp_handle_clone(by_future);

    (void)state;
    assert_ptr_equal(emp_handle_find_task(pool, by_task), task);
    assert_ptr_equal(emp_handle_find_task(pool, by_id), task);
    emp_task_release(task);
    emp_task_release(task);
    assert_null(emp_handle_find_task(pool, by_future));
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    assert_null(emp_handle_find_task(pool, by_id));
    assert_true(emp_task_is_complete(emp_handle_task(by_task)));
    emp_handle_drop(&by_task);
    emp_handle_drop(&by_id);
    emp_promise_drop(future);
    emp_handle_drop(&by_future);
    assert_int_equal(emp_future_poll(emp_handle_future(twin), NULL, NULL, 0, NULL),
                     EMP_ERR_CANCELLED);
    emp_handle_drop(&twin);
    assert_int_equal(emp_handle_kind(twin), EMP_HANDLE_INVALID);
}

static void *no_memory(size_t bytes)
{
    (void)bytes;
    return NULL;
}

static void without_memory_a_task_has_no_id_and_runs_on(void **state)
{
    struct emp_task *task = task_of(0);
    struct emp_object_hooks usual = emp_object_hooks;

    (void)state;
    emp_object_hooks.memory_take_zeroed = no_memory;
    emp_id id = emp_task_id(task);
    struct emp_id_table *table = emp_id_table_new();

    emp_object_hooks = usual;
    assert_int_equal(id, 0);
    assert_null(table);
    id = emp_task_id(task);
    assert_int_not_equal(id, 0);
    assert_ptr_equal(emp_task_find(pool, id), task);
    emp_task_release(task);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    emp_task_release(task);
}

#define RACE_TASKS (EMP_TSAN ? 2000u : 20000u)

static emp_id shown;     /* atomic: test. the id of the task that is about to end */
static uint32_t is_over; /* atomic: test */
static uint32_t found;   /* atomic: test. lookups that gave a task */

static void *look_up(void *arg)
{
    (void)arg;
    while (emp_load_relaxed(&is_over) == 0) {
        struct emp_task *task = emp_task_find(pool, emp_load_relaxed(&shown));

        if (task != NULL) {
            emp_fetch_add_relaxed(&found, 1);
            (void)emp_task_is_complete(task);
            (void)emp_task_id(task);
            emp_task_release(task);
        }
    }
    return NULL;
}

static void lookups_beside_the_end_of_tasks_give_a_reference_or_nothing(void **state)
{
    pthread_t threads[2];

    (void)state;
    shown = 0;
    is_over = 0;
    found = 0;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look_up, NULL), 0);
    }
    for (unsigned i = 0; i < RACE_TASKS || emp_load_relaxed(&found) == 0; i++) {
        struct emp_task *task = task_of(0);

        emp_store_relaxed(&shown, emp_task_id(task));
        emp_task_release(task);
        assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
    }
    emp_store_relaxed(&is_over, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_task_is_found_by_its_id_until_it_ends),
        CASE(an_id_alone_keeps_its_task_reachable),
        CASE(numbers_that_are_no_id_find_nothing),
        CASE(a_stale_id_never_finds_a_later_task),
        CASE(a_slot_serves_once_per_turn_of_the_others),
        CASE(a_short_id_comes_back_after_four_million_others_at_the_earliest),
        CASE(an_id_beyond_the_short_slots_has_no_short_one),
        CASE(a_waker_of_an_id_wakes_while_the_task_lives),
        CASE(handles_hold_what_they_were_made_of),
        CASE(what_no_handle_can_hold_is_invalid),
        CASE(handles_own_their_task_or_future),
        CASE(without_memory_a_task_has_no_id_and_runs_on),
        CASE(lookups_beside_the_end_of_tasks_give_a_reference_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
