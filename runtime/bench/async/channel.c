/*
 * Purpose: channels of 8-byte elements between threads: SPSC one by one and in batches, MPSC with 1
 *          to 1000 senders, MPMC, and the round trip of two.
 * How:     as the peers do (peers/peer_queue.h): threads behind a gate, all elements moved once,
 *          nanoseconds per element from the gate to the last one received; who finds nothing to do
 *          pauses, and after 64 pauses gives the processor away.
 * Owner:   a child process; senders and receivers on threads of their own, bound to processors.
 */
#include "async/groups.h"

#include <pthread.h>
#include <sched.h>

#include "async/channel.h"
#include "async/loop.h"
#include "support/atomic.h"
#include "support/clock.h"
#include "support/crew.h"
#include "support/stats.h"

#define BATCH       ((size_t)32)
#define CAPACITY    1024u
#define ITEMS       ((size_t)65536) /* per batch: few slices of the scheduler */
#define ITEMS_EACH  ((size_t)1024)  /* and so many per thread when there are many */
#define SPINS       64u
#define TRIPS       ((size_t)20000)
#define THREADS_MAX 1024u

/* Which calls a row makes. */
struct channel_shape {
    enum emp_channel_kind kind;
    unsigned receivers;
    bool is_batch;
};

static const struct channel_shape shapes[] = {
    {EMP_CHANNEL_SPSC, 1, false},
    {EMP_CHANNEL_SPSC, 1, true},
    {EMP_CHANNEL_BOUNDED, 2, false},
    {EMP_CHANNEL_UNBOUNDED_MPSC, 1, false},
};

/* One row in the making. */
struct channel_bench {
    const struct channel_shape *shape;
    struct emp_channel *channel;
    unsigned senders;
    size_t items;           /* a multiple of senders and of receivers */
    pthread_barrier_t gate; /* opens when all threads are there */
    uint64_t sums[2];
    uint64_t began_ns;    /* atomic: bench.channel. when the first thread passed the gate */
    uint64_t ended_ns[2]; /* when a receiver had its last element */
};

static void wait_a_little(unsigned *spins)
{
    if (++*spins % SPINS == 0) {
        sched_yield();
    } else {
        async_pause();
    }
}

static void send_all(const struct channel_bench *bench, size_t quota)
{
    uint64_t items[BATCH];
    unsigned spins = 0;

    for (size_t i = 0; i < BATCH; i++) {
        items[i] = 1;
    }
    for (size_t done = 0; done < quota;) {
        size_t sent = 0;

        if (bench->shape->is_batch) {
            size_t left = quota - done < BATCH ? quota - done : BATCH;

            emp_channel_try_send_batch(bench->channel, items, left, &sent);
        } else {
            sent = emp_channel_try_send(bench->channel, items) == EMP_OK;
        }
        done += sent;
        if (sent == 0) {
            wait_a_little(&spins);
        }
    }
}

static uint64_t receive_all(const struct channel_bench *bench, size_t quota)
{
    uint64_t items[BATCH];
    uint64_t sum = 0;
    unsigned spins = 0;

    for (size_t done = 0; done < quota;) {
        size_t received = 0;

        if (bench->shape->is_batch) {
            size_t left = quota - done < BATCH ? quota - done : BATCH;

            emp_channel_try_recv_batch(bench->channel, items, left, &received);
        } else {
            received = emp_channel_try_recv(bench->channel, items) == EMP_OK;
        }
        for (size_t i = 0; i < received; i++) {
            sum += items[i];
        }
        done += received;
        if (received == 0) {
            wait_a_little(&spins);
        }
    }
    return sum;
}

/* Who measures may not run when the gate opens, so the first thread behind it notes the time. */
static void channel_pass_gate(struct channel_bench *bench)
{
    uint64_t unset = 0;

    pthread_barrier_wait(&bench->gate);
    /* order(bench.channel): relaxed, a number that is read after the joins. */
    __atomic_compare_exchange_n(&bench->began_ns, &unset, bench_now_ns(), false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

static void channel_body(struct bench_crew *crew, unsigned index)
{
    struct channel_bench *bench = crew->context;
    unsigned receiver = index - bench->senders;

    if (index < bench->senders) {
        async_pin(index);
        channel_pass_gate(bench);
        send_all(bench, bench->items / bench->senders);
        return;
    }
    async_pin(receiver + 1);
    channel_pass_gate(bench);
    bench->sums[receiver] = receive_all(bench, bench->items / bench->shape->receivers);
    bench->ended_ns[receiver] = bench_now_ns();
}

/* Moves all elements once. Nanoseconds per element. */
static double channel_once(struct channel_bench *bench)
{
    struct bench_crew crew = {.body = channel_body, .context = bench};
    uint64_t end = 0;
    uint64_t sum = 0;

    bench_crew_start(&crew, bench->senders + bench->shape->receivers);
    bench->began_ns = 0;
    pthread_barrier_init(&bench->gate, NULL, crew.threads);
    bench_crew_go(&crew);
    bench_crew_halt(&crew);
    bench_crew_end(&crew);
    pthread_barrier_destroy(&bench->gate);
    for (unsigned i = 0; i < bench->shape->receivers; i++) {
        sum += bench->sums[i];
        end = bench->ended_ns[i] > end ? bench->ended_ns[i] : end;
    }
    async_require(sum == bench->items, "elements were lost");
    return (double)(end - bench->began_ns) / (double)bench->items;
}

static struct emp_channel *channel_begin(struct emp_async_pool *pool, enum emp_channel_kind kind)
{
    struct emp_channel_config config = {.kind = kind, .element_bytes = sizeof(uint64_t)};
    struct emp_channel *channel = NULL;

    config.capacity = kind == EMP_CHANNEL_UNBOUNDED_MPSC ? 0 : CAPACITY;
    async_require(emp_channel_create(pool, &config, &channel) == EMP_OK, "no channel");
    return channel;
}

static void channel_end(struct emp_channel *channel)
{
    emp_channel_sender_release(channel);
    emp_channel_receiver_release(channel);
}

/* Half a ring sent, then received, by one thread: the calls alone, with no line on its way. */
static void alone_batch(void *context)
{
    const struct channel_bench *bench = context;

    for (size_t done = 0; done < bench->items; done += CAPACITY / 2) {
        send_all(bench, CAPACITY / 2);
        async_require(receive_all(bench, CAPACITY / 2) == CAPACITY / 2, "elements were lost");
    }
}

static void run_channel(struct async_run *run, const struct async_row *row)
{
    static struct bench_samples samples;
    struct emp_async_pool *pool = async_pool_begin();
    struct channel_bench bench = {.shape = &shapes[row->count], .senders = (unsigned)row->threads};
    size_t step = row->threads * bench.shape->receivers;
    uint64_t start = bench_now_ns();

    bench.channel = channel_begin(pool, bench.shape->kind);
    bench.items = ITEMS < ITEMS_EACH * step ? ITEMS_EACH * step : ITEMS;
    bench.items = async_amount(run, bench.items) / step * step;
    bench.items = bench.items < 4 * step ? 4 * step : bench.items;
    channel_once(&bench);
    while (async_goes_on(run, start, samples.count)) {
        bench_samples_add(&samples, channel_once(&bench));
    }
    bench_emit(&run->bench, "per item", BENCH_NS_CALL, bench_samples_median(&samples));
    bench_emit(&run->bench, "fastest batch", BENCH_NS_CALL, samples.values[0]); /* sorted now */
    if (bench.shape->kind == EMP_CHANNEL_SPSC) {
        double calls =
            2 * (double)((bench.items + CAPACITY / 2 - 1) / (CAPACITY / 2) * (CAPACITY / 2));

        async_measure(run, "one thread, a side", calls, alone_batch, &bench);
    }
    channel_end(bench.channel);
    async_pool_end(pool);
}

/* Two channels and who answers. */
struct trip_bench {
    struct emp_channel *there;
    struct emp_channel *back;
    size_t trips;
};

static uint64_t receive(struct emp_channel *channel)
{
    uint64_t value = 0;
    unsigned spins = 0;

    while (emp_channel_try_recv(channel, &value) != EMP_OK) {
        wait_a_little(&spins);
    }
    return value;
}

static void trip_body(struct bench_crew *crew, unsigned index)
{
    struct trip_bench *bench = crew->context;
    uint64_t value;

    (void)index;
    async_pin(1);
    do {
        value = receive(bench->there);
        async_require(emp_channel_try_send(bench->back, &value) == EMP_OK, "no room");
    } while (value != UINT64_MAX);
}

static void trip_batch(void *context)
{
    struct trip_bench *bench = context;

    for (uint64_t i = 0; i < bench->trips; i++) {
        async_require(emp_channel_try_send(bench->there, &i) == EMP_OK, "no room");
        async_require(receive(bench->back) == i, "another value came back");
    }
}

static void run_trip(struct async_run *run, const struct async_row *row)
{
    struct emp_async_pool *pool = async_pool_begin();
    struct trip_bench bench = {channel_begin(pool, EMP_CHANNEL_SPSC),
                               channel_begin(pool, EMP_CHANNEL_SPSC), async_amount(run, TRIPS)};
    struct bench_crew crew = {.body = trip_body, .context = &bench};
    uint64_t last = UINT64_MAX;

    (void)row;
    bench_crew_start(&crew, 1);
    bench_crew_go(&crew);
    async_pin(0);
    async_measure(run, "round trip", (double)bench.trips, trip_batch, &bench);
    async_require(emp_channel_try_send(bench.there, &last) == EMP_OK, "no room");
    async_require(receive(bench.back) == last, "another value came back");
    bench_crew_halt(&crew);
    bench_crew_end(&crew);
    channel_end(bench.there);
    channel_end(bench.back);
    async_pool_end(pool);
}

/* count: which of shapes; threads: senders. */
static const struct async_row rows[] = {
    {.name = "spsc.single",
     .title = "one sender, one receiver, 8 B elements one by one, two threads",
     .apis = BENCH_ON_TYPED,
     .count = 0,
     .threads = 1,
     .goals = {{"per item", 3}, {"fastest batch", 3}},
     .run = run_channel},
    {.name = "spsc.batch",
     .title = "the same, up to 32 elements per call",
     .apis = BENCH_ON_TYPED,
     .count = 1,
     .threads = 1,
     .goals = {{"per item", 3}, {"fastest batch", 3}},
     .run = run_channel},
    {.name = "mpmc.2x2",
     .title = "two senders, two receivers, 1024 places",
     .apis = BENCH_ON_TYPED,
     .count = 2,
     .threads = 2,
     .run = run_channel},
    {.name = "mpsc.1",
     .title = "unbounded, one sender, one receiver",
     .apis = BENCH_ON_TYPED,
     .count = 3,
     .threads = 1,
     .run = run_channel},
    {.name = "mpsc.2",
     .title = "unbounded, two senders",
     .apis = BENCH_ON_TYPED,
     .count = 3,
     .threads = 2,
     .run = run_channel},
    {.name = "mpsc.8",
     .title = "unbounded, eight senders",
     .apis = BENCH_ON_TYPED,
     .count = 3,
     .threads = 8,
     .run = run_channel},
    {.name = "mpsc.1000",
     .title = "unbounded, a thousand senders",
     .apis = BENCH_ON_TYPED,
     .count = 3,
     .threads = 1000,
     .run = run_channel},
    {.name = "rtt",
     .title = "8 B to another thread and back, two SPSC channels, both threads look",
     .apis = BENCH_ON_TYPED,
     .run = run_trip},
};

const struct async_group async_channel_group = ASYNC_GROUP(rows);
