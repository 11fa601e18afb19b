/* Coroutines of the server; see fiber.h. */
#include "fiber.h"

#include <uv.h>

#include "async/coroutine.h"
#include "worker.h"

struct call {
    void (*body)(void *arg);
    void *arg;
};

static void enter(void *args)
{
    struct call call = *(struct call *)args;

    call.body(call.arg);
}

struct emp_task *fiber_start(struct worker *worker, void (*body)(void *arg), void *arg)
{
    struct call call = {body, arg};
    struct emp_task *task = NULL;
    struct emp_coroutine_spawn spawn = {
        .pool = worker->pool,
        .scheduler = emp_uv_scheduler(worker->uv),
        .entry = enter,
        .args = &call,
        .args_bytes = sizeof(call),
        .site = EMP_SPAWN_SITE(),
    };

    return emp_coroutine_spawn(&spawn, NULL, &task) == EMP_OK ? task : NULL;
}

struct emp_uv_chunk fiber_wait(struct emp_future *future)
{
    struct emp_uv_chunk chunk = {NULL, UV_ENOMEM};

    if (future != NULL && emp_await(future, &chunk, sizeof(chunk), NULL) != EMP_OK) {
        chunk = (struct emp_uv_chunk){NULL, UV_ECANCELED};
    }
    emp_future_drop(future);
    return chunk;
}
