/*
 * Purpose: moodycamel::ConcurrentQueue beside our MPMC and MPSC channels, with producer tokens.
 * Owner:   this program.
 */
#include "peer_queue.h"

#include <memory>
#include <vector>

#if __has_include(<concurrentqueue/moodycamel/concurrentqueue.h>)
#include <concurrentqueue/moodycamel/concurrentqueue.h>
#else
#include <concurrentqueue/concurrentqueue.h>
#endif

namespace
{

using queue_type = moodycamel::ConcurrentQueue<uint64_t>;

std::unique_ptr<queue_type> queue;
std::vector<std::unique_ptr<moodycamel::ProducerToken>> tokens;
thread_local std::unique_ptr<moodycamel::ConsumerToken> consumer;

void queue_open(unsigned producers)
{
    queue = std::make_unique<queue_type>(4096);
    tokens.clear();
    for (unsigned i = 0; i < producers; i++) {
        tokens.push_back(std::make_unique<moodycamel::ProducerToken>(*queue));
    }
}

void queue_close()
{
    tokens.clear();
    queue.reset();
}

int queue_push(unsigned producer, uint64_t item)
{
    return queue->enqueue(*tokens[producer], item) ? 1 : 0;
}

int queue_pop(uint64_t *item)
{
    if (!consumer) {
        consumer = std::make_unique<moodycamel::ConsumerToken>(*queue);
    }
    return queue->try_dequeue(*consumer, *item) ? 1 : 0;
}

size_t queue_push_batch(unsigned producer, const uint64_t *items, size_t count)
{
    return queue->enqueue_bulk(*tokens[producer], items, count) ? count : 0;
}

size_t queue_pop_batch(uint64_t *items, size_t count)
{
    if (!consumer) {
        consumer = std::make_unique<moodycamel::ConsumerToken>(*queue);
    }
    return queue->try_dequeue_bulk(*consumer, items, count);
}

const peer_queue single = {queue_open, queue_close, queue_push, queue_pop, nullptr,
                           nullptr,    0,           0,          0};
const peer_queue batch = {queue_open,      queue_close, queue_push, queue_pop, queue_push_batch,
                          queue_pop_batch, 0,           0,          0};

const peer_row rows[] = {
    {"spsc.batch", [] { peer_queue_run(&batch, 1, 1); }},
    {"mpmc.2x2", [] { peer_queue_run(&single, 2, 2); }},
    {"mpsc.1", [] { peer_queue_run(&single, 1, 1); }},
    {"mpsc.2", [] { peer_queue_run(&single, 2, 1); }},
    {"mpsc.8", [] { peer_queue_run(&single, 8, 1); }},
    {"mpsc.1000", [] { peer_queue_run(&single, 1000, 1); }},
    {nullptr, nullptr},
};

} // namespace

int main(int count, char **arguments)
{
    return peer_main(count, arguments, rows, "1.0");
}
