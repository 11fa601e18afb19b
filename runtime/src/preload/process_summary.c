/*
 * Purpose: what the drop-in does when it is loaded and when the process ends: it offers the next
 *          free in line for foreign pointers, and prints the summary ECHOMEM_STATS asks for.
 * Owner:   preload. The state is written by the constructor, before the program's own threads
 *          exist, and read by the destructor.
 * Design:  [preload.req.summary] [preload.req.foreign]
 * Source:  coreutils lib/closeout.c closes standard error before destructors run, so the summary
 *          has a descriptor of its own, made only when a summary was asked for.
 * Cost:    one symbol search at load; nothing while the program runs.
 */
#define _GNU_SOURCE /* RTLD_NEXT, program_invocation_short_name */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/foreign.h"
#include "core/memory_monitor.h"
#include "core/options.h"

#define STANDARD_ERROR 2
#define LOWEST_OWN_FD  100 /* out of the way of programs that count on the low numbers */
#define LINE_BYTES     128

/* What is printed and where, and which file that is: a number may be closed and used again. */
struct summary {
    bool is_wanted;
    enum emp_stats_format format;
    int fd; /* duplicate of standard error; -1: none could be made */
    dev_t device;
    ino_t inode;
};

static struct summary summary = {.fd = -1};

/* True when fd is the file that standard error was at load. */
static bool is_same_file(int fd)
{
    struct stat status;

    return fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == summary.device &&
           status.st_ino == summary.inode;
}

/* Reads the option `stats`: off (0), text (1), json, openmetrics. */
static void read_wish(void)
{
    struct emp_option_info info;

    for (size_t index = 0; emp_option_describe(index, &info) == EMP_OK; ++index) {
        if (strcmp(info.name, "stats") != 0) {
            continue;
        }
        summary.is_wanted =
            strcmp(info.current_text, "off") != 0 && strcmp(info.current_text, "0") != 0;
        summary.format = EMP_STATS_TEXT;
        if (strcmp(info.current_text, "json") == 0) {
            summary.format = EMP_STATS_JSON;
        } else if (strcmp(info.current_text, "openmetrics") == 0) {
            summary.format = EMP_STATS_OPENMETRICS;
        }
    }
}

__attribute__((constructor)) static void drop_in_load(void)
{
    int saved_errno = errno;
    struct stat status;

    emp_foreign_set_forward((void (*)(void *))dlsym(RTLD_NEXT, "free"));
    emp_options_read_late();
    read_wish();
    if (summary.is_wanted && fstat(STANDARD_ERROR, &status) == 0) {
        summary.device = status.st_dev;
        summary.inode = status.st_ino;
        summary.fd = fcntl(STANDARD_ERROR, F_DUPFD_CLOEXEC, LOWEST_OWN_FD);
    }
    errno = saved_errno;
}

/* Says whose numbers these are: every program of a pipeline prints its own. */
static void write_process(int fd)
{
    char line[LINE_BYTES];
    int bytes = snprintf(line, sizeof(line), "  process       %d %.64s\n", (int)getpid(),
                         program_invocation_short_name);

    if (bytes > 0 && write(fd, line, (size_t)bytes) < 0) {
        return; /* nobody is left to be told */
    }
}

__attribute__((destructor)) static void drop_in_unload(void)
{
    int saved_errno = errno;
    int fd = is_same_file(summary.fd) ? summary.fd : STANDARD_ERROR;

    if (!summary.is_wanted || !is_same_file(fd)) {
        return;
    }
    (void)emp_stats_print(fd, summary.format);
    if (summary.format == EMP_STATS_TEXT) {
        write_process(fd);
    }
    errno = saved_errno;
}
