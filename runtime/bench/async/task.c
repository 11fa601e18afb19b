/*
 * Purpose: tasks from their spawn to their end: on the bare loop, and on the executor.
 * Owner:   a child process, one thread.
 */
#include "async/groups.h"

#include "async/future.h"
#include "async/loop.h"
#include "async/task.h"

#define BATCH_TASKS ((size_t)4096)
#define GROUP_TASKS ((size_t)64)

/* What a spawned task does: as little as it can and be seen. */
struct task_args {
    uint64_t *ran;
};

static enum emp_poll count_poll(struct emp_task *task, void *body)
{
    const struct task_args *args = body;

    (void)task;
    ++*args->ran;
    return EMP_POLL_READY;
}

static enum emp_poll value_poll(struct emp_task *task, void *body)
{
    const struct task_args *args = body;

    emp_task_set_result(task, args->ran, sizeof *args->ran);
    return EMP_POLL_READY;
}

static const struct emp_task_type count_type = {
    .name = "count", .body_bytes = sizeof(struct task_args), .body_align = 8, .poll = count_poll};
static const struct emp_task_type value_type = {
    .name = "value", .body_bytes = sizeof(struct task_args), .body_align = 8, .poll = value_poll};

/* One row in the making. */
struct task_bench {
    struct async_loop loop;
    struct emp_spawn spawn;
    struct task_args args[GROUP_TASKS];
    size_t group; /* tasks between two visits of the queue */
    uint64_t ran;
};

static void task_begin(struct task_bench *bench, const struct emp_task_type *type)
{
    async_loop_begin(&bench->loop);
    for (size_t i = 0; i < GROUP_TASKS; i++) {
        bench->args[i].ran = &bench->ran;
    }
    bench->ran = 0;
    bench->spawn = (struct emp_spawn){.pool = bench->loop.pool,
                                      .scheduler = &bench->loop.scheduler,
                                      .type = type,
                                      .args = bench->args,
                                      .args_bytes = sizeof bench->args[0]};
}

static void spawn_batch(void *context)
{
    struct task_bench *bench = context;
    uint64_t before = bench->ran;

    for (size_t done = 0; done < BATCH_TASKS; done += bench->group) {
        for (size_t i = 0; i < bench->group; i++) {
            async_require(emp_task_spawn(&bench->spawn, NULL, NULL) == EMP_OK, "no task");
        }
        async_loop_run(&bench->loop);
    }
    async_require(bench->ran == before + BATCH_TASKS, "a task did not run");
}

static void run_spawn(struct async_run *run, const struct async_row *row)
{
    struct task_bench bench;

    (void)row;
    task_begin(&bench, &count_type);
    bench.group = GROUP_TASKS;
    async_measure(run, ASYNC_METRIC_TIME, BATCH_TASKS, spawn_batch, &bench);
    bench.group = 1;
    async_measure(run, "one at a time", BATCH_TASKS, spawn_batch, &bench);
    async_loop_end(&bench.loop);
}

static void batch_batch(void *context)
{
    struct task_bench *bench = context;
    uint64_t before = bench->ran;

    for (size_t done = 0; done < BATCH_TASKS; done += GROUP_TASKS) {
        async_require(emp_task_spawn_batch(&bench->spawn, GROUP_TASKS) == GROUP_TASKS, "no tasks");
        async_loop_run(&bench->loop);
    }
    async_require(bench->ran == before + BATCH_TASKS, "a task did not run");
}

static void run_batch(struct async_run *run, const struct async_row *row)
{
    struct task_bench bench;

    (void)row;
    task_begin(&bench, &count_type);
    async_measure(run, ASYNC_METRIC_TIME, BATCH_TASKS, batch_batch, &bench);
    async_loop_end(&bench.loop);
}

static void join_batch(void *context)
{
    struct task_bench *bench = context;

    for (size_t i = 0; i < BATCH_TASKS; i++) {
        struct emp_future *join = NULL;
        uint64_t value = 1;

        async_require(emp_task_spawn(&bench->spawn, &join, NULL) == EMP_OK, "no task");
        async_loop_run(&bench->loop);
        async_require(emp_future_take(join, NULL, &value, sizeof value, NULL) == EMP_OK &&
                          value == bench->ran,
                      "a task has no result");
        emp_future_drop(join);
    }
}

static void run_join(struct async_run *run, const struct async_row *row)
{
    struct task_bench bench;

    (void)row;
    task_begin(&bench, &value_type);
    async_measure(run, ASYNC_METRIC_TIME, BATCH_TASKS, join_batch, &bench);
    async_loop_end(&bench.loop);
}

/* On the executor a task spawns the others, a group between two turns of its own. */
struct spawner {
    struct task_bench *bench;
    size_t left;
};

static enum emp_poll spawner_poll(struct emp_task *task, void *body)
{
    struct spawner *self = body;
    struct emp_waker waker = emp_task_waker(task);

    if (self->left == 0) {
        return EMP_POLL_READY;
    }
    for (size_t i = 0; i < GROUP_TASKS; i++) {
        async_require(emp_task_spawn(&self->bench->spawn, NULL, NULL) == EMP_OK, "no task");
    }
    self->left -= GROUP_TASKS;
    emp_waker_wake_by_ref(&waker);
    return EMP_POLL_PENDING;
}

static const struct emp_task_type spawner_type = {
    .name = "spawner", .body_bytes = sizeof(struct spawner), .body_align = 8, .poll = spawner_poll};

/* The executor's, beside the spawn of the tasks that count. */
struct executor_bench {
    struct task_bench task;
    struct emp_executor *executor;
};

static void executor_batch(void *context)
{
    struct executor_bench *bench = context;
    struct spawner args = {&bench->task, BATCH_TASKS};
    struct emp_spawn spawn = bench->task.spawn;
    uint64_t before = bench->task.ran;

    spawn.type = &spawner_type;
    spawn.args = &args;
    spawn.args_bytes = sizeof args;
    async_require(emp_task_spawn(&spawn, NULL, NULL) == EMP_OK, "no task");
    async_require(emp_executor_run(bench->executor, EMP_EXECUTOR_UNTIL_DONE) == EMP_OK,
                  "the executor does not run");
    async_require(bench->task.ran == before + BATCH_TASKS, "a task did not run");
}

static void run_executor(struct async_run *run, const struct async_row *row)
{
    struct executor_bench bench;

    (void)row;
    task_begin(&bench.task, &count_type);
    bench.executor = async_executor_begin(1);
    bench.task.spawn.scheduler = emp_executor_scheduler(bench.executor);
    async_measure(run, ASYNC_METRIC_TIME, BATCH_TASKS, executor_batch, &bench);
    async_require(emp_executor_destroy(bench.executor) == EMP_OK, "tasks are still alive");
    async_loop_end(&bench.task.loop);
}

static const struct async_row rows[] = {
    {.name = "task.spawn",
     .title = "spawn, run, free of detached tasks on a bare loop, 64 at a time",
     .apis = BENCH_ON_TYPED,
     .goals = {{ASYNC_METRIC_TIME, 25}, {"one at a time", 25}},
     .run = run_spawn},
    {.name = "task.batch64",
     .title = "the same, spawned by emp_task_spawn_batch",
     .apis = BENCH_ON_TYPED,
     .run = run_batch},
    {.name = "task.join",
     .title = "spawn, run, take the result from the join future, one after the other",
     .apis = BENCH_ON_TYPED,
     .run = run_join},
    {.name = "exec.spawn",
     .title = "spawn, run, free on the executor, one worker, by a task that yields after 64",
     .apis = BENCH_ON_TYPED,
     .run = run_executor},
};

const struct async_group async_task_group = ASYNC_GROUP(rows);
