/*
 * What: reports under hard conditions: standard error closed, a stack of 16 KiB, a SIGABRT handler
 *       that allocates, two threads that free the same block, fork between two frees (no misuse),
 *       overflow behind a block (secure build), also before a realloc in place, and the fields that
 *       say which class, pool and shard it was.
 * How:  each in a child.
 * Shows: [core.req.misuse] [monitor.inv.one-write] [slab.req.canary]
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "monitor/report.h"
#include "support/misuse_child.h"

#define TINY_STACK_BYTES 16384u
#define RACES            2000u
#define PATTERN          0x5a

static void free_twice(void *arg)
{
    void *block = emp_malloc(100);

    (void)arg;
    emp_free(block);
    misuse_arm(block);
    emp_free(block);
}

static void closed_free_twice(void *arg)
{
    (void)close(STDERR_FILENO);
    free_twice(arg);
}

static void a_closed_standard_error_still_aborts(void **state)
{
    (void)state;
    misuse_run(closed_free_twice, NULL);
    assert_true(misuse_aborted());
    assert_int_equal(misuse_ending.writes, 0);
}

static ucontext_t tiny_context;
static ucontext_t main_context;
static unsigned char tiny_area[TINY_STACK_BYTES * 2] __attribute__((aligned(4096)));

static void free_twice_in_context(void)
{
    free_twice(NULL);
}

/* The lower half of the area must keep its pattern: nobody used more than the stack. */
static void free_twice_on_a_tiny_stack(void *arg)
{
    (void)arg;
    emp_free(emp_malloc(100)); /* the start of the library belongs to the large stack */
    (void)emp_option_set("on_error", "continue");
    memset(tiny_area, PATTERN, TINY_STACK_BYTES);
    (void)getcontext(&tiny_context);
    tiny_context.uc_stack.ss_sp = tiny_area + TINY_STACK_BYTES;
    tiny_context.uc_stack.ss_size = TINY_STACK_BYTES;
    tiny_context.uc_link = &main_context;
    makecontext(&tiny_context, free_twice_in_context, 0);
    (void)swapcontext(&main_context, &tiny_context);
    for (unsigned i = 0; i < TINY_STACK_BYTES; i++) {
        if (tiny_area[i] != PATTERN) {
            return;
        }
    }
    misuse_notes->stage = MISUSE_SOUND;
}

static void a_report_needs_less_than_16_kib_of_stack(void **state)
{
    (void)state;
    if (EMP_ASAN || EMP_TSAN) {
        skip(); /* the sanitizers do not follow a switch of stacks, and say so */
    }
    misuse_run(free_twice_on_a_tiny_stack, NULL);
    assert_true(misuse_survived());
    assert_int_equal(misuse_ending.writes, 1);
    assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
}

static void allocate_on_abort(int number)
{
    (void)number;
    char *block = emp_malloc(5000);

    misuse_notes->callbacks = block != NULL;
    emp_free(block);
}

static void free_twice_with_handler(void *arg)
{
    (void)signal(SIGABRT, allocate_on_abort);
    free_twice(arg);
}

static void a_handler_of_sigabrt_may_allocate(void **state)
{
    (void)state;
    misuse_run(free_twice_with_handler, NULL);
    assert_true(misuse_aborted());
    assert_int_equal(misuse_ending.writes, 1);
    assert_int_equal(misuse_notes->callbacks, 1);
}

static void free_on_both_sides_of_fork(void *arg)
{
    void *block = emp_malloc(100);
    void *other = emp_malloc(100);
    int status = 0;

    (void)arg;
    emp_free(other);
    pid_t child = fork();

    emp_free(block);
    size_t broken = emp_audit();
    if (child == 0) {
        _exit(broken == 0 ? 0 : 1);
    }
    if (waitpid(child, &status, 0) == child && status == 0 && broken == 0) {
        misuse_notes->stage = MISUSE_SOUND;
    }
}

static void a_free_in_parent_and_child_is_no_double_free(void **state)
{
    (void)state;
    misuse_run(free_on_both_sides_of_fork, NULL);
    assert_true(misuse_survived());
    assert_int_equal(misuse_ending.writes, 0);
    assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
}

static void *racing_block;
static pthread_barrier_t race;

static void *free_in_a_race(void *arg)
{
    for (unsigned i = 0; i < RACES; i++) {
        (void)pthread_barrier_wait(&race);
        emp_free(racing_block);
        emp_park();
        (void)pthread_barrier_wait(&race);
    }
    return arg;
}

/* Every race is one good free and one double one; both threads flush before the next. */
static void race_two_frees(void *arg)
{
    pthread_t thread;
    bool ok = true;

    (void)arg;
    (void)emp_option_set("on_error", "continue");
    (void)close(STDERR_FILENO);
    (void)pthread_barrier_init(&race, NULL, 2);
    (void)pthread_create(&thread, NULL, free_in_a_race, NULL);
    for (unsigned i = 0; i < RACES; i++) {
        racing_block = emp_malloc(48);
        (void)pthread_barrier_wait(&race);
        emp_free(racing_block);
        emp_park();
        (void)pthread_barrier_wait(&race);
    }
    (void)pthread_join(thread, NULL);
    ok = emp_audit() == 0;
    misuse_notes->callbacks = (uint32_t)emp_report_count();
    misuse_notes->stage = ok && misuse_heap_is_sound() ? MISUSE_SOUND : MISUSE_LEFT;
}

static void two_threads_that_free_one_block_are_reported(void **state)
{
    (void)state;
    misuse_run(race_two_frees, NULL);
    assert_true(misuse_survived());
    assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
    print_message("%u of %u races reported\n", misuse_notes->callbacks, RACES);
    assert_true(misuse_notes->callbacks >= RACES - RACES / 10);
    assert_true(misuse_notes->callbacks <= RACES);
}

static void free_pool_object_twice(void *arg)
{
    struct emp_pool_config config = emp_pool_config_default(136);
    struct emp_pool *pool = NULL;

    (void)arg;
    config.name = "orchard";
    if (emp_pool_create(&config, &pool) == EMP_OK) {
        void *object = emp_pool_alloc(pool);

        emp_pool_free(pool, object);
        misuse_arm(object);
        emp_pool_free(pool, object);
    }
}

static void a_report_names_block_class_pool_and_owner(void **state)
{
    char line[64];

    (void)state;
    misuse_run(free_pool_object_twice, NULL);
    assert_true(misuse_aborted());
    assert_int_equal(misuse_ending.writes, 1);
    misuse_assert_has(misuse_ending.text[0], "\n  pool:        orchard\n");
    misuse_assert_has(misuse_ending.text[0], "\n  class:       66\n");
    misuse_assert_has(misuse_ending.text[0], "\n  owner shard: ");
    misuse_assert_has(misuse_ending.text[0], "\n  block bytes: 144\n");
    (void)snprintf(line, sizeof(line), "\n  block:       0x%llx\n",
                   (unsigned long long)misuse_notes->pointer);
    misuse_assert_has(misuse_ending.text[0], line);
    misuse_assert_has(misuse_ending.text[0], "\n  offset:      0\n");
}

static void write_behind_the_block(void *arg)
{
    size_t size = *(const size_t *)arg;
    char *block = emp_malloc(size);
    size_t usable = emp_usable_size(block);

    block[usable] = 0; /* as the end of a string */
    misuse_arm(block);
    emp_free(block);
}

static void an_overflow_by_one_byte_is_reported_by_the_free(void **state)
{
    static const size_t sizes[] = {1, 16, 24, 64, 100, 1000, 1023, 1024, 8000, 30000};

    (void)state;
    if (!EMP_SECURE) {
        skip();
    }
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        misuse_run(write_behind_the_block, (void *)(uintptr_t)&sizes[i]);
        assert_true(misuse_aborted());
        assert_int_equal(misuse_ending.writes, 1);
        misuse_assert_has(misuse_ending.text[0], " error E2001 overflow\n");
        assert_int_equal(misuse_notes->stage, MISUSE_ARMED);
    }
}

/* To the same size, which needs no other block, or to one that does. */
static const size_t resized_to[][2] = {{1, 1},       {24, 20},     {64, 70},    {100, 101},
                                       {1000, 1000}, {8000, 7900}, {100, 5000}, {30000, 200000}};

static void resize_a_block_that_overflowed(void *arg)
{
    const size_t *sizes = arg;
    char *block = emp_malloc(sizes[0]);

    block[emp_usable_size(block)] = 0;
    misuse_arm(block);
    block = emp_realloc(block, sizes[1]);
    misuse_passed();
    if (block == NULL) {
        return;
    }
    memset(block, 0x11, emp_usable_size(block));
    emp_free(block); /* the new end of the block is whole */
    misuse_notes->stage = emp_audit() == 0 ? MISUSE_SOUND : MISUSE_LEFT;
}

static void go_on_after_an_overflow(void *arg)
{
    (void)emp_option_set("on_error", "continue");
    resize_a_block_that_overflowed(arg);
}

static void an_overflow_is_reported_by_the_realloc_that_moves_the_end(void **state)
{
    (void)state;
    if (!EMP_SECURE) {
        skip();
    }
    for (unsigned i = 0; i < sizeof(resized_to) / sizeof(resized_to[0]); i++) {
        misuse_run(resize_a_block_that_overflowed, (void *)(uintptr_t)resized_to[i]);
        assert_true(misuse_aborted());
        assert_int_equal(misuse_ending.writes, 1);
        misuse_assert_has(misuse_ending.text[0], " error E2001 overflow\n");
        misuse_assert_has(misuse_ending.text[0], "\n  call:        realloc\n");
        assert_int_equal(misuse_notes->stage, MISUSE_ARMED);
        misuse_run(go_on_after_an_overflow, (void *)(uintptr_t)resized_to[i]);
        assert_true(misuse_survived());
        assert_int_equal(misuse_ending.writes, 1);
        misuse_assert_has(misuse_ending.text[0], " error E2001 overflow\n");
        assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
    }
}

static void use_every_byte(void *arg)
{
    (void)arg;
    for (size_t size = 0; size < 40000; size += 97) {
        char *block = emp_malloc(size);

        memset(block, 0xff, emp_usable_size(block));
        emp_free(block);
    }
    misuse_notes->stage = emp_audit() == 0 ? MISUSE_SOUND : MISUSE_LEFT;
}

static void every_usable_byte_may_be_written(void **state)
{
    (void)state;
    misuse_run(use_every_byte, NULL);
    assert_string_equal(misuse_ending.text[0], "");
    assert_true(misuse_survived());
    assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_standard_error_still_aborts),
        cmocka_unit_test(a_report_needs_less_than_16_kib_of_stack),
        cmocka_unit_test(a_handler_of_sigabrt_may_allocate),
        cmocka_unit_test(a_free_in_parent_and_child_is_no_double_free),
        cmocka_unit_test(two_threads_that_free_one_block_are_reported),
        cmocka_unit_test(a_report_names_block_class_pool_and_owner),
        cmocka_unit_test(an_overflow_by_one_byte_is_reported_by_the_free),
        cmocka_unit_test(an_overflow_is_reported_by_the_realloc_that_moves_the_end),
        cmocka_unit_test(every_usable_byte_may_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
