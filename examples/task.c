/*
 * Tasks on an executor: a task per number counts its Collatz steps, a slice at a time so that it
 * starves nobody, and sets its result; the main program joins them all.
 *
 *     cc task.c $(pkg-config --cflags echomem) -lechomem_adapter -lechomem -lpthread && ./a.out
 */
#include <stdio.h>

#include "adapter/executor.h"
#include "core/async_memory_pool.h"

#define TASKS 20u
#define SLICE 25u /* steps in one turn */

/* The body of a task: what it was given, then where it is. */
struct collatz {
    unsigned long value;
    unsigned steps;
};

static enum emp_poll collatz_poll(struct emp_task *task, void *body)
{
    struct collatz *self = body;

    for (unsigned i = 0; i < SLICE; i++) {
        if (self->value == 1) {
            (void)emp_task_set_result(task, &self->steps, sizeof self->steps);
            return EMP_POLL_READY;
        }
        self->value = self->value % 2 == 0 ? self->value / 2 : 3 * self->value + 1;
        self->steps++;
    }
    struct emp_waker self_waker = emp_task_waker(task);

    emp_waker_wake_by_ref(&self_waker); /* there is more to do: to the end of the queue */
    return EMP_POLL_PENDING;
}

static const struct emp_task_type collatz_type = {
    .name = "collatz",
    .body_bytes = sizeof(struct collatz),
    .body_align = _Alignof(struct collatz),
    .poll = collatz_poll,
};

int main(void)
{
    struct emp_async_pool *pool = NULL;
    struct emp_executor *executor = NULL;
    struct emp_future *joins[TASKS];
    unsigned longest = 0;

    if (emp_async_pool_create(NULL, &pool) != EMP_OK ||
        emp_executor_create(2, &executor) != EMP_OK || emp_executor_start(executor, 1) != EMP_OK) {
        return 1;
    }
    for (unsigned i = 0; i < TASKS; i++) {
        const unsigned long value = i + 1;
        const struct emp_spawn spawn = {
            .pool = pool,
            .scheduler = emp_executor_scheduler(executor),
            .type = &collatz_type,
            .args = &value, /* the start of the body; the rest is zero */
            .args_bytes = sizeof value,
            .site = EMP_SPAWN_SITE(),
        };

        if (emp_task_spawn(&spawn, &joins[i], NULL) != EMP_OK) {
            return 1;
        }
    }
    /* The calling thread helps its worker until every task has ended. */
    if (emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE) != EMP_OK) {
        return 1;
    }
    for (unsigned i = 0; i < TASKS; i++) {
        unsigned steps = 0;

        if (emp_future_poll(joins[i], NULL, &steps, sizeof steps, NULL) != EMP_OK) {
            return 1;
        }
        longest = steps > longest ? steps : longest;
        emp_future_drop(joins[i]);
    }
    printf("the longest of %u took %u steps\n", TASKS, longest);
    return emp_executor_destroy(executor) == EMP_OK &&
                   emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK && longest == 20
               ? 0
               : 1;
}
