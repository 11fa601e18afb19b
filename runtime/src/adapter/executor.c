/*
 * Purpose: the executor as its users see it: life, threads, scheduler functions.
 * Owner:   adapter. Design: [adapter.proto.executor]
 */
#include "adapter/executor.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "adapter/worker.h"
#include "core/advanced_memory_pool.h"

static struct emp_executor *executor_of(struct emp_scheduler *scheduler)
{
    return (struct emp_executor *)(void *)scheduler;
}

static bool executor_is_valid(const struct emp_executor *executor)
{
    return executor != NULL && executor->signature == EMP_EXECUTOR_SIGNATURE;
}

/* A child that was forked inside of a task is in a copy of its worker's thread, and no worker. */
static bool caller_is_worker(void)
{
    return worker_self != NULL && worker_self->executor->process == getpid();
}

static void executor_submit(struct emp_scheduler *scheduler, struct emp_task *task,
                            enum emp_submit_reason why)
{
    struct worker *self = worker_self;

    if (self == NULL || &self->executor->scheduler != scheduler) {
        executor_inject(executor_of(scheduler), task, why == EMP_SUBMIT_SPAWN);
        return;
    }
    if (why != EMP_SUBMIT_WAKE) {
        if (why == EMP_SUBMIT_SPAWN) {
            EMP_PUBLIC_STORE_RELAXED(&self->spawned, self->spawned + 1);
        }
        worker_push(self, task);
        return;
    }
    struct emp_task *before = self->lifo;

    self->lifo = task;
    if (before != NULL) {
        worker_push(self, before);
    }
}

static enum emp_status executor_timer_start(struct emp_scheduler *scheduler,
                                            struct emp_timer *timer)
{
    struct emp_executor *executor = executor_of(scheduler);

    (void)pthread_mutex_lock(&executor->timer_lock);
    timer_wheel_add(&executor->timers, timer);
    const uint64_t next_ns = timer_wheel_next_ns(&executor->timers);
    const bool is_first = next_ns < executor->deadline_ns;

    EMP_PUBLIC_STORE_RELAXED(&executor->deadline_ns, next_ns);
    (void)pthread_mutex_unlock(&executor->timer_lock);
    if (is_first && (executor->is_shared || worker_self == NULL)) {
        executor_deadline_changed(executor);
    }
    return EMP_OK;
}

static bool executor_timer_stop(struct emp_scheduler *scheduler, struct emp_timer *timer)
{
    struct emp_executor *executor = executor_of(scheduler);

    (void)pthread_mutex_lock(&executor->timer_lock);
    const bool is_stopped = timer_wheel_remove(&executor->timers, timer);

    EMP_PUBLIC_STORE_RELAXED(&executor->deadline_ns, timer_wheel_next_ns(&executor->timers));
    (void)pthread_mutex_unlock(&executor->timer_lock);
    return is_stopped;
}

/* Undoes what executor_init made of the first `workers` workers. */
static void executor_fini(struct emp_executor *executor, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        (void)pthread_cond_destroy(&executor->worker[i].wake);
        (void)pthread_mutex_destroy(&executor->worker[i].queue_lock);
    }
    (void)pthread_mutex_destroy(&executor->timer_lock);
    (void)pthread_mutex_destroy(&executor->lock);
    executor->signature = 0;
    emp_free(executor);
}

enum emp_status emp_executor_create(unsigned workers, struct emp_executor **out)
{
    if (workers == 0 || workers > EMP_EXECUTOR_WORKERS_MAX || out == NULL) {
        return EMP_ERR_INVALID;
    }
    const size_t bytes = sizeof(struct emp_executor) + workers * sizeof(struct worker);
    struct emp_executor *executor = emp_aligned_alloc(128, (bytes + 127) & ~(size_t)127);
    pthread_condattr_t attributes;

    if (executor == NULL) {
        return EMP_ERR_NOMEM;
    }
    memset(executor, 0, bytes);
    executor->scheduler =
        (struct emp_scheduler){executor_submit, executor_timer_start, executor_timer_stop};
    executor->workers = workers;
    executor->is_shared = workers > 1;
    executor->process = getpid();
    executor->deadline_ns = UINT64_MAX;
    executor->timers.elapsed = executor_now_ns() >> TIMER_TICK_SHIFT;
    /* On Linux none of these needs memory or can fail. */
    (void)pthread_mutex_init(&executor->lock, NULL);
    (void)pthread_mutex_init(&executor->timer_lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    for (unsigned i = 0; i < workers; i++) {
        executor->worker[i].executor = executor;
        executor->worker[i].is_alone = workers == 1;
        (void)pthread_mutex_init(&executor->worker[i].queue_lock, NULL);
        (void)pthread_cond_init(&executor->worker[i].wake, &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    executor->signature = EMP_EXECUTOR_SIGNATURE;
    *out = executor;
    return EMP_OK;
}

struct emp_scheduler *emp_executor_scheduler(struct emp_executor *executor)
{
    return &executor->scheduler;
}

static void *worker_thread(void *arg)
{
    worker_run(arg);
    return NULL;
}

/* Starts one thread for a free worker. Executor lock held. */
static enum emp_status thread_start_locked(struct emp_executor *executor)
{
    struct worker *worker = worker_take_locked(executor, EMP_EXECUTOR_UNTIL_STOP);

    if (worker == NULL) {
        return EMP_ERR_BUSY;
    }
    if (pthread_create(&worker->thread, NULL, worker_thread, worker) != 0) {
        worker->state = WORKER_FREE;
        executor->active--;
        return EMP_ERR_NOMEM;
    }
    worker->has_thread = true;
    return EMP_OK;
}

enum emp_status emp_executor_start(struct emp_executor *executor, unsigned threads)
{
    enum emp_status status = EMP_OK;
    unsigned available = 0;
    sigset_t all;
    sigset_t before;

    if (!executor_is_valid(executor) || threads == 0 || threads > executor->workers) {
        return EMP_ERR_INVALID;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_mutex_lock(&executor->lock);
    for (unsigned i = 0; i < executor->workers; i++) {
        available += executor->worker[i].state == WORKER_FREE && !executor->worker[i].has_thread;
    }
    if (executor->stopping != 0) {
        status = EMP_ERR_STATE;
    } else if (available < threads) {
        status = EMP_ERR_BUSY;
    }
    for (unsigned i = 0; i < threads && status == EMP_OK; i++) {
        status = thread_start_locked(executor);
    }
    (void)pthread_mutex_unlock(&executor->lock);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

enum emp_status emp_executor_run(struct emp_executor *executor, enum emp_executor_until until)
{
    if (!executor_is_valid(executor) || until > EMP_EXECUTOR_UNTIL_STOP) {
        return EMP_ERR_INVALID;
    }
    if (caller_is_worker()) {
        return EMP_ERR_STATE;
    }
    (void)pthread_mutex_lock(&executor->lock);
    struct worker *self = worker_take_locked(executor, until);

    (void)pthread_mutex_unlock(&executor->lock);
    if (self == NULL) {
        return EMP_ERR_BUSY;
    }
    worker_run(self);
    return EMP_OK;
}

enum emp_status emp_executor_stop(struct emp_executor *executor, enum emp_executor_stop how)
{
    if (!executor_is_valid(executor) || (how != EMP_EXECUTOR_DRAIN && how != EMP_EXECUTOR_CANCEL)) {
        return EMP_ERR_INVALID;
    }
    (void)pthread_mutex_lock(&executor->lock);
    if (executor->stopping != EMP_EXECUTOR_CANCEL) {
        EMP_PUBLIC_STORE_RELAXED(&executor->stopping, (uint32_t)how);
    }
    executor_wake_all_locked(executor);
    (void)pthread_mutex_unlock(&executor->lock);
    return EMP_OK;
}

enum emp_status emp_executor_destroy(struct emp_executor *executor)
{
    if (!executor_is_valid(executor)) {
        return EMP_ERR_INVALID;
    }
    if (caller_is_worker()) {
        return EMP_ERR_STATE;
    }
    (void)pthread_mutex_lock(&executor->lock);
    const bool is_asked = executor->stopping != 0;

    (void)pthread_mutex_unlock(&executor->lock);
    if (!is_asked) {
        (void)emp_executor_stop(executor, EMP_EXECUTOR_CANCEL);
    }
    for (unsigned i = 0; i < executor->workers; i++) {
        if (executor->worker[i].has_thread) {
            (void)pthread_join(executor->worker[i].thread, NULL);
            executor->worker[i].has_thread = false;
        }
    }
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_IDLE);
    (void)pthread_mutex_lock(&executor->lock);
    bool is_busy = executor_alive(executor) != 0;

    for (unsigned i = 0; i < executor->workers; i++) {
        is_busy = is_busy || executor->worker[i].state != WORKER_FREE;
    }
    (void)pthread_mutex_unlock(&executor->lock);
    if (is_busy) {
        return EMP_ERR_BUSY;
    }
    executor_fini(executor, executor->workers);
    return EMP_OK;
}

enum emp_status emp_executor_get_stats(struct emp_executor *executor,
                                       struct emp_executor_stats *out)
{
    if (!executor_is_valid(executor) || out == NULL) {
        return EMP_ERR_INVALID;
    }
    memset(out, 0, sizeof(*out));
    (void)pthread_mutex_lock(&executor->lock);
    out->spawned = executor->spawned_foreign;
    out->injections = executor->injections;
    out->alive = executor_alive(executor);
    for (unsigned i = 0; i < executor->workers; i++) {
        const struct worker *worker = &executor->worker[i];

        out->spawned += EMP_PUBLIC_LOAD_RELAXED(&worker->spawned);
        out->polls += EMP_PUBLIC_LOAD_RELAXED(&worker->polls);
        out->steals += EMP_PUBLIC_LOAD_RELAXED(&worker->steals);
        out->parks += worker->parks;
    }
    (void)pthread_mutex_lock(&executor->timer_lock);
    out->timers = executor->timers.count;
    (void)pthread_mutex_unlock(&executor->timer_lock);
    (void)pthread_mutex_unlock(&executor->lock);
    return EMP_OK;
}
