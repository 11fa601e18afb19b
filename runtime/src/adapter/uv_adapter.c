/*
 * Purpose: a scheduler on a libuv loop: the queue of tasks and where in a turn of the loop it runs.
 * Owner:   adapter. Threads: submit by any; all else by the thread of the loop.
 * Design:  [adapter.req.uv] [adapter.proto.uv]
 *
 * A turn of the loop: timers -> idle -> prepare: run the queue -> poll -> check: run the queue.
 * What the callbacks of poll submit runs in check of the same turn; what is left after prepare
 *          keeps poll from waiting, through an idle handle that is active only then.
 */
#include "adapter/uv_adapter.h"

#include <uv.h>

#include "adapter/timer_wheel.h"
#include "async/task.h"
#include "core/advanced_memory_pool.h"

/* Tasks run at most before the loop looks for events again. */
#define TASKS_PER_PHASE 256u

#define NS_PER_MS 1000000u

/* Maintenance of the library, while there is work or something to give back. */
#define TICK_MS 100u

#define UV_HANDLES 6u

/* Tasks in order, linked by emp_task.next. */
struct task_queue {
    struct emp_task *first;
    struct emp_task *last; /* undefined when first is NULL */
    uint64_t count;
};

struct emp_uv {
    struct emp_scheduler scheduler; /* first: the two addresses are one */
    const void *thread;             /* const: address of a thread-local of the loop's thread */
    struct task_queue ready;        /* of the loop's thread */
    uv_loop_t *loop;                /* const */
    bool is_running;                /* within run_ready */
    unsigned open_handles;
    uint64_t runs;
    uint64_t submits;
    struct timer_wheel timers;
    uint64_t timers_fired;
    uint64_t armed_ms; /* when the timer handle fires, on the loop's clock; 0: not armed */
    bool is_ticking;
    uint64_t runs_before; /* at the last tick */
    void (*closed)(void *arg);
    void *closed_arg;
    uv_timer_t tick;
    uv_check_t check;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_timer_t timer;
    uv_async_t async;
    /* What other threads write, under the lock. */
    uv_mutex_t lock;
    struct task_queue far; /* not yet taken over */
    uint64_t far_submits;
    uint64_t far_wakes;
};

/* Its address names the thread, without a call. */
static _Thread_local char thread_mark;

static inline struct emp_uv *uv_of(struct emp_scheduler *scheduler)
{
    return (struct emp_uv *)scheduler;
}

static inline void queue_push(struct task_queue *queue, struct emp_task *task)
{
    task->next = NULL;
    if (queue->first == NULL) {
        queue->first = task;
    } else {
        queue->last->next = task;
    }
    queue->last = task;
    queue->count++;
}

static inline struct emp_task *queue_pop(struct task_queue *queue)
{
    struct emp_task *task = queue->first;

    if (task != NULL) {
        queue->first = task->next;
        queue->count--;
    }
    return task;
}

/* Moves all of source to the end of target. */
static void queue_append(struct task_queue *target, struct task_queue *source)
{
    if (source->first == NULL) {
        return;
    }
    if (target->first == NULL) {
        target->first = source->first;
    } else {
        target->last->next = source->first;
    }
    target->last = source->last;
    target->count += source->count;
    *source = (struct task_queue){0};
}

static void submit_far(struct emp_uv *uv, struct emp_task *task)
{
    uv_mutex_lock(&uv->lock);
    bool was_empty = uv->far.first == NULL;

    queue_push(&uv->far, task);
    uv->far_submits++;
    uv->far_wakes += was_empty;
    if (was_empty) {
        /* Under the lock: an event that is on its way already may bring the loop this task, and the
           loop may go on to close the handle. */
        (void)uv_async_send(&uv->async);
    }
    uv_mutex_unlock(&uv->lock);
}

static void uv_submit(struct emp_scheduler *self, struct emp_task *task, enum emp_submit_reason why)
{
    struct emp_uv *uv = uv_of(self);

    (void)why; /* every reason goes to the end: the order of events is the fair one */
    if (EMP_IF_LIKELY(uv->thread == &thread_mark)) {
        queue_push(&uv->ready, task);
        uv->submits++;
    } else {
        submit_far(uv, task);
    }
}

/* Without work for a tick the thread gives its caches back; without more to do the ticks end, so
   that an idle program sleeps. */
static void on_tick(uv_timer_t *handle)
{
    struct emp_uv *uv = handle->data;
    bool is_quiet = uv->runs == uv->runs_before;

    uv->runs_before = uv->runs;
    if (is_quiet) {
        emp_park();
    }
    if (!emp_tick() && is_quiet) {
        uv->is_ticking = false;
        (void)uv_timer_stop(handle);
    }
}

static void tick_begin(struct emp_uv *uv)
{
    uv->is_ticking = true;
    (void)uv_timer_start(&uv->tick, on_tick, TICK_MS, TICK_MS);
}

size_t emp_uv_run_ready(struct emp_uv *uv)
{
    size_t count = 0;

    if (uv->is_running) {
        return 0;
    }
    uv->is_running = true;
    while (count < TASKS_PER_PHASE) {
        struct emp_task *task = queue_pop(&uv->ready);

        if (task == NULL) {
            break;
        }
        (void)emp_task_run(task);
        count++;
    }
    uv->runs += count;
    uv->is_running = false;
    if (count > 0 && !uv->is_ticking) {
        tick_begin(uv);
    }
    return count;
}

static void on_check(uv_check_t *handle)
{
    (void)emp_uv_run_ready(handle->data);
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle; /* being active is all: poll does not wait then */
}

static void on_prepare(uv_prepare_t *handle)
{
    struct emp_uv *uv = handle->data;

    (void)emp_uv_run_ready(uv);
    if (uv->ready.first != NULL) {
        (void)uv_idle_start(&uv->idle, on_idle);
    } else {
        (void)uv_idle_stop(&uv->idle);
    }
}

static void on_async(uv_async_t *handle)
{
    struct emp_uv *uv = handle->data;

    uv_mutex_lock(&uv->lock);
    queue_append(&uv->ready, &uv->far);
    uv_mutex_unlock(&uv->lock);
}

static void timer_arm(struct emp_uv *uv);

static void on_timer(uv_timer_t *handle)
{
    struct emp_uv *uv = handle->data;

    uint64_t now_ns = uv_hrtime();

    uv->armed_ms = 0;
    /* One that starts itself anew waits for the next time, so that this ends. */
    for (size_t most = uv->timers.count; most > 0; most--) {
        struct emp_timer *timer = timer_wheel_pop(&uv->timers, now_ns);

        if (timer == NULL) {
            break;
        }
        uv->timers_fired++;
        timer->fire(timer);
    }
    timer_arm(uv);
}

/* Sets the handle for what comes next; when it fires too early it is set again. */
static void timer_arm(struct emp_uv *uv)
{
    uint64_t next_ns = timer_wheel_next_ns(&uv->timers);

    if (next_ns == UINT64_MAX) {
        if (uv->armed_ms != 0) {
            (void)uv_timer_stop(&uv->timer);
            uv->armed_ms = 0;
        }
        return;
    }
    uint64_t next_ms = next_ns / NS_PER_MS + 1;

    if (uv->armed_ms != 0 && uv->armed_ms <= next_ms) {
        return;
    }
    uint64_t now_ms = uv_now(uv->loop);

    uv->armed_ms = next_ms;
    (void)uv_timer_start(&uv->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static enum emp_status uv_start_timer(struct emp_scheduler *self, struct emp_timer *timer)
{
    struct emp_uv *uv = uv_of(self);

    if (uv->thread != &thread_mark) {
        return EMP_ERR_STATE;
    }
    timer_wheel_add(&uv->timers, timer);
    timer_arm(uv);
    return EMP_OK;
}

static bool uv_stop_timer(struct emp_scheduler *self, struct emp_timer *timer)
{
    struct emp_uv *uv = uv_of(self);
    bool was_waiting = uv->thread == &thread_mark && timer_wheel_remove(&uv->timers, timer);

    if (was_waiting && uv->timers.count == 0) {
        timer_arm(uv); /* no wake-up for nothing, and none that would keep the loop alive */
    }
    return was_waiting;
}

enum emp_status emp_uv_use_pools(void)
{
    return uv_replace_allocator(emp_malloc, emp_realloc, emp_calloc, emp_free) == 0
               ? EMP_OK
               : EMP_ERR_INVALID;
}

/* Starts the handles whose initialisation cannot fail once the async handle is there. */
static void handles_start(struct emp_uv *uv)
{
    (void)uv_check_init(uv->loop, &uv->check);
    (void)uv_prepare_init(uv->loop, &uv->prepare);
    (void)uv_idle_init(uv->loop, &uv->idle);
    (void)uv_timer_init(uv->loop, &uv->timer);
    (void)uv_timer_init(uv->loop, &uv->tick);
    uv->tick.data = uv->check.data = uv->prepare.data = uv->idle.data = uv->timer.data =
        uv->async.data = uv;
    (void)uv_check_start(&uv->check, on_check);
    (void)uv_prepare_start(&uv->prepare, on_prepare);
    /* The async handle alone keeps the loop alive. */
    uv_unref((uv_handle_t *)&uv->check);
    uv_unref((uv_handle_t *)&uv->prepare);
    uv_unref((uv_handle_t *)&uv->tick);
}

enum emp_status emp_uv_create(struct uv_loop_s *loop, struct emp_uv **out)
{
    if (loop == NULL || out == NULL) {
        return EMP_ERR_INVALID;
    }
    struct emp_uv *uv = emp_calloc(1, sizeof(*uv));

    if (uv == NULL) {
        return EMP_ERR_NOMEM;
    }
    uv->scheduler = (struct emp_scheduler){uv_submit, uv_start_timer, uv_stop_timer};
    uv->loop = loop;
    uv->thread = &thread_mark;
    uv->timers.elapsed = uv_hrtime() >> TIMER_TICK_SHIFT;
    if (uv_mutex_init(&uv->lock) != 0) {
        goto fail_lock;
    }
    if (uv_async_init(loop, &uv->async, on_async) != 0) {
        goto fail_async;
    }
    handles_start(uv);
    uv->open_handles = UV_HANDLES;
    *out = uv;
    return EMP_OK;

fail_async:
    uv_mutex_destroy(&uv->lock);
fail_lock:
    emp_free(uv);
    return EMP_ERR_NOMEM;
}

struct emp_scheduler *emp_uv_scheduler(struct emp_uv *uv)
{
    return &uv->scheduler;
}

enum emp_status emp_uv_get_stats(struct emp_uv *uv, struct emp_uv_stats *out)
{
    if (uv == NULL || out == NULL) {
        return EMP_ERR_INVALID;
    }
    uv_mutex_lock(&uv->lock);
    *out = (struct emp_uv_stats){
        .runs = uv->runs,
        .submits = uv->submits,
        .far_submits = uv->far_submits,
        .far_wakes = uv->far_wakes,
        .timers_fired = uv->timers_fired,
        .timers = uv->timers.count,
        .queued = uv->ready.count + uv->far.count,
    };
    uv_mutex_unlock(&uv->lock);
    return EMP_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct emp_uv *uv = handle->data;

    uv->open_handles--;
    if (uv->open_handles != 0) {
        return;
    }
    void (*closed)(void *arg) = uv->closed;
    void *arg = uv->closed_arg;

    uv_mutex_destroy(&uv->lock);
    emp_free(uv);
    if (closed != NULL) {
        closed(arg);
    }
}

enum emp_status emp_uv_close(struct emp_uv *uv, void (*closed)(void *arg), void *arg)
{
    struct emp_uv_stats stats;

    if (uv == NULL || uv->thread != &thread_mark) {
        return EMP_ERR_INVALID;
    }
    (void)emp_uv_get_stats(uv, &stats);
    if (stats.queued != 0 || stats.timers != 0 || uv->is_running) {
        return EMP_ERR_BUSY;
    }
    uv->closed = closed;
    uv->closed_arg = arg;
    uv_close((uv_handle_t *)&uv->check, on_closed);
    uv_close((uv_handle_t *)&uv->prepare, on_closed);
    uv_close((uv_handle_t *)&uv->idle, on_closed);
    uv_close((uv_handle_t *)&uv->timer, on_closed);
    uv_close((uv_handle_t *)&uv->tick, on_closed);
    uv_close((uv_handle_t *)&uv->async, on_closed);
    return EMP_OK;
}
