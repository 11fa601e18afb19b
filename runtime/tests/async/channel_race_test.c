/*
 * What: channels under real threads: nothing lost or doubled, order of each producer, close beside
 *       sends, the receiver's drop beside sends, parked ends, a thousand producers, and memory that
 *       falls after a burst.
 * How:  values carry producer and number; waits sleep on a condition that the waker signals.
 *       ctest-timeout: 300
 */
#include <pthread.h>
#include <sched.h>

#include "async/channel_fixture.h"

#define PRODUCERS_MAX 1000u
#define RECEIVERS_MAX 4u

static struct emp_channel *channel;
static uint32_t producers;
static uint32_t per_producer;
static uint32_t accepted;     /* atomic: test. sends that said yes */
static uint32_t received;     /* atomic: test. */
static uint32_t out_of_order; /* atomic: test. */
static unsigned char *came;   /* atomic: test. per value, how often */

/* A thread that sleeps until it is woken. */
struct sleeper {
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint32_t wakes;  /* the lock's */
    uint32_t clones; /* atomic: test. wakers that others still hold: one that is late comes here */
};

static void *sleeper_clone(void *data)
{
    struct sleeper *sleeper = data;

    emp_fetch_add_relaxed(&sleeper->clones, 1);
    return data;
}

static void sleeper_wake_by_ref(void *data)
{
    struct sleeper *sleeper = data;

    (void)pthread_mutex_lock(&sleeper->lock);
    sleeper->wakes++;
    (void)pthread_cond_signal(&sleeper->change);
    (void)pthread_mutex_unlock(&sleeper->lock);
}

static void sleeper_drop(void *data)
{
    struct sleeper *sleeper = data;

    emp_fetch_sub_acq_rel(&sleeper->clones, 1);
}

static void sleeper_wake(void *data)
{
    sleeper_wake_by_ref(data);
    sleeper_drop(data);
}

static const struct emp_waker_vtable sleeper_vt = {sleeper_clone, sleeper_wake, sleeper_wake_by_ref,
                                                   sleeper_drop};

static void sleeper_init(struct sleeper *sleeper)
{
    sleeper->wakes = 0;
    sleeper->clones = 0;
    (void)pthread_mutex_init(&sleeper->lock, NULL);
    (void)pthread_cond_init(&sleeper->change, NULL);
}

/* A waker is woken without the channel's lock: the wait may be over by then, the waker must not. */
static void sleeper_end(struct sleeper *sleeper)
{
    while (emp_load_acquire(&sleeper->clones) != 0) {
        (void)sched_yield();
    }
}

/* Until there was one more wake than those that were used up. */
static void sleeper_sleep(struct sleeper *sleeper)
{
    (void)pthread_mutex_lock(&sleeper->lock);
    while (sleeper->wakes == 0) {
        (void)pthread_cond_wait(&sleeper->change, &sleeper->lock);
    }
    sleeper->wakes = 0;
    (void)pthread_mutex_unlock(&sleeper->lock);
}

static enum emp_status send_sleeping(struct sleeper *sleeper, const uint64_t *value)
{
    const struct emp_waker waker = {&sleeper_vt, sleeper};
    struct emp_channel_wait wait = {0};
    enum emp_status status = EMP_OK;

    while ((status = emp_channel_send_poll(channel, &wait, &waker, value)) == EMP_ERR_AGAIN) {
        sleeper_sleep(sleeper);
    }
    return status;
}

static enum emp_status recv_sleeping(struct sleeper *sleeper, uint64_t *value)
{
    const struct emp_waker waker = {&sleeper_vt, sleeper};
    struct emp_channel_wait wait = {0};
    enum emp_status status = EMP_OK;

    while ((status = emp_channel_recv_poll(channel, &wait, &waker, value)) == EMP_ERR_AGAIN) {
        sleeper_sleep(sleeper);
    }
    return status;
}

static void *producer_main(void *arg)
{
    const uint64_t self = (uint64_t)(uintptr_t)arg;
    struct sleeper sleeper;

    sleeper_init(&sleeper);
    for (uint64_t i = 0; i < per_producer; i++) {
        const uint64_t value = self << 32 | i;

        if (send_sleeping(&sleeper, &value) != EMP_OK) {
            break;
        }
        emp_fetch_add_relaxed(&accepted, 1);
    }
    sleeper_end(&sleeper);
    emp_channel_sender_release(channel);
    return NULL;
}

static void *receiver_main(void *arg)
{
    struct sleeper sleeper;
    uint64_t value = 0;
    uint64_t *last = test_calloc(PRODUCERS_MAX, sizeof(*last));

    (void)arg;
    sleeper_init(&sleeper);
    while (recv_sleeping(&sleeper, &value) == EMP_OK) {
        const uint32_t from = (uint32_t)(value >> 32);
        const uint32_t number = (uint32_t)value;

        /* Whoever receives two of one producer receives them in order. */
        if (number + 1 <= last[from]) {
            emp_fetch_add_relaxed(&out_of_order, 1);
        }
        last[from] = number + 1;
        emp_fetch_add_relaxed(&came[(size_t)from * per_producer + number], (unsigned char)1);
        emp_fetch_add_relaxed(&received, 1);
    }
    test_free(last);
    sleeper_end(&sleeper);
    emp_channel_receiver_release(channel);
    return NULL;
}

/* All producers and receivers; a channel that is closed by its last sender, or by closer. */
static void run(enum emp_channel_kind kind, uint32_t capacity, uint32_t senders, uint32_t receivers,
                uint32_t each)
{
    static pthread_t threads[PRODUCERS_MAX + RECEIVERS_MAX];
    pthread_attr_t small;

    producers = senders;
    per_producer = each;
    accepted = 0;
    received = 0;
    out_of_order = 0;
    dropped = 0;
    came = test_calloc((size_t)senders * each, 1);
    channel = channel_new(kind, 8, capacity);
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, 128 * 1024), 0);
    for (uint32_t i = 0; i < receivers; i++) {
        assert_int_equal(pthread_create(&threads[senders + i], &small, receiver_main,
                                        i == 0 ? channel : emp_channel_receiver_retain(channel)),
                         0);
    }
    for (uint32_t i = 0; i < senders; i++) {
        emp_channel_sender_retain(channel);
        assert_int_equal(pthread_create(&threads[i], &small, producer_main, (void *)(uintptr_t)i),
                         0);
    }
    (void)pthread_attr_destroy(&small);
    emp_channel_sender_release(channel);
    for (uint32_t i = 0; i < senders + receivers; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(accepted, (uint64_t)senders * each);
    assert_int_equal(received, accepted);
    assert_int_equal(out_of_order, 0);
    assert_int_equal(dropped, 0);
    for (size_t i = 0; i < (size_t)senders * each; i++) {
        assert_int_equal(came[i], 1);
    }
    test_free(came);
}

static void one_to_one_in_order(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        run(kind, 4, 1, 1, 20000);
        run(kind, 64, 1, 1, 20000);
    }
    run(EMP_CHANNEL_COMPACT, 0, 1, 1, 5000);
}

static void many_to_one_each_once_in_order(void **state)
{
    (void)state;
    run(EMP_CHANNEL_COMPACT, 0, 4, 1, 1000);
    run(EMP_CHANNEL_COMPACT, 5, 4, 1, 1000);
    run(EMP_CHANNEL_BOUNDED, 8, 4, 1, 5000);
    run(EMP_CHANNEL_UNBOUNDED_MPSC, 0, 4, 1, 20000);
}

static void many_to_many_each_once(void **state)
{
    (void)state;
    run(EMP_CHANNEL_COMPACT, 0, 3, 3, 1000);
    run(EMP_CHANNEL_COMPACT, 2, 3, 3, 1000);
    run(EMP_CHANNEL_BOUNDED, 2, 3, 4, 3000);
    run(EMP_CHANNEL_BOUNDED, 64, 4, 4, 5000);
    run(EMP_CHANNEL_UNBOUNDED, 0, 4, 4, 10000);
}

static void a_thousand_producers_finish(void **state)
{
    (void)state;
    run(EMP_CHANNEL_BOUNDED, 64, PRODUCERS_MAX, 1, 20);
    run(EMP_CHANNEL_UNBOUNDED_MPSC, 0, PRODUCERS_MAX, 1, 20);
    run(EMP_CHANNEL_UNBOUNDED, 0, PRODUCERS_MAX, 2, 20);
}

/* Sends until it is refused. */
static void *endless_main(void *arg)
{
    struct sleeper sleeper;
    uint64_t value = 1;

    (void)arg;
    sleeper_init(&sleeper);
    while (send_sleeping(&sleeper, &value) == EMP_OK) {
        emp_fetch_add_relaxed(&accepted, 1);
    }
    sleeper_end(&sleeper);
    emp_channel_sender_release(channel);
    return NULL;
}

static void the_receivers_drop_beside_sends_drops_each_element_once(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned round = 0; round < 40; round++) {
            pthread_t thread;
            uint64_t value = 0;
            uint32_t taken = 0;

            accepted = 0;
            dropped = 0;
            channel = channel_new(kind, 8, 4);
            assert_int_equal(pthread_create(&thread, NULL, endless_main, NULL), 0);
            while (taken < round) {
                if (emp_channel_try_recv(channel, &value) == EMP_OK) {
                    taken++;
                } else {
                    (void)sched_yield();
                }
            }
            emp_channel_receiver_release(channel);
            assert_int_equal(pthread_join(thread, NULL), 0);
            assert_int_equal(accepted, taken + dropped);
        }
    }
}

static void close_beside_sends_lets_all_that_was_accepted_out(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        /* On SPSC only a close by its sender is exact. */
        for (unsigned round = 0; round < 40 && kind != EMP_CHANNEL_SPSC; round++) {
            pthread_t threads[2];
            uint64_t value = 0;
            uint32_t taken = 0;
            enum emp_status status = EMP_OK;

            accepted = 0;
            dropped = 0;
            channel = channel_new(kind, 8, 4);
            for (unsigned i = 0; i < 2; i++) {
                emp_channel_sender_retain(channel);
                assert_int_equal(pthread_create(&threads[i], NULL, endless_main, NULL), 0);
            }
            while ((status = emp_channel_try_recv(channel, &value)) != EMP_ERR_CLOSED) {
                taken += status == EMP_OK ? 1 : 0;
                if (taken >= round) {
                    emp_channel_close(channel);
                }
                if (status == EMP_ERR_AGAIN) {
                    (void)sched_yield();
                }
            }
            for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(pthread_join(threads[i], NULL), 0);
            }
            assert_int_equal(accepted, taken);
            emp_channel_sender_release(channel);
            emp_channel_receiver_release(channel);
            assert_int_equal(dropped, 0);
        }
    }
}

static void memory_falls_after_a_burst(void **state)
{
    static const uint32_t sizes[] = {8, 64};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const char *kind = sizes[i] == 8 ? "channel-block" : "channel-node";
        const uint64_t before = async_pool_in_use(pool, kind);
        unsigned char element[64] = {0};

        channel = channel_new(EMP_CHANNEL_UNBOUNDED_MPSC, sizes[i], 0);
        for (uint32_t n = 0; n < 1000000; n++) {
            assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
        }
        assert_true(async_pool_in_use(pool, kind) > before + 10000);
        while (emp_channel_try_recv(channel, element) == EMP_OK) {
        }
        /* Blocks: the last one and one spare. Nodes: the last one. */
        assert_true(async_pool_in_use(pool, kind) <= before + 2);
        emp_channel_sender_release(channel);
        emp_channel_receiver_release(channel);
        assert_int_equal(async_pool_in_use(pool, kind), before);
    }
}

static void an_idle_compact_channel_takes_64_bytes(void **state)
{
    static struct emp_channel *idle[10000];
    const uint64_t before = async_pool_in_use(pool, "channel");
    struct emp_async_stats stats;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        idle[i] = channel_new(EMP_CHANNEL_COMPACT, 8, 0);
    }
    assert_int_equal(async_pool_in_use(pool, "channel"), before + 10000);
    assert_int_equal(emp_async_pool_get_stats(pool, &stats), EMP_OK);
    for (uint32_t i = 0; i < stats.kinds; i++) {
        if (strcmp(stats.kind[i].name, "channel") == 0) {
            assert_int_equal(stats.kind[i].object_bytes, 64);
        }
    }
    for (unsigned i = 0; i < 10000; i++) {
        channel = idle[i];
        emp_channel_sender_release(channel);
        emp_channel_receiver_release(channel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_to_one_in_order),
        cmocka_unit_test(many_to_one_each_once_in_order),
        cmocka_unit_test(many_to_many_each_once),
        cmocka_unit_test(a_thousand_producers_finish),
        cmocka_unit_test(the_receivers_drop_beside_sends_drops_each_element_once),
        cmocka_unit_test(close_beside_sends_lets_all_that_was_accepted_out),
        cmocka_unit_test(memory_falls_after_a_burst),
        cmocka_unit_test(an_idle_compact_channel_takes_64_bytes),
    };

    return cmocka_run_group_tests(tests, pool_start, pool_end);
}
