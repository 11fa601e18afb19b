/*
 * Purpose: children of the bench: start, read, end.
 * Owner:   the parent process, one thread; the child ends when the parent does.
 */
#define _GNU_SOURCE /* pipe2 */
#include "support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/clock.h"

#define ENVIRONMENT_MAX  1024u
#define ARGUMENTS_MAX    16u
#define LINE_BYTES_MAX   4096u
#define PRELOAD_VARIABLE "LD_PRELOAD="

const char *bench_program_directory(void)
{
    static char path[PATH_MAX];
    ssize_t length;
    char *slash;

    if (path[0] == '\0') {
        length = readlink("/proc/self/exe", path, sizeof path - 1);
        path[length > 0 ? length : 0] = '\0';
        slash = strrchr(path, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
    }
    return path;
}

/* Our environment with LD_PRELOAD replaced. The strings belong to environ or to preload. */
static void process_environment(char **entries, char *preload)
{
    size_t count = 0;

    for (char **entry = environ; *entry != NULL && count < ENVIRONMENT_MAX - 2; entry++) {
        if (strncmp(*entry, PRELOAD_VARIABLE, strlen(PRELOAD_VARIABLE)) != 0) {
            entries[count++] = *entry;
        }
    }
    if (preload != NULL) {
        entries[count++] = preload;
    }
    entries[count] = NULL;
}

/* Puts fd where the child expects it and keeps it open over exec. */
static void process_place_fd(int fd, int where)
{
    if (fd == where) {
        fcntl(fd, F_SETFD, 0);
    } else if (dup2(fd, where) < 0) {
        _exit(127);
    }
}

/* The child's side of fork: descriptors, then this program's file again. */
static void process_become(const struct bench_command *command, int result_fd, char **entries)
{
    char *arguments[ARGUMENTS_MAX] = {(char *)"runtime_test"};
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high[3] = {fcntl(result_fd, F_DUPFD_CLOEXEC, 16), -1, -1};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (command->turn_fds != NULL) {
        high[1] = fcntl(command->turn_fds[0], F_DUPFD_CLOEXEC, 16);
        high[2] = fcntl(command->turn_fds[1], F_DUPFD_CLOEXEC, 16);
    }
    process_place_fd(nowhere, STDIN_FILENO);
    process_place_fd(nowhere, STDOUT_FILENO);
    if (command->is_quiet) {
        process_place_fd(nowhere, STDERR_FILENO);
    }
    process_place_fd(high[0], BENCH_RESULT_FD);
    if (command->turn_fds != NULL) {
        process_place_fd(high[1], BENCH_TURN_READ_FD);
        process_place_fd(high[2], BENCH_TURN_WRITE_FD);
    }
    for (size_t i = 0; command->arguments[i] != NULL && i < ARGUMENTS_MAX - 2; i++) {
        arguments[i + 1] = (char *)command->arguments[i];
    }
    execve(command->program != NULL ? command->program : "/proc/self/exe", arguments, entries);
    _exit(127);
}

bool bench_process_start(struct bench_process *process, const struct bench_command *command)
{
    char *entries[ENVIRONMENT_MAX];
    char preload[PATH_MAX + sizeof PRELOAD_VARIABLE];
    int ends[2];

    snprintf(preload, sizeof preload, PRELOAD_VARIABLE "%s", command->preload);
    process_environment(entries, command->preload[0] != '\0' ? preload : NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fprintf(stderr, "bench: no pipe: %s\n", strerror(errno));
        return false;
    }
    process->pid = fork();
    if (process->pid == 0) {
        process_become(command, ends[1], entries);
    }
    close(ends[1]);
    if (process->pid < 0) {
        fprintf(stderr, "bench: no process: %s\n", strerror(errno));
        close(ends[0]);
        return false;
    }
    process->fd = ends[0];
    return true;
}

/* Reads what is there into text; false at the end of the results or after the deadline. */
static bool process_read(struct bench_process *process, uint64_t deadline, char *text, size_t *used)
{
    struct pollfd ready = {.fd = process->fd, .events = POLLIN};
    uint64_t now = bench_now_ns();
    ssize_t length;

    if (now >= deadline || poll(&ready, 1, (int)((deadline - now) / 1000000u) + 1) == 0) {
        return false;
    }
    length = read(process->fd, text + *used, LINE_BYTES_MAX - 1 - *used);
    if (length > 0) {
        *used += (size_t)length;
    }
    return length > 0 || (length < 0 && errno == EINTR);
}

/* Hands whole lines over and keeps the rest. */
static void process_split(char *text, size_t *used, void (*take)(void *context, char *line),
                          void *context)
{
    char *line = text;
    char *end;

    text[*used] = '\0';
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        take(context, line);
        line = end + 1;
    }
    *used = strlen(line);
    memmove(text, line, *used);
}

const char *bench_process_finish(struct bench_process *process, uint64_t timeout_ns,
                                 void (*take)(void *context, char *line), void *context)
{
    static char why[64];
    char text[LINE_BYTES_MAX];
    uint64_t deadline = bench_now_ns() + timeout_ns;
    size_t used = 0;
    int status = 0;
    bool is_late;

    while (used < LINE_BYTES_MAX - 1 && process_read(process, deadline, text, &used)) {
        process_split(text, &used, take, context);
    }
    is_late = bench_now_ns() >= deadline;
    if (is_late) {
        kill(process->pid, SIGKILL);
    }
    close(process->fd);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (is_late) {
        snprintf(why, sizeof why, "stopped after %.0f s", (double)timeout_ns / 1e9);
    } else if (WIFSIGNALED(status)) {
        snprintf(why, sizeof why, "ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0) {
        snprintf(why, sizeof why, "ended with status %d", WEXITSTATUS(status));
    } else {
        return NULL;
    }
    return why;
}
