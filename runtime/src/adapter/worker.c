/*
 * Purpose: what a worker does: its queue, the next task, timers, and the loop over them.
 * Owner:   adapter. Design: [adapter.proto.executor]
 */
#include "adapter/worker.h"

#define LIFO_STREAK_MAX 16u /* runs from the LIFO place before the queue has its turn */
#define LOOK_AROUND     61u /* runs between two looks at the shared queue and the clock; a prime */
#define INJECTED_BATCH  32u /* tasks taken from the shared queue in one go, at most */
#define FIRE_BATCH      64u /* timers fired before tasks have their turn */

__thread struct worker *worker_self;

static inline void count(uint64_t *counter)
{
    EMP_PUBLIC_STORE_RELAXED(counter, *counter + 1);
}

static inline void queue_lock(struct worker *worker)
{
    if (!worker->is_alone) {
        (void)pthread_mutex_lock(&worker->queue_lock);
    }
}

/* Ends a change of the worker's queue. */
static inline void queue_unlock(struct worker *worker)
{
    if (!worker->is_alone) {
        EMP_PUBLIC_STORE_RELAXED(&worker->local_length, worker->local.length);
        (void)pthread_mutex_unlock(&worker->queue_lock);
    }
}

/* Among several workers: the queue's lock, and a look at who sleeps. */
static __attribute__((noinline)) void worker_push_shared(struct worker *self, struct emp_task *task)
{
    struct emp_executor *executor = self->executor;

    queue_lock(self);
    queue_push(&self->local, task);
    queue_unlock(self);
    if (EMP_PUBLIC_LOAD_RELAXED(&executor->idle_count) != 0 &&
        EMP_PUBLIC_LOAD_RELAXED(&executor->waking) == 0) {
        executor_wake_one(executor);
    }
}

void worker_push(struct worker *self, struct emp_task *task)
{
    if (self->is_alone) {
        queue_push(&self->local, task);
    } else {
        worker_push_shared(self, task);
    }
}

static inline struct emp_task *worker_pop(struct worker *self)
{
    if (self->is_alone) {
        return queue_pop(&self->local);
    }
    /* Only its worker puts tasks in, so what it sees empty is empty. */
    if (EMP_PUBLIC_LOAD_RELAXED(&self->local_length) == 0) {
        return NULL;
    }
    queue_lock(self);
    struct emp_task *task = queue_pop(&self->local);

    queue_unlock(self);
    return task;
}

/* Moves the first `length` tasks of a queue, which has as many, to the end of another. */
static void queue_move(struct task_queue *from, struct task_queue *to, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        queue_push(to, queue_pop(from));
    }
}

static void worker_push_all(struct worker *self, struct task_queue *tasks)
{
    queue_lock(self);
    queue_move(tasks, &self->local, tasks->length);
    queue_unlock(self);
}

bool worker_steal(struct worker *self)
{
    struct emp_executor *executor = self->executor;
    const unsigned own = (unsigned)(self - executor->worker);
    struct task_queue loot = {NULL, NULL, 0};

    for (unsigned i = 1; i < executor->workers && loot.head == NULL; i++) {
        struct worker *other = &executor->worker[(own + i) % executor->workers];

        queue_lock(other);
        queue_move(&other->local, &loot, (other->local.length + 1) / 2);
        queue_unlock(other);
    }
    if (loot.head == NULL) {
        return false;
    }
    count(&self->steals);
    worker_push_all(self, &loot);
    return true;
}

bool executor_has_queued(struct emp_executor *executor)
{
    bool is_found = false;

    for (unsigned i = 0; i < executor->workers && !is_found; i++) {
        queue_lock(&executor->worker[i]);
        is_found = executor->worker[i].local.head != NULL;
        queue_unlock(&executor->worker[i]);
    }
    return is_found;
}

/* Takes a share of the shared queue: the first task to run, the rest to the own queue. */
static struct emp_task *worker_take_injected(struct worker *self)
{
    struct emp_executor *executor = self->executor;
    struct task_queue share = {NULL, NULL, 0};

    if (EMP_PUBLIC_LOAD_RELAXED(&executor->injected_length) == 0) {
        return NULL;
    }
    (void)pthread_mutex_lock(&executor->lock);
    size_t length = (executor->injected.length + executor->workers - 1) / executor->workers;

    length = length < INJECTED_BATCH ? length : INJECTED_BATCH;
    queue_move(&executor->injected, &share, length);
    EMP_PUBLIC_STORE_RELAXED(&executor->injected_length, executor->injected.length);
    (void)pthread_mutex_unlock(&executor->lock);
    struct emp_task *first = queue_pop(&share);

    if (share.head != NULL) {
        worker_push_all(self, &share);
    }
    return first;
}

bool executor_fire(struct emp_executor *executor)
{
    unsigned fired = 0;

    if (EMP_PUBLIC_LOAD_RELAXED(&executor->deadline_ns) == UINT64_MAX) {
        return false;
    }
    const uint64_t now_ns = executor_now_ns();

    while (fired < FIRE_BATCH) {
        struct emp_timer *timer = NULL;

        (void)pthread_mutex_lock(&executor->timer_lock);
        timer = timer_wheel_pop(&executor->timers, now_ns);
        EMP_PUBLIC_STORE_RELAXED(&executor->deadline_ns, timer_wheel_next_ns(&executor->timers));
        (void)pthread_mutex_unlock(&executor->timer_lock);
        if (timer == NULL) {
            break;
        }
        timer->fire(timer);
        fired++;
    }
    /* What was woken runs here and may take long. Who parks from now on sees the new deadline. */
    if (fired > 0 && EMP_PUBLIC_LOAD_RELAXED(&executor->idle_count) != 0 &&
        EMP_PUBLIC_LOAD_RELAXED(&executor->deadline_ns) != UINT64_MAX) {
        executor_keep_deadline(executor);
    }
    return fired > 0;
}

/* The task woken last, unless that place had its share of turns. */
static inline struct emp_task *worker_take_lifo(struct worker *self)
{
    struct emp_task *task = self->lifo;

    if (task == NULL) {
        return NULL;
    }
    self->lifo = NULL;
    if (self->lifo_streak < LIFO_STREAK_MAX) {
        self->lifo_streak++;
        return task;
    }
    worker_push(self, task);
    return NULL;
}

/* The next task; NULL: none was found. */
static struct emp_task *worker_next(struct worker *self)
{
    struct emp_task *task = NULL;

    if (++self->tick == LOOK_AROUND) {
        self->tick = 0;
        (void)executor_fire(self->executor);
        task = worker_take_injected(self);
        if (task != NULL) {
            return task;
        }
    }
    task = worker_take_lifo(self);
    if (task != NULL) {
        return task;
    }
    self->lifo_streak = 0;
    task = worker_pop(self);
    return task != NULL ? task : worker_take_injected(self);
}

/* Runs one task. */
static inline void worker_step(struct worker *self, struct emp_task *task)
{
    if (self->is_searching) {
        worker_found(self);
    }
    if (EMP_PUBLIC_LOAD_RELAXED(&self->executor->stopping) == EMP_EXECUTOR_CANCEL) {
        (void)emp_task_abort(task);
    }
    count(&self->polls);
    if (emp_task_run(task) == EMP_RUN_DONE) {
        EMP_PUBLIC_STORE_RELEASE(&self->ended, self->ended + 1); /* behind each spawn it has seen */
    }
}

void worker_run(struct worker *self)
{
    bool stays = true;

    worker_self = self;
    while (stays) {
        struct emp_task *task = worker_next(self);

        if (task != NULL) {
            worker_step(self, task);
        } else if (!executor_fire(self->executor)) {
            stays = worker_park(self);
            self->tick = LOOK_AROUND - 1; /* it may have slept until a deadline: that comes first */
        }
    }
    worker_self = NULL;
}
