/*
 * What: run slots and want of memory: who comes waits while there is no block for the copy of who
 *       is there, and nothing is lost; a spawn that cannot make the slots has no effect; the end of
 *       a pool frees the copies of those that never ended.
 * How:  the room's hook into the heap refuses, or counts.
 * Shows: [async.proto.run-slots]
 * ctest-not-under: address thread
 */
#include "async/object.h"
#include "async/run_slots_fixture.h"
#include "support/task_queue.h"

/* So many blocks of the heap are refused from now on. */
static unsigned refusals_left;
static void *(*take_before)(size_t bytes);

static void *take_or_refuse(size_t bytes)
{
    if (refusals_left > 0) {
        refusals_left--;
        return NULL;
    }
    return take_before(bytes);
}

static void without_memory_for_a_copy_the_newcomer_waits_and_nothing_is_lost(void **state)
{
    (void)state;
    begin(1, 1);
    take_before = emp_object_hooks.memory_take;
    emp_object_hooks.memory_take = take_or_refuse;
    sleeper_spawn(&sleepers[0], body_small, 200);
    run(EMP_EXECUTOR_UNTIL_IDLE);
    /* A first run: it waits as often as memory is refused, and who is on the stack runs on. */
    sleeper_spawn(&sleepers[1], body_deep, DEEP);
    wake(&sleepers[0]);
    refusals_left = 5;
    run(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(refusals_left, 0);
    assert_int_equal(stats_now().shared_refusals, 5);
    assert_int_equal(stats_now().shared_waits, 5);
    assert_int_equal(stats_now().shared_saved, 1);
    assert_non_null(sleepers[1].local);
    assert_int_equal(sleepers[0].turns, 1);
    /* A later one, whose own block is too small for the other. */
    wake(&sleepers[0]);
    refusals_left = 3;
    run(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(refusals_left, 0);
    assert_int_equal(stats_now().shared_refusals, 8);
    assert_int_equal(sleepers[0].turns, 2);
    /* The large one's block does for the small one, so that the way back needs no memory. */
    wake(&sleepers[1]);
    refusals_left = 1;
    run(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(refusals_left, 0);
    assert_int_equal(stats_now().shared_refusals, 8);
    assert_int_equal(sleepers[1].turns, 1);
    sleepers[0].turns = 0;
    sleepers[1].turns = 0;
    turn_and_end_all(2, 3);
    emp_object_hooks.memory_take = take_before;
    end();
}

/* Refuses the n-th block from now on. */
static unsigned refuse_at;

static void *take_but_one(size_t bytes)
{
    return refuse_at-- == 0 ? NULL : take_before(bytes);
}

static void a_spawn_without_memory_has_no_effect(void **state)
{
    unsigned failures = 0;

    (void)state;
    take_before = emp_object_hooks.memory_take;
    for (unsigned n = 0; n < 4; n++) {
        struct sleeper *self = &sleepers[0];

        *self = (struct sleeper){.bytes = 200};
        begin(SLOTS, 1);
        refuse_at = n;
        emp_object_hooks.memory_take = take_but_one;
        const enum emp_status status = spawn(body_small, &self, sizeof self, &self->task);

        emp_object_hooks.memory_take = take_before;
        failures += status == EMP_ERR_NOMEM;
        if (status == EMP_OK) {
            run(EMP_EXECUTOR_UNTIL_IDLE);
            turn_and_end_all(1, 1);
        }
        end();
    }
    assert_in_range(failures, 2, 3); /* the table, the shelves of the stacks */
}

/* Blocks that the heap has given out through the hooks and not got back. */
static unsigned blocks_out;
static void *(*take_zeroed_before)(size_t bytes);
static void (*give_before)(void *block);

static void *take_counted(size_t bytes)
{
    blocks_out++;
    return take_before(bytes);
}

static void *take_zeroed_counted(size_t bytes)
{
    blocks_out++;
    return take_zeroed_before(bytes);
}

static void give_counted(void *block)
{
    blocks_out -= block != NULL;
    give_before(block);
}

static void a_pool_that_ends_frees_the_copies_of_sleepers_that_never_ended(void **state)
{
    const struct emp_object_hooks before = emp_object_hooks;
    struct task_queue_test queue;
    struct emp_task *never[100];
    struct emp_task *task = NULL;

    (void)state;
    take_before = before.memory_take;
    take_zeroed_before = before.memory_take_zeroed;
    give_before = before.memory_give;
    blocks_out = 0;
    emp_object_hooks.memory_take = take_counted;
    emp_object_hooks.memory_take_zeroed = take_zeroed_counted;
    emp_object_hooks.memory_give = give_counted;
    task_queue_init(&queue);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    const unsigned blocks_of_pool = blocks_out;

    for (unsigned i = 0; i < 100; i++) {
        struct sleeper *const self = &sleepers[i % FEW];
        const struct emp_coroutine_spawn it = {
            .pool = pool,
            .scheduler = &queue.scheduler,
            .entry = body_small,
            .args = &self,
            .args_bytes = sizeof self,
            .flags = EMP_COROUTINE_SHARED,
        };

        *self = (struct sleeper){.bytes = 200};
        assert_int_equal(emp_coroutine_spawn(&it, NULL, &never[i]), EMP_OK);
    }
    while ((task = task_queue_take(&queue)) != NULL) {
        assert_int_equal(emp_task_run(task), EMP_RUN_PENDING);
    }
    assert_int_equal(stats_now().shared_saved, 100 - 64);
    assert_true(blocks_out >= blocks_of_pool + 100 - 64);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_ERR_BUSY);
    assert_int_equal(blocks_out, 0);
    emp_object_hooks = before;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_for_a_copy_the_newcomer_waits_and_nothing_is_lost),
        cmocka_unit_test(a_spawn_without_memory_has_no_effect),
        cmocka_unit_test(a_pool_that_ends_frees_the_copies_of_sleepers_that_never_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
