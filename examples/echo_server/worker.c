/* The thread of a worker; see worker.h. */
#define _GNU_SOURCE
#include "worker.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "async/channel.h"
#include "async/coroutine.h"
#include "async/task.h"
#include "connection.h"
#include "fiber.h"

/* Ends what draining could not: connections whose other side neither reads nor goes. */
static void on_last_call(uv_timer_t *timer)
{
    struct worker *worker = timer->data;

    for (struct connection *at = worker->connections; at != NULL; at = at->next) {
        connection_cut(at);
    }
}

static void drain(struct worker *worker)
{
    worker->is_draining = true;
    for (struct connection *at = worker->connections; at != NULL; at = at->next) {
        connection_hurry(at);
    }
    (void)uv_timer_start(&worker->last_call, on_last_call, worker->settings->drain_ms, 0);
    worker_check_end(worker);
}

/* The next socket; the coroutine waits for it. False: no more will come. */
static bool socket_receive(struct worker *worker, int *fd)
{
    struct emp_channel_wait wait = {NULL};
    struct emp_waker waker = emp_task_waker(emp_task_current());
    enum emp_status status;

    while ((status = emp_channel_recv_poll(worker->sockets, &wait, &waker, fd)) == EMP_ERR_AGAIN) {
        if (emp_coroutine_suspend() != EMP_OK) {
            (void)emp_channel_forget(worker->sockets, &wait);
            return false;
        }
    }
    return status == EMP_OK;
}

/* A coroutine: takes sockets over until the channel is closed. */
static void take_over(void *arg)
{
    struct worker *worker = arg;
    int fd = -1;

    while (socket_receive(worker, &fd)) {
        (void)connection_start(worker, fd);
    }
    emp_channel_receiver_release(worker->sockets);
    drain(worker);
}

/* From a callback of the loop, when nothing runs and nothing waits. */
static void on_end(uv_timer_t *timer)
{
    struct worker *worker = timer->data;

    /* The coroutine that saw the end may still be on its way out of the queue. */
    if (emp_uv_close(worker->uv, NULL, NULL) == EMP_ERR_BUSY) {
        (void)uv_timer_start(timer, on_end, 1, 0);
        return;
    }
    uv_close((uv_handle_t *)timer, NULL);
}

void worker_check_end(struct worker *worker)
{
    if (worker->is_draining && worker->live == 0) {
        (void)uv_timer_start(&worker->last_call, on_end, 0, 0);
    }
}

static bool loop_begin(struct worker *worker)
{
    if (uv_loop_init(&worker->loop) != 0) {
        return false;
    }
    if (emp_uv_create(&worker->loop, &worker->uv) != EMP_OK) {
        (void)uv_loop_close(&worker->loop);
        return false;
    }
    (void)uv_timer_init(&worker->loop, &worker->last_call);
    worker->last_call.data = worker;
    struct emp_task *task = fiber_start(worker, take_over, worker);

    (void)emp_uv_run_ready(worker->uv); /* it waits for sockets now, if it has a stack */
    bool is_begun = task != NULL && !emp_task_is_complete(task);

    emp_task_release(task);
    if (!is_begun) {
        uv_close((uv_handle_t *)&worker->last_call, NULL);
        (void)emp_uv_close(worker->uv, NULL, NULL);
        (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&worker->loop);
        return false;
    }
    return true;
}

static void worker_main(void *arg)
{
    struct worker *worker = arg;
    bool is_begun = loop_begin(worker);

    worker->is_failed = !is_begun;
    uv_sem_post(&worker->ready);
    if (is_begun) {
        (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
        worker->is_failed = uv_loop_close(&worker->loop) != 0;
    }
}

/* A socket that no worker received. */
static void socket_drop(void *element)
{
    close(*(int *)element);
}

/* False: nothing was started. */
static bool thread_begin(struct worker *worker)
{
    if (uv_sem_init(&worker->ready, 0) != 0) {
        return false;
    }
    if (uv_thread_create(&worker->thread, worker_main, worker) != 0) {
        uv_sem_destroy(&worker->ready);
        return false;
    }
    uv_sem_wait(&worker->ready);
    if (worker->is_failed) {
        (void)worker_join(worker);
        return false;
    }
    return true;
}

bool worker_start(struct worker *worker)
{
    struct emp_channel_config config = {
        .kind = EMP_CHANNEL_UNBOUNDED_MPSC, .element_bytes = sizeof(int), .drop = socket_drop};

    if (emp_channel_create(worker->pool, &config, &worker->sockets) != EMP_OK) {
        return false;
    }
    if (!thread_begin(worker)) {
        emp_channel_receiver_release(worker->sockets);
        emp_channel_sender_release(worker->sockets);
        return false;
    }
    return true;
}

bool worker_send(struct worker *worker, int fd)
{
    return emp_channel_try_send(worker->sockets, &fd) == EMP_OK;
}

void worker_stop(struct worker *worker)
{
    emp_channel_sender_release(worker->sockets);
}

bool worker_join(struct worker *worker)
{
    (void)uv_thread_join(&worker->thread);
    uv_sem_destroy(&worker->ready);
    return !worker->is_failed;
}

uint64_t worker_mallocs(void)
{
    uint64_t (*calls)(void);

    *(void **)&calls = dlsym(RTLD_DEFAULT, "malloc_counter_calls");
    return calls == NULL ? 0 : calls();
}

size_t worker_counts_text(const struct counts *counts, char *out, size_t bytes)
{
    int length = snprintf(
        out, bytes,
        "{\"memory\": \"%s\", \"accepted\": %" PRIu64 ", \"requests\": %" PRIu64
        ", \"refused\": %" PRIu64 ", \"timeouts\": %" PRIu64 ", \"vanished\": %" PRIu64
        ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"mallocs\": %" PRIu64 "}\n",
        connection_memory_name(), counts->accepted, counts->requests, counts->refused,
        counts->timeouts, counts->vanished, counts->bytes_in, counts->bytes_out, worker_mallocs());

    return length < 0 ? 0 : (size_t)length < bytes ? (size_t)length : bytes - 1;
}
