/*
 * Purpose: the smallest scheduler there is, a list on one thread: what rows use when the cost of
 *          the objects is meant and not that of an executor. And the executor, ready to use.
 * Owner:   the thread that runs main; no other may touch it.
 */
#ifndef BENCH_ASYNC_LOOP_H
#define BENCH_ASYNC_LOOP_H

#include <stddef.h>

#include "adapter/executor.h"
#include "async/row.h"
#include "async/scheduler.h"
#include "async/task.h"
#include "core/async_memory_pool.h"

/* First in, first out. */
struct async_loop {
    struct emp_scheduler scheduler; /* first: submit gets its address */
    struct emp_task *head;
    struct emp_task *tail; /* valid while head is not NULL */
    struct emp_async_pool *pool;
};

/* Makes a loop with a pool of its own; ends the child when there is no memory. */
void async_loop_begin(struct async_loop *loop);

/* Ends the pool, and proves that no object is in use any more. */
void async_loop_end(struct async_loop *loop);

/* A pool, and its end with the same proof, for rows with an executor. */
struct emp_async_pool *async_pool_begin(void);
void async_pool_end(struct emp_async_pool *pool);

/* An executor; ends the child when there is none. */
struct emp_executor *async_executor_begin(unsigned workers);

/* Runs tasks until none is left. */
static inline void async_loop_run(struct async_loop *loop)
{
    struct emp_task *task;

    while ((task = loop->head) != NULL) {
        loop->head = task->next;
        emp_task_run(task);
    }
}

/* Runs at most count tasks. */
static inline void async_loop_run_some(struct async_loop *loop, size_t count)
{
    struct emp_task *task;

    while (count-- > 0 && (task = loop->head) != NULL) {
        loop->head = task->next;
        emp_task_run(task);
    }
}

#endif
