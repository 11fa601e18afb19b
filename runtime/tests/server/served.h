/*
 * Purpose: the echo server as a child process, and sockets to it.
 * Owner:   test support of this folder; included once by each test program. Threads: one.
 */
#ifndef EMP_TESTS_SERVER_SERVED_H
#define EMP_TESTS_SERVER_SERVED_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES   4096u
#define ARGUMENTS    12u
#define PATIENCE_MS  20000 /* for an answer, on a machine with sanitizers and other work */
#define OUTPUT_BYTES 2048u

/* A child of ours and what it writes to its standard output. */
struct served {
    pid_t pid;
    int output;
    uint16_t port;
};

/* A program of <build>/examples. */
static inline void program_path(char *out, const char *name)
{
    ssize_t length = readlink("/proc/self/exe", out, PATH_BYTES - 64);

    assert_true(length > 0);
    out[length] = '\0';
    *strrchr(out, '/') = '\0';
    snprintf(strrchr(out, '/'), 64, "/examples/%s", name);
}

/* Starts a program with arguments up to a NULL; `preload` may be NULL. */
static inline struct served program_start(const char *name, const char *const *arguments,
                                          const char *preload)
{
    struct served child = {0};
    char path[PATH_BYTES];
    char *argv[ARGUMENTS + 2] = {path};
    int pipe_fds[2];

    program_path(path, name);
    for (unsigned i = 0; i < ARGUMENTS && arguments[i] != NULL; i++) {
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    assert_int_equal(pipe(pipe_fds), 0);
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(pipe_fds[1], STDOUT_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        if (preload != NULL) {
            (void)setenv("LD_PRELOAD", preload, 1);
        }
        (void)execv(path, argv);
        _exit(127);
    }
    close(pipe_fds[1]);
    child.output = pipe_fds[0];
    return child;
}

/* Reads one line of output; the length, 0 at the end. */
static inline size_t output_line(const struct served *child, char *line)
{
    size_t length = 0;

    while (length < OUTPUT_BYTES - 1) {
        struct pollfd one = {.fd = child->output, .events = POLLIN};

        assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
        if (read(child->output, line + length, 1) != 1 || line[length] == '\n') {
            break;
        }
        length++;
    }
    line[length] = '\0';
    return length;
}

/* Starts the server and waits until it listens. */
static inline struct served server_start(const char *name, const char *const *arguments,
                                         const char *preload)
{
    struct served server = program_start(name, arguments, preload);
    char line[OUTPUT_BYTES];
    unsigned port = 0;

    (void)output_line(&server, line);
    assert_int_equal(sscanf(line, "listening on 127.0.0.1:%u", &port), 1);
    server.port = (uint16_t)port;
    return server;
}

/* Waits for the end. Returns the exit code, or 1000 + the signal. */
static inline int program_wait(struct served *child)
{
    int status = 0;

    close(child->output);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Asks the server to stop and expects it to end in order, with nothing left behind. */
static inline void server_stop(struct served *server)
{
    assert_int_equal(kill(server->pid, SIGTERM), 0);
    assert_int_equal(program_wait(server), 0);
}

static inline int client_connect(const struct served *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static inline void client_send(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);

        assert_true(sent > 0);
        data += sent;
        bytes -= (size_t)sent;
    }
}

/* Reads exactly so many bytes, or fewer when the connection ends; returns how many. */
static inline size_t client_read(int fd, char *data, size_t bytes)
{
    size_t have = 0;

    while (have < bytes) {
        ssize_t got = recv(fd, data + have, bytes - have, 0);

        if (got < 0 && errno == EAGAIN) {
            fail_msg("no answer within %d ms", PATIENCE_MS);
        }
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    return have;
}

/* Reads one answer: its status, and its body into `body` of `room` bytes. 0: the end came instead.
   */
static inline unsigned client_answer(int fd, char *body, size_t room, size_t *bytes)
{
    char head[512];
    size_t length = 0;

    while (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4) != 0) {
        assert_true(length < sizeof(head) - 1);
        if (client_read(fd, head + length, 1) != 1) {
            assert_int_equal(length, 0);
            return 0;
        }
        length++;
    }
    head[length] = '\0';
    const char *field = strstr(head, "Content-Length: ");

    assert_int_equal(strncmp(head, "HTTP/1.1 ", 9), 0);
    assert_non_null(field);
    *bytes = (size_t)strtoul(field + 16, NULL, 10);
    assert_true(*bytes <= room);
    assert_int_equal(client_read(fd, body, *bytes), *bytes);
    return (unsigned)strtoul(head + 9, NULL, 10);
}

/* True when the other side ends the connection, after `discarded` bytes at most. */
static inline bool client_sees_end(int fd, size_t discarded)
{
    char byte;

    for (size_t i = 0; i <= discarded; i++) {
        if (client_read(fd, &byte, 1) == 0) {
            return true;
        }
    }
    return false;
}

/* A number of the server's statistics, asked for on a connection. */
static inline uint64_t server_count(int fd, const char *name)
{
    static const char request[] = "GET /stats HTTP/1.1\r\nHost: x\r\n\r\n";
    char body[1024];
    char key[64];
    size_t bytes = 0;

    client_send(fd, request, sizeof(request) - 1);
    assert_int_equal(client_answer(fd, body, sizeof(body) - 1, &bytes), 200);
    body[bytes] = '\0';
    snprintf(key, sizeof(key), "\"%s\": ", name);
    const char *at = strstr(body, key);

    assert_non_null(at);
    return strtoull(at + strlen(key), NULL, 10);
}

static inline void sleep_ms(unsigned ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&wait, NULL);
}

#endif
