/* Connections that stand idle, and clients that behave badly. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define ANSWER_WAIT_MS 20000 /* a server that is silent so long has lost the connection */
#define NS_PER_MS      1000000u
#define GARBAGE_BYTES  512u

/* Sends all; false when the connection ended. The requests here fit into a socket's buffer. */
static bool send_all(int fd, const char *data, size_t bytes)
{
    return send(fd, data, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* Waits for the end of the connection or for bytes. Returns bytes, 0 at the end, -1 after the time.
   */
static ssize_t receive(int fd, char *data, size_t bytes, int wait_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    if (poll(&one, 1, wait_ms) != 1) {
        return -1;
    }
    ssize_t got = recv(fd, data, bytes, 0);

    return got < 0 ? 0 : got;
}

/* One answered request, so that the connection is served and not only accepted. */
static bool warm_up(int fd, const char *request, size_t bytes, struct result *result)
{
    char answer[4096];

    result->sent++;
    if (!send_all(fd, request, bytes) || receive(fd, answer, sizeof(answer), ANSWER_WAIT_MS) <= 0) {
        result->lost++;
        return false;
    }
    result->answered++;
    return true;
}

/* Until standard input ends, the time is over, or a signal comes. */
static void hold(const struct options *options)
{
    uint64_t end = options->hold > 0 ? now_ns() + (uint64_t)(options->hold * 1e9) : UINT64_MAX;
    struct pollfd input = {.fd = options->hold > 0 ? -1 : STDIN_FILENO, .events = POLLIN};
    char byte;

    while (!is_stopped() && now_ns() < end) {
        if (poll(&input, 1, 50) == 1 && read(STDIN_FILENO, &byte, 1) <= 0) {
            break;
        }
    }
}

bool run_idle(const struct options *options, struct result *result)
{
    size_t bytes = 0;
    const char *request = request_make(options, &bytes);
    int *fds = calloc(options->idle, sizeof(*fds));
    unsigned count = 0;
    uint64_t begin = now_ns();

    if (request == NULL || fds == NULL) {
        free(fds);
        free((char *)(uintptr_t)request);
        return false;
    }
    for (unsigned i = 0; i < options->idle && !is_stopped(); i++) {
        int fd = connect_and_wait(options, i);

        if (fd < 0) {
            result->refused++;
            continue;
        }
        fds[count++] = fd;
        (void)warm_up(fd, request, bytes, result);
        if (!options->is_quiet && i % 500 == 0) {
            fprintf(stderr, "\r%u of %u connections", i, options->idle);
        }
    }
    printf("idle %u\n", count);
    fflush(stdout);
    hold(options);
    for (unsigned i = 0; i < count; i++) {
        close(fds[i]);
    }
    result->seconds = (double)(now_ns() - begin) / 1e9;
    free(fds);
    free((char *)(uintptr_t)request);
    return count > 0;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void vanish(int fd, const char *request, size_t bytes, uint64_t chance)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    size_t part = 1 + (size_t)(chance >> 8) % bytes; /* sometimes the whole request */

    (void)send_all(fd, request, part);
    if ((chance & 1) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
}

/* The server must answer or end it; silence for seconds is wrong. */
static void garbage(int fd, uint64_t *chance, struct result *result)
{
    char data[GARBAGE_BYTES];
    size_t bytes = 1 + random_next(chance) % sizeof(data);

    for (size_t i = 0; i < bytes; i++) {
        data[i] = (char)random_next(chance);
    }
    data[0] = 'G'; /* speaks HTTP, badly: another first letter would be plain echo */
    data[bytes - 1] = '\n';
    if (send_all(fd, data, bytes)) {
        shutdown(fd, SHUT_WR);
    }
    ssize_t got = receive(fd, data, sizeof(data), ANSWER_WAIT_MS);

    if (got < 0) {
        result->wrong++;
    } else if (got > 12) {
        result->answered++;
        result->wrong += memcmp(data, "HTTP/1.1 4", 10) != 0;
    }
}

/* Half a request and silence; the server is expected to end it by its timeout. */
static void stall(int fd, const char *request, size_t bytes, struct result *result)
{
    char data[256];

    ssize_t got;

    (void)send_all(fd, request, bytes / 2);
    do {
        got = receive(fd, data, sizeof(data), ANSWER_WAIT_MS);
    } while (got > 0);
    result->wrong += got < 0;
}

bool run_bad(const struct options *options, struct result *result)
{
    size_t bytes = 0;
    const char *request = request_make(options, &bytes);
    uint64_t begin = now_ns();
    uint64_t end = begin + (uint64_t)(options->seconds * 1e9);
    uint64_t chance = options->seed * 2654435761u + 88172645463325252u;

    while (request != NULL && !is_stopped() && now_ns() < end &&
           (options->requests == 0 || result->cycles < options->requests)) {
        int fd = connect_and_wait(options, 0);

        if (fd < 0) {
            result->refused++;
            break;
        }
        if (options->behaviour == BEHAVE_VANISH) {
            vanish(fd, request, bytes, random_next(&chance));
        } else if (options->behaviour == BEHAVE_GARBAGE) {
            garbage(fd, &chance, result);
        } else {
            stall(fd, request, bytes, result);
        }
        close(fd);
        result->cycles++;
    }
    result->seconds = (double)(now_ns() - begin) / 1e9;
    free((char *)(uintptr_t)request);
    return result->cycles > 0;
}
