/*
 * Purpose: the inside of the executor: workers with their queues, the shared queue, who sleeps.
 * Owner:   adapter. A worker's fields are its thread's own unless said otherwise; `lock` of the
 *          executor guards the shared queue and everything about sleeping; `timer_lock` the wheel.
 *          Locks are taken in the order executor, timers; a worker's queue lock is taken alone.
 *
 *   worker: free --take--> active --park (nothing found)--> parked --notify, deadline--> active
 *           active --leave (its reason to run has ended)--> free
 *
 * Why no wake is lost: who parks counts itself among the idle under the lock, then visits every
 *   queue under the queue's lock, then sleeps. Who pushes does so under the queue's lock, then
 *   looks at the count. If the visit missed the push it came first, so the count is seen. While
 *   one is on its way from sleep who pushes wakes nobody: that one, when it has found something,
 *   says so first, then visits every queue in the same way, and wakes the next if one is not empty.
 * Design:  [adapter.proto.executor] [adapter.req.executor]
 */
#ifndef EMP_ADAPTER_WORKER_H
#define EMP_ADAPTER_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "adapter/executor.h"
#include "adapter/timer_wheel.h"
#include "async/task.h"
#include "base/export.h"

/* First in, first out, through emp_task.next. */
struct task_queue {
    struct emp_task *head;
    struct emp_task *tail; /* valid while head is not NULL */
    size_t length;
};

enum worker_state { WORKER_FREE, WORKER_ACTIVE, WORKER_PARKED };

struct worker {
    struct emp_executor *executor;
    struct emp_task *lifo; /* woken last: runs next, while what it needs is in the cache */
    uint32_t lifo_streak;  /* runs from that place without another in between */
    uint32_t tick;         /* runs, for what is looked at now and then */
    bool is_alone;         /* const: the executor's only worker, its queue takes no lock */
    bool is_searching;     /* was chosen to wake and has found nothing yet */
    uint64_t spawned;      /* written by the worker, read by anybody: relaxed */
    uint64_t ended;        /* as spawned, but released and acquired: see executor_alive */
    uint64_t polls;        /* as spawned */
    uint64_t steals;       /* as spawned */
    uint64_t parks;        /* as spawned */
    struct task_queue local __attribute__((aligned(128))); /* queue lock, if there are others */
    pthread_mutex_t queue_lock;
    uint64_t local_length; /* of local, for who looks without the lock: relaxed */
    pthread_cond_t wake;   /* executor lock from here on */
    enum worker_state state;
    bool is_notified; /* was chosen to wake; active again */
    bool has_thread;  /* to be joined */
    enum emp_executor_until until;
    struct worker *idle_next;
    pthread_t thread;
} __attribute__((aligned(128)));

struct emp_executor {
    struct emp_scheduler scheduler; /* first: submit gets its address */
    uint32_t signature;
    uint32_t workers; /* const */
    bool is_shared;   /* const: more than one worker */
    int64_t process;  /* const: that made it; in a child its workers are nobody */
    uint32_t stopping
        __attribute__((aligned(128))); /* lock; read relaxed. enum emp_executor_stop */
    uint32_t idle_count;               /* lock; read relaxed. parked and not chosen yet */
    uint32_t waking;          /* lock; read relaxed. one was chosen and has found nothing yet */
    uint64_t injected_length; /* lock; read relaxed */
    uint64_t deadline_ns;     /* timer lock; read relaxed. the earliest; UINT64_MAX: none */
    pthread_mutex_t lock __attribute__((aligned(128)));
    struct task_queue injected;
    uint64_t injections;
    uint64_t spawned_foreign;
    uint32_t active;   /* workers that are neither free nor parked */
    uint32_t watchers; /* workers that run until something else than a stop */
    struct worker *idle;
    struct worker *keeper; /* the parked worker that sleeps until the next deadline */
    pthread_mutex_t timer_lock __attribute__((aligned(128)));
    struct timer_wheel timers;
    struct worker worker[]; /* workers of them */
};

#define EMP_EXECUTOR_SIGNATURE 0x58504d45u /* "EMPX" */

/* The worker that the calling thread is; NULL: none. */
extern __thread struct worker *worker_self;

static inline void queue_push(struct task_queue *queue, struct emp_task *task)
{
    task->next = NULL;
    if (queue->head == NULL) {
        queue->head = task;
    } else {
        queue->tail->next = task;
    }
    queue->tail = task;
    queue->length++;
}

static inline struct emp_task *queue_pop(struct task_queue *queue)
{
    struct emp_task *task = queue->head;

    if (task != NULL) {
        queue->head = task->next;
        queue->length--;
    }
    return task;
}

/* Puts a task into the worker's own queue, and wakes another if one sleeps. */
void worker_push(struct worker *self, struct emp_task *task);

/* What another worker has too much of goes to self; false: nobody has. */
bool worker_steal(struct worker *self);

/* Whether a worker has something in its queue; visits each under its lock. */
bool executor_has_queued(struct emp_executor *executor);

/* Fires timers that are due, a bounded number; false: none was. */
bool executor_fire(struct emp_executor *executor);

/* Nothing was found: sleeps until that changes. False: the reason to run has ended. */
bool worker_park(struct worker *self);

/* Wakes one worker that sleeps, unless one is on its way. */
void executor_wake_one(struct emp_executor *executor);

/* A worker that was woken has found something: another one may follow. */
void worker_found(struct worker *self);

/* Puts a task into the shared queue. */
void executor_inject(struct emp_executor *executor, struct emp_task *task, bool is_new);

/* Takes a free worker for the calling thread; NULL: none. Executor lock held. */
struct worker *worker_take_locked(struct emp_executor *executor, enum emp_executor_until until);

/* Runs until the worker's reason to run has ended; the worker is free then. */
void worker_run(struct worker *self);

/* Wakes everybody, to look at why they run. Executor lock held. */
void executor_wake_all_locked(struct emp_executor *executor);

/* Tasks that have not ended: exact while none is spawned or ends, else not too few. */
uint64_t executor_alive(const struct emp_executor *executor);

/* The earliest timer may be another one now: who sleeps until a deadline looks again. */
void executor_deadline_changed(struct emp_executor *executor);

/* A worker that slept until the deadline has risen: another sleeper keeps the next one. */
void executor_keep_deadline(struct emp_executor *executor);

/* CLOCK_MONOTONIC. */
uint64_t executor_now_ns(void);

#endif
