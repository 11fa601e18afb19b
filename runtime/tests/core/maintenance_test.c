/*
 * What: the background thread is started by a free of the program once there is enough memory to
 *       care about; not by a free of the C library, not by realloc, not when it is switched off.
 * How:  the caller of a free is a parameter below the drop-in: addresses inside and outside a range
 *       declared as C library; the tasks of the process with our thread's name are counted. Each
 *       case is a process of its own, because a thread once started stays for a while.
 * Shows: [core.proto.maintenance]
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/maintenance.h"
#include "core/memory_monitor.h"
#include "core/runtime.h"

#define RUN_BYTES  ((size_t)100000)
#define HEAP_BYTES ((size_t)16 << 20)
#define LIBC_FIRST ((uintptr_t)0x10000)
#define LIBC_LIMIT ((uintptr_t)0x20000)

/* True when a task of this process carries the name of our thread. */
static bool task_is_ours(const char *task)
{
    char path[64];
    char name[32] = "";

    (void)snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", task);
    FILE *comm = fopen(path, "r");

    if (comm != NULL) {
        (void)fgets(name, sizeof(name), comm);
        (void)fclose(comm);
    }
    return strcmp(name, "echomem/bg\n") == 0;
}

static unsigned tasks(void)
{
    DIR *directory = opendir("/proc/self/task");
    unsigned count = 0;

    for (const struct dirent *entry = directory != NULL ? readdir(directory) : NULL; entry != NULL;
         entry = readdir(directory)) {
        count += task_is_ours(entry->d_name);
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count;
}

/* The thread gives itself its name: as many as are wanted are waited for, none for a moment. */
static unsigned tasks_in_a_while(unsigned wanted)
{
    const struct timespec pause = {0, 2000000};
    const unsigned looks = wanted == 0 ? 50 : 10000;
    unsigned count = tasks();

    for (unsigned i = 0; i < looks && count == 0; i++) {
        (void)nanosleep(&pause, NULL);
        count = tasks();
    }
    return count;
}

/* Expects so many threads of ours in a process in which `work` ran. */
static void expect_tasks_after(void (*work)(void), unsigned wanted)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        char *heap = emp_malloc(HEAP_BYTES);

        heap[0] = 1;
        work();
        _exit((int)tasks_in_a_while(wanted));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), wanted);
}

/* Frees a few blocks above the slab classes (each asks for the thread) on behalf of `caller`. */
static void free_for(uintptr_t caller)
{
    for (unsigned i = 0; i < 50; i++) {
        emp_release_for(emp_malloc(RUN_BYTES), "free", caller);
    }
}

static void by_program(void)
{
    free_for(EMP_CALLER_PROGRAM);
}

static void by_address_before_the_library_is_known(void)
{
    free_for(LIBC_LIMIT);
}

static void by_libc(void)
{
    emp_maintenance_add_libc(LIBC_FIRST, LIBC_LIMIT);
    free_for(LIBC_FIRST);
    free_for(LIBC_LIMIT - 1);
}

static void by_address_outside_libc(void)
{
    emp_maintenance_add_libc(LIBC_FIRST, LIBC_LIMIT);
    free_for(LIBC_FIRST);
    free_for(LIBC_LIMIT);
}

static void by_realloc(void)
{
    void *block = NULL;

    for (unsigned i = 0; i < 50; i++) {
        block = emp_realloc(block, RUN_BYTES * (1 + i % 2 * 20));
    }
}

static void switched_off(void)
{
    (void)emp_option_set("background", "0");
    free_for(EMP_CALLER_PROGRAM);
}

static void the_program_starts_the_thread(void **state)
{
    /* Under valgrind and ASan there is no thread of ours. */
    unsigned started = emp_runtime_annotates ? 0 : 1;

    (void)state;
    expect_tasks_after(by_program, started);
    expect_tasks_after(by_address_outside_libc, started);
}

static void the_c_library_does_not(void **state)
{
    (void)state;
    expect_tasks_after(by_libc, 0);
    expect_tasks_after(by_address_before_the_library_is_known, 0);
    expect_tasks_after(by_realloc, 0);
    expect_tasks_after(switched_off, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_starts_the_thread),
        cmocka_unit_test(the_c_library_does_not),
    };

    emp_free(emp_malloc(1)); /* starts the library: from here on it knows whether it is checked */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
