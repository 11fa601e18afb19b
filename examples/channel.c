/*
 * A pipeline of two threads over an SPSC channel: one sends numbers, the other adds them up. Shows
 * batches, close and drain; where the ring is full or empty it yields. Tasks and coroutines wait
 * instead: see select.c.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

#include "async/channel.h"
#include "core/async_memory_pool.h"

#define NUMBERS 1000000u
#define BATCH   32u

static void *sender_main(void *arg)
{
    struct emp_channel *channel = arg;
    uint64_t batch[BATCH];
    uint64_t next = 1;

    while (next <= NUMBERS) {
        size_t count = NUMBERS - next + 1 < BATCH ? NUMBERS - next + 1 : BATCH;
        size_t sent = 0;

        for (size_t i = 0; i < count; i++) {
            batch[i] = next + i;
        }
        if (emp_channel_try_send_batch(channel, batch, count, &sent) == EMP_ERR_CLOSED) {
            break;
        }
        next += sent;
        if (sent == 0) {
            sched_yield();
        }
    }
    emp_channel_sender_release(channel); /* the last sender closes */
    return NULL;
}

int main(void)
{
    const struct emp_channel_config config = {
        .kind = EMP_CHANNEL_SPSC, .element_bytes = sizeof(uint64_t), .capacity = 1024};
    struct emp_async_pool *pool = NULL;
    struct emp_channel *channel = NULL;
    enum emp_status status = EMP_OK;
    uint64_t batch[BATCH];
    uint64_t sum = 0;
    pthread_t sender;

    if (emp_async_pool_create(NULL, &pool) != EMP_OK ||
        emp_channel_create(pool, &config, &channel) != EMP_OK ||
        pthread_create(&sender, NULL, sender_main, channel) != 0) {
        return 1;
    }
    while (status != EMP_ERR_CLOSED) {
        size_t received = 0;

        status = emp_channel_try_recv_batch(channel, batch, BATCH, &received);
        for (size_t i = 0; i < received; i++) {
            sum += batch[i];
        }
        if (status == EMP_ERR_AGAIN) {
            sched_yield();
        }
    }
    pthread_join(sender, NULL);
    emp_channel_receiver_release(channel);
    printf("sum of 1..%u: %llu\n", NUMBERS, (unsigned long long)sum);
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK &&
                   sum == (uint64_t)NUMBERS * (NUMBERS + 1) / 2
               ? 0
               : 1;
}
