/*
 * Purpose: queues of 8-byte items under test in the peer programs in C and C++: producers and
 *          consumers behind a gate, all items moved once, nanoseconds per item.
 * Owner:   one peer program; linked to nothing of ours.
 */
#ifndef BENCH_PEERS_PEER_QUEUE_H
#define BENCH_PEERS_PEER_QUEUE_H

#include "peer.h"

#define PEER_SLOW_NS     300000000 /* when a batch is stopped */
#define PEER_QUEUE_ITEMS 65536     /* per batch: few slices of the scheduler */
#define PEER_ITEMS_EACH  1024      /* and so many per thread when there are many */
#define PEER_STACK_BYTES 131072

/*
 * A queue of 8-byte items under test. push and pop are for one item and return 1, or 0 when full or
 * empty; the batch forms, where there are any, move up to 32 and return how many.
 */
struct peer_queue {
    void (*open)(unsigned producers);
    void (*close)(void);
    int (*push)(unsigned producer, uint64_t item);
    int (*pop)(uint64_t *item);
    size_t (*push_batch)(unsigned producer, const uint64_t *items, size_t count);
    size_t (*pop_batch)(uint64_t *items, size_t count);
    unsigned producers;
    unsigned consumers;
    size_t items;
};

#define PEER_BATCH 32

/* What the threads of a run share. A queue that collapses is stopped before it has moved all. */
struct peer_flow {
    const struct peer_queue *queue;
    pthread_barrier_t gate;
    int is_stopped;  /* relaxed: producers end after the push they are in */
    int producing;   /* producers that have not ended; their pushes come before */
    uint64_t pushed; /* read after the joins */
    uint64_t began;  /* when the first thread passed the gate */
    uint64_t ended;  /* when the last consumer had all, or the stop came */
};

/* One thread of a run. */
struct peer_place {
    struct peer_flow *flow;
    unsigned index;
    size_t quota;
    uint64_t in_time; /* consumer: popped before the stop */
    uint64_t sum;     /* consumer: of all that it popped */
};

static inline int peer_is_stopped(const struct peer_flow *flow)
{
    return __atomic_load_n(&flow->is_stopped, __ATOMIC_RELAXED);
}

/* The main thread may not run when the gate opens, so the first thread behind it notes the time. */
static inline void peer_pass_gate(struct peer_flow *flow)
{
    uint64_t unset = 0;

    pthread_barrier_wait(&flow->gate);
    __atomic_compare_exchange_n(&flow->began, &unset, peer_now_ns(), 0, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

/* Notes the end of a consumer's run: the latest counts, none after the stop. */
static inline void peer_note_end(struct peer_flow *flow)
{
    uint64_t now = peer_now_ns();
    uint64_t known = __atomic_load_n(&flow->ended, __ATOMIC_RELAXED);

    while (!peer_is_stopped(flow) && known < now &&
           !__atomic_compare_exchange_n(&flow->ended, &known, now, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
}

static inline void *peer_producer(void *argument)
{
    struct peer_place *place = (struct peer_place *)argument;
    const struct peer_queue *queue = place->flow->queue;
    uint64_t items[PEER_BATCH];
    unsigned spins = 0;
    size_t done = 0;

    for (size_t i = 0; i < PEER_BATCH; i++) {
        items[i] = 1;
    }
    peer_pin(place->index);
    peer_pass_gate(place->flow);
    while (done < place->quota && !peer_is_stopped(place->flow)) {
        size_t left = place->quota - done < PEER_BATCH ? place->quota - done : PEER_BATCH;
        size_t pushed = queue->push_batch != NULL ? queue->push_batch(place->index, items, left)
                                                  : (size_t)queue->push(place->index, 1);

        done += pushed;
        if (pushed == 0) {
            peer_wait(&spins);
        }
    }
    __atomic_fetch_add(&place->flow->pushed, done, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&place->flow->producing, 1, __ATOMIC_RELEASE);
    return NULL;
}

static inline void *peer_consumer(void *argument)
{
    struct peer_place *place = (struct peer_place *)argument;
    const struct peer_queue *queue = place->flow->queue;
    uint64_t items[PEER_BATCH];
    unsigned spins = 0;
    size_t done = 0;

    peer_pin(place->index + 1);
    peer_pass_gate(place->flow);
    while (done < place->quota) {
        int is_last = peer_is_stopped(place->flow) &&
                      __atomic_load_n(&place->flow->producing, __ATOMIC_ACQUIRE) == 0;
        size_t left = place->quota - done < PEER_BATCH ? place->quota - done : PEER_BATCH;
        size_t popped =
            queue->pop_batch != NULL ? queue->pop_batch(items, left) : (size_t)queue->pop(items);

        for (size_t i = 0; i < popped; i++) {
            place->sum += items[i];
        }
        done += popped;
        if (!peer_is_stopped(place->flow)) {
            place->in_time = done;
        }
        if (popped == 0 && is_last) {
            break;
        }
        if (popped == 0) {
            peer_wait(&spins);
        }
    }
    peer_note_end(place->flow);
    return NULL;
}

/* Waits for the consumers; past the time limit it stops the run first. */
static inline void peer_join_consumers(struct peer_flow *flow, const pthread_t *consumers)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += PEER_SLOW_NS;
    limit.tv_sec += limit.tv_nsec / 1000000000;
    limit.tv_nsec %= 1000000000;
    for (unsigned i = 0; i < flow->queue->consumers; i++) {
        if (pthread_timedjoin_np(consumers[i], NULL, &limit) != 0) {
            if (!peer_is_stopped(flow)) {
                flow->ended = peer_now_ns();
                __atomic_store_n(&flow->is_stopped, 1, __ATOMIC_RELAXED);
            }
            pthread_join(consumers[i], NULL);
        }
    }
}

/* Opens the queue, moves all items once, closes it: nanoseconds per item from gate to last item. */
static inline double peer_queue_once(void *context)
{
    const struct peer_queue *queue = (const struct peer_queue *)context;
    struct peer_flow flow;
    unsigned threads = queue->producers + queue->consumers;
    size_t share = queue->items / (queue->producers * queue->consumers);
    struct peer_place *places = (struct peer_place *)calloc(threads, sizeof *places);
    pthread_t *handles = (pthread_t *)calloc(threads, sizeof *handles);
    uint64_t sum = 0;
    uint64_t in_time = 0;
    pthread_attr_t attributes;

    memset(&flow, 0, sizeof flow);
    flow.queue = queue;
    flow.producing = (int)queue->producers;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PEER_STACK_BYTES);
    pthread_barrier_init(&flow.gate, NULL, threads);
    queue->open(queue->producers);
    for (unsigned i = 0; i < threads; i++) {
        int is_producer = i < queue->producers;

        places[i].flow = &flow;
        places[i].index = is_producer ? i : i - queue->producers;
        places[i].quota = share * (is_producer ? queue->consumers : queue->producers);
        peer_require(pthread_create(&handles[i], &attributes,
                                    is_producer ? peer_producer : peer_consumer, &places[i]) == 0,
                     "a thread could not be started");
    }
    peer_join_consumers(&flow, handles + queue->producers);
    for (unsigned i = 0; i < threads; i++) {
        if (i < queue->producers) {
            pthread_join(handles[i], NULL);
        }
        sum += places[i].sum;
        in_time += places[i].in_time;
    }
    peer_require(sum == flow.pushed, "items were lost");
    queue->close();
    pthread_barrier_destroy(&flow.gate);
    free(places);
    free(handles);
    return (double)(flow.ended - flow.began) / (double)(in_time > 0 ? in_time : 1);
}

/* Measures a queue under the metric of all queue rows. */
static inline void peer_queue_run(const struct peer_queue *shape, unsigned producers,
                                  unsigned consumers)
{
    struct peer_queue queue = *shape;
    size_t items_min = producers * consumers * 4u;
    size_t many = (size_t)PEER_ITEMS_EACH * producers * consumers;
    size_t items = peer_amount(many > PEER_QUEUE_ITEMS ? many : PEER_QUEUE_ITEMS);

    queue.producers = producers;
    queue.consumers = consumers;
    queue.items = items < items_min ? items_min : items;
    peer_emit("fastest batch", "ns", peer_sample("per item", peer_queue_once, &queue));
}

#endif
