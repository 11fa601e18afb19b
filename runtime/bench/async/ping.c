/*
 * Purpose: two tasks that exchange a value through two channels of one place, on one worker and on
 *          two.
 * Owner:   a child process; the executor's workers.
 */
#include "async/groups.h"

#include "async/channel.h"
#include "async/loop.h"
#include "support/atomic.h"
#include "support/clock.h"

#define TRIPS   ((size_t)4096)
#define WAIT_NS 20000u

/* Everything of one row. */
struct ping_bench {
    struct emp_async_pool *pool;
    struct emp_executor *executor;
    struct emp_channel *channels[2]; /* there and back */
    size_t items;
    uint32_t ended; /* atomic: bench.ping. tasks */
    bool is_threaded;
};

struct ping_body {
    struct ping_bench *bench;
    uint64_t value;
    uint64_t count;
    struct emp_channel_wait wait;
    bool is_sent;
};

static enum emp_poll ping_end(struct ping_bench *bench)
{
    /* order(bench.ping): release in both, what the task did comes before its end. */
    bench_fetch_add_acq_rel(&bench->ended, 1);
    return EMP_POLL_READY;
}

/* One direction of an exchange: true when done, false when registered. */
static bool ping_send(struct ping_body *self, struct emp_channel *channel,
                      const struct emp_waker *waker)
{
    enum emp_status status = emp_channel_send_poll(channel, &self->wait, waker, &self->value);

    async_require(status == EMP_OK || status == EMP_ERR_AGAIN, "not sent");
    return status == EMP_OK;
}

static bool ping_receive(struct ping_body *self, struct emp_channel *channel,
                         const struct emp_waker *waker)
{
    enum emp_status status = emp_channel_recv_poll(channel, &self->wait, waker, &self->value);

    async_require(status == EMP_OK || status == EMP_ERR_AGAIN, "not received");
    return status == EMP_OK;
}

static enum emp_poll ping_poll(struct emp_task *task, void *body)
{
    struct ping_body *self = body;
    struct emp_waker waker = emp_task_waker(task);

    while (self->count < self->bench->items) {
        if (!self->is_sent) {
            self->value = self->count;
            if (!ping_send(self, self->bench->channels[0], &waker)) {
                return EMP_POLL_PENDING;
            }
            self->is_sent = true;
        }
        if (!ping_receive(self, self->bench->channels[1], &waker)) {
            return EMP_POLL_PENDING;
        }
        async_require(self->value == self->count, "another value came back");
        self->is_sent = false;
        self->count++;
    }
    return ping_end(self->bench);
}

static enum emp_poll pong_poll(struct emp_task *task, void *body)
{
    struct ping_body *self = body;
    struct emp_waker waker = emp_task_waker(task);

    while (self->count < self->bench->items) {
        if (!self->is_sent) {
            if (!ping_receive(self, self->bench->channels[0], &waker)) {
                return EMP_POLL_PENDING;
            }
            self->is_sent = true;
        }
        if (!ping_send(self, self->bench->channels[1], &waker)) {
            return EMP_POLL_PENDING;
        }
        self->is_sent = false;
        self->count++;
    }
    return ping_end(self->bench);
}

#define PING_TYPE(type_name, function)                                                     \
    static const struct emp_task_type type_name = {.name = #type_name,                     \
                                                   .body_bytes = sizeof(struct ping_body), \
                                                   .body_align = 8,                        \
                                                   .poll = function}

PING_TYPE(ping_type, ping_poll);
PING_TYPE(pong_type, pong_poll);

/* Spawns both and waits until both have ended. */
static void ping_batch(void *context)
{
    static const struct emp_task_type *const types[2] = {&ping_type, &pong_type};
    struct ping_bench *bench = context;

    /* order(bench.ping): relaxed, no task runs. */
    bench_store_relaxed(&bench->ended, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct emp_spawn spawn = {.pool = bench->pool,
                                  .scheduler = emp_executor_scheduler(bench->executor),
                                  .type = types[i],
                                  .args = &bench,
                                  .args_bytes = sizeof bench};

        async_require(emp_task_spawn(&spawn, NULL, NULL) == EMP_OK, "no task");
    }
    /* order(bench.ping): acquire, what the tasks did. */
    while (bench_load_acquire(&bench->ended) < 2) {
        if (bench->is_threaded) {
            bench_sleep_ns(WAIT_NS);
        } else {
            emp_executor_run(bench->executor, EMP_EXECUTOR_UNTIL_DONE);
        }
    }
}

static void ping_begin(struct ping_bench *bench, unsigned workers)
{
    bench->pool = async_pool_begin();
    bench->executor = async_executor_begin(workers);
    bench->is_threaded = workers > 1;
    if (bench->is_threaded) {
        async_require(emp_executor_start(bench->executor, workers) == EMP_OK, "no workers");
    }
}

static void ping_finish(struct ping_bench *bench)
{
    async_require(emp_executor_destroy(bench->executor) == EMP_OK, "tasks are still alive");
    for (unsigned i = 0; i < 2; i++) {
        emp_channel_sender_release(bench->channels[i]);
        emp_channel_receiver_release(bench->channels[i]);
    }
    async_pool_end(bench->pool);
}

static void run_ping(struct async_run *run, const struct async_row *row)
{
    struct ping_bench bench = {.items = async_amount(run, TRIPS)};
    struct emp_channel_config config = {
        .kind = EMP_CHANNEL_COMPACT, .element_bytes = sizeof(uint64_t), .capacity = 1};

    ping_begin(&bench, (unsigned)row->threads);
    for (unsigned i = 0; i < 2; i++) {
        async_require(emp_channel_create(bench.pool, &config, &bench.channels[i]) == EMP_OK,
                      "no channel");
    }
    async_measure(run, "round trip", (double)bench.items, ping_batch, &bench);
    ping_finish(&bench);
}

/* threads: workers. */
static const struct async_row rows[] = {
    {.name = "pingpong.one",
     .title = "two tasks, two channels of one place, one worker",
     .apis = BENCH_ON_TYPED,
     .threads = 1,
     .run = run_ping},
    {.name = "pingpong.two",
     .title = "the same, two workers",
     .apis = BENCH_ON_TYPED,
     .threads = 2,
     .run = run_ping},
};

const struct async_group async_ping_group = ASYNC_GROUP(rows);
