/*
 * Two producers and one consumer, all coroutines of one executor: the consumer takes from whichever
 * channel has something, until both are closed.
 */
#include <stdint.h>
#include <stdio.h>

#include "adapter/executor.h"
#include "async/channel_await.h"
#include "async/coroutine.h"
#include "core/async_memory_pool.h"

#define EACH 1000u

static struct emp_channel *channels[2];
static uint64_t received[2];

static void producer(void *args)
{
    struct emp_channel *channel = channels[*(const unsigned *)args];

    for (uint64_t i = 0; i < EACH; i++) {
        if (emp_channel_send(channel, &i) != EMP_OK) {
            break;
        }
    }
    emp_channel_sender_release(channel);
}

static void consumer(void *args)
{
    uint64_t value = 0;
    struct emp_select_case open[2] = {{channels[0], &value, false}, {channels[1], &value, false}};
    size_t count = 2;

    (void)args;
    while (count != 0) {
        size_t chosen = 0;
        enum emp_status status = emp_select(open, count, &chosen);

        if (status == EMP_OK) {
            received[open[chosen].channel == channels[0] ? 0 : 1]++;
        } else if (status == EMP_ERR_CLOSED) {
            open[chosen] = open[--count]; /* the others go on */
        } else {
            break;
        }
    }
}

int main(void)
{
    struct emp_async_pool *pool = NULL;
    struct emp_executor *executor = NULL;

    if (emp_async_pool_create(NULL, &pool) != EMP_OK ||
        emp_executor_create(1, &executor) != EMP_OK) {
        return 1;
    }
    struct emp_coroutine_spawn spawn = {.pool = pool,
                                        .scheduler = emp_executor_scheduler(executor)};

    for (unsigned i = 0; i < 2; i++) {
        const struct emp_channel_config config = {.kind = i == 0 ? EMP_CHANNEL_COMPACT
                                                                 : EMP_CHANNEL_BOUNDED,
                                                  .element_bytes = sizeof(uint64_t),
                                                  .capacity = i == 0 ? 0 : 64};

        if (emp_channel_create(pool, &config, &channels[i]) != EMP_OK) {
            return 1;
        }
        spawn.entry = producer;
        spawn.args = &i;
        spawn.args_bytes = sizeof(i);
        if (emp_coroutine_spawn(&spawn, NULL, NULL) != EMP_OK) {
            return 1;
        }
    }
    spawn.entry = consumer;
    spawn.args_bytes = 0;
    if (emp_coroutine_spawn(&spawn, NULL, NULL) != EMP_OK) {
        return 1;
    }
    (void)emp_executor_run(executor, EMP_EXECUTOR_UNTIL_DONE);
    (void)emp_executor_destroy(executor);
    emp_channel_receiver_release(channels[0]);
    emp_channel_receiver_release(channels[1]);
    printf("received %llu and %llu\n", (unsigned long long)received[0],
           (unsigned long long)received[1]);
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK && received[0] == EACH &&
                   received[1] == EACH
               ? 0
               : 1;
}
