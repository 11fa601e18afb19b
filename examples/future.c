/*
 * Futures: a thread works out an answer, the main thread sleeps until a waker tells it that the
 * answer is there; a second future is given up by its producer and says so.
 *
 *     cc future.c $(pkg-config --cflags --libs echomem) && ./a.out
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/async_memory_pool.h"

/* What the main thread sleeps on. A waker may come at any moment, so the flag stays set. */
struct alarm_clock {
    pthread_mutex_t lock;
    pthread_cond_t rings;
    bool has_rung;
};

/* The copy that a custom waker holds is the address of the clock. */
static void ring(void *copy)
{
    struct alarm_clock *clock = *(struct alarm_clock **)copy;

    (void)pthread_mutex_lock(&clock->lock);
    clock->has_rung = true;
    (void)pthread_cond_signal(&clock->rings);
    (void)pthread_mutex_unlock(&clock->lock);
}

/* The producer: it owns the producer's reference and gives it back. */
static void *work(void *future)
{
    unsigned long sum = 0;

    for (unsigned long i = 1; i <= 1000000; i++) {
        sum += i;
    }
    (void)emp_future_resolve(future, &sum, sizeof(sum));
    emp_promise_drop(future);
    return NULL;
}

/* Polls, and sleeps until the waker rings, as often as needed. */
static enum emp_status await(struct emp_future *future, struct emp_async_pool *pool, void *value,
                             size_t bytes)
{
    static const struct emp_waker_calls calls = {ring, NULL, false};
    static struct alarm_clock clock = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct alarm_clock *address = &clock;
    struct emp_waker waker;
    enum emp_status status = emp_waker_custom(pool, &calls, &address, sizeof(address), &waker);

    while (status == EMP_OK &&
           (status = emp_future_poll(future, &waker, value, bytes, NULL)) == EMP_ERR_AGAIN) {
        (void)pthread_mutex_lock(&clock.lock);
        while (!clock.has_rung) {
            (void)pthread_cond_wait(&clock.rings, &clock.lock);
        }
        clock.has_rung = false;
        (void)pthread_mutex_unlock(&clock.lock);
        status = EMP_OK;
    }
    emp_waker_drop(&waker);
    return status;
}

int main(void)
{
    struct emp_async_pool *pool = NULL;
    pthread_t thread;
    unsigned long sum = 0;

    if (emp_async_pool_create(NULL, &pool) != EMP_OK) {
        return 1;
    }
    struct emp_future *answer = emp_future_new(pool);
    struct emp_future *given_up = emp_future_new(pool);

    if (answer == NULL || given_up == NULL || pthread_create(&thread, NULL, work, answer) != 0) {
        return 1;
    }
    enum emp_status status = await(answer, pool, &sum, sizeof(sum));

    printf("the sum is %lu\n", sum);
    emp_promise_drop(given_up);
    bool is_cancelled = emp_future_poll(given_up, NULL, NULL, 0, NULL) == EMP_ERR_CANCELLED;

    (void)pthread_join(thread, NULL);
    emp_future_drop(answer);
    emp_future_drop(given_up);
    return emp_async_pool_destroy(pool, NULL, NULL) == EMP_OK && status == EMP_OK &&
                   sum == 500000500000 && is_cancelled
               ? 0
               : 1;
}
