/* Sockets, clock and requests of the load generator. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define PER_ADDRESS     20000u
#define CONNECT_WAIT_MS 5000

uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Connections beyond the ports of one address come from 127.0.0.2, 127.0.0.3, ... */
static int source_bind(int fd, unsigned number)
{
    int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};

    if (number < PER_ADDRESS) {
        return 0;
    }
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / PER_ADDRESS);
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

int connect_to(const struct options *options, unsigned number)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (inet_pton(AF_INET, options->host, &to.sin_addr) != 1 || source_bind(fd, number) != 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)) {
        close(fd);
        return -1;
    }
    return fd;
}

int connect_and_wait(const struct options *options, unsigned number)
{
    int fd = connect_to(options, number);
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    int code = 0;
    socklen_t size = sizeof(code);

    if (fd < 0) {
        return -1;
    }
    if (poll(&one, 1, CONNECT_WAIT_MS) != 1 ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0 || code != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

const char *request_make(const struct options *options, size_t *bytes)
{
    char head[160];
    int length = 0;

    if (!options->is_echo && options->body == 0) {
        length = snprintf(head, sizeof(head),
                          "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n\r\n", options->host);
    } else if (!options->is_echo) {
        length = snprintf(head, sizeof(head),
                          "POST /echo HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n",
                          options->host, options->body);
    }
    char *request = malloc((size_t)length + options->body + 1);

    if (request == NULL) {
        return NULL;
    }
    memcpy(request, head, (size_t)length);
    for (size_t i = 0; i < options->body; i++) {
        request[(size_t)length + i] = (char)('a' + i % 26);
    }
    *bytes = (size_t)length + options->body;
    return request;
}
