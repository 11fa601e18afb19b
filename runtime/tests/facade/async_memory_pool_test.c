/*
 * What: the facade core/async_memory_pool.h as a runtime uses it: life cycles of futures, tasks,
 *       wakers, channels and coroutines together, on one worker and on several, with ends in any
 *       order, and nothing left in the pools.
 * How:  without arguments each test once, suitable for valgrind and the sanitizers. With
 *       --concurrency and --duration a storm: chains of coroutines, tasks and channels that are
 *       cut off at random; every value has to arrive or be told why not.
 * ctest-timeout: 300
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adapter/executor.h"
#include "async/channel.h"
#include "async/coroutine.h"
#include "core/async_memory_pool.h"

#define NS_PER_MS ((uint64_t)1000000)
#define CHAIN     100u
#define ITEMS     10000u
#define CONSUMERS 4u

/* What the command line asks for. */
struct arguments {
    unsigned workers;
    uint64_t duration_ns;
    uint64_t seed;
    bool storm;
    bool help;
};

static unsigned failures;

/* What every test starts with. */
struct house {
    struct emp_async_pool *pool;
    struct emp_executor *executor;
    struct emp_scheduler *scheduler;
};

static void expect(bool ok, const char *what, unsigned long long got, unsigned long long wanted)
{
    if (!ok) {
        failures++;
        printf("FAILED: %s: got %llu, wanted %llu\n", what, got, wanted);
    }
}

static void expect_equal(const char *what, unsigned long long got, unsigned long long wanted)
{
    expect(got == wanted, what, got, wanted);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct house house_open(unsigned workers)
{
    struct house house = {0};

    expect_equal("pool", emp_async_pool_create(NULL, &house.pool), EMP_OK);
    expect_equal("executor", emp_executor_create(workers, &house.executor), EMP_OK);
    house.scheduler = emp_executor_scheduler(house.executor);
    return house;
}

static void print_leak(const struct emp_async_leak *leak, void *arg)
{
    (void)arg;
    printf("leak: %llu of %s, %s:%u\n", (unsigned long long)leak->objects, leak->kind,
           leak->file != NULL ? leak->file : "?", leak->line);
}

/* Everything has ended by itself, and nothing is in use. */
static void house_close(struct house *house)
{
    expect_equal("executor ends", emp_executor_destroy(house->executor), EMP_OK);
    expect_equal("nothing leaked", emp_async_pool_destroy(house->pool, print_leak, NULL), EMP_OK);
}

/* One link of a chain: awaits the future before it and passes the sum on. */
struct link {
    struct emp_future *before; /* consumer's reference, or NULL: the first */
    struct emp_future *after;  /* producer's reference */
    uint64_t value;
};

static void link_run(void *args)
{
    struct link *link = args;
    uint64_t sum = 0;
    enum emp_status status = EMP_OK;

    if (link->before != NULL) {
        status = emp_await(link->before, &sum, sizeof sum, NULL);
        emp_future_drop(link->before);
    }
    if (status == EMP_OK) {
        sum += link->value;
        (void)emp_future_resolve(link->after, &sum, sizeof sum);
    } else {
        (void)emp_future_cancel(link->after);
    }
    emp_promise_drop(link->after);
}

/* A chain of coroutines; the last future is the caller's. NULL handles: detached. */
static struct emp_future *chain_start(const struct house *house, unsigned links,
                                      struct emp_task **tasks)
{
    struct emp_future *before = NULL;

    for (unsigned i = 0; i < links; i++) {
        struct link link = {before, emp_future_new(house->pool), i};
        const struct emp_coroutine_spawn spawn = {.pool = house->pool,
                                                  .scheduler = house->scheduler,
                                                  .entry = link_run,
                                                  .args = &link,
                                                  .args_bytes = sizeof link,
                                                  .site = EMP_SPAWN_SITE()};

        expect(link.after != NULL, "a future", 0, 1);
        expect_equal("spawn", emp_coroutine_spawn(&spawn, NULL, tasks ? &tasks[i] : NULL), EMP_OK);
        before = link.after;
    }
    return before;
}

static void a_chain_of_coroutines_passes_a_value_on(void)
{
    struct house house = house_open(1);
    struct emp_future *last = chain_start(&house, CHAIN, NULL);
    uint64_t sum = 0;

    expect_equal("run", emp_executor_run(house.executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    expect_equal("poll", emp_future_poll(last, NULL, &sum, sizeof sum, NULL), EMP_OK);
    expect_equal("sum", sum, CHAIN * (CHAIN - 1) / 2);
    emp_future_drop(last);
    house_close(&house);
}

static void a_chain_cut_in_the_middle_ends_behind_the_cut(void)
{
    struct house house = house_open(1);
    struct emp_task *tasks[CHAIN];
    struct emp_future *last = chain_start(&house, CHAIN, tasks);

    /* Before it runs at all: the coroutine is told in its first await, and cancels what follows. */
    expect(emp_task_abort(tasks[CHAIN / 2]), "abort", 0, 1);
    expect_equal("run", emp_executor_run(house.executor, EMP_EXECUTOR_UNTIL_DONE), EMP_OK);
    expect_equal("poll", emp_future_poll(last, NULL, NULL, 0, NULL), EMP_ERR_CANCELLED);
    expect(!emp_task_abort(tasks[CHAIN / 2]), "abort of what has ended", 1, 0);
    for (unsigned i = 0; i < CHAIN; i++) {
        expect(emp_task_is_complete(tasks[i]), "complete", 0, 1);
        emp_task_release(tasks[i]);
    }
    emp_future_drop(last);
    house_close(&house);
}

/* A task of three polls that is woken through a clone of its own waker by another task. */
struct stepper {
    struct emp_waker *mailbox; /* where it leaves its waker */
    unsigned steps;
};

static enum emp_poll stepper_poll(struct emp_task *task, void *body)
{
    struct stepper *stepper = body;
    struct emp_waker own = emp_task_waker(task);

    if (++stepper->steps == 3) {
        return emp_task_set_result(task, &stepper->steps, sizeof stepper->steps) == EMP_OK
                   ? EMP_POLL_READY
                   : EMP_POLL_PENDING;
    }
    *stepper->mailbox = emp_waker_clone(&own);
    return EMP_POLL_PENDING;
}

static const struct emp_task_type stepper_type = {"stepper", sizeof(struct stepper), 8,
                                                  stepper_poll, NULL};

static void a_task_is_polled_once_for_each_wake(void)
{
    struct house house = house_open(1);
    struct emp_waker mailbox = {NULL, NULL};
    const struct stepper args = {&mailbox, 0};
    const struct emp_spawn spawn = {house.pool, house.scheduler, &stepper_type,
                                    &args,      sizeof args,     EMP_SPAWN_SITE()};
    struct emp_future *join = NULL;
    unsigned steps = 0;

    expect_equal("spawn", emp_task_spawn(&spawn, &join, NULL), EMP_OK);
    for (unsigned i = 0; i < 2; i++) {
        (void)emp_executor_run(house.executor, EMP_EXECUTOR_UNTIL_IDLE);
        expect_equal("pending", emp_future_poll(join, NULL, NULL, 0, NULL), EMP_ERR_AGAIN);
        emp_waker_wake(&mailbox);
    }
    (void)emp_executor_run(house.executor, EMP_EXECUTOR_UNTIL_DONE);
    expect_equal("take", emp_future_take(join, NULL, &steps, sizeof steps, NULL), EMP_OK);
    expect_equal("polls", steps, 3);
    expect_equal("again", emp_future_take(join, NULL, &steps, sizeof steps, NULL), EMP_ERR_DONE);
    emp_future_drop(join);
    house_close(&house);
}

/* Sends or receives in a coroutine, waiting as long as it takes. */
static enum emp_status channel_wait(struct emp_channel *channel, void *value, bool is_send)
{
    struct emp_channel_wait wait = {NULL};

    for (;;) {
        struct emp_waker own = emp_task_waker(emp_task_current());
        enum emp_status status = is_send ? emp_channel_send_poll(channel, &wait, &own, value)
                                         : emp_channel_recv_poll(channel, &wait, &own, value);

        if (status != EMP_ERR_AGAIN) {
            return status;
        }
        status = emp_coroutine_suspend();
        if (status != EMP_OK) {
            enum emp_status forgot = emp_channel_forget(channel, &wait);

            return is_send && forgot == EMP_ERR_DONE ? EMP_OK : status;
        }
    }
}

struct trader {
    struct emp_channel *channel;
    _Atomic uint64_t *sum;
    uint64_t first;
    uint64_t count;
};

static void producer_run(void *args)
{
    struct trader *trader = args;

    for (uint64_t i = 0; i < trader->count; i++) {
        uint64_t value = trader->first + i;

        expect_equal("send", channel_wait(trader->channel, &value, true), EMP_OK);
    }
    emp_channel_sender_release(trader->channel);
}

static void consumer_run(void *args)
{
    struct trader *trader = args;
    uint64_t value = 0;

    while (channel_wait(trader->channel, &value, false) == EMP_OK) {
        atomic_fetch_add(trader->sum, value);
    }
    emp_channel_receiver_release(trader->channel);
}

static void trader_start(const struct house *house, void (*entry)(void *), struct trader trader)
{
    const struct emp_coroutine_spawn spawn = {.pool = house->pool,
                                              .scheduler = house->scheduler,
                                              .entry = entry,
                                              .args = &trader,
                                              .args_bytes = sizeof trader,
                                              .site = EMP_SPAWN_SITE()};

    expect_equal("spawn", emp_coroutine_spawn(&spawn, NULL, NULL), EMP_OK);
}

/* Several producers and consumers over one channel of each kind; the sum says that all arrived. */
static void what_is_sent_arrives_once(unsigned workers)
{
    static const struct emp_channel_config configs[] = {
        {.kind = EMP_CHANNEL_COMPACT, .element_bytes = 8, .capacity = 0},
        {.kind = EMP_CHANNEL_COMPACT, .element_bytes = 8, .capacity = 7},
        {.kind = EMP_CHANNEL_SPSC, .element_bytes = 8, .capacity = 64},
        {.kind = EMP_CHANNEL_BOUNDED, .element_bytes = 8, .capacity = 64},
        {.kind = EMP_CHANNEL_UNBOUNDED_MPSC, .element_bytes = 8},
        {.kind = EMP_CHANNEL_UNBOUNDED, .element_bytes = 8},
    };

    for (size_t k = 0; k < sizeof configs / sizeof configs[0]; k++) {
        struct house house = house_open(workers);
        const bool one_sender = configs[k].kind == EMP_CHANNEL_SPSC;
        const bool one_receiver = one_sender || configs[k].kind == EMP_CHANNEL_UNBOUNDED_MPSC;
        const unsigned senders = one_sender ? 1 : CONSUMERS;
        const unsigned receivers = one_receiver ? 1 : CONSUMERS;
        struct emp_channel *channel = NULL;
        _Atomic uint64_t sum = 0;

        expect_equal("channel", emp_channel_create(house.pool, &configs[k], &channel), EMP_OK);
        for (unsigned i = 0; i < receivers; i++) {
            trader_start(&house, consumer_run,
                         (struct trader){i == 0 ? channel : emp_channel_receiver_retain(channel),
                                         &sum, 0, 0});
        }
        for (unsigned i = 0; i < senders; i++) {
            trader_start(&house, producer_run,
                         (struct trader){i == 0 ? channel : emp_channel_sender_retain(channel),
                                         &sum, i * (ITEMS / senders), ITEMS / senders});
        }
        if (workers > 1) {
            expect_equal("start", emp_executor_start(house.executor, workers - 1), EMP_OK);
        }
        (void)emp_executor_run(house.executor, EMP_EXECUTOR_UNTIL_DONE);
        expect_equal("sum", sum, (uint64_t)ITEMS * (ITEMS - 1) / 2);
        house_close(&house);
    }
}

/* Awaits a future that may come, be cancelled, or be too late. */
struct waiter {
    struct emp_future *future; /* consumer's reference */
    uint64_t deadline_ns;
    _Atomic unsigned *counts; /* by status */
};

static void waiter_run(void *args)
{
    struct waiter *waiter = args;
    uint64_t value = 0;
    enum emp_status status =
        emp_await_until(waiter->future, &value, sizeof value, NULL, waiter->deadline_ns);

    atomic_fetch_add(&waiter->counts[status], 1);
    emp_future_drop(waiter->future);
}

static void a_wait_ends_by_value_by_time_or_by_abort(void)
{
    struct house house = house_open(2);
    struct emp_future *future = emp_future_new(house.pool);
    struct emp_future *never = emp_future_new(house.pool);
    struct emp_task *aborted[10];
    _Atomic unsigned counts[EMP_ERR_TOO_BIG + 1] = {0};
    const uint64_t soon = now_ns() + 20 * NS_PER_MS;
    const uint64_t late = now_ns() + 60000 * NS_PER_MS;
    const uint64_t value = 42;

    for (unsigned i = 0; i < 30; i++) {
        struct waiter args = {emp_future_retain(i < 10 ? future : never), i < 20 ? late : soon,
                              counts};
        const struct emp_coroutine_spawn spawn = {.pool = house.pool,
                                                  .scheduler = house.scheduler,
                                                  .entry = waiter_run,
                                                  .args = &args,
                                                  .args_bytes = sizeof args};
        const bool is_aborted = i >= 10 && i < 20;

        args.deadline_ns = i < 20 ? late : soon;
        expect_equal("spawn",
                     emp_coroutine_spawn(&spawn, NULL, is_aborted ? &aborted[i - 10] : NULL),
                     EMP_OK);
    }
    expect_equal("start", emp_executor_start(house.executor, 1), EMP_OK);
    (void)emp_executor_run(house.executor, EMP_EXECUTOR_UNTIL_IDLE);
    expect_equal("resolve", emp_future_resolve(future, &value, sizeof value), EMP_OK);
    for (unsigned i = 0; i < 10; i++) {
        expect(emp_task_abort(aborted[i]), "abort", 0, 1);
        emp_task_release(aborted[i]);
    }
    (void)emp_executor_run(house.executor, EMP_EXECUTOR_UNTIL_DONE);
    expect_equal("values", counts[EMP_OK], 10);
    expect_equal("aborts", counts[EMP_ERR_CANCELLED], 10);
    expect_equal("times over", counts[EMP_ERR_TIMED_OUT], 10);
    emp_promise_drop(future);
    emp_future_drop(future);
    emp_promise_drop(never);
    emp_future_drop(never);
    house_close(&house);
}

/* One round of the storm: chains that are cut at random from outside while workers run them. */
static uint64_t storm_round(const struct house *house, uint64_t *seed)
{
    struct emp_task *tasks[CHAIN];
    struct emp_future *last = chain_start(house, CHAIN, tasks);
    uint64_t sum = 0;

    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    const unsigned cut = (unsigned)(*seed >> 33) % (2 * CHAIN);

    if (cut < CHAIN) {
        (void)emp_task_abort(tasks[cut]);
    }
    for (unsigned i = 0; i < CHAIN; i++) {
        emp_task_release(tasks[i]);
    }
    enum emp_status status = emp_future_poll(last, NULL, &sum, sizeof sum, NULL);

    for (unsigned i = 0; status == EMP_ERR_AGAIN && i < 1000000; i++) { /* a minute and more */
        const struct timespec pause = {0, 20000};

        nanosleep(&pause, NULL);
        status = emp_future_poll(last, NULL, &sum, sizeof sum, NULL);
    }
    expect(status == EMP_OK ? sum == CHAIN * (CHAIN - 1) / 2 : status == EMP_ERR_CANCELLED,
           "a chain ends with its sum or cancelled", (unsigned long long)status, sum);
    emp_future_drop(last);
    return CHAIN;
}

/* Storms from several foreign threads. */
struct storm {
    const struct house *house;
    uint64_t seed;
    uint64_t until_ns;
    uint64_t coroutines;
};

static void *storm_body(void *arg)
{
    struct storm *storm = arg;

    do {
        storm->coroutines += storm_round(storm->house, &storm->seed);
    } while (now_ns() < storm->until_ns && failures == 0);
    return NULL;
}

static void chains_from_many_threads_end_whatever_is_cut(unsigned threads, uint64_t duration_ns,
                                                         uint64_t seed, bool tell)
{
    struct house house = house_open(4);
    struct storm *storms = calloc(threads, sizeof *storms);
    pthread_t *ids = calloc(threads, sizeof *ids);
    const uint64_t begin = now_ns();
    uint64_t total = 0;

    expect_equal("start", emp_executor_start(house.executor, 4), EMP_OK);
    for (unsigned i = 0; i < threads; i++) {
        storms[i] = (struct storm){&house, seed + i, begin + duration_ns, 0};
        expect_equal("thread", (unsigned)pthread_create(&ids[i], NULL, storm_body, &storms[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        total += storms[i].coroutines;
    }
    if (tell) {
        printf("%llu coroutines of %u threads in %.1f s\n", (unsigned long long)total, threads,
               (double)(now_ns() - begin) / 1e9);
    }
    expect_equal("stop", emp_executor_stop(house.executor, EMP_EXECUTOR_DRAIN), EMP_OK);
    house_close(&house);
    free(ids);
    free(storms);
}

static int self_test(uint64_t seed)
{
    a_chain_of_coroutines_passes_a_value_on();
    a_chain_cut_in_the_middle_ends_behind_the_cut();
    a_task_is_polled_once_for_each_wake();
    what_is_sent_arrives_once(1);
    what_is_sent_arrives_once(3);
    a_wait_ends_by_value_by_time_or_by_abort();
    chains_from_many_threads_end_whatever_is_cut(4, 200 * NS_PER_MS, seed, false);
    printf("async_memory_pool_test: %s (seed %llu)\n", failures == 0 ? "passed" : "FAILED",
           (unsigned long long)seed);
    return failures == 0 ? 0 : 1;
}

static bool parse_argument(const char *text, struct arguments *arguments)
{
    unsigned long long number = 0;
    char rest = 0;

    if (strcmp(text, "--help") == 0) {
        arguments->help = true;
    } else if (sscanf(text, "--concurrency=%llu%c", &number, &rest) == 1 && number >= 1 &&
               number <= 10000) {
        arguments->workers = (unsigned)number;
        arguments->storm = true;
    } else if ((sscanf(text, "--duration=%llus%c", &number, &rest) == 1) && number <= 1000000) {
        arguments->duration_ns = number * 1000 * NS_PER_MS;
        arguments->storm = true;
    } else if (sscanf(text, "--seed=%llu%c", &number, &rest) == 1) {
        arguments->seed = number;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .workers = 4, .duration_ns = (uint64_t)10000 * NS_PER_MS, .seed = 1};

    for (int i = 1; i < argc; i++) {
        if (!parse_argument(argv[i], &arguments)) {
            fprintf(stderr, "async_memory_pool_test: cannot use %s; see --help\n", argv[i]);
            return 2;
        }
    }
    if (arguments.help) {
        printf("async_memory_pool_test [--seed=N]: every life cycle once\n"
               "  --concurrency=N  threads that start and cut chains of coroutines (4)\n"
               "  --duration=Ts    for T seconds (10)\n");
        return 0;
    }
    if (!arguments.storm) {
        return self_test(arguments.seed);
    }
    chains_from_many_threads_end_whatever_is_cut(arguments.workers, arguments.duration_ns,
                                                 arguments.seed, true);
    return failures == 0 ? 0 : 1;
}
