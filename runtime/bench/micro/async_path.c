/*
 * Purpose: each path in a function of its own, with everything that it calls inside, so that a tool
 *          that counts by function sees it whole.
 * Owner:   a child process, one thread.
 */
#include "micro/async_path.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async/channel.h"
#include "async/future.h"
#include "async/task.h"
#include "core/async_memory_pool.h"

#define OUTLINED __attribute__((noinline, noclone))

/* A scheduler of one task. */
struct path_scheduler {
    struct emp_scheduler scheduler; /* first: submit gets its address */
    struct emp_task *task;
};

void bench_path_task(const struct emp_spawn *spawn, struct path_scheduler *scheduler);
void bench_path_future(struct emp_async_pool *pool, uint64_t value);
void bench_path_send(struct emp_channel *channel, uint64_t value);
void bench_path_recv(struct emp_channel *channel);

static void path_require(bool holds)
{
    if (!holds) {
        fputs("async_path: a call failed\n", stderr);
        exit(1);
    }
}

static void path_submit(struct emp_scheduler *self, struct emp_task *task,
                        enum emp_submit_reason why)
{
    (void)why;
    ((struct path_scheduler *)self)->task = task;
}

static enum emp_poll path_poll(struct emp_task *task, void *body)
{
    (void)task;
    (void)body;
    return EMP_POLL_READY;
}

static const struct emp_task_type path_type = {
    .name = "path", .body_bytes = sizeof(uint64_t), .body_align = 8, .poll = path_poll};

/* Spawn, run, free of a detached task with 8 bytes of arguments. */
OUTLINED void bench_path_task(const struct emp_spawn *spawn, struct path_scheduler *scheduler)
{
    path_require(emp_task_spawn(spawn, NULL, NULL) == EMP_OK);
    emp_task_run(scheduler->task);
}

/* New, resolve with 8 bytes, take, both ends dropped. */
OUTLINED void bench_path_future(struct emp_async_pool *pool, uint64_t value)
{
    struct emp_future *future = emp_future_new(pool);

    emp_future_resolve(future, &value, sizeof value);
    emp_promise_drop(future);
    path_require(emp_future_take(future, NULL, &value, sizeof value, NULL) == EMP_OK);
    emp_future_drop(future);
}

OUTLINED void bench_path_send(struct emp_channel *channel, uint64_t value)
{
    path_require(emp_channel_try_send(channel, &value) == EMP_OK);
}

OUTLINED void bench_path_recv(struct emp_channel *channel)
{
    uint64_t value;

    path_require(emp_channel_try_recv(channel, &value) == EMP_OK);
}

static void path_tasks(struct emp_async_pool *pool, size_t times)
{
    struct path_scheduler scheduler = {.scheduler = {.submit = path_submit}};
    uint64_t args = 1;
    struct emp_spawn spawn = {.pool = pool,
                              .scheduler = &scheduler.scheduler,
                              .type = &path_type,
                              .args = &args,
                              .args_bytes = sizeof args};

    for (size_t i = 0; i < times; i++) {
        bench_path_task(&spawn, &scheduler);
    }
}

static void path_channel(struct emp_async_pool *pool, size_t times)
{
    struct emp_channel_config config = {
        .kind = EMP_CHANNEL_SPSC, .element_bytes = sizeof(uint64_t), .capacity = 64};
    struct emp_channel *channel = NULL;

    path_require(emp_channel_create(pool, &config, &channel) == EMP_OK);
    for (size_t i = 0; i < times; i++) {
        bench_path_send(channel, i);
        bench_path_recv(channel);
    }
    emp_channel_sender_release(channel);
    emp_channel_receiver_release(channel);
}

bool bench_async_path(const char *name, size_t times)
{
    struct emp_async_pool *pool = NULL;
    bool is_known = true;

    path_require(emp_async_pool_create(NULL, &pool) == EMP_OK);
    if (strcmp(name, "task") == 0) {
        path_tasks(pool, times);
    } else if (strcmp(name, "future") == 0) {
        for (size_t i = 0; i < times; i++) {
            bench_path_future(pool, i);
        }
    } else if (strcmp(name, "spsc") == 0) {
        path_channel(pool, times);
    } else {
        is_known = false;
    }
    path_require(emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK);
    return is_known;
}
