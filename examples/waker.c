/*
 * Wakers: a task waits for lines from another thread. The thread knows nothing of tasks: it has a
 * waker, which it wakes for each line. A second waker of a kind of its own counts the same wakes.
 *
 *     cc waker.c $(pkg-config --cflags echomem) -lechomem_adapter -lechomem -lpthread && ./a.out
 */
#include <pthread.h>
#include <stdio.h>

#include "adapter/executor.h"
#include "core/async_memory_pool.h"

#define LINES 5u

/* Where the thread leaves lines; guarded by the lock. */
static struct {
    pthread_mutex_t lock;
    unsigned arrived;
    struct emp_waker reader; /* whom to wake; empty: nobody waits */
    struct emp_waker counter;
} line_box = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned counted; /* the writing thread's */

static void *write_lines(void *arg)
{
    for (unsigned i = 0; i < LINES; i++) {
        (void)pthread_mutex_lock(&line_box.lock);
        line_box.arrived++;
        struct emp_waker reader = line_box.reader;

        line_box.reader = (struct emp_waker){NULL, NULL}; /* moved out */
        (void)pthread_mutex_unlock(&line_box.lock);
        emp_waker_wake(&reader); /* wakes and ends it; an empty one does nothing */
        emp_waker_wake_by_ref(&line_box.counter);
    }
    emp_waker_drop(&line_box.counter);
    return arg;
}

static enum emp_poll read_lines(struct emp_task *task, void *body)
{
    struct emp_waker self = emp_task_waker(task); /* lent: a clone is what lasts */
    enum emp_poll poll = EMP_POLL_READY;

    (void)body;
    (void)pthread_mutex_lock(&line_box.lock);
    if (line_box.arrived < LINES) {
        if (line_box.reader.vt == NULL) {
            line_box.reader = emp_waker_clone(&self);
        }
        poll = EMP_POLL_PENDING;
    }
    (void)pthread_mutex_unlock(&line_box.lock);
    return poll;
}

static const struct emp_task_type reader_type = {.name = "reader", .poll = read_lines};

static void count_wake(void *copy)
{
    (**(unsigned **)copy)++;
}

static const struct emp_waker_calls count_calls = {.wake = count_wake};

int main(void)
{
    struct emp_async_pool *pool = NULL;
    struct emp_executor *executor = NULL;
    unsigned *place = &counted;
    pthread_t writer;

    if (emp_async_pool_create(NULL, &pool) != EMP_OK ||
        emp_executor_create(1, &executor) != EMP_OK ||
        emp_waker_custom(pool, &count_calls, &place, sizeof place, &line_box.counter) != EMP_OK) {
        return 1;
    }
    const struct emp_spawn spawn = {
        .pool = pool, .scheduler = emp_executor_scheduler(executor), .type = &reader_type};

    if (emp_task_spawn(&spawn, NULL, NULL) != EMP_OK ||
        pthread_create(&writer, NULL, write_lines, NULL) != 0 ||
        emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE) != EMP_OK ||
        pthread_join(writer, NULL) != 0) {
        return 1;
    }
    printf("%u lines, %u wakes counted\n", LINES, counted);
    return emp_executor_destroy(executor) == EMP_OK &&
                   emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK && counted == LINES
               ? 0
               : 1;
}
