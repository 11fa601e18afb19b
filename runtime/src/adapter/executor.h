/*
 * What it is for: runs tasks and timers on the calling thread, on threads of its own, or both.
 * When not to use it: inside a program that has an event loop already; that loop implements
 *   async/scheduler.h itself.
 * Life cycle: emp_executor_create -> emp_executor_start, emp_executor_run -> emp_executor_stop ->
 *   emp_executor_destroy. It outlives its tasks: destroy refuses while one is alive.
 * Threads: create and destroy by one thread; everything else, and submitting tasks, by any.
 * Fork: a child has none of the workers; it makes an executor of its own, also inside of the task
 *   that forked, and neither runs nor destroys one of its parent.
 * Errors: enum emp_status.
 */
#ifndef EMP_ADAPTER_EXECUTOR_H
#define EMP_ADAPTER_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/scheduler.h"
#include "base/export.h"
#include "base/status_code.h"

struct emp_executor;

#define EMP_EXECUTOR_WORKERS_MAX 64u

/* When emp_executor_run returns. */
enum emp_executor_until {
    EMP_EXECUTOR_UNTIL_IDLE = 0, /* nothing can be run now and no timer is due */
    EMP_EXECUTOR_UNTIL_DONE,     /* no task is alive; waits for wakes and timers */
    EMP_EXECUTOR_UNTIL_STOP      /* emp_executor_stop was called and has had its effect */
};

/* How an executor stops. */
enum emp_executor_stop {
    EMP_EXECUTOR_DRAIN = 1, /* when every task has ended by itself */
    EMP_EXECUTOR_CANCEL /* tasks are cancelled as they are submitted; then as soon as it is idle */
};

/* Counts since creation, and what is there now. */
struct emp_executor_stats {
    uint64_t spawned;    /* tasks */
    uint64_t alive;      /* tasks that have not ended; 0 only if there was a time of none */
    uint64_t polls;      /* runs of tasks */
    uint64_t injections; /* submits by threads that are no workers */
    uint64_t steals;     /* visits to another worker's queue that found something */
    uint64_t parks;      /* times a worker went to sleep */
    uint64_t timers;     /* started and neither fired nor stopped */
};

EMP_EXTERN_C_BEGIN

/**
 * Makes an executor; no thread is started.
 * @param workers 1..EMP_EXECUTOR_WORKERS_MAX, how many threads may run tasks at one time. With one
 * the queue takes no lock. @param out receives it; the caller destroys it.
 * @returns EMP_OK, EMP_ERR_INVALID, EMP_ERR_NOMEM. Errors: as returned. Threads: any. Cost: memory.
 * Since: 0.2. Source: row E2.
 */
EMP_API enum emp_status emp_executor_create(unsigned workers, struct emp_executor **out);

/**
 * Where its tasks are submitted; for struct emp_spawn.
 * @param executor the executor. @returns its scheduler, valid until destroy. Errors: none.
 * Threads: any. Cost: none. Since: 0.2. Source: row E2.
 */
EMP_API struct emp_scheduler *emp_executor_scheduler(struct emp_executor *executor);

/**
 * Starts threads that run tasks until the executor is stopped, with all signals blocked.
 * @param executor the executor. @param threads 1..workers. @returns EMP_OK, EMP_ERR_INVALID,
 * EMP_ERR_STATE (stopped), EMP_ERR_BUSY (no such number of workers is free), EMP_ERR_NOMEM (the
 * system refused a thread; those before it run). Errors: as returned. Threads: any.
 * Cost: system calls. Since: 0.2. Source: row E2.
 */
EMP_API enum emp_status emp_executor_start(struct emp_executor *executor, unsigned threads);

/**
 * Runs tasks and timers on the calling thread, as one of the workers.
 * @param executor the executor. @param until when to return; a stop ends each of them.
 * @returns EMP_OK, EMP_ERR_BUSY (no worker is free), EMP_ERR_STATE (the caller is a worker),
 * EMP_ERR_INVALID. Errors: as returned. Threads: any, several at one time. Cost: the tasks.
 * Since: 0.2. Source: row E2.
 */
EMP_API enum emp_status emp_executor_run(struct emp_executor *executor,
                                         enum emp_executor_until until);

/**
 * Asks all workers to end; returns at once. Of two calls CANCEL wins.
 * @param executor the executor. @param how whether tasks end by themselves or are cancelled. A task
 * that waits for a wake which nobody gives is not found by CANCEL: abort it by a handle.
 * @returns EMP_OK or EMP_ERR_INVALID. Errors: as returned. Threads: any, also from a task.
 * Cost: wakes the workers. Since: 0.2. Source: row E2.
 */
EMP_API enum emp_status emp_executor_stop(struct emp_executor *executor,
                                          enum emp_executor_stop how);

/**
 * Stops (EMP_EXECUTOR_CANCEL unless stop was called), joins the threads, runs on the calling thread
 * what is still queued, frees everything.
 * @param executor from create; not from a task. @returns EMP_OK; EMP_ERR_BUSY: tasks are still
 * alive, the threads are gone and the executor stays: abort them by their handles and call again.
 * EMP_ERR_STATE: called by a worker. Errors: as returned; EMP_ERR_INVALID. Threads: one.
 * Cost: waits for the threads. Since: 0.2. Source: row E2.
 */
EMP_API enum emp_status emp_executor_destroy(struct emp_executor *executor);

/**
 * What it has done. @param executor the executor. @param out receives counts, each exact when no
 * worker runs. @returns EMP_OK or EMP_ERR_INVALID. Errors: as returned. Threads: any.
 * Cost: O(workers). Since: 0.2. Source: row F1.
 */
EMP_API enum emp_status emp_executor_get_stats(struct emp_executor *executor,
                                               struct emp_executor_stats *out);

EMP_EXTERN_C_END

#endif
