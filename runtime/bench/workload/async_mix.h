/*
 * Purpose: the async mix: what a runtime allocates per task, and how long it lives. A step ends the
 *          task of one slot and spawns another in its place: a task of 128 B with a body of 32-512
 *          B, one future of 16-64 B that lives as long, a second that lives for the step only, a
 *          waker of 64 B in half and a channel node of 96 B in half of the tasks. Three of four
 *          steps choose among the first 32 slots (lives of microseconds), the others among all.
 * Owner:   one thread per actor; shared by async_mix.c and latency.c.
 */
#ifndef BENCH_WORKLOAD_ASYNC_MIX_H
#define BENCH_WORKLOAD_ASYNC_MIX_H

#include <stdbool.h>
#include <string.h>

#include "support/rng.h"
#include "workload/serve.h"

#define ASYNC_SHORT_SLOTS 32u
#define ASYNC_TASK_BYTES  128u
#define ASYNC_WAKER_BYTES 64u
#define ASYNC_NODE_BYTES  96u

/* What a task's own block holds: its other blocks. Fits in ASYNC_TASK_BYTES. */
struct async_task {
    void *body;
    void *future;
    void *waker; /* NULL: none */
    void *node;  /* NULL: none */
    uint32_t body_kind;
    uint32_t future_kind;
};

_Static_assert(sizeof(struct async_task) <= ASYNC_TASK_BYTES, "a task fits in its block");

/* One thread's part of the mix. */
struct async_actor {
    struct bench_rng rng;
    struct async_task **slots; /* slot_count entries, NULL before the first task */
    size_t slot_count;
    uint64_t operations; /* allocations + frees so far */
};

/* A body: kind 0..7 is 32, 64, 96, 128, 192, 256, 384 or 512 B. */
BENCH_INLINE void *async_body_alloc(enum bench_api api, uint32_t kind)
{
    static const uint32_t sizes[8] = {32, 64, 96, 128, 192, 256, 384, 512};
    static struct emp_typed_pool *const pools[8] = {
        &bench_typed_32_pool,  &bench_typed_64_pool,  &bench_typed_96_pool,  &bench_typed_128_pool,
        &bench_typed_192_pool, &bench_typed_256_pool, &bench_typed_384_pool, &bench_typed_512_pool};

    return api == BENCH_API_TYPED ? emp_typed_pool_alloc(pools[kind])
                                  : bench_serve(api, sizes[kind]);
}

BENCH_INLINE void async_body_free(enum bench_api api, void *body, uint32_t kind)
{
    static const uint32_t sizes[8] = {32, 64, 96, 128, 192, 256, 384, 512};
    static struct emp_typed_pool *const pools[8] = {
        &bench_typed_32_pool,  &bench_typed_64_pool,  &bench_typed_96_pool,  &bench_typed_128_pool,
        &bench_typed_192_pool, &bench_typed_256_pool, &bench_typed_384_pool, &bench_typed_512_pool};

    if (api == BENCH_API_TYPED) {
        emp_typed_pool_free(pools[kind], body);
    } else {
        bench_give_back(api, body, sizes[kind]);
    }
}

/* A future: kind 0..3 is 16, 32, 48 or 64 B. */
BENCH_INLINE void *async_future_alloc(enum bench_api api, uint32_t kind)
{
    static struct emp_typed_pool *const pools[4] = {&bench_typed_16_pool, &bench_typed_32_pool,
                                                    &bench_typed_48_pool, &bench_typed_64_pool};

    return api == BENCH_API_TYPED ? emp_typed_pool_alloc(pools[kind])
                                  : bench_serve(api, 16 * (size_t)(kind + 1));
}

BENCH_INLINE void async_future_free(enum bench_api api, void *future, uint32_t kind)
{
    static struct emp_typed_pool *const pools[4] = {&bench_typed_16_pool, &bench_typed_32_pool,
                                                    &bench_typed_48_pool, &bench_typed_64_pool};

    if (api == BENCH_API_TYPED) {
        emp_typed_pool_free(pools[kind], future);
    } else {
        bench_give_back(api, future, 16 * (size_t)(kind + 1));
    }
}

/* Allocates a task with all its blocks, as the bits of choice say. */
BENCH_INLINE struct async_task *async_spawn(enum bench_api api, struct async_actor *actor,
                                            uint64_t choice)
{
    struct async_task *task = bench_serve(api, ASYNC_TASK_BYTES);

    task->body_kind = (uint32_t)(choice & 7);
    task->future_kind = (uint32_t)(choice >> 3 & 3);
    task->body = async_body_alloc(api, task->body_kind);
    bench_touch(task->body, choice);
    task->future = async_future_alloc(api, task->future_kind);
    bench_touch(task->future, choice);
    task->waker = NULL;
    task->node = NULL;
    actor->operations += 3;
    if ((choice >> 5 & 1) != 0) {
        task->waker = bench_serve(api, ASYNC_WAKER_BYTES);
        bench_touch(task->waker, choice);
        actor->operations++;
    }
    if ((choice >> 6 & 1) != 0) {
        task->node = bench_serve(api, ASYNC_NODE_BYTES);
        bench_touch(task->node, choice);
        actor->operations++;
    }
    return task;
}

/* Frees a task and all its blocks. */
BENCH_INLINE void async_finish(enum bench_api api, struct async_actor *actor,
                               struct async_task *task)
{
    async_body_free(api, task->body, task->body_kind);
    async_future_free(api, task->future, task->future_kind);
    actor->operations += 3;
    if (task->waker != NULL) {
        bench_give_back(api, task->waker, ASYNC_WAKER_BYTES);
        actor->operations++;
    }
    if (task->node != NULL) {
        bench_give_back(api, task->node, ASYNC_NODE_BYTES);
        actor->operations++;
    }
    bench_give_back(api, task, ASYNC_TASK_BYTES);
}

/* One step; returns the task that ended, still allocated, or NULL. The caller ends it. */
BENCH_INLINE struct async_task *async_step(enum bench_api api, struct async_actor *actor)
{
    uint64_t choice = bench_rng_next(&actor->rng) >> 8;
    size_t among = (choice >> 7 & 3) != 0 ? ASYNC_SHORT_SLOTS : actor->slot_count;
    size_t slot = ((choice >> 24 & 0xffffffffu) * among) >> 32;
    struct async_task *ended = actor->slots[slot];
    uint32_t passing_kind = (uint32_t)(choice >> 9 & 3);
    void *passing = async_future_alloc(api, passing_kind);

    bench_touch(passing, choice);
    actor->slots[slot] = async_spawn(api, actor, choice);
    async_future_free(api, passing, passing_kind);
    actor->operations += 2;
    return ended;
}

#endif
