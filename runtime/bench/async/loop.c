/*
 * Purpose: the list that the smallest scheduler is, and pools with a proof at their end.
 * Owner:   the thread that runs main.
 */
#include "async/loop.h"

#include <stdio.h>

static void loop_submit(struct emp_scheduler *self, struct emp_task *task,
                        enum emp_submit_reason why)
{
    struct async_loop *loop = (struct async_loop *)self;

    (void)why;
    task->next = NULL;
    if (loop->head == NULL) {
        loop->head = task;
    } else {
        loop->tail->next = task;
    }
    loop->tail = task;
}

static enum emp_status loop_timer_start(struct emp_scheduler *self, struct emp_timer *timer)
{
    (void)self;
    (void)timer;
    return EMP_ERR_UNSUPPORTED;
}

static bool loop_timer_stop(struct emp_scheduler *self, struct emp_timer *timer)
{
    (void)self;
    (void)timer;
    return false;
}

struct emp_async_pool *async_pool_begin(void)
{
    struct emp_async_pool *pool = NULL;

    async_require(emp_async_pool_create(NULL, &pool) == EMP_OK, "no pool");
    return pool;
}

static void pool_tell(const struct emp_async_leak *leak, void *context)
{
    (void)context;
    fprintf(stderr, "async_bench: %llu of kind %s were never given back\n",
            (unsigned long long)leak->objects, leak->kind);
}

void async_pool_end(struct emp_async_pool *pool)
{
    async_require(emp_async_pool_destroy(pool, pool_tell, NULL) == EMP_OK,
                  "objects of the pool are still in use");
}

void async_loop_begin(struct async_loop *loop)
{
    *loop = (struct async_loop){
        .scheduler = {loop_submit, loop_timer_start, loop_timer_stop},
        .pool = async_pool_begin(),
    };
}

void async_loop_end(struct async_loop *loop)
{
    async_require(loop->head == NULL, "tasks are still queued");
    async_pool_end(loop->pool);
}

struct emp_executor *async_executor_begin(unsigned workers)
{
    struct emp_executor *executor = NULL;

    async_require(emp_executor_create(workers, &executor) == EMP_OK, "no executor");
    return executor;
}
