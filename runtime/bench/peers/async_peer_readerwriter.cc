/*
 * Purpose: moodycamel::ReaderWriterQueue beside our SPSC channel; and the round trip of two.
 * Owner:   this program.
 */
#include "peer_queue.h"

#include <memory>

#if __has_include(<readerwriterqueue/moodycamel/readerwriterqueue.h>)
#include <readerwriterqueue/moodycamel/readerwriterqueue.h>
#else
#include <readerwriterqueue/readerwriterqueue.h>
#endif

namespace
{

using queue_type = moodycamel::ReaderWriterQueue<uint64_t>;

constexpr size_t slots = 1023;
constexpr size_t trips = 20000;

std::unique_ptr<queue_type> there;
std::unique_ptr<queue_type> back;

void queue_open(unsigned)
{
    there = std::make_unique<queue_type>(slots);
    back = std::make_unique<queue_type>(slots);
}

void queue_close()
{
    there.reset();
    back.reset();
}

int queue_push(unsigned, uint64_t item)
{
    return there->try_enqueue(item) ? 1 : 0;
}

int queue_pop(uint64_t *item)
{
    return there->try_dequeue(*item) ? 1 : 0;
}

void take(queue_type &queue, uint64_t &value)
{
    unsigned spins = 0;

    while (!queue.try_dequeue(value)) {
        peer_wait(&spins);
    }
}

void *answer(void *)
{
    uint64_t value = 0;

    peer_pin(1);
    do {
        take(*there, value);
        back->try_enqueue(value);
    } while (value != UINT64_MAX);
    return nullptr;
}

double trip_batch(void *)
{
    size_t count = peer_amount(trips);
    uint64_t begin = peer_now_ns();
    uint64_t value = 0;

    for (uint64_t i = 0; i < count; i++) {
        there->try_enqueue(i);
        take(*back, value);
        peer_require(value == i, "the round trip brought another value back");
    }
    return static_cast<double>(peer_now_ns() - begin) / static_cast<double>(count);
}

void run_trip()
{
    pthread_t thread;
    uint64_t value = 0;

    queue_open(1);
    peer_pin(0);
    peer_require(pthread_create(&thread, nullptr, answer, nullptr) == 0,
                 "a thread could not be started");
    peer_sample("round trip", trip_batch, nullptr);
    there->try_enqueue(UINT64_MAX);
    take(*back, value);
    pthread_join(thread, nullptr);
    queue_close();
}

const peer_queue single = {queue_open, queue_close, queue_push, queue_pop, nullptr,
                           nullptr,    0,           0,          0};

const peer_row rows[] = {
    {"spsc.single", [] { peer_queue_run(&single, 1, 1); }},
    {"rtt", run_trip},
    {nullptr, nullptr},
};

} // namespace

int main(int count, char **arguments)
{
    return peer_main(count, arguments, rows, "1.0");
}
