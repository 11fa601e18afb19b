/*
 * Purpose: the child's side: proves which library serves malloc, runs the workload, reports.
 * Owner:   a child process.
 */
#define _GNU_SOURCE /* dladdr, RTLD_DEFAULT */
#include "support/child.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory_monitor.h"
#include "micro/hit_path.h"
#include "support/pages.h"
#include "support/process.h"
#include "workload/groups.h"

#define MIB 1048576.0

static void child_say(const char *key, const char *value)
{
    char line[600];
    int length = snprintf(line, sizeof line, "%s\t%s\n", key, value);

    if (length < 0 || (size_t)length >= sizeof line ||
        write(BENCH_RESULT_FD, line, (size_t)length) != length) {
        exit(1);
    }
}

/* The file whose malloc the dynamic linker chose; not our own PLT entry. */
static void child_say_library(void)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    char *path;

    if (address == NULL || dladdr(address, &info) == 0 || info.dli_fname == NULL) {
        child_say("library", "unknown");
        return;
    }
    path = realpath(info.dli_fname, NULL);
    child_say("library", path != NULL ? path : info.dli_fname);
    free(path);
}

/* A function of the allocator in charge, as a pointer to call. */
static bool child_symbol(const char *name, void *pointer)
{
    void *address = dlsym(RTLD_DEFAULT, name);

    memcpy(pointer, &address, sizeof address);
    return address != NULL;
}

/* What the library says of its version; each has its own way. */
static void child_say_version(void)
{
    const char *(*our_version)(void);
    const char *(*tc_version)(int *major, int *minor, const char **patch);
    int (*mi_version)(void);
    int (*mallctl)(const char *name, void *old, size_t *old_bytes, void *set, size_t set_bytes);
    const char *text = gnu_get_libc_version();
    size_t text_bytes = sizeof text;
    char number[64];
    char mimalloc[32];

    if (child_symbol("mi_version", &mi_version)) {
        int version = mi_version();

        snprintf(mimalloc, sizeof mimalloc, "%d.%d.%d", version / 100, version / 10 % 10,
                 version % 10);
        text = mimalloc;
    } else if (child_symbol("tc_version", &tc_version)) {
        int unused[2];
        const char *patch;

        text = tc_version(&unused[0], &unused[1], &patch);
    } else if (child_symbol("emp_version", &our_version)) {
        text = our_version();
    } else if (child_symbol("mallctl", &mallctl)) {
        mallctl("version", (void *)&text, &text_bytes, NULL, 0);
    }
    snprintf(number, sizeof number, "%.*s", (int)strcspn(text, "-"), text);
    child_say("version", number);
    child_say("own version", emp_version());
}

static int child_run(const struct bench_workload *workload, struct bench_run *run)
{
    size_t own_bytes;
    size_t peak_bytes;

    child_say_library();
    bench_resident_peak_reset();
    own_bytes = bench_resident_bytes();
    workload->run(run, &workload->shape);
    own_bytes += bench_pages_touched_bytes();
    peak_bytes = bench_resident_peak_bytes();
    if ((workload->apis & BENCH_ON_MALLOC) != 0) {
        bench_emit(run, BENCH_METRIC_PEAK, BENCH_MIB,
                   peak_bytes > own_bytes ? (double)(peak_bytes - own_bytes) / MIB : 0);
    }
    return 0;
}

int bench_child_main(int count, char **arguments)
{
    struct bench_run run = {.result_fd = BENCH_RESULT_FD, .turn_fds = {-1, -1}};
    const struct bench_workload *workload;

    if (count == 1 && strcmp(arguments[0], "probe") == 0) {
        child_say_library();
        child_say_version();
        return 0;
    }
    if (count > 0 && strcmp(arguments[0], "hit-path") == 0) {
        return bench_hit_path_main(count - 1, arguments + 1);
    }
    workload = count >= 4 ? bench_workload_find(arguments[0]) : NULL;
    if (workload == NULL) {
        return 2;
    }
    run.api = (enum bench_api)strtoul(arguments[1], NULL, 10);
    run.budget_ns = strtoull(arguments[2], NULL, 10);
    run.seed = strtoull(arguments[3], NULL, 10);
    if (count == 5) {
        run.turn_fds[0] = BENCH_TURN_READ_FD;
        run.turn_fds[1] = BENCH_TURN_WRITE_FD;
    }
    return child_run(workload, &run);
}
