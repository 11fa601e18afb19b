/*
 * What: coroutines that share run slots keep their locals and addresses through any number of
 *       switches, on one worker and on three; a copy follows the live part in size; without memory
 *       for a copy who comes waits and nothing is lost; none can be pinned; a collector sees every
 *       live part once, wherever it is; the end of a pool frees the copies of those that never
 *       ended.
 * How:  few slots and many coroutines, so that nearly every resume is an exchange. Under the tools
 *       that follow stacks they get stacks of their own, and what counts exchanges is left out.
 * Shows: [async.proto.run-slots] [async.inv.run-slot-home] [sync.proto.run-slot]
 * ctest-timeout: 300
 * ctest-not-under: address thread
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "async/object.h"
#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"
#include "support/task_queue.h"

#define SLOTS  8u
#define MANY   100000u
#define TURNS  6u
#define WORDS  32u /* 256 bytes of locals */
#define FEW    24u
#define DEEP   (100u << 10)
#define LARGE  (150u << 10)

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static uint64_t intact; /* by all workers, with __atomic */
static uint64_t wrong;

static void begin(uint32_t slots, unsigned workers)
{
    struct emp_coroutine_policy policy;

    intact = 0;
    wrong = 0;
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    policy = emp_coroutine_get_policy(pool);
    assert_int_equal(policy.run_slots, 64);
    policy.run_slots = slots;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_OK);
    assert_int_equal(emp_executor_create(workers, &executor), EMP_OK);
}

static void end(void)
{
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
}

static void run(enum emp_executor_until until)
{
    assert_int_equal(emp_executor_run(executor, until), EMP_OK);
}

static struct emp_coroutine_stats stats_now(void)
{
    struct emp_coroutine_stats stats;

    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    return stats;
}

static enum emp_status spawn(void (*entry)(void *args), const void *args, size_t bytes,
                             struct emp_task **task)
{
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = entry,
        .args = args,
        .args_bytes = bytes,
        .flags = EMP_COROUTINE_SHARED,
        .site = EMP_SPAWN_SITE(),
    };

    return emp_coroutine_spawn(&it, NULL, task);
}

/* Locals that depend on who it is, changed at every turn; the depth differs too. */
static __attribute__((noinline)) unsigned turn(uint64_t seed, unsigned depth)
{
    volatile uint64_t locals[WORDS];
    volatile uint64_t *const at_first = locals;
    unsigned changed = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        locals[i] = seed * 31 + i;
    }
    changed += depth > 0 ? turn(seed + 1, depth - 1) : emp_yield() != EMP_OK;
    for (unsigned i = 0; i < WORDS; i++) {
        changed += at_first[i] != seed * 31 + i;
    }
    return changed;
}

static void body_turns(void *args)
{
    const uint64_t seed = *(const uint64_t *)args;
    volatile uint64_t own = ~seed;
    unsigned changed = 0;

    for (unsigned i = 0; i < TURNS; i++) {
        changed += turn(seed + i, (unsigned)(seed + i) % 4);
        changed += own != ~seed || *(const uint64_t *)args != seed;
    }
    __atomic_fetch_add(changed == 0 ? &intact : &wrong, 1, __ATOMIC_RELAXED);
}

static uint64_t sum_of(const struct emp_stack_range *range)
{
    uint64_t sum = 0;

    for (const unsigned char *at = range->low; at < (const unsigned char *)range->limit; at++) {
        sum = sum * 31 + *at;
    }
    return sum;
}

/* A collector beside the workers: what is not running is held still. */
static void look_twice(const struct emp_stack_range *range, void *arg)
{
    (void)arg;
    if (!range->is_running) {
        assert_int_equal(sum_of(range), sum_of(range));
    }
}

static void many_on(unsigned workers)
{
    begin(SLOTS, workers);
    if (workers > 1) {
        assert_int_equal(emp_executor_start(executor, workers), EMP_OK);
    }
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(spawn(body_turns, &i, sizeof i, NULL), EMP_OK);
    }
    for (unsigned i = 0; workers > 1 && i < 20; i++) {
        emp_stack_each(pool, look_twice, NULL);
    }
    if (workers > 1) {
        assert_int_equal(emp_executor_stop(executor, EMP_EXECUTOR_DRAIN), EMP_OK);
        assert_int_equal(emp_executor_destroy(executor), EMP_OK);
        assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
    } else {
        run(EMP_EXECUTOR_UNTIL_DONE);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(intact, MANY);
    assert_int_equal(stats_now().shared_saved, 0);
    assert_true(stats_now().shared_saves >= (uint64_t)MANY * TURNS / 2);
    assert_in_range(stats_now().slots_used, SLOTS, SLOTS + 30);
    end();
}

static void a_hundred_thousand_over_eight_slots_keep_their_locals_on_one_worker(void **state)
{
    (void)state;
    many_on(1);
}

static void a_hundred_thousand_over_eight_slots_keep_their_locals_on_three_workers(void **state)
{
    (void)state;
    many_on(3);
}

static void body_pins(void *args)
{
    unsigned *const seen = *(unsigned **)args;

    seen[0] = emp_coroutine_pin();
    seen[1] = emp_coroutine_unpin();
    seen[2] = emp_in_coroutine();
}

static void a_shared_coroutine_cannot_be_pinned(void **state)
{
    unsigned seen[3] = {0};
    unsigned *at = seen;
    struct emp_coroutine_spawn both = {
        .entry = body_pins,
        .flags = EMP_COROUTINE_SHARED | EMP_COROUTINE_PINNED,
    };

    (void)state;
    for (uint32_t slots = 0; slots < 2; slots++) {
        begin(slots, 1);
        assert_int_equal(spawn(body_pins, &at, sizeof at, NULL), EMP_OK);
        run(EMP_EXECUTOR_UNTIL_DONE);
        assert_int_equal(seen[0], EMP_ERR_UNSUPPORTED);
        assert_int_equal(seen[1], EMP_ERR_STATE);
        assert_int_equal(seen[2], true);
        both.pool = pool;
        both.scheduler = emp_executor_scheduler(executor);
        assert_int_equal(emp_coroutine_spawn(&both, NULL, NULL), EMP_ERR_UNSUPPORTED);
        both.flags = EMP_COROUTINE_SHARED;
        both.stack_bytes = 200u << 10;
        assert_int_equal(emp_coroutine_spawn(&both, NULL, NULL), EMP_ERR_TOO_BIG);
        both.flags = EMP_COROUTINE_SHARED | EMP_COROUTINE_PINNED;
        both.stack_bytes = 0;
        end();
    }
}

static void more_slots_than_there_can_be_are_refused(void **state)
{
    struct emp_coroutine_policy policy;

    (void)state;
    begin(SLOTS, 1);
    policy = emp_coroutine_get_policy(pool);
    policy.run_slots = 4097;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_ERR_INVALID);
    assert_int_equal(emp_coroutine_get_policy(pool).run_slots, SLOTS);
    end();
}

/* Sleepers that are woken by hand. */
struct sleeper {
    struct emp_task *task;
    const void *local;
    size_t bytes; /* of its frame */
    unsigned turns;
    unsigned wrong;
};

static struct sleeper sleepers[FEW];

static __attribute__((noinline)) void sleep_with(struct sleeper *self, unsigned char *locals)
{
    const unsigned char seed = (unsigned char)(self - sleepers + 1);

    memset(locals, seed, self->bytes);
    self->local = locals;
    while (emp_coroutine_suspend() == EMP_OK) {
        for (size_t i = 0; i < self->bytes; i++) {
            self->wrong += locals[i] != seed;
        }
        self->turns++;
    }
    for (size_t i = 0; i < self->bytes; i++) {
        self->wrong += locals[i] != seed;
    }
}

static void body_small(void *args)
{
    unsigned char locals[200];

    sleep_with(*(struct sleeper **)args, locals);
}

static void body_deep(void *args)
{
    unsigned char locals[DEEP];

    sleep_with(*(struct sleeper **)args, locals);
}

static void body_large(void *args)
{
    unsigned char locals[LARGE];

    sleep_with(*(struct sleeper **)args, locals);
}

static void sleeper_spawn(struct sleeper *self, void (*entry)(void *args), size_t bytes)
{
    *self = (struct sleeper){.bytes = bytes};
    assert_int_equal(spawn(entry, &self, sizeof self, &self->task), EMP_OK);
}

static void wake(struct sleeper *self)
{
    const struct emp_waker waker = emp_task_waker(self->task);

    emp_waker_wake_by_ref(&waker);
}

/* Wakes all, so many times, and ends them. */
static void turn_and_end_all(unsigned count, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            wake(&sleepers[(i * 7 + round) % count]);
        }
        run(EMP_EXECUTOR_UNTIL_IDLE);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(sleepers[i].turns, rounds);
        assert_true(emp_task_abort(sleepers[i].task));
    }
    run(EMP_EXECUTOR_UNTIL_IDLE);
    for (unsigned i = 0; i < count; i++) {
        assert_true(emp_task_is_complete(sleepers[i].task));
        assert_int_equal(sleepers[i].wrong, 0);
        emp_task_release(sleepers[i].task);
    }
}

static void live_parts_of_all_sizes_share_one_slot(void **state)
{
    (void)state;
    begin(1, 1);
    for (unsigned i = 0; i < FEW; i++) {
        if (i % 3 == 0) {
            sleeper_spawn(&sleepers[i], body_small, 200);
        } else if (i % 3 == 1) {
            sleeper_spawn(&sleepers[i], body_deep, DEEP);
        } else {
            sleeper_spawn(&sleepers[i], body_large, LARGE);
        }
    }
    run(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(stats_now().shared_saved, FEW - 1);
    turn_and_end_all(FEW, 10);
    assert_int_equal(stats_now().shared_saved, 0);
    end();
}

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

/* What a collector is told of each sleeper. */
static struct {
    unsigned visits[FEW];
    unsigned ranges;
    unsigned running;
} collected;

static void collect(const struct emp_stack_range *range, void *arg)
{
    (void)arg;
    collected.ranges++;
    collected.running += range->is_running;
    for (unsigned i = 0; i < FEW && !range->is_running; i++) {
        const size_t length = (size_t)((const char *)range->limit - (const char *)range->low);
        const size_t at = (uintptr_t)sleepers[i].local - (uintptr_t)range->home;

        if (at < length && ((const unsigned char *)range->low)[at] == i + 1 &&
            ((const unsigned char *)range->low)[at + sleepers[i].bytes - 1] == i + 1) {
            collected.visits[i]++;
        }
    }
}

static void body_collects(void *args)
{
    (void)args;
    emp_stack_each(pool, collect, NULL);
}

static void a_collector_sees_every_live_part_once(void **state)
{
    (void)state;
    for (unsigned inside = 0; inside < 2; inside++) {
        memset(&collected, 0, sizeof collected);
        begin(4, 1);
        for (unsigned i = 0; i < FEW; i++) {
            sleeper_spawn(&sleepers[i], i % 2 == 0 ? body_small : body_deep,
                          i % 2 == 0 ? 200 : DEEP);
        }
        run(EMP_EXECUTOR_UNTIL_IDLE);
        assert_int_equal(stats_now().shared_saved, FEW - 4);
        if (inside == 1) {
            assert_int_equal(spawn(body_collects, NULL, 0, NULL), EMP_OK);
            run(EMP_EXECUTOR_UNTIL_IDLE);
        } else {
            emp_stack_each(pool, collect, NULL);
        }
        for (unsigned i = 0; i < FEW; i++) {
            assert_int_equal(collected.visits[i], 1);
        }
        assert_int_equal(collected.ranges, FEW + inside);
        assert_int_equal(collected.running, inside);
        turn_and_end_all(FEW, 2);
        end();
    }
}

static void in_no_slot(const struct emp_stack_range *range, void *arg)
{
    (void)range;
    ++*(unsigned *)arg;
}

static void ended_coroutines_leave_their_slots_vacant(void **state)
{
    unsigned ranges = 0;

    (void)state;
    begin(2, 1);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(spawn(body_turns, &i, sizeof i, NULL), EMP_OK);
    }
    run(EMP_EXECUTOR_UNTIL_DONE);
    emp_stack_each(pool, in_no_slot, &ranges);
    assert_int_equal(ranges, 0);
    end();
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

static void body_forks(void *args)
{
    int *const code = *(int **)args;
    const pid_t child = fork();

    if (child == 0) {
        unsigned ranges = 0;

        /* Its own slot is taken still, the other one has a sleeper: the walk ends and sees both. */
        emp_stack_each(pool, in_no_slot, &ranges);
        _exit(ranges == 2 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, code, 0), child);
}

static void a_child_keeps_the_slot_on_which_it_was_forked(void **state)
{
    int code = -1;
    int *at = &code;

    (void)state;
    begin(2, 1);
    sleeper_spawn(&sleepers[0], body_small, 200);
    run(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(spawn(body_forks, &at, sizeof at, NULL), EMP_OK);
    run(EMP_EXECUTOR_UNTIL_IDLE);
    assert_int_equal(code, 0);
    turn_and_end_all(1, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_over_eight_slots_keep_their_locals_on_one_worker),
        cmocka_unit_test(a_hundred_thousand_over_eight_slots_keep_their_locals_on_three_workers),
        cmocka_unit_test(a_shared_coroutine_cannot_be_pinned),
        cmocka_unit_test(more_slots_than_there_can_be_are_refused),
        cmocka_unit_test(live_parts_of_all_sizes_share_one_slot),
        cmocka_unit_test(without_memory_for_a_copy_the_newcomer_waits_and_nothing_is_lost),
        cmocka_unit_test(a_spawn_without_memory_has_no_effect),
        cmocka_unit_test(a_collector_sees_every_live_part_once),
        cmocka_unit_test(ended_coroutines_leave_their_slots_vacant),
        cmocka_unit_test(a_pool_that_ends_frees_the_copies_of_sleepers_that_never_ended),
        cmocka_unit_test(a_child_keeps_the_slot_on_which_it_was_forked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
