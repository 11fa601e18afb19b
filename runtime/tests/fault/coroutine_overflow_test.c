/*
 * What: a stack overflow is told in one report with code, bounds and spawn site, wherever it
 *       happens: in a plain recursion, one large frame, inside malloc, in a forked child, on a
 *       thread of the executor, on a shared run slot; with guards of every kind; other faults go
 *       where they went before.
 * How:  children that overflow; their standard error and how they ended are looked at.
 * Shows: [async.req.overflow] [thread.proto.fault] [thread.inv.fault-chain] [span.inv.stack-guard]
 * ctest-not-under: address thread
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "adapter/executor.h"
#include "async/coroutine.h"
#include "async/coroutine_memory.h"
#include "core/advanced_memory_pool.h"
#include "core/async_memory_pool.h"
#include "os/os_fault.h"
#include "support/misuse_child.h"

static struct emp_async_pool *pool;
static struct emp_executor *executor;
static uint32_t spawn_line;

static void begin(void)
{
    (void)emp_async_pool_create(NULL, &pool);
    (void)emp_executor_create(1, &executor);
}

static void spawn_with(void (*entry)(void *args), size_t stack_bytes, uint32_t flags)
{
    struct emp_coroutine_spawn it = {
        .pool = pool,
        .scheduler = emp_executor_scheduler(executor),
        .entry = entry,
        .stack_bytes = stack_bytes,
        .flags = flags,
        .site = EMP_SPAWN_SITE(),
    };

    spawn_line = it.site->line;
    (void)emp_coroutine_spawn(&it, NULL, NULL);
}

static void spawn(void (*entry)(void *args), size_t stack_bytes)
{
    spawn_with(entry, stack_bytes, 0);
}

static __attribute__((noinline)) int recurse(int depth)
{
    volatile char frame[200];

    frame[0] = (char)depth;
    return depth > 1 << 20 ? 0 : recurse(depth + 1) + frame[0];
}

static void body_recurses(void *args)
{
    (void)args;
    (void)recurse(0);
}

static void body_takes_a_large_frame(void *args)
{
    volatile char *const here = __builtin_frame_address(0);

    (void)args;
    here[-(50 << 10)] = 1; /* as a frame of 50 KiB would, without touching what lies between */
}

static void body_runs_in_another_thread(void *args)
{
    (void)emp_yield();
    body_recurses(args);
}

/* Fills the stack until malloc itself meets the guard. */
static __attribute__((noinline)) void descend_and_allocate(int depth)
{
    volatile char frame[64];

    frame[0] = 1;
    for (size_t size = 16; size < 40000; size *= 3) {
        emp_free(emp_malloc(size + (size_t)depth % 16));
    }
    if (frame[0] != 0) {
        descend_and_allocate(depth + 1);
    }
    frame[0] = 2;
}

static void body_allocates_deep(void *args)
{
    (void)args;
    descend_and_allocate(0);
}

static void body_forks(void *args)
{
    (void)args;
    const pid_t child = fork();

    if (child == 0) {
        (void)recurse(0);
        _exit(0);
    }
    int status = 0;

    (void)waitpid(child, &status, 0);
    _exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? MISUSE_SURVIVED : 1);
}

static void on_user_signal(int number)
{
    (void)number;
}

/* Known before: the first call of a function is bound on the stack at hand, which takes much. */
static long own_process;
static long own_thread;

/* Descends until little is left, but more than the call needs, and sends itself a signal. */
static __attribute__((noinline)) void descend_and_signal(uintptr_t low)
{
    volatile char frame[16];

    frame[0] = 1;
    if ((uintptr_t)frame - low > 700) {
        descend_and_signal(low);
    } else {
        (void)syscall(SYS_tgkill, own_process, own_thread, SIGUSR1);
    }
    frame[0] = 2;
}

static void body_is_signalled_deep(void *args)
{
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const struct sigaction action = {.sa_handler = on_user_signal};

    (void)args;
    sigaction(SIGUSR1, &action, NULL);
    own_process = syscall(SYS_getpid);
    own_thread = syscall(SYS_gettid);
    /* Slots of 16 KiB, of which the lowest quarter is guard. */
    descend_and_signal((here & ~(uintptr_t)16383) + 4096);
}

static void body_follows_a_wild_pointer(void *args)
{
    (void)args;
    *(volatile char *)(uintptr_t)0x8000000000000000u = 1; /* not an address: told without one */
}

static void run_small_body(void *arg)
{
    void (*const body)(void *args) = *(void (**)(void *))arg;

    begin();
    spawn(body, 4096);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
}

static void run_body(void *arg)
{
    void (*const body)(void *args) = *(void (**)(void *))arg;

    begin();
    spawn(body, 0);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
}

static void body_yields(void *args)
{
    (void)args;
    for (unsigned i = 0; i < 100; i++) {
        (void)emp_yield();
    }
}

/* Two on one slot: the one that runs over is named, not the one that is away. */
static void run_body_on_a_run_slot(void *arg)
{
    void (*const body)(void *args) = *(void (**)(void *))arg;
    struct emp_coroutine_spawn first = {
        .entry = body_yields,
        .flags = EMP_COROUTINE_SHARED,
        .site = EMP_SPAWN_SITE(),
    };
    struct emp_coroutine_policy policy;

    begin();
    policy = emp_coroutine_get_policy(pool);
    policy.run_slots = 1;
    (void)emp_coroutine_set_policy(pool, &policy);
    first.pool = pool;
    first.scheduler = emp_executor_scheduler(executor);
    (void)emp_coroutine_spawn(&first, NULL, NULL);
    spawn_with(body, 0, EMP_COROUTINE_SHARED);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
}

static void run_body_on_threads(void *arg)
{
    void (*const body)(void *args) = *(void (**)(void *))arg;

    (void)emp_async_pool_create(NULL, &pool);
    (void)emp_executor_create(2, &executor);
    (void)emp_executor_start(executor, 2);
    spawn(body, 0);
    sleep(60);
}

static void assert_told(unsigned report)
{
    assert_true(misuse_ending.writes > report);
    misuse_assert_has(misuse_ending.text[report], "error E4101 stack overflow");
    misuse_assert_has(misuse_ending.text[report], "  spawned at:  ");
    misuse_assert_has(misuse_ending.text[report], "coroutine_overflow_test.c:");
    misuse_assert_has(misuse_ending.text[report], " in spawn_with");
    misuse_assert_has(misuse_ending.text[report], "  block bytes: ");
    misuse_assert_has(misuse_ending.text[report], "  used bytes:  ");
}

static void check_body(void (*body)(void *args), void (*how)(void *arg))
{
    misuse_run(how, &body);
    assert_told(0);
    assert_int_equal(misuse_ending.writes, 1);
    assert_true(misuse_aborted());
}

static void a_recursion_without_end_is_told(void **state)
{
    (void)state;
    check_body(body_recurses, run_body);
}

static void a_frame_that_lands_in_the_guard_is_told(void **state)
{
    (void)state;
    check_body(body_takes_a_large_frame, run_body);
}

static void an_overflow_inside_malloc_is_told(void **state)
{
    (void)state;
    check_body(body_allocates_deep, run_body);
}

/* On the stack of the coroutine, as its handler asks for no other. */
static void a_signal_for_which_the_stack_has_no_room_is_told(void **state)
{
    (void)state;
    if (sysconf(_SC_PAGESIZE) != 4096) {
        skip();
    }
    check_body(body_is_signalled_deep, run_small_body);
}

static void a_wild_pointer_on_a_small_stack_is_no_overflow(void **state)
{
    void (*const body)(void *args) = body_follows_a_wild_pointer;

    (void)state;
    misuse_run(run_small_body, (void *)&body);
    assert_int_equal(misuse_ending.writes, 0);
    assert_true(WIFSIGNALED(misuse_ending.status));
    assert_int_equal(WTERMSIG(misuse_ending.status), SIGSEGV);
}

static void an_overflow_on_a_thread_of_the_executor_is_told(void **state)
{
    (void)state;
    check_body(body_runs_in_another_thread, run_body_on_threads);
}

static void an_overflow_on_a_run_slot_is_told_of_who_runs_there(void **state)
{
    (void)state;
    check_body(body_runs_in_another_thread, run_body_on_a_run_slot);
}

static void an_overflow_in_a_forked_child_is_told(void **state)
{
    void (*const body)(void *args) = body_forks;

    (void)state;
    misuse_run(run_body, (void *)&body);
    assert_told(0);
    assert_true(misuse_survived());
}

static void run_continuing(void *arg)
{
    setenv("ECHOMEM_ON_ERROR", "continue", 1);
    run_body(arg);
}

static void an_overflow_that_may_continue_ends_by_its_signal(void **state)
{
    void (*const body)(void *args) = body_recurses;

    (void)state;
    misuse_run(run_continuing, (void *)&body);
    assert_told(0);
    assert_true(WIFSIGNALED(misuse_ending.status));
    assert_int_equal(WTERMSIG(misuse_ending.status), SIGSEGV);
}

/* Where the handler of the program jumps out. */
static sigjmp_buf out;
static int seen_number;
static const void *seen_address;

static void on_segv(int number, siginfo_t *info, void *context)
{
    (void)context;
    seen_number = number;
    seen_address = info->si_addr;
    siglongjmp(out, 1);
}

static char *closed_page(void)
{
    return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void fault_with_handler(void *arg)
{
    const struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
    volatile char *const page = closed_page();

    (void)arg;
    sigaction(SIGSEGV, &action, NULL);
    begin();
    if (sigsetjmp(out, 1) == 0) {
        *page = 1;
    }
    if (seen_number != SIGSEGV || seen_address != (const void *)(uintptr_t)page) {
        _exit(1);
    }
}

static void fault_without_handler(void *arg)
{
    volatile char *const page = closed_page();

    (void)arg;
    begin();
    *page = 1;
}

static void signal_without_handler(void *arg)
{
    (void)arg;
    begin();
    raise(SIGSEGV);
}

static void signal_that_is_ignored(void *arg)
{
    (void)arg;
    (void)signal(SIGSEGV, SIG_IGN);
    begin();
    raise(SIGSEGV);
}

static void a_sent_signal_that_the_program_ignores_stays_ignored(void **state)
{
    (void)state;
    misuse_run(signal_that_is_ignored, NULL);
    assert_true(misuse_survived());
}

static void other_faults_go_where_they_went_before(void **state)
{
    (void)state;
    misuse_run(fault_with_handler, NULL);
    assert_true(misuse_survived());
    assert_int_equal(misuse_ending.writes, 0);
    misuse_run(fault_without_handler, NULL);
    assert_true(WIFSIGNALED(misuse_ending.status));
    assert_int_equal(WTERMSIG(misuse_ending.status), SIGSEGV);
    assert_int_equal(misuse_ending.writes, 0);
    misuse_run(signal_without_handler, NULL);
    assert_true(WIFSIGNALED(misuse_ending.status));
    assert_int_equal(WTERMSIG(misuse_ending.status), SIGSEGV);
}

#if EMP_FAULT

static void body_stops_short(void *args)
{
    volatile char *const here = __builtin_frame_address(0);

    (void)args;
    for (int i = 1; i < 49 << 10; i += 64) {
        here[-i] = 1; /* through the end of the stack into a guard that is none */
    }
    (void)emp_yield();
}

static void run_without_light_guards(void *arg)
{
    begin();
    emp_os_fault_arm(EMP_OS_CALL_GUARD, 1, EMP_OS_FAULT_ONCE, EINVAL);
    spawn(*(void (**)(void *))arg, 0);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
}

static void run_without_guards(void *arg)
{
    begin();
    emp_os_fault_arm(EMP_OS_CALL_GUARD, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    spawn(*(void (**)(void *))arg, 0);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
}

/* The probe, two calls, is answered; when it comes to the first stack there is no memory. */
static void run_without_the_guard_that_was_promised(void *arg)
{
    begin();
    emp_os_fault_arm(EMP_OS_CALL_GUARD, 3, EMP_OS_FAULT_FROM_ON, ENOMEM);
    spawn(*(void (**)(void *))arg, 0);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
}

static void a_guard_that_cannot_be_made_is_replaced_by_a_look(void **state)
{
    void (*body)(void *args) = body_stops_short;

    (void)state;
    misuse_run(run_without_the_guard_that_was_promised, &body);
    misuse_assert_has(misuse_ending.text[0], "error E4101 stack overflow");
    assert_true(misuse_aborted());
}

#define GROUP_AND_MORE 64u /* stacks of 64 KiB; 32 of them share a page of page tables */

static void body_sleeps_then_stops_short(void *args)
{
    (void)emp_coroutine_suspend();
    body_stops_short(args);
}

/* All of a group sleep long, so that their guards go too; that of the first does not come back. */
static void run_without_the_guard_that_was_taken_away(void *arg)
{
    struct emp_task *tasks[GROUP_AND_MORE];

    (void)arg;
    begin();
    for (unsigned i = 0; i < GROUP_AND_MORE; i++) {
        const struct emp_coroutine_spawn it = {.pool = pool,
                                               .scheduler = emp_executor_scheduler(executor),
                                               .entry = body_sleeps_then_stops_short,
                                               .site = EMP_SPAWN_SITE()};

        (void)emp_coroutine_spawn(&it, NULL, &tasks[i]);
        (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE);
    }
    for (uint64_t second = 1; second < 10; second++) {
        (void)emp_coroutine_tick(pool, second * 1000000000u);
    }
    const struct emp_waker waker = emp_task_waker(tasks[0]);

    emp_os_fault_arm(EMP_OS_CALL_GUARD, 1, EMP_OS_FAULT_FROM_ON, ENOMEM);
    emp_waker_wake_by_ref(&waker);
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE);
}

static void a_guard_that_does_not_come_back_is_replaced_by_a_look(void **state)
{
    (void)state;
    misuse_run(run_without_the_guard_that_was_taken_away, NULL);
    misuse_assert_has(misuse_ending.text[0], "error E4101 stack overflow");
    assert_true(misuse_aborted());
}

static void guards_of_other_kinds_tell_too(void **state)
{
    void (*body)(void *args) = body_stops_short;

    (void)state;
    check_body(body_recurses, run_without_light_guards);
    misuse_run(run_without_guards, &body);
    misuse_assert_has(misuse_ending.text[0], "error E4101 stack overflow");
    assert_true(misuse_aborted());
}

#else

static void a_guard_that_cannot_be_made_is_replaced_by_a_look(void **state)
{
    (void)state;
    skip();
}

static void a_guard_that_does_not_come_back_is_replaced_by_a_look(void **state)
{
    (void)state;
    skip();
}

static void guards_of_other_kinds_tell_too(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recursion_without_end_is_told),
        cmocka_unit_test(a_frame_that_lands_in_the_guard_is_told),
        cmocka_unit_test(an_overflow_inside_malloc_is_told),
        cmocka_unit_test(a_signal_for_which_the_stack_has_no_room_is_told),
        cmocka_unit_test(a_wild_pointer_on_a_small_stack_is_no_overflow),
        cmocka_unit_test(an_overflow_on_a_run_slot_is_told_of_who_runs_there),
        cmocka_unit_test(an_overflow_on_a_thread_of_the_executor_is_told),
        cmocka_unit_test(an_overflow_in_a_forked_child_is_told),
        cmocka_unit_test(an_overflow_that_may_continue_ends_by_its_signal),
        cmocka_unit_test(other_faults_go_where_they_went_before),
        cmocka_unit_test(a_sent_signal_that_the_program_ignores_stays_ignored),
        cmocka_unit_test(guards_of_other_kinds_tell_too),
        cmocka_unit_test(a_guard_that_cannot_be_made_is_replaced_by_a_look),
        cmocka_unit_test(a_guard_that_does_not_come_back_is_replaced_by_a_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
