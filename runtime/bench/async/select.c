/*
 * Purpose: a task that receives from whichever of four channels has something, while another one
 *          sends to them in turn.
 * Owner:   a child process, one worker.
 */
#include "async/groups.h"

#include "async/channel.h"
#include "async/loop.h"
#include "async/select.h"

#define CHANNELS 4u
#define PLACES   64u
#define ITEMS    ((size_t)20000)

/* The channels, and what came out of them. */
struct select_bench {
    struct emp_async_pool *pool;
    struct emp_executor *executor;
    struct emp_channel *channels[CHANNELS];
    size_t items;
    uint64_t sum;
};

struct feed_body {
    struct select_bench *bench;
    uint64_t count;
    struct emp_channel_wait wait;
};

static enum emp_poll feed_poll(struct emp_task *task, void *body)
{
    struct feed_body *self = body;
    struct emp_waker waker = emp_task_waker(task);
    uint64_t value = 1;

    for (; self->count < self->bench->items; self->count++) {
        enum emp_status status = emp_channel_send_poll(
            self->bench->channels[self->count % CHANNELS], &self->wait, &waker, &value);

        if (status == EMP_ERR_AGAIN) {
            return EMP_POLL_PENDING;
        }
        async_require(status == EMP_OK, "not sent");
    }
    return EMP_POLL_READY;
}

struct select_body {
    struct select_bench *bench;
    uint64_t count;
    struct emp_select_wait wait;
};

static enum emp_poll select_poll(struct emp_task *task, void *body)
{
    struct select_body *self = body;
    struct emp_waker waker = emp_task_waker(task);
    uint64_t values[CHANNELS];
    struct emp_select_case cases[CHANNELS];
    struct emp_select select = {cases, CHANNELS};

    for (unsigned i = 0; i < CHANNELS; i++) {
        cases[i] = (struct emp_select_case){self->bench->channels[i], &values[i], false};
    }
    for (; self->count < self->bench->items; self->count++) {
        size_t chosen = 0;
        enum emp_status status = emp_select_poll(&select, &self->wait, &waker, &chosen);

        if (status == EMP_ERR_AGAIN) {
            return EMP_POLL_PENDING;
        }
        async_require(status == EMP_OK, "not received");
        self->bench->sum += values[chosen];
    }
    return EMP_POLL_READY;
}

static const struct emp_task_type feed_type = {
    .name = "feed", .body_bytes = sizeof(struct feed_body), .body_align = 8, .poll = feed_poll};
static const struct emp_task_type select_type = {.name = "select",
                                                 .body_bytes = sizeof(struct select_body),
                                                 .body_align = 8,
                                                 .poll = select_poll};

static void select_batch(void *context)
{
    static const struct emp_task_type *const types[2] = {&feed_type, &select_type};
    struct select_bench *bench = context;

    bench->sum = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct emp_spawn spawn = {.pool = bench->pool,
                                  .scheduler = emp_executor_scheduler(bench->executor),
                                  .type = types[i],
                                  .args = &bench,
                                  .args_bytes = sizeof bench};

        async_require(emp_task_spawn(&spawn, NULL, NULL) == EMP_OK, "no task");
    }
    emp_executor_run(bench->executor, EMP_EXECUTOR_UNTIL_DONE);
    async_require(bench->sum == bench->items, "elements were lost");
}

static void run_select(struct async_run *run, const struct async_row *row)
{
    struct select_bench bench = {.pool = async_pool_begin(),
                                 .executor = async_executor_begin(1),
                                 .items = async_amount(run, ITEMS) / CHANNELS * CHANNELS};
    struct emp_channel_config config = {
        .kind = EMP_CHANNEL_COMPACT, .element_bytes = sizeof(uint64_t), .capacity = PLACES};

    (void)row;
    for (unsigned i = 0; i < CHANNELS; i++) {
        async_require(emp_channel_create(bench.pool, &config, &bench.channels[i]) == EMP_OK,
                      "no channel");
    }
    async_measure(run, "per item", (double)bench.items, select_batch, &bench);
    async_require(emp_executor_destroy(bench.executor) == EMP_OK, "tasks are still alive");
    for (unsigned i = 0; i < CHANNELS; i++) {
        emp_channel_sender_release(bench.channels[i]);
        emp_channel_receiver_release(bench.channels[i]);
    }
    async_pool_end(bench.pool);
}

static const struct async_row rows[] = {
    {.name = "select.4",
     .title = "select over four channels that another task fills in turn, one worker",
     .apis = BENCH_ON_TYPED,
     .run = run_select},
};

const struct async_group async_select_group = ASYNC_GROUP(rows);
