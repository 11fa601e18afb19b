/*
 * A typed pool and the line types: one thread makes messages, another consumes and frees them; the
 * messages travel through a ring whose two ends stand on cache lines of their own.
 *
 *     cc -O2 typed_pool.c $(pkg-config --cflags --libs echomem) -pthread && ./a.out
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/cache_utils.h"
#include "core/typed_pool.h"

#define SLOTS    256u
#define MESSAGES 200000u

struct message {
    uint64_t number;
    uint64_t payload[11];
};

/* Gives message_alloc(), message_free(object) and message_destroy(live). */
EMP_POOL_DEFINE(message, struct message)

/* Bounded, one producer, one consumer; neither writes a line that the other writes. */
static struct {
    struct emp_producer_cache_line producer;
    struct emp_consumer_cache_line consumer;
    struct message *slots[SLOTS];
} ring;

static void ring_push(struct message *item)
{
    struct emp_producer_cache_line *mine = &ring.producer;

    while (mine->head - mine->tail_seen == SLOTS) {
        mine->tail_seen = emp_cache_line_observe(&ring.consumer.tail);
        if (mine->head - mine->tail_seen == SLOTS) {
            mine->refused++;
            sched_yield();
        }
    }
    ring.slots[mine->head % SLOTS] = item;
    emp_cache_line_publish(&mine->head, mine->head + 1);
}

static struct message *ring_pop(void)
{
    struct emp_consumer_cache_line *mine = &ring.consumer;

    while (mine->tail == mine->head_seen) {
        mine->head_seen = emp_cache_line_observe(&ring.producer.head);
        if (mine->tail == mine->head_seen) {
            mine->starved++;
            sched_yield();
        }
    }
    struct message *item = ring.slots[mine->tail % SLOTS];
    emp_cache_line_publish(&mine->tail, mine->tail + 1);
    return item;
}

static void *produce(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        struct message *item = message_alloc();

        if (item != NULL) {
            item->number = i;
            item->payload[0] = i * i;
        }
        ring_push(item);
    }
    return NULL;
}

int main(void)
{
    pthread_t producer;
    unsigned wrong = 0;
    size_t live = 0;

    if (pthread_create(&producer, NULL, produce, NULL) != 0) {
        return 1;
    }
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        struct message *item = ring_pop();

        wrong += item == NULL || item->number != i || item->payload[0] != i * i;
        message_free(item);
    }
    pthread_join(producer, NULL);
    enum emp_status status = message_destroy(&live);
    printf("%u messages of %zu bytes passed on, %u wrong, %zu left behind\n", MESSAGES,
           sizeof(struct message), wrong, live);
    return status == EMP_OK && wrong == 0 && live == 0 ? 0 : 1;
}
