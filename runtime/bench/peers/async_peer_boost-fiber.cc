/*
 * Purpose: Boost.Fiber beside our tasks and coroutines, on one thread with its round robin.
 * Owner:   this program, one thread.
 */
#include "peer.h"

#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>

#include <memory>
#include <vector>

namespace
{

namespace fib = boost::fibers;

constexpr size_t batch_tasks = 1024;
constexpr size_t switches = 8192;
constexpr size_t stack_bytes = 16384;
constexpr size_t locals = 16;

boost::context::pooled_fixedsize_stack &stacks()
{
    static boost::context::pooled_fixedsize_stack pool(stack_bytes);

    return pool;
}

double per(uint64_t begin, size_t operations)
{
    return static_cast<double>(peer_now_ns() - begin) / static_cast<double>(operations);
}

double spawn_batch(void *)
{
    size_t ran = 0;
    uint64_t begin = peer_now_ns();

    for (size_t i = 0; i < batch_tasks; i++) {
        fib::fiber(fib::launch::post, std::allocator_arg, stacks(), [&ran] { ran++; }).detach();
        if (i % 64 == 63) {
            boost::this_fiber::yield();
        }
    }
    while (ran < batch_tasks) {
        boost::this_fiber::yield();
    }
    return per(begin, batch_tasks);
}

double join_batch(void *)
{
    uint64_t begin = peer_now_ns();

    for (size_t i = 0; i < batch_tasks; i++) {
        fib::fiber fiber(fib::launch::post, std::allocator_arg, stacks(), [] {});

        fiber.join();
    }
    return per(begin, batch_tasks);
}

double create_batch(void *)
{
    uint64_t begin = peer_now_ns();

    for (size_t i = 0; i < batch_tasks; i++) {
        fib::fiber(fib::launch::dispatch, std::allocator_arg, stacks(), [] {}).join();
    }
    return per(begin, batch_tasks);
}

double pingpong_batch(void *)
{
    fib::unbuffered_channel<uint64_t> there;
    fib::unbuffered_channel<uint64_t> back;
    fib::fiber other(std::allocator_arg, stacks(), [&there, &back] {
        for (uint64_t value : there) {
            back.push(value);
        }
    });
    uint64_t begin = peer_now_ns();
    double result;

    for (uint64_t i = 0; i < batch_tasks; i++) {
        there.push(i);
        peer_require(back.value_pop() == i, "another value came back");
    }
    result = per(begin, batch_tasks);
    there.close();
    other.join();
    return result;
}

double switch_batch(void *context)
{
    size_t count = *static_cast<size_t *>(context);
    size_t turns = switches / count < 2 ? 2 : switches / count;
    std::vector<fib::fiber> fibers;
    uint64_t begin;
    bool is_open = false;

    for (size_t i = 0; i < count; i++) {
        fibers.emplace_back(fib::launch::dispatch, std::allocator_arg, stacks(), [turns, &is_open] {
            while (!is_open) {
                boost::this_fiber::yield();
            }
            for (size_t turn = 0; turn < turns; turn++) {
                boost::this_fiber::yield();
            }
        });
    }
    is_open = true;
    begin = peer_now_ns();
    for (fib::fiber &fiber : fibers) {
        fiber.join();
    }
    return per(begin, turns * count);
}

uint64_t skynet(uint64_t number, uint64_t size)
{
    fib::buffered_channel<uint64_t> results(16);
    uint64_t sum = 0;

    if (size == 1) {
        return number;
    }
    for (uint64_t i = 0; i < 10; i++) {
        fib::fiber(fib::launch::dispatch, std::allocator_arg, stacks(),
                   [&results, i, number, size] {
                       results.push(skynet(number + i * (size / 10), size / 10));
                   })
            .detach();
    }
    for (int i = 0; i < 10; i++) {
        sum += results.value_pop();
    }
    return sum;
}

double skynet_batch(void *context)
{
    uint64_t leaves = *static_cast<uint64_t *>(context);
    uint64_t begin = peer_now_ns();

    peer_require(skynet(0, leaves) == leaves * (leaves - 1) / 2, "skynet's sum is wrong");
    return per(begin, leaves + (leaves - 1) / 9);
}

void run_skynet()
{
    uint64_t leaves = 1;

    while (leaves * 10 <= peer_amount(PEER_MILLION)) {
        leaves *= 10;
    }
    peer_sample("per actor", skynet_batch, &leaves);
}

void run_switch(size_t count)
{
    peer_sample("yield", switch_batch, &count);
}

/* The gate of idle fibers. */
struct idle_state {
    fib::mutex lock;
    fib::condition_variable changed;
    bool is_open = false;
    size_t wrong = 0;
};

__attribute__((noinline)) uint64_t idle_inner(idle_state &state, const uint64_t *outer)
{
    volatile uint64_t own[locals];
    uint64_t sum = 0;

    for (size_t i = 0; i < locals; i++) {
        own[i] = outer[i] * 3;
    }
    {
        std::unique_lock<fib::mutex> guard(state.lock);

        state.changed.wait(guard, [&state] { return state.is_open; });
    }
    for (size_t i = 0; i < locals; i++) {
        sum += own[i] + outer[i];
    }
    return sum;
}

__attribute__((noinline)) uint64_t idle_outer(idle_state &state, uint64_t seed)
{
    uint64_t own[locals];

    for (size_t i = 0; i < locals; i++) {
        own[i] = seed + i;
    }
    return idle_inner(state, own);
}

/* A tenth of a million, as for Boost.Context. */
void run_idle()
{
    size_t count = peer_amount(PEER_MILLION / 10);
    idle_state state;
    std::vector<fib::fiber> fibers;
    size_t before;
    uint64_t begin;

    fibers.reserve(count);
    before = peer_memory_bytes();
    for (size_t i = 0; i < count; i++) {
        fibers.emplace_back(fib::launch::dispatch, std::allocator_arg, stacks(), [&state, i] {
            state.wrong += idle_outer(state, i) != 4 * (16 * i + 120);
        });
    }
    peer_emit("per coroutine", "B",
              static_cast<double>(peer_memory_bytes() - before) / static_cast<double>(count));
    begin = peer_now_ns();
    {
        std::unique_lock<fib::mutex> guard(state.lock);

        state.is_open = true;
        state.changed.notify_all();
    }
    for (fib::fiber &fiber : fibers) {
        fiber.join();
    }
    peer_emit("resume", "ns", per(begin, count));
    peer_require(state.wrong == 0, "a fiber lost its locals");
}

const peer_row rows[] = {
    {"task.spawn", [] { peer_sample("time", spawn_batch, nullptr); }},
    {"exec.spawn", [] { peer_sample("time", spawn_batch, nullptr); }},
    {"task.join", [] { peer_sample("time", join_batch, nullptr); }},
    {"coroutine.create", [] { peer_sample("time", create_batch, nullptr); }},
    {"pingpong.one", [] { peer_sample("round trip", pingpong_batch, nullptr); }},
    {"switch.2", [] { run_switch(2); }},
    {"switch.64", [] { run_switch(64); }},
    {"switch.4096", [] { run_switch(4096); }},
    {"skynet.stackful", run_skynet},
    {"idle.coroutines", run_idle},
    {nullptr, nullptr},
};

} // namespace

int main(int count, char **arguments)
{
    return peer_main(count, arguments, rows, BOOST_LIB_VERSION);
}
