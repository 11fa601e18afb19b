/*
 * What: a scheduler that only queues, so that a test decides who runs a task, and when.
 * How:  one list under a mutex; timers are refused.
 */
#ifndef EMP_TESTS_SUPPORT_TASK_QUEUE_H
#define EMP_TESTS_SUPPORT_TASK_QUEUE_H

#include <pthread.h>
#include <stddef.h>

#include "async/task.h"

struct task_queue_test {
    struct emp_scheduler scheduler; /* first: submit gets its address */
    pthread_mutex_t lock;
    struct emp_task *head;
    struct emp_task *tail;
    unsigned length;
    unsigned submits[3]; /* by reason */
};

static inline void task_queue_submit(struct emp_scheduler *self, struct emp_task *task,
                                     enum emp_submit_reason why)
{
    struct task_queue_test *queue = (struct task_queue_test *)(void *)self;

    (void)pthread_mutex_lock(&queue->lock);
    task->next = NULL;
    if (queue->head == NULL) {
        queue->head = task;
    } else {
        queue->tail->next = task;
    }
    queue->tail = task;
    queue->length++;
    queue->submits[why]++;
    (void)pthread_mutex_unlock(&queue->lock);
}

static inline enum emp_status task_queue_timer_start(struct emp_scheduler *self,
                                                     struct emp_timer *timer)
{
    (void)self;
    (void)timer;
    return EMP_ERR_UNSUPPORTED;
}

static inline bool task_queue_timer_stop(struct emp_scheduler *self, struct emp_timer *timer)
{
    (void)self;
    (void)timer;
    return false;
}

static inline void task_queue_init(struct task_queue_test *queue)
{
    *queue = (struct task_queue_test){
        .scheduler = {task_queue_submit, task_queue_timer_start, task_queue_timer_stop}};
    (void)pthread_mutex_init(&queue->lock, NULL);
}

/* The first task of the queue, or NULL. */
static inline struct emp_task *task_queue_take(struct task_queue_test *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    struct emp_task *task = queue->head;

    if (task != NULL) {
        queue->head = task->next;
        queue->length--;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return task;
}

/* Runs the first task; -1 when there is none. */
static inline int task_queue_run_one(struct task_queue_test *queue)
{
    struct emp_task *task = task_queue_take(queue);

    return task != NULL ? (int)emp_task_run(task) : -1;
}

/* Runs tasks until none is left, at most limit; how many runs that were. */
static inline unsigned task_queue_run(struct task_queue_test *queue, unsigned limit)
{
    unsigned runs = 0;

    while (runs < limit && task_queue_run_one(queue) >= 0) {
        runs++;
    }
    return runs;
}

#endif
