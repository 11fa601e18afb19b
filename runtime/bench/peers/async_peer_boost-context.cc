/*
 * Purpose: Boost.Context beside our coroutines: switches, creation, and idle stacks.
 * Owner:   this program, one thread.
 */
#include "peer.h"

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/version.hpp>

#include <vector>

namespace
{

namespace ctx = boost::context;

constexpr size_t switches = 8192;
constexpr size_t creations = 4096;
constexpr size_t stack_bytes = 16384;
constexpr size_t locals = 16;

/* Coroutines that a main loop resumes in turn; each goes back at once. */
struct ring {
    std::vector<ctx::fiber> fibers;
    size_t turns;
};

/* A resume and the way back are two switches. */
double ring_batch(void *context)
{
    ring &state = *static_cast<ring *>(context);
    uint64_t begin = peer_now_ns();

    for (size_t turn = 0; turn < state.turns; turn++) {
        for (ctx::fiber &fiber : state.fibers) {
            fiber = std::move(fiber).resume();
        }
    }
    return static_cast<double>(peer_now_ns() - begin) /
           static_cast<double>(2 * state.turns * state.fibers.size());
}

void run_switch(size_t count)
{
    ring state;
    ctx::pooled_fixedsize_stack stacks(stack_bytes);
    bool is_over = false;

    state.turns = switches / count < 2 ? 2 : switches / count;
    for (size_t i = 0; i < count; i++) {
        state.fibers.emplace_back(std::allocator_arg, stacks, [&is_over](ctx::fiber &&caller) {
            while (!is_over) {
                caller = std::move(caller).resume();
            }
            return std::move(caller);
        });
    }
    peer_sample("switch", ring_batch, &state);
    is_over = true;
    for (ctx::fiber &fiber : state.fibers) {
        fiber = std::move(fiber).resume();
    }
}

double create_batch(void *context)
{
    ctx::pooled_fixedsize_stack &stacks = *static_cast<ctx::pooled_fixedsize_stack *>(context);
    uint64_t begin = peer_now_ns();

    for (size_t i = 0; i < creations; i++) {
        ctx::fiber fiber(std::allocator_arg, stacks,
                         [](ctx::fiber &&caller) { return std::move(caller); });

        fiber = std::move(fiber).resume();
    }
    return static_cast<double>(peer_now_ns() - begin) / creations;
}

void run_create()
{
    ctx::pooled_fixedsize_stack stacks(stack_bytes);

    peer_sample("time", create_batch, &stacks);
}

__attribute__((noinline)) uint64_t idle_inner(ctx::fiber &caller, const uint64_t *outer)
{
    volatile uint64_t own[locals];
    uint64_t sum = 0;

    for (size_t i = 0; i < locals; i++) {
        own[i] = outer[i] * 3;
    }
    caller = std::move(caller).resume();
    for (size_t i = 0; i < locals; i++) {
        sum += own[i] + outer[i];
    }
    return sum;
}

__attribute__((noinline)) uint64_t idle_outer(ctx::fiber &caller, uint64_t seed)
{
    uint64_t own[locals];

    for (size_t i = 0; i < locals; i++) {
        own[i] = seed + i;
    }
    return idle_inner(caller, own);
}

/* A tenth of a million: each keeps its stack of 16 KiB for itself, two pages of it resident. */
void run_idle()
{
    size_t count = peer_amount(PEER_MILLION / 10);
    std::vector<ctx::fiber> fibers;
    ctx::pooled_fixedsize_stack stacks(stack_bytes);
    size_t wrong = 0;
    size_t before;
    uint64_t begin;

    fibers.reserve(count);
    before = peer_memory_bytes();
    for (size_t i = 0; i < count; i++) {
        fibers.emplace_back(std::allocator_arg, stacks, [&wrong, i](ctx::fiber &&caller) {
            wrong += idle_outer(caller, i) != 4 * (16 * i + 120);
            return std::move(caller);
        });
        fibers.back() = std::move(fibers.back()).resume();
    }
    peer_emit("per coroutine", "B",
              static_cast<double>(peer_memory_bytes() - before) / static_cast<double>(count));
    begin = peer_now_ns();
    for (ctx::fiber &fiber : fibers) {
        fiber = std::move(fiber).resume();
    }
    peer_emit("resume", "ns",
              static_cast<double>(peer_now_ns() - begin) / static_cast<double>(count));
    peer_require(wrong == 0, "a coroutine lost its locals");
}

const peer_row rows[] = {
    {"switch.2", [] { run_switch(2); }},
    {"switch.64", [] { run_switch(64); }},
    {"switch.4096", [] { run_switch(4096); }},
    {"coroutine.create", run_create},
    {"idle.coroutines", run_idle},
    {nullptr, nullptr},
};

} // namespace

int main(int count, char **arguments)
{
    return peer_main(count, arguments, rows, BOOST_LIB_VERSION);
}
