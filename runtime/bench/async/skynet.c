/*
 * Purpose: skynet: an actor starts ten, each of them ten, down to a million leaves whose numbers
 *          are summed on the way back. Stackless: a task with join futures; stackful: a coroutine.
 * Owner:   a child process; workers of the executor.
 * Source:  github.com/atemerev/skynet, the rules.
 */
#include "async/groups.h"

#include "async/coroutine.h"
#include "async/future.h"
#include "async/loop.h"
#include "support/atomic.h"
#include "support/clock.h"

#define CHILDREN 10u
#define WAIT_NS  200000u

/* Where an actor and its children come from. */
struct skynet {
    struct emp_async_pool *pool;
    struct emp_executor *executor;
    struct emp_scheduler *scheduler;
    void (*start)(struct skynet *skynet, uint64_t number, uint64_t size, struct emp_future **join);
    uint64_t leaves;
    bool is_threaded; /* the executor's workers have threads of their own */
};

/* What a parent hands over. */
struct actor_args {
    struct skynet *skynet;
    uint64_t number;
    uint64_t size; /* leaves below, itself included */
};

struct actor {
    struct actor_args args;
    uint64_t sum;
    uint32_t started; /* children */
    uint32_t joined;  /* children */
    struct emp_future *joins[CHILDREN];
};

static void actor_start_children(struct actor *self)
{
    uint64_t part = self->args.size / CHILDREN;

    for (; self->started < CHILDREN; self->started++) {
        self->args.skynet->start(self->args.skynet, self->args.number + self->started * part, part,
                                 &self->joins[self->started]);
    }
}

static enum emp_poll actor_poll(struct emp_task *task, void *body)
{
    struct actor *self = body;
    struct emp_waker waker = emp_task_waker(task);

    actor_start_children(self);
    while (self->joined < CHILDREN) {
        uint64_t sum = 0;
        enum emp_status status =
            emp_future_take(self->joins[self->joined], &waker, &sum, sizeof sum, NULL);

        if (status == EMP_ERR_AGAIN) {
            return EMP_POLL_PENDING;
        }
        async_require(status == EMP_OK, "an actor has no sum");
        emp_future_drop(self->joins[self->joined++]);
        self->sum += sum;
    }
    emp_task_set_result(task, &self->sum, sizeof self->sum);
    return EMP_POLL_READY;
}

static enum emp_poll leaf_poll(struct emp_task *task, void *body)
{
    const struct actor_args *args = body;

    emp_task_set_result(task, &args->number, sizeof args->number);
    return EMP_POLL_READY;
}

static const struct emp_task_type actor_type = {
    .name = "actor", .body_bytes = sizeof(struct actor), .body_align = 8, .poll = actor_poll};
static const struct emp_task_type leaf_type = {
    .name = "leaf", .body_bytes = sizeof(struct actor_args), .body_align = 8, .poll = leaf_poll};

static void start_task(struct skynet *skynet, uint64_t number, uint64_t size,
                       struct emp_future **join)
{
    struct actor_args args = {skynet, number, size};
    struct emp_spawn spawn = {.pool = skynet->pool,
                              .scheduler = skynet->scheduler,
                              .type = size == 1 ? &leaf_type : &actor_type,
                              .args = &args,
                              .args_bytes = sizeof args};

    async_require(emp_task_spawn(&spawn, join, NULL) == EMP_OK, "no actor");
}

static void coroutine_entry(void *argument)
{
    struct actor self = {.args = *(const struct actor_args *)argument};

    if (self.args.size == 1) {
        self.sum = self.args.number;
    } else {
        actor_start_children(&self);
        for (; self.joined < CHILDREN; self.joined++) {
            uint64_t sum = 0;

            async_require(emp_await(self.joins[self.joined], &sum, sizeof sum, NULL) == EMP_OK,
                          "an actor has no sum");
            emp_future_drop(self.joins[self.joined]);
            self.sum += sum;
        }
    }
    emp_task_set_result(emp_task_current(), &self.sum, sizeof self.sum);
}

static void start_coroutine(struct skynet *skynet, uint64_t number, uint64_t size,
                            struct emp_future **join)
{
    struct actor_args args = {skynet, number, size};
    struct emp_coroutine_spawn spawn = {.pool = skynet->pool,
                                        .scheduler = skynet->scheduler,
                                        .entry = coroutine_entry,
                                        .args = &args,
                                        .args_bytes = sizeof args,
                                        .site = EMP_SPAWN_SITE()};

    async_require(emp_coroutine_spawn(&spawn, join, NULL) == EMP_OK, "no actor");
}

/* Tells the thread that waits outside of the executor. */
static void *note_clone(void *data)
{
    return data;
}

static void note_wake(void *data)
{
    /* order(bench.skynet): release, only a hint: the future itself says what came before. */
    bench_store_release((uint32_t *)data, 1);
}

static void note_drop(void *data)
{
    (void)data;
}

static const struct emp_waker_vtable note_vtable = {note_clone, note_wake, note_wake, note_drop};

static void skynet_batch(void *context)
{
    struct skynet *skynet = context;
    struct emp_future *join = NULL;
    uint64_t sum = 0;
    uint32_t noted = 0;
    struct emp_waker note = {&note_vtable, &noted};

    skynet->start(skynet, 0, skynet->leaves, &join);
    if (skynet->is_threaded) {
        if (emp_future_poll(join, &note, NULL, 0, NULL) == EMP_ERR_AGAIN) {
            /* order(bench.skynet): acquire, see note_wake. */
            while (bench_load_acquire(&noted) == 0) {
                bench_sleep_ns(WAIT_NS);
            }
        }
    } else {
        async_require(emp_executor_run(skynet->executor, EMP_EXECUTOR_UNTIL_DONE) == EMP_OK,
                      "the executor does not run");
    }
    async_require(emp_future_take(join, NULL, &sum, sizeof sum, NULL) == EMP_OK &&
                      sum == skynet->leaves * (skynet->leaves - 1) / 2,
                  "skynet's sum is wrong");
    emp_future_drop(join);
}

static void run_skynet(struct async_run *run, const struct async_row *row)
{
    struct skynet skynet = {.pool = async_pool_begin(),
                            .executor = async_executor_begin((unsigned)row->threads),
                            .start = row->count == 0 ? start_task : start_coroutine,
                            .leaves = 1,
                            .is_threaded = row->threads > 1};

    skynet.scheduler = emp_executor_scheduler(skynet.executor);
    while (skynet.leaves * CHILDREN <= async_amount(run, ASYNC_MILLION)) {
        skynet.leaves *= CHILDREN;
    }
    if (skynet.is_threaded) {
        async_require(emp_executor_start(skynet.executor, (unsigned)row->threads) == EMP_OK,
                      "no workers");
    }
    async_measure(run, "per actor", (double)(skynet.leaves + (skynet.leaves - 1) / 9), skynet_batch,
                  &skynet);
    async_require(emp_executor_destroy(skynet.executor) == EMP_OK, "actors are still alive");
    async_pool_end(skynet.pool);
}

/* count: 0 stackless, 1 stackful; threads: workers. */
static const struct async_row rows[] = {
    {.name = "skynet.stackless",
     .title = "a million actors, tasks with join futures, one worker",
     .apis = BENCH_ON_TYPED,
     .count = 0,
     .threads = 1,
     .run = run_skynet},
    {.name = "skynet.stackful",
     .title = "a million actors, coroutines, one worker",
     .apis = BENCH_ON_TYPED,
     .count = 1,
     .threads = 1,
     .run = run_skynet},
    {.name = "skynet.two",
     .title = "a million actors, tasks, two workers",
     .apis = BENCH_ON_TYPED,
     .count = 0,
     .threads = 2,
     .run = run_skynet},
};

const struct async_group async_skynet_group = ASYNC_GROUP(rows);
