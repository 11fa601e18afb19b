/* Accepting; see acceptor.h. */
#define _GNU_SOURCE
#include "acceptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "worker.h"

#define BACKLOG 4096
/* Accepted in one turn of the loop; the rest waits for the next. */
#define ACCEPTS_PER_TURN 256u
/* When descriptors have run out, accepting rests for a moment. */
#define REST_MS 20u

struct acceptor {
    uv_loop_t loop;
    uv_poll_t poll;
    uv_timer_t rest;
    uv_signal_t on_term;
    uv_signal_t on_int;
    struct worker *workers;
    unsigned count;
    unsigned turn; /* the worker whose turn it is */
    int fd;
};

void acceptor_signals(bool is_open)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(is_open ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

int acceptor_listen(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t size = sizeof(address);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

/* Takes up to `most` sockets. Returns 0, or why there are no more: EAGAIN, EMFILE, ... */
static int accept_some(struct acceptor *acceptor, unsigned most)
{
    while (most > 0) {
        int fd = accept4(acceptor->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == ECONNABORTED || errno == EINTR)) {
            most--;
            continue;
        }
        if (fd < 0) {
            return errno;
        }
        struct worker *worker = &acceptor->workers[acceptor->turn];

        acceptor->turn = (acceptor->turn + 1) % acceptor->count;
        if (!worker_send(worker, fd)) {
            close(fd);
        }
        most--;
    }
    return 0;
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *timer)
{
    struct acceptor *acceptor = timer->data;

    (void)uv_poll_start(&acceptor->poll, UV_READABLE, on_connection);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct acceptor *acceptor = poll->data;

    (void)events;
    int code = status < 0 ? -status : accept_some(acceptor, ACCEPTS_PER_TURN);

    if (code != 0 && code != EAGAIN) {
        (void)uv_poll_stop(poll);
        (void)uv_timer_start(&acceptor->rest, on_rested, REST_MS, 0);
    }
}

static void on_stop(uv_signal_t *signal, int number)
{
    struct acceptor *acceptor = signal->data;

    (void)number;
    if (uv_is_closing((uv_handle_t *)&acceptor->poll)) {
        return;
    }
    /* A second signal must not end the process while it drains. */
    acceptor_signals(false);
    (void)uv_poll_stop(&acceptor->poll);
    /* Whoever has connected by now is served. */
    (void)accept_some(acceptor, BACKLOG);
    uv_close((uv_handle_t *)&acceptor->poll, NULL);
    uv_close((uv_handle_t *)&acceptor->rest, NULL);
    uv_close((uv_handle_t *)&acceptor->on_term, NULL);
    uv_close((uv_handle_t *)&acceptor->on_int, NULL);
}

bool acceptor_run(int fd, struct worker *workers, unsigned count)
{
    struct acceptor acceptor = {.workers = workers, .count = count, .fd = fd};
    bool is_up = uv_loop_init(&acceptor.loop) == 0;

    if (is_up) {
        (void)uv_timer_init(&acceptor.loop, &acceptor.rest);
        (void)uv_signal_init(&acceptor.loop, &acceptor.on_term);
        (void)uv_signal_init(&acceptor.loop, &acceptor.on_int);
        (void)uv_poll_init(&acceptor.loop, &acceptor.poll, fd);
        acceptor.rest.data = acceptor.on_term.data = acceptor.on_int.data = acceptor.poll.data =
            &acceptor;
        is_up = uv_signal_start(&acceptor.on_term, on_stop, SIGTERM) == 0 &&
                uv_signal_start(&acceptor.on_int, on_stop, SIGINT) == 0 &&
                uv_poll_start(&acceptor.poll, UV_READABLE, on_connection) == 0;
        if (is_up) {
            acceptor_signals(true);
        } else {
            on_stop(&acceptor.on_term, 0);
        }
        (void)uv_run(&acceptor.loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&acceptor.loop);
    }
    return is_up;
}
