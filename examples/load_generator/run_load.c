/*
 * Well-behaved load. Closed loop: each connection sends its next requests when the last ones are
 * answered. Open loop: request k is due at k / rate, whatever the server does, and its latency
 * counts from that moment, so that a server that stalls pays for all that waited meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "load.h"

#define EVENTS      256
#define INPUT_BYTES 16384u
#define NS_PER_S    1e9
#define WAIT_MAX_NS 50000000u
/* After its end a run waits this long for answers that are still due. */
#define GRACE_NS 3000000000u

/* One connection. */
struct client {
    int fd;        /* -1: ended */
    bool is_last;  /* the server said Connection: close */
    unsigned due;  /* answers that are awaited */
    size_t unsent; /* bytes of requests not yet accepted by the socket */
    size_t left;   /* bytes of the present answer's body, or of echoed bytes, to come */
    bool is_in_body;
    size_t have;                     /* bytes of an unfinished head in `head` */
    uint64_t intended[PIPELINE_MAX]; /* ring of when each was due */
    unsigned first;
    char head[1024];
};

struct load {
    const struct options *options;
    struct result *result;
    const char *request;
    size_t request_bytes;
    struct client *clients;
    struct client **free; /* open loop: those with nothing to do */
    unsigned free_count;
    unsigned alive;
    int epoll;
    uint64_t begin;
    uint64_t end;
    uint64_t started; /* requests due so far, open loop */
};

static void client_end(struct load *load, struct client *client)
{
    if (client->fd < 0) {
        return;
    }
    /* A request of which bytes are still here was never whole at the server. */
    size_t partial = (client->unsent + load->request_bytes - 1) / load->request_bytes;

    if (client->due > partial) {
        load->result->lost += client->due - partial;
    } else if (client->due == 0) {
        load->result->closed++;
    }
    close(client->fd);
    client->fd = -1;
    load->alive--;
    for (unsigned i = 0; i < load->free_count; i++) {
        if (load->free[i] == client) {
            load->free[i] = load->free[--load->free_count];
            break;
        }
    }
}

static void wait_for(struct load *load, struct client *client, bool writable)
{
    struct epoll_event event = {.events = writable ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.ptr = client};

    (void)epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
}

/* Sends what is unsent: the tail of one request and whole ones behind it. */
static void client_flush(struct load *load, struct client *client)
{
    struct iovec parts[PIPELINE_MAX];
    size_t size = load->request_bytes;
    size_t whole = client->unsent / size;
    size_t tail = client->unsent % size;
    int count = 0;

    if (tail != 0) {
        parts[count++] = (struct iovec){(char *)(uintptr_t)load->request + size - tail, tail};
    }
    for (size_t i = 0; i < whole; i++) {
        parts[count++] = (struct iovec){(char *)(uintptr_t)load->request, size};
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) {
        client_end(load, client);
        return;
    }
    bool is_all = sent >= 0 && (size_t)sent == client->unsent;

    client->unsent -= sent > 0 ? (size_t)sent : 0;
    if (!is_all) {
        wait_for(load, client, true);
    }
}

static void client_request(struct load *load, struct client *client, uint64_t intended,
                           unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        client->intended[(client->first + client->due) % PIPELINE_MAX] = intended;
        client->due++;
    }
    load->result->sent += count;
    client->unsent += count * load->request_bytes;
    client_flush(load, client);
}

static void client_answered(struct load *load, struct client *client, uint64_t now)
{
    histogram_add(&load->result->latency, now - client->intended[client->first]);
    client->first = (client->first + 1) % PIPELINE_MAX;
    client->due--;
    load->result->answered++;
}

/* Reads the head of an answer: status, length, whether it is the last. False: it makes no sense. */
static bool head_parse(struct load *load, struct client *client, size_t length)
{
    char *head = client->head;

    head[length] = '\0';
    const char *field = strcasestr(head, "\r\ncontent-length:");

    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || field == NULL) {
        load->result->wrong++;
        return false;
    }
    if (strncmp(head + 9, "200", 3) != 0) {
        load->result->wrong++;
    }
    client->left = (size_t)strtoul(field + 17, NULL, 10);
    if (load->options->body != 0 && client->left != load->options->body) {
        load->result->wrong++;
    }
    client->is_last = strcasestr(head, "\r\nconnection: close") != NULL;
    client->is_in_body = true;
    return true;
}

/* Takes bytes of a head up to its end. Returns how many were used, or 0 when it makes no sense. */
static size_t head_take(struct load *load, struct client *client, const char *data, size_t bytes)
{
    size_t before = client->have;
    size_t room = sizeof(client->head) - 1 - before;
    size_t taken = bytes < room ? bytes : room;

    memcpy(client->head + before, data, taken);
    size_t have = before + taken;
    size_t from = before > 3 ? before - 3 : 0;
    const char *end = memmem(client->head + from, have - from, "\r\n\r\n", 4);

    if (end == NULL) {
        client->have = have;
        return have == sizeof(client->head) - 1 ? 0 : taken;
    }
    size_t length = (size_t)(end - client->head) + 4;

    client->have = 0;
    return head_parse(load, client, length) ? length - before : 0;
}

/* Takes bytes of answers. False: the connection is of no use any more. */
static bool client_take(struct load *load, struct client *client, const char *data, size_t bytes)
{
    uint64_t now = now_ns();

    while (bytes > 0) {
        if (!client->is_in_body && client->due == 0) {
            load->result->wrong++; /* nobody asked for this */
            return false;
        }
        if (!client->is_in_body && load->options->is_echo) {
            client->left = load->request_bytes;
            client->is_in_body = true;
        }
        if (!client->is_in_body) {
            size_t used = head_take(load, client, data, bytes);

            if (used == 0) {
                return false;
            }
            data += used;
            bytes -= used;
        }
        if (client->is_in_body) {
            size_t part = bytes < client->left ? bytes : client->left;

            client->left -= part;
            data += part;
            bytes -= part;
            if (client->left == 0) {
                client->is_in_body = false;
                client_answered(load, client, now);
            }
        }
    }
    return true;
}

/* What a connection does when all its requests are answered. */
static void client_next(struct load *load, struct client *client, uint64_t now)
{
    const struct options *options = load->options;

    if (client->is_last) {
        client_end(load, client);
    } else if (options->rate > 0) {
        load->free[load->free_count++] = client;
    } else if (now < load->end &&
               (options->requests == 0 || load->result->sent < options->requests)) {
        client_request(load, client, now, options->pipeline);
    }
}

static void client_event(struct load *load, struct client *client, uint32_t events)
{
    static char input[INPUT_BYTES];

    if (client->fd >= 0 && (events & EPOLLOUT) != 0) {
        wait_for(load, client, false);
        if (client->unsent > 0) {
            client_flush(load, client);
        }
    }
    if (client->fd < 0 || (events & ~(uint32_t)EPOLLOUT) == 0) {
        return;
    }
    ssize_t got = recv(client->fd, input, sizeof(input), 0);

    if (got < 0 && errno == EAGAIN) {
        return;
    }
    bool was_due = client->due > 0;

    if (got <= 0 || !client_take(load, client, input, (size_t)got)) {
        client_end(load, client);
        return;
    }
    if (was_due && client->due == 0) {
        client_next(load, client, now_ns());
    }
}

/* Sends what is due by now. Returns the time until the next is, in ns. */
static uint64_t schedule(struct load *load, uint64_t now)
{
    double gap = NS_PER_S / load->options->rate;

    for (;;) {
        uint64_t due = load->begin + (uint64_t)((double)load->started * gap);

        if (due >= load->end ||
            (load->options->requests != 0 && load->started >= load->options->requests)) {
            return WAIT_MAX_NS;
        }
        if (due > now) {
            return due - now < WAIT_MAX_NS ? due - now : WAIT_MAX_NS;
        }
        if (load->free_count == 0) {
            return WAIT_MAX_NS;
        }
        load->started++;
        client_request(load, load->free[--load->free_count], due, 1);
    }
}

static bool clients_open(struct load *load)
{
    const struct options *options = load->options;

    for (unsigned i = 0; i < options->connections; i++) {
        struct client *client = &load->clients[i];

        client->fd = connect_and_wait(options, i);
        if (client->fd < 0) {
            load->result->refused++;
            continue;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

        (void)epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event);
        load->alive++;
    }
    return load->alive > 0;
}

static void progress(const struct load *load, uint64_t now, uint64_t *shown)
{
    if (load->options->is_quiet || now - *shown < (uint64_t)NS_PER_S / 2) {
        return;
    }
    *shown = now;
    fprintf(stderr, "\r%6.1f s  %10llu answers", (double)(now - load->begin) / NS_PER_S,
            (unsigned long long)load->result->answered);
}

/* Requests that somebody still waits for. */
static bool is_waiting(const struct load *load)
{
    return load->result->sent > load->result->answered + load->result->lost + load->result->wrong;
}

static bool is_over(const struct load *load, uint64_t now)
{
    const struct options *options = load->options;
    bool is_all = options->requests != 0 && load->result->sent >= options->requests;

    if (load->alive == 0 || is_stopped()) {
        return true;
    }
    return (now >= load->end || is_all) && (!is_waiting(load) || now >= load->end + GRACE_NS);
}

static void turn_all(struct load *load)
{
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns();
    uint64_t shown = now;

    while (!is_over(load, now)) {
        uint64_t wait = WAIT_MAX_NS;

        if (load->options->rate > 0) {
            wait = schedule(load, now);
        }
        struct timespec timeout = {.tv_nsec = (long)wait};
        int count = epoll_pwait2(load->epoll, events, EVENTS, &timeout, NULL);

        for (int i = 0; i < count; i++) {
            client_event(load, events[i].data.ptr, events[i].events);
        }
        now = now_ns();
        progress(load, now, &shown);
    }
    load->result->seconds = (double)(now - load->begin) / NS_PER_S;
}

static void start_all(struct load *load)
{
    load->begin = now_ns();
    load->end = load->begin + (uint64_t)(load->options->seconds * NS_PER_S);
    for (unsigned i = 0; i < load->options->connections; i++) {
        if (load->clients[i].fd >= 0) {
            client_next(load, &load->clients[i], load->begin);
        }
    }
}

bool run_load(const struct options *options, struct result *result)
{
    struct load load = {.options = options, .result = result};

    load.request = request_make(options, &load.request_bytes);
    load.clients = calloc(options->connections, sizeof(*load.clients));
    load.free = calloc(options->connections, sizeof(struct client *));
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    bool is_ready = load.request != NULL && load.clients != NULL && load.free != NULL &&
                    load.epoll >= 0 && clients_open(&load);

    if (is_ready) {
        start_all(&load);
        turn_all(&load);
        for (unsigned i = 0; i < options->connections; i++) {
            if (load.clients[i].fd >= 0) {
                result->lost += load.clients[i].due;
                close(load.clients[i].fd);
            }
        }
    }
    close(load.epoll);
    free(load.free);
    free(load.clients);
    free((char *)(uintptr_t)load.request);
    return is_ready;
}
