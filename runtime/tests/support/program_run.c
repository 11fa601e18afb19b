/*
 * Purpose: fork, exec, two pipes and poll; nothing a test prints can block it.
 * Owner:   test support; one thread.
 */
#define _GNU_SOURCE /* pipe2 */
#include "support/program_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/temporary_path.h"

#define DEFAULT_LIMIT_SECONDS 60u
#define PATH_SLOTS            8u

/* One of the two streams being read. */
struct stream {
    int fd;
    char *text;
    size_t *bytes;
};

/* A file that already holds the input, so that nobody has to feed a pipe. */
static int open_input(const char *input)
{
    char name[TEMPORARY_PATH_BYTES];
    int fd;

    if (input == NULL) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    temporary_path(name);
    fd = mkstemp(name);
    if (fd < 0) {
        return -1;
    }
    (void)unlink(name);
    if (write(fd, input, strlen(input)) != (ssize_t)strlen(input) || lseek(fd, 0, SEEK_SET) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void become(const struct program_request *request, int input, int output, int errors)
{
    (void)dup2(input, STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(errors, STDERR_FILENO);
    for (const char *const *entry = request->environment; entry != NULL && *entry != NULL;
         ++entry) {
        (void)putenv((char *)(size_t)*entry);
    }
    execvp(request->argv[0], (char *const *)(size_t)request->argv);
    _exit(127);
}

/* Reads once; closes the stream at its end. */
static void read_stream(struct stream *stream)
{
    char dropped[4096];
    size_t room = PROGRAM_TEXT_BYTES - 1 - *stream->bytes;
    ssize_t got = room != 0 ? read(stream->fd, stream->text + *stream->bytes, room)
                            : read(stream->fd, dropped, sizeof(dropped));

    if (got <= 0) {
        (void)close(stream->fd);
        stream->fd = -1;
    } else if (room != 0) {
        *stream->bytes += (size_t)got;
    }
}

static double now_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Reads both streams to their ends, or kills the program's group when the time is over. */
static bool read_until(struct stream streams[2], pid_t child, double limit)
{
    double end = now_seconds() + limit;

    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        struct pollfd waits[2] = {{streams[0].fd, POLLIN, 0}, {streams[1].fd, POLLIN, 0}};
        double left = end - now_seconds();

        if (left <= 0) {
            (void)kill(-child, SIGKILL);
            return false;
        }
        if (poll(waits, 2, (int)(left * 1000) + 1) <= 0) {
            continue;
        }
        for (int i = 0; i < 2; ++i) {
            if (streams[i].fd >= 0 && waits[i].revents != 0) {
                read_stream(&streams[i]);
            }
        }
    }
    return true;
}

bool program_run(const struct program_request *request, struct program_result *result)
{
    unsigned limit = request->limit_seconds != 0 ? request->limit_seconds : DEFAULT_LIMIT_SECONDS;
    struct stream streams[2] = {{-1, result->output, &result->output_bytes},
                                {-1, result->errors, &result->error_bytes}};
    int output[2];
    int errors[2];
    int input = open_input(request->input);
    int status = 0;
    pid_t child;

    memset(result, 0, sizeof(*result));
    if (input < 0 || pipe2(output, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0) {
        return false;
    }
    child = fork();
    if (child == 0) {
        (void)setpgid(0, 0);
        become(request, input, output[1], errors[1]);
    }
    (void)close(input);
    (void)close(output[1]);
    (void)close(errors[1]);
    if (child < 0) {
        return false;
    }
    streams[0].fd = output[0];
    streams[1].fd = errors[0];
    result->timed_out = !read_until(streams, child, limit);
    for (int i = 0; i < 2; ++i) {
        if (streams[i].fd >= 0) {
            (void)close(streams[i].fd);
        }
    }
    if (waitpid(child, &status, 0) != child) {
        return false;
    }
    result->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

const char *program_beside(const char *name)
{
    static char paths[PATH_SLOTS][PROGRAM_PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % PATH_SLOTS];
    ssize_t bytes = readlink("/proc/self/exe", path, PROGRAM_PATH_BYTES - 1);
    char *slash;

    if (bytes <= 0) {
        return name;
    }
    path[bytes] = '\0';
    slash = strrchr(path, '/');
    (void)snprintf(slash + 1, (size_t)(path + PROGRAM_PATH_BYTES - slash - 1), "%s", name);
    return path;
}

const char *program_drop_in(void)
{
    static char path[PROGRAM_PATH_BYTES];
    const char *given = getenv("ECHOMEM_MALLOC_SO");

    if (given == NULL || realpath(given, path) == NULL) {
        if (realpath(program_beside("../libechomem_malloc.so"), path) == NULL) {
            return "libechomem_malloc.so";
        }
    }
    return path;
}

const char *program_preload(void)
{
    static char assignment[PROGRAM_PATH_BYTES + sizeof("LD_PRELOAD=")];

    (void)snprintf(assignment, sizeof(assignment), "LD_PRELOAD=%s", program_drop_in());
    return assignment;
}

bool program_exists(const char *name)
{
    char path[PROGRAM_PATH_BYTES];
    const char *folder = getenv("PATH");

    if (strchr(name, '/') != NULL) {
        return access(name, X_OK) == 0;
    }
    while (folder != NULL && *folder != '\0') {
        size_t bytes = strcspn(folder, ":");

        (void)snprintf(path, sizeof(path), "%.*s/%s", (int)bytes, folder, name);
        if (access(path, X_OK) == 0) {
            return true;
        }
        folder += bytes + (folder[bytes] == ':');
    }
    return false;
}

unsigned long long program_served(const char *errors)
{
    static const char mark[] = "echomem: served ";
    unsigned long long most = 0;

    for (const char *at = strstr(errors, mark); at != NULL; at = strstr(at, mark)) {
        unsigned long long count;

        at += sizeof(mark) - 1;
        count = strtoull(at, NULL, 10);
        most = count > most ? count : most;
    }
    return most;
}
