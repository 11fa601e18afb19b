/*
 * Purpose: who sleeps and who wakes whom, the shared queue, and when a worker's run ends.
 * Owner:   adapter. Design: [adapter.proto.executor]
 */
#include <time.h>

#include "adapter/worker.h"

#define NS_PER_SECOND 1000000000u

uint64_t executor_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t executor_alive(const struct emp_executor *executor)
{
    uint64_t ended = 0;
    uint64_t spawned = 0;

    /* First who ended, then, with their spawns seen, who was spawned: so 0 was true at one time. */
    for (unsigned i = 0; i < executor->workers; i++) {
        ended += EMP_PUBLIC_LOAD_ACQUIRE(&executor->worker[i].ended);
    }
    for (unsigned i = 0; i < executor->workers; i++) {
        spawned += EMP_PUBLIC_LOAD_RELAXED(&executor->worker[i].spawned);
    }
    return spawned + EMP_PUBLIC_LOAD_RELAXED(&executor->spawned_foreign) - ended;
}

static void idle_add_locked(struct worker *self)
{
    struct emp_executor *executor = self->executor;

    self->is_notified = false;
    self->idle_next = executor->idle;
    executor->idle = self;
    EMP_PUBLIC_STORE_RELAXED(&executor->idle_count, executor->idle_count + 1);
}

static void idle_remove_locked(struct worker *self)
{
    struct emp_executor *executor = self->executor;
    struct worker **link = &executor->idle;

    while (*link != self) {
        link = &(*link)->idle_next;
    }
    *link = self->idle_next;
    EMP_PUBLIC_STORE_RELAXED(&executor->idle_count, executor->idle_count - 1);
}

/* A parked worker is active again. */
static void worker_rise_locked(struct worker *self)
{
    if (self->state == WORKER_PARKED) {
        self->state = WORKER_ACTIVE;
        self->executor->active++;
    }
}

/* Chooses an idle worker, the keeper of the next deadline last, and wakes it. */
static void wake_one_locked(struct emp_executor *executor)
{
    struct worker *chosen = executor->idle;

    if (chosen == NULL || executor->waking != 0) {
        return;
    }
    if (chosen == executor->keeper && chosen->idle_next != NULL) {
        chosen = chosen->idle_next;
    }
    idle_remove_locked(chosen);
    chosen->is_notified = true;
    if (chosen == executor->keeper) {
        executor->keeper = NULL; /* who parks before it has risen keeps the deadline */
    }
    EMP_PUBLIC_STORE_RELAXED(&executor->waking, 1u);
    worker_rise_locked(chosen);
    (void)pthread_cond_signal(&chosen->wake);
}

void executor_wake_one(struct emp_executor *executor)
{
    (void)pthread_mutex_lock(&executor->lock);
    wake_one_locked(executor);
    (void)pthread_mutex_unlock(&executor->lock);
}

void executor_wake_all_locked(struct emp_executor *executor)
{
    for (struct worker *each = executor->idle; each != NULL; each = each->idle_next) {
        (void)pthread_cond_signal(&each->wake);
    }
}

void executor_deadline_changed(struct emp_executor *executor)
{
    (void)pthread_mutex_lock(&executor->lock);
    struct worker *sleeper = executor->keeper != NULL ? executor->keeper : executor->idle;

    if (sleeper != NULL) {
        (void)pthread_cond_signal(&sleeper->wake);
    }
    (void)pthread_mutex_unlock(&executor->lock);
}

void executor_keep_deadline(struct emp_executor *executor)
{
    (void)pthread_mutex_lock(&executor->lock);
    if (executor->keeper == NULL && executor->idle != NULL) {
        (void)pthread_cond_signal(&executor->idle->wake);
    }
    (void)pthread_mutex_unlock(&executor->lock);
}

void executor_inject(struct emp_executor *executor, struct emp_task *task, bool is_new)
{
    (void)pthread_mutex_lock(&executor->lock);
    queue_push(&executor->injected, task);
    EMP_PUBLIC_STORE_RELAXED(&executor->injected_length, executor->injected.length);
    executor->injections++;
    if (is_new) {
        EMP_PUBLIC_STORE_RELAXED(&executor->spawned_foreign, executor->spawned_foreign + 1);
    }
    wake_one_locked(executor);
    (void)pthread_mutex_unlock(&executor->lock);
}

/* The search of a worker that was woken is over; lock held. */
static void search_end_locked(struct worker *self)
{
    if (self->is_searching) {
        self->is_searching = false;
        EMP_PUBLIC_STORE_RELAXED(&self->executor->waking, 0u);
    }
}

void worker_found(struct worker *self)
{
    struct emp_executor *executor = self->executor;

    (void)pthread_mutex_lock(&executor->lock);
    search_end_locked(self);
    if (executor->injected.head != NULL) {
        wake_one_locked(executor);
    }
    const bool may_wake = executor->idle != NULL && executor->waking == 0;

    (void)pthread_mutex_unlock(&executor->lock);
    /* Who pushed during the search woke nobody; behind its end the visit finds what is left. */
    if (may_wake && executor_has_queued(executor)) {
        executor_wake_one(executor);
    }
}

/* Whether the worker, which is parked, has no reason to stay. Lock held. */
static bool reason_has_ended_locked(const struct worker *self)
{
    const struct emp_executor *executor = self->executor;

    if (executor->active != 0 || executor->injected.head != NULL) {
        return false;
    }
    if (self->until == EMP_EXECUTOR_UNTIL_IDLE || executor->stopping == EMP_EXECUTOR_CANCEL) {
        return true;
    }
    return (self->until == EMP_EXECUTOR_UNTIL_DONE || executor->stopping == EMP_EXECUTOR_DRAIN) &&
           executor_alive(executor) == 0;
}

/* Sleeps until a signal, or as keeper until the next deadline. Lock held. */
static void worker_sleep_locked(struct worker *self, uint64_t deadline_ns)
{
    struct emp_executor *executor = self->executor;

    if (deadline_ns == UINT64_MAX || executor->keeper != NULL) {
        (void)pthread_cond_wait(&self->wake, &executor->lock);
        return;
    }
    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / NS_PER_SECOND),
                                   .tv_nsec = (long)(deadline_ns % NS_PER_SECOND)};

    executor->keeper = self;
    (void)pthread_cond_timedwait(&self->wake, &executor->lock, &until);
    if (executor->keeper == self) {
        executor->keeper = NULL;
    }
}

/* The worker is free: the reason for which its thread ran has ended. Lock held. */
static void worker_leave_locked(struct worker *self)
{
    struct emp_executor *executor = self->executor;

    idle_remove_locked(self);
    self->state = WORKER_FREE;
    if (self->until != EMP_EXECUTOR_UNTIL_STOP) {
        executor->watchers--;
    }
    if (executor->idle != NULL) {
        (void)pthread_cond_signal(&executor->idle->wake); /* it may have to keep the deadline now */
    }
}

/* The second half of parking: every queue was seen empty. False: the worker has left. */
static bool worker_wait_locked(struct worker *self)
{
    struct emp_executor *executor = self->executor;

    if (!self->is_notified) {
        self->state = WORKER_PARKED;
        executor->active--;
        self->parks++;
        if (executor->active == 0 && (executor->stopping != 0 || executor->watchers > 0)) {
            executor_wake_all_locked(executor);
        }
    }
    while (!self->is_notified) {
        const uint64_t deadline_ns = EMP_PUBLIC_LOAD_RELAXED(&executor->deadline_ns);

        if (deadline_ns != UINT64_MAX && deadline_ns <= executor_now_ns()) {
            idle_remove_locked(self);
            worker_rise_locked(self);
            return true;
        }
        if (reason_has_ended_locked(self)) {
            worker_leave_locked(self);
            return false;
        }
        worker_sleep_locked(self, deadline_ns);
    }
    self->is_searching = true;
    return true;
}

bool worker_park(struct worker *self)
{
    struct emp_executor *executor = self->executor;

    (void)pthread_mutex_lock(&executor->lock);
    search_end_locked(self);
    if (executor->injected.head != NULL) {
        (void)pthread_mutex_unlock(&executor->lock);
        return true;
    }
    idle_add_locked(self);
    (void)pthread_mutex_unlock(&executor->lock);
    const bool has_stolen = executor->is_shared && worker_steal(self);

    (void)pthread_mutex_lock(&executor->lock);
    bool stays = true;

    if (!has_stolen) {
        stays = worker_wait_locked(self);
    } else if (self->is_notified) {
        self->is_searching = true;
    } else {
        idle_remove_locked(self);
    }
    (void)pthread_mutex_unlock(&executor->lock);
    return stays;
}

struct worker *worker_take_locked(struct emp_executor *executor, enum emp_executor_until until)
{
    for (unsigned i = 0; i < executor->workers; i++) {
        struct worker *worker = &executor->worker[i];

        if (worker->state == WORKER_FREE && !worker->has_thread) {
            worker->state = WORKER_ACTIVE;
            worker->until = until;
            executor->active++;
            executor->watchers += until != EMP_EXECUTOR_UNTIL_STOP;
            return worker;
        }
    }
    return NULL;
}
