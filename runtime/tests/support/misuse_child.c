/*
 * Purpose: see misuse_child.h.
 * Owner:   test support; one thread.
 */
#define _GNU_SOURCE /* pipe2 */
#include "support/misuse_child.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"

#define LIVE_BLOCKS 512u
#define OPERATIONS  10000u

struct misuse_notes *misuse_notes;
struct misuse_ending misuse_ending;

/* How a child is run. */
struct child_plan {
    const struct misuse_case *one;
    enum misuse_way way;
    enum { ON_ERROR_ABORT, ON_ERROR_CONTINUE, ON_ERROR_CALLBACK } on_error;
};

static const char *const way_calls[MISUSE_WAYS] = {"audit", "park", "purge", "thread exit",
                                                   "process exit"};

void misuse_run(void (*body)(void *arg), void *arg)
{
    int ends[2];

    if (misuse_notes == NULL) {
        misuse_notes = mmap(NULL, sizeof(*misuse_notes), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(misuse_notes != MAP_FAILED);
    }
    memset(misuse_notes, 0, sizeof(*misuse_notes));
    memset(&misuse_ending, 0, sizeof(misuse_ending));
    assert_int_equal(pipe2(ends, O_DIRECT), 0);
    (void)fflush(NULL);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        body(arg);
        _exit(MISUSE_SURVIVED);
    }
    (void)close(ends[1]);
    while (misuse_ending.writes < MISUSE_WRITES_MAX) {
        char *text = misuse_ending.text[misuse_ending.writes];

        if (read(ends[0], text, MISUSE_TEXT_BYTES) <= 0) {
            break;
        }
        if (strncmp(text, "qemu: ", 6) == 0) { /* what the emulator says of the signal */
            memset(text, 0, MISUSE_TEXT_BYTES);
            continue;
        }
        misuse_ending.writes++;
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &misuse_ending.status, 0), child);
}

bool misuse_aborted(void)
{
    return WIFSIGNALED(misuse_ending.status) && WTERMSIG(misuse_ending.status) == SIGABRT;
}

bool misuse_survived(void)
{
    return WIFEXITED(misuse_ending.status) && WEXITSTATUS(misuse_ending.status) == MISUSE_SURVIVED;
}

void misuse_arm(const void *pointer)
{
    misuse_notes->pointer = (uintptr_t)pointer;
    misuse_notes->stage = MISUSE_ARMED;
}

void misuse_passed(void)
{
    misuse_notes->stage = MISUSE_PASSED;
}

void misuse_assert_has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL) {
        fail_msg("no \"%s\" in:\n%s", line, text);
    }
}

bool misuse_heap_is_sound(void)
{
    static unsigned char *blocks[LIVE_BLOCKS];
    static size_t sizes[LIVE_BLOCKS];
    uint64_t random = 88172645463325252u;

    for (unsigned i = 0; i < OPERATIONS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        unsigned at = (unsigned)(random % LIVE_BLOCKS);

        if (blocks[at] != NULL) {
            if (blocks[at][0] != (unsigned char)at ||
                blocks[at][sizes[at] - 1] != (unsigned char)at) {
                return false;
            }
            emp_free(blocks[at]);
        }
        sizes[at] = 1 + (size_t)(random >> 32) % (i % 64 == 0 ? 200000 : 2000);
        blocks[at] = emp_malloc(sizes[at]);
        if (blocks[at] == NULL) {
            return false;
        }
        blocks[at][0] = (unsigned char)at;
        blocks[at][sizes[at] - 1] = (unsigned char)at;
    }
    for (unsigned i = 0; i < LIVE_BLOCKS; i++) {
        emp_free(blocks[i]);
        blocks[i] = NULL;
    }
    return emp_audit() == 0;
}

static enum emp_misuse_action note_and_continue(const struct emp_misuse *misuse, void *arg)
{
    struct misuse_notes *notes = arg;

    notes->callbacks++;
    notes->seen = (uintptr_t)misuse->pointer;
    (void)snprintf(notes->code, sizeof(notes->code), "%s", misuse->code);
    /* no lock is held: the callback may use everything */
    struct emp_pool_config config = emp_pool_config_default(40);
    struct emp_pool *pool = NULL;

    emp_free(emp_malloc(100));
    if (emp_pool_create(&config, &pool) == EMP_OK) {
        emp_pool_free(pool, emp_pool_alloc(pool));
        (void)emp_pool_destroy(pool, NULL);
    }
    return EMP_MISUSE_CONTINUE;
}

/* Does the wrong thing, then lets its block leave the thread's cache. */
static void *misuse_and_leave(void *arg)
{
    const struct child_plan *plan = arg;

    plan->one->body();
    misuse_passed();
    if (plan->way == MISUSE_BY_AUDIT) {
        (void)emp_audit();
    } else if (plan->way == MISUSE_BY_PARK) {
        emp_park();
    } else if (plan->way == MISUSE_BY_PURGE) {
        (void)emp_purge();
    } else if (plan->way == MISUSE_BY_PROCESS_EXIT) {
        exit(MISUSE_SURVIVED);
    }
    return NULL;
}

static void run_plan(void *arg)
{
    struct child_plan *plan = arg;

    if (plan->on_error == ON_ERROR_CONTINUE) {
        (void)emp_option_set("on_error", "continue");
    } else if (plan->on_error == ON_ERROR_CALLBACK) {
        (void)emp_misuse_set_callback(note_and_continue, misuse_notes);
    }
    if (plan->way == MISUSE_BY_THREAD_EXIT) {
        pthread_t thread;

        (void)pthread_create(&thread, NULL, misuse_and_leave, plan);
        (void)pthread_join(thread, NULL);
    } else {
        (void)misuse_and_leave(plan);
    }
    misuse_notes->stage = MISUSE_LEFT;
    if (plan->on_error != ON_ERROR_ABORT && misuse_heap_is_sound()) {
        misuse_notes->stage = MISUSE_SOUND;
    }
}

/* The report that the child wrote, compared with the case. */
static void check_report(const struct child_plan *plan, bool late)
{
    const struct misuse_case *one = plan->one;
    const char *text = misuse_ending.text[0];
    char line[128];

    (void)snprintf(line, sizeof(line), "libechomem %s error %s %s\n", EMP_VERSION_TEXT, one->code,
                   one->text);
    if (strncmp(text, line, strlen(line)) != 0) {
        fail_msg("expected \"%s\" first in:\n%s", line, text);
    }
    (void)snprintf(line, sizeof(line), "\n  pointer:     0x%llx\n",
                   (unsigned long long)misuse_notes->pointer);
    misuse_assert_has(text, line);
    (void)snprintf(line, sizeof(line), "\n  call:        %s\n",
                   late ? way_calls[plan->way] : one->call);
    misuse_assert_has(text, line);
    (void)snprintf(line, sizeof(line), "\n  see:         docs/errors.md#%s\n", one->code);
    misuse_assert_has(text, line);
    misuse_assert_has(text, "\n  what to do:  ");
    misuse_assert_has(text, plan->on_error == ON_ERROR_ABORT ? "\n  action:      abort "
                            : plan->on_error == ON_ERROR_CONTINUE
                                ? "\n  action:      continue"
                                : "\n  action:      the callback decides");
}

static void check_plan(struct child_plan *plan)
{
    bool late = plan->one->late && !EMP_SECURE && !EMP_AUDIT && !EMP_ASAN;

    misuse_run(run_plan, plan);
    if (misuse_ending.writes != 1) {
        fail_msg("%s by %s: %u writes, status %d, stage %u\n%s%s", plan->one->name,
                 way_calls[plan->way], misuse_ending.writes, misuse_ending.status,
                 misuse_notes->stage, misuse_ending.text[0], misuse_ending.text[1]);
    }
    check_report(plan, late);
    if (plan->on_error == ON_ERROR_ABORT) {
        assert_true(misuse_aborted());
        assert_int_equal(misuse_notes->stage, late ? MISUSE_PASSED : MISUSE_ARMED);
        return;
    }
    assert_true(misuse_survived());
    if (plan->way != MISUSE_BY_PROCESS_EXIT) {
        assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
    }
    if (plan->on_error == ON_ERROR_CALLBACK) {
        assert_int_equal(misuse_notes->callbacks, 1);
        assert_string_equal(misuse_notes->code, plan->one->code);
        assert_int_equal(misuse_notes->seen, misuse_notes->pointer);
    }
}

void misuse_check(const struct misuse_case *one)
{
    for (unsigned way = 0; way < (one->late ? MISUSE_WAYS : 1); way++) {
        for (unsigned on_error = 0; on_error < 3; on_error++) {
            struct child_plan plan = {one, (enum misuse_way)way, on_error};

            check_plan(&plan);
        }
    }
}

void misuse_free(void *pointer)
{
    misuse_arm(pointer);
    emp_free(pointer);
}

static void check_case(void **state)
{
    misuse_check(*state);
}

int misuse_check_all(const char *group, const struct misuse_case *cases, size_t count)
{
    static struct CMUnitTest tests[MISUSE_CASES_MAX];

    assert_in_range(count, 1, MISUSE_CASES_MAX);
    for (size_t i = 0; i < count; i++) {
        tests[i] = (struct CMUnitTest){cases[i].name, check_case, NULL, NULL,
                                       (void *)(uintptr_t)&cases[i]};
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}
