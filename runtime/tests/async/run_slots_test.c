/*
 * What: coroutines that share run slots keep their locals and addresses through any number of
 *       switches, on one worker and on three; live parts of all sizes share one stack; none can be
 *       pinned; a collector sees every live part once, wherever it is.
 * How:  few slots and many coroutines, so that nearly every resume is an exchange.
 * Shows: [async.proto.run-slots] [async.inv.run-slot-home] [sync.proto.run-slot]
 * ctest-timeout: 300
 * ctest-not-under: address thread
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "async/run_slots_fixture.h"
#include "support/task_queue.h"

#define MANY  100000u
#define TURNS 6u
#define WORDS 32u /* 256 bytes of locals */
#define LARGE (150u << 10)

static uint64_t intact; /* by all workers, with __atomic */
static uint64_t wrong;

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
    intact = 0;
    wrong = 0;
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
    print_message("%u workers: %llu exchanges, %llu runs put off\n", workers,
                  (unsigned long long)stats_now().shared_saves,
                  (unsigned long long)stats_now().shared_waits);
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

static void body_large(void *args)
{
    unsigned char locals[LARGE];

    sleep_with(*(struct sleeper **)args, locals);
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

static struct task_queue_test queue;
static uint32_t is_in; /* by the thread, and the end of its wait; with __atomic */

static void body_stays(void *args)
{
    (void)args;
    __atomic_store_n(&is_in, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&is_in, __ATOMIC_ACQUIRE) == 1) {
        (void)sched_yield();
    }
}

static void *run_queue(void *arg)
{
    (void)arg;
    (void)task_queue_run(&queue, 1);
    return NULL;
}

static enum emp_status spawn_queued(void (*entry)(void *args))
{
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = &queue.scheduler,
        .entry = entry,
        .flags = EMP_COROUTINE_SHARED,
    };

    return emp_coroutine_spawn(&it, NULL, NULL);
}

static void body_ends(void *args)
{
    (void)args;
}

static void in_a_child_the_slots_of_other_threads_are_vacant(void **state)
{
    pthread_t thread;
    int code = -1;

    (void)state;
    begin(1, 1);
    task_queue_init(&queue);
    is_in = 0;
    assert_int_equal(spawn_queued(body_stays), EMP_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_queue, NULL), 0);
    while (__atomic_load_n(&is_in, __ATOMIC_ACQUIRE) == 0) {
        (void)sched_yield();
    }
    /* Here it is taken, so that who comes is put off; there it is not. */
    assert_int_equal(spawn_queued(body_ends), EMP_OK);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_AGAIN);
    assert_int_equal(stats_now().shared_waits, 1);
    const pid_t child = fork();

    if (child == 0) {
        _exit(task_queue_run_one(&queue) == EMP_RUN_DONE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    __atomic_store_n(&is_in, 2, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(code, 0);
    assert_int_equal(task_queue_run_one(&queue), EMP_RUN_DONE);
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
        cmocka_unit_test(a_collector_sees_every_live_part_once),
        cmocka_unit_test(ended_coroutines_leave_their_slots_vacant),
        cmocka_unit_test(a_child_keeps_the_slot_on_which_it_was_forked),
        cmocka_unit_test(in_a_child_the_slots_of_other_threads_are_vacant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
