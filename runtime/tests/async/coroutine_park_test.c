/*
 * What: parking: locals and addresses are as before after the resume, at every moment of the sleep;
 *       pages and page tables go; what is pinned, large or young stays; a bound on pages parks by
 *       itself; a collector sees the live part wherever it is; a write to a parked stack is told.
 * How:  a policy of an idle time that ticks with an invented clock reach at once; maintenance of
 *       the process stays out because the test has few stacks.
 * Shows: [async.proto.park] [async.inv.park-same-address] [async.proto.stack-pool]
 * ctest-timeout: 300
 * ctest-not-under: address thread
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "async/object.h"
#include "base/config.h"
#include "core/async_memory_pool.h"
#include "support/misuse_child.h"

#define IDLE_NS 1000000000ull
#define WORDS   32u /* 256 bytes of locals */
#define MANY    200u

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static uint64_t clock_ns = 1000 * IDLE_NS;

/* What a sleeper tells. */
struct sleeper {
    struct emp_task *task;
    const void *local; /* address of a local variable */
    unsigned turns;
    unsigned wrong; /* locals that changed */
};

static struct sleeper sleepers[MANY];

static int set_up(void **state)
{
    (void)state;
    memset(sleepers, 0, sizeof sleepers);
    assert_int_equal(emp_async_pool_create(NULL, &pool), EMP_OK);
    assert_int_equal(emp_executor_create(1, &executor), EMP_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(emp_executor_destroy(executor), EMP_OK);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    return 0;
}

static void run(void)
{
    assert_int_equal(emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE), EMP_OK);
}

static struct emp_coroutine_stats stats_now(void)
{
    struct emp_coroutine_stats stats;

    assert_int_equal(emp_coroutine_get_stats(pool, &stats), EMP_OK);
    return stats;
}

/* Sweeps until one more would be due only later: all that sleeps is parked if it may be. */
static void grow_old(unsigned sweeps)
{
    for (unsigned i = 0; i < sweeps; i++) {
        clock_ns += IDLE_NS;
        while (emp_coroutine_tick(pool, clock_ns)) {
        }
    }
}

static __attribute__((noinline)) unsigned inner(struct sleeper *self, uint64_t seed)
{
    volatile uint64_t locals[WORDS];
    unsigned wrong = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        locals[i] = seed * 31 + i;
    }
    self->local = (const void *)(uintptr_t)locals;
    while (emp_coroutine_suspend() == EMP_OK) {
        self->turns++;
        for (unsigned i = 0; i < WORDS; i++) {
            wrong += locals[i] != seed * 31 + i;
            locals[i] = (seed + 1) * 31 + i;
        }
        seed += 1;
        wrong += self->local != (const void *)(uintptr_t)locals;
    }
    return wrong;
}

static void body_sleeps(void *args)
{
    struct sleeper *const self = *(struct sleeper **)args;
    volatile uint64_t own = (uintptr_t)self;

    self->wrong = inner(self, (uintptr_t)self);
    self->wrong += own != (uintptr_t)self;
}

static void spawn_with(struct sleeper *self, void (*entry)(void *args), uint32_t flags,
                       size_t stack_bytes)
{
    const struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = entry,
        .args = &self,
        .args_bytes = sizeof self,
        .flags = flags,
        .stack_bytes = stack_bytes,
        .site = EMP_SPAWN_SITE(),
    };

    assert_int_equal(emp_coroutine_spawn(&it, NULL, &self->task), EMP_OK);
}

static void spawn(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        spawn_with(&sleepers[i], body_sleeps, 0, 0);
    }
    run();
}

static void wake(struct sleeper *self)
{
    const struct emp_waker waker = emp_task_waker(self->task);

    emp_waker_wake_by_ref(&waker);
}

static void end_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(emp_task_abort(sleepers[i].task));
    }
    run();
    for (unsigned i = 0; i < count; i++) {
        assert_true(emp_task_is_complete(sleepers[i].task));
        assert_int_equal(sleepers[i].wrong, 0);
        emp_task_release(sleepers[i].task);
    }
}

static bool is_resident(const void *address)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char present = 0;

    return mincore((void *)((uintptr_t)address & ~(page - 1)), 1, &present) == 0 &&
           (present & 1) != 0;
}

static void locals_and_addresses_survive_being_parked(void **state)
{
    (void)state;
    spawn(MANY);
    for (unsigned round = 1; round < 5; round++) {
        grow_old(5);
        assert_int_equal(stats_now().parked, MANY);
        for (unsigned i = 0; i < MANY; i++) {
            wake(&sleepers[i]);
        }
        run();
        assert_int_equal(stats_now().parked, 0);
        assert_int_equal(stats_now().unparks, round * MANY);
        for (unsigned i = 0; i < MANY; i++) {
            assert_int_equal(sleepers[i].turns, round);
        }
    }
    end_all(MANY);
}

static void pages_of_parked_stacks_are_gone_and_come_back(void **state)
{
    (void)state;
    spawn(MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(is_resident(sleepers[i].local));
    }
    grow_old(5);
    for (unsigned i = 0; i < MANY; i++) {
        assert_false(is_resident(sleepers[i].local));
    }
    wake(&sleepers[7]);
    run();
    assert_true(is_resident(sleepers[7].local));
    assert_int_equal(stats_now().parked, MANY - 1);
    end_all(MANY);
}

static void *refuse(size_t bytes)
{
    (void)bytes;
    return NULL;
}

static void without_memory_for_the_copy_a_stack_stays_and_is_counted(void **state)
{
    void *(*const take)(size_t bytes) = emp_object_hooks.memory_take;

    (void)state;
    spawn(3);
    assert_true(stats_now().reserved_bytes >= stats_now().slots_used * (64u << 10));
    emp_object_hooks.memory_take = refuse;
    grow_old(5);
    emp_object_hooks.memory_take = take;
    assert_int_equal(stats_now().parked, 0);
    assert_true(stats_now().park_refusals >= 3);
    grow_old(5);
    assert_int_equal(stats_now().parked, 3);
    end_all(3);
}

static void a_stack_that_runs_now_and_then_is_never_parked(void **state)
{
    (void)state;
    spawn(2);
    for (unsigned i = 0; i < 20; i++) {
        grow_old(2);
        wake(&sleepers[0]);
        run();
    }
    assert_int_equal(stats_now().parks, 1);
    assert_true(is_resident(sleepers[0].local));
    assert_false(is_resident(sleepers[1].local));
    end_all(2);
}

static void pinned_stacks_stay(void **state)
{
    (void)state;
    spawn_with(&sleepers[0], body_sleeps, EMP_COROUTINE_PINNED, 0);
    spawn_with(&sleepers[1], body_sleeps, 0, 0);
    run();
    grow_old(10);
    assert_int_equal(stats_now().parked, 1);
    assert_true(is_resident(sleepers[0].local));
    assert_false(is_resident(sleepers[1].local));
    end_all(2);
}

static void body_pins_for_a_while(void *args)
{
    struct sleeper *const self = *(struct sleeper **)args;

    assert_int_equal(emp_coroutine_pin(), EMP_OK);
    (void)emp_coroutine_suspend();
    assert_int_equal(emp_coroutine_unpin(), EMP_OK);
    self->wrong = inner(self, 3);
}

static void an_unpinned_stack_may_go(void **state)
{
    (void)state;
    spawn_with(&sleepers[0], body_pins_for_a_while, 0, 0);
    run();
    grow_old(10);
    assert_int_equal(stats_now().parked, 0);
    wake(&sleepers[0]);
    run();
    grow_old(10);
    assert_int_equal(stats_now().parked, 1);
    end_all(1);
}

static void body_holds_much(void *args)
{
    struct sleeper *const self = *(struct sleeper **)args;
    volatile unsigned char much[3000];

    for (unsigned i = 0; i < sizeof much; i++) {
        much[i] = (unsigned char)i;
    }
    self->local = (const void *)(uintptr_t)much;
    while (emp_coroutine_suspend() == EMP_OK) {
        self->turns++;
    }
    for (unsigned i = 0; i < sizeof much; i++) {
        self->wrong += much[i] != (unsigned char)i;
    }
}

static void a_large_live_part_stays_unless_the_policy_allows_it(void **state)
{
    struct emp_coroutine_policy policy;

    (void)state;
    spawn_with(&sleepers[0], body_holds_much, 0, 0);
    run();
    grow_old(10);
    assert_int_equal(stats_now().parked, 0);
    policy = emp_coroutine_get_policy(pool);
    policy.park_bytes_max = 8192;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_OK);
    grow_old(10);
    assert_int_equal(stats_now().parked, 1);
    end_all(1);
}

static void an_idle_time_of_zero_parks_nothing(void **state)
{
    struct emp_coroutine_policy policy = emp_coroutine_get_policy(pool);

    (void)state;
    policy.idle_ns = 0;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_OK);
    spawn(3);
    grow_old(10);
    assert_int_equal(stats_now().parks, 0);
    policy.parks_per_tick = 0;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_ERR_INVALID);
    assert_int_equal(emp_coroutine_set_policy(pool, NULL), EMP_ERR_INVALID);
    end_all(3);
}

static void too_many_pages_park_without_a_tick(void **state)
{
    struct emp_coroutine_policy policy = emp_coroutine_get_policy(pool);

    (void)state;
    policy.resident_max = 40u * 4096u;
    assert_int_equal(emp_coroutine_set_policy(pool, &policy), EMP_OK);
    for (unsigned i = 0; i < MANY; i++) {
        spawn_with(&sleepers[i], body_sleeps, 0, 0);
        run();
    }
    assert_true(stats_now().parked >= MANY / 2);
    end_all(MANY);
}

static void every_size_is_parked(void **state)
{
    static const size_t sizes[] = {8u << 10, 40u << 10, 190u << 10, 900u << 10};

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        spawn_with(&sleepers[i], body_sleeps, 0, sizes[i % 4]);
    }
    run();
    grow_old(5);
    assert_int_equal(stats_now().parked, 40);
    for (unsigned i = 0; i < 40; i++) {
        wake(&sleepers[i]);
    }
    run();
    end_all(40);
}

/* What a visitor looks for and how often it was seen. */
static struct {
    uint64_t wanted;
    unsigned ranges;
    unsigned found;
    unsigned away; /* found in a copy */
} walk;

static void visit(const struct emp_stack_range *range, void *arg)
{
    const char *const low = range->low;

    (void)arg;
    walk.ranges++;
    for (const char *at = low; at + sizeof walk.wanted <= (const char *)range->limit; at += 8) {
        uint64_t word;

        memcpy(&word, at, sizeof word);
        if (word == walk.wanted) {
            walk.found++;
            walk.away += range->low != range->home;
        }
    }
}

static void a_collector_finds_roots_on_stacks_and_in_copies(void **state)
{
    (void)state;
    spawn(10);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 10; i++) {
            memset(&walk, 0, sizeof walk);
            walk.wanted = (uintptr_t)&sleepers[i] * 31 + 17; /* a local of inner */
            emp_stack_each(pool, visit, NULL);
            assert_int_equal(walk.ranges, 10);
            assert_true(walk.found >= 1); /* the compiler may keep a copy of it */
            assert_int_equal(walk.away, round == 0 ? 0 : walk.found);
        }
        grow_old(5);
    }
    assert_int_equal(stats_now().parked, 10);
    end_all(10);
}

/* Parks whatever sleeps, again and again. */
static bool is_parking; /* atomic */

static void *park_again_and_again(void *arg)
{
    (void)arg;
    for (uint64_t now = 1; __atomic_load_n(&is_parking, __ATOMIC_ACQUIRE); now += IDLE_NS) {
        (void)emp_coroutine_tick(pool, now);
    }
    return NULL;
}

/* A stack that is just being parked is asleep: a collector that missed it would free what it holds.
 */
static void a_collector_misses_no_stack_that_is_just_being_parked(void **state)
{
    pthread_t parker;

    (void)state;
    spawn(64);
    __atomic_store_n(&is_parking, true, __ATOMIC_RELEASE);
    assert_int_equal(pthread_create(&parker, NULL, park_again_and_again, NULL), 0);
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < 64; i++) {
            wake(&sleepers[i]);
        }
        run();
        for (unsigned i = 0; i < 1000 && stats_now().parked < 64; i++) {
            memset(&walk, 0, sizeof walk);
            emp_stack_each(pool, visit, NULL);
            assert_int_equal(walk.ranges, 64);
        }
    }
    __atomic_store_n(&is_parking, false, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(parker, NULL), 0);
    end_all(64);
}

static sem_t held;
static sem_t let_go;

static void visit_and_wait(const struct emp_stack_range *range, void *arg)
{
    (void)range;
    (void)arg;
    (void)sem_post(&held);
    (void)sem_wait(&let_go);
}

static void *walk_slowly(void *arg)
{
    emp_stack_each(pool, visit_and_wait, arg);
    return NULL;
}

/* In the child: all go on where they were, although nobody is left who would let one go. */
static void wake_all_in_child(void)
{
    unsigned wrong = 0;

    (void)alarm(60);
    for (unsigned i = 0; i < 4; i++) {
        wake(&sleepers[i]);
    }
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE);
    for (unsigned i = 0; i < 4; i++) {
        wrong += sleepers[i].turns != 1 || sleepers[i].wrong != 0;
    }
    grow_old(5);
    wrong += stats_now().parked != 4;
    for (unsigned i = 0; i < 4; i++) {
        (void)emp_task_abort(sleepers[i].task);
    }
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE);
    for (unsigned i = 0; i < 4; i++) {
        wrong += sleepers[i].wrong != 0 || !emp_task_is_complete(sleepers[i].task);
    }
    wrong += stats_now().parked != 0;
    _exit(wrong == 0 ? 0 : 1);
}

static void a_stack_that_another_thread_held_at_a_fork_goes_on_in_the_child(void **state)
{
    (void)state;
    for (unsigned parked = 0; parked < 2; parked++) {
        pthread_t walker;
        int status = -1;

        memset(sleepers, 0, sizeof sleepers);
        assert_int_equal(sem_init(&held, 0, 0), 0);
        assert_int_equal(sem_init(&let_go, 0, 0), 0);
        spawn(4);
        grow_old(parked == 0 ? 0 : 5);
        assert_int_equal(pthread_create(&walker, NULL, walk_slowly, NULL), 0);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(sem_wait(&held), 0);
            const pid_t child = fork();

            if (child == 0) {
                wake_all_in_child();
            }
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(status, 0);
            assert_int_equal(sem_post(&let_go), 0);
        }
        assert_int_equal(pthread_join(walker, NULL), 0);
        end_all(4);
    }
}

static void write_to_parked(void *arg)
{
    volatile uint64_t *local = NULL;

    (void)arg;
    set_up(NULL);
    spawn(1);
    grow_old(5);
    local = (volatile uint64_t *)(uintptr_t)sleepers[0].local;
    local[3] = 1;
    wake(&sleepers[0]);
    run();
}

static void a_write_to_a_parked_stack_is_told_by_debug_builds(void **state)
{
    (void)state;
    misuse_run(write_to_parked, NULL);
    if (!EMP_DEBUG) {
        assert_true(misuse_survived());
        return;
    }
    assert_true(misuse_aborted());
    misuse_assert_has(misuse_ending.text[0], "error E4103 parked stack was written to");
}

static void free_stacks_lose_their_pages_when_nobody_needs_them(void **state)
{
    (void)state;
    spawn(MANY);
    end_all(MANY);
    assert_true(stats_now().free_warm == stats_now().slots_used);
    const void *const local = sleepers[MANY / 2].local;

    grow_old(30);
    assert_true(stats_now().free_cold > MANY / 2);
    spawn(MANY);
    assert_non_null(local);
    assert_true(stats_now().slots_used <= MANY + 16);
    end_all(MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(locals_and_addresses_survive_being_parked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pages_of_parked_stacks_are_gone_and_come_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_memory_for_the_copy_a_stack_stays_and_is_counted,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stack_that_runs_now_and_then_is_never_parked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pinned_stacks_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unpinned_stack_may_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_live_part_stays_unless_the_policy_allows_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_idle_time_of_zero_parks_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_pages_park_without_a_tick, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_size_is_parked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_collector_misses_no_stack_that_is_just_being_parked,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_stack_that_another_thread_held_at_a_fork_goes_on_in_the_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_collector_finds_roots_on_stacks_and_in_copies, set_up,
                                        tear_down),
        cmocka_unit_test(a_write_to_a_parked_stack_is_told_by_debug_builds),
        cmocka_unit_test_setup_teardown(free_stacks_lose_their_pages_when_nobody_needs_them, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
