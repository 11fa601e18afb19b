/*
 * Purpose: the objects of a runtime from typed pools, inlined, beside the inlined floor and malloc:
 *          32 B (future), 64 B (waker), 96 B (channel node), 128 B (task).
 * Owner:   a child process, one thread.
 */
#include "async/groups.h"

#include "support/floor.h"
#include "workload/serve.h"

#define PAIRS 4096u
#define DEPTH 16u

/* count: bytes of an object. */
#define POOL_BATCH(name, api, size)                            \
    static void pool_##name##_##size(void *context)            \
    {                                                          \
        void *blocks[DEPTH];                                   \
                                                               \
        (void)context;                                         \
        for (unsigned done = 0; done < PAIRS; done += DEPTH) { \
            for (unsigned i = 0; i < DEPTH; i++) {             \
                blocks[i] = bench_serve((api), (size));        \
                bench_touch(blocks[i], i);                     \
            }                                                  \
            for (unsigned i = 0; i < DEPTH; i++) {             \
                bench_give_back((api), blocks[i], (size));     \
            }                                                  \
        }                                                      \
    }

POOL_BATCH(malloc, BENCH_API_MALLOC, 32)
POOL_BATCH(malloc, BENCH_API_MALLOC, 64)
POOL_BATCH(malloc, BENCH_API_MALLOC, 96)
POOL_BATCH(malloc, BENCH_API_MALLOC, 128)
POOL_BATCH(typed, BENCH_API_TYPED, 32)
POOL_BATCH(typed, BENCH_API_TYPED, 64)
POOL_BATCH(typed, BENCH_API_TYPED, 96)
POOL_BATCH(typed, BENCH_API_TYPED, 128)
POOL_BATCH(floor, BENCH_API_FLOOR, 32)
POOL_BATCH(floor, BENCH_API_FLOOR, 64)
POOL_BATCH(floor, BENCH_API_FLOOR, 96)
POOL_BATCH(floor, BENCH_API_FLOOR, 128)

/* By bytes / 32 - 1 and by enum bench_api. */
static void (*const batches[4][3])(void *context) = {
    {pool_malloc_32, pool_typed_32, pool_floor_32},
    {pool_malloc_64, pool_typed_64, pool_floor_64},
    {pool_malloc_96, pool_typed_96, pool_floor_96},
    {pool_malloc_128, pool_typed_128, pool_floor_128},
};

static void run_pool(struct async_run *run, const struct async_row *row)
{
    bench_floor_begin();
    async_measure(run, ASYNC_METRIC_TIME, PAIRS, batches[row->count / 32 - 1][run->bench.api],
                  NULL);
}

#define POOL_ROW(bytes, what)                                                             \
    {                                                                                     \
        .name = "pool." #bytes, .title = what ", allocated and freed, sixteen at a time", \
        .apis = BENCH_ON_MALLOC | BENCH_ON_TYPED | BENCH_ON_FLOOR, .count = (bytes),      \
        .run = run_pool                                                                   \
    }

static const struct async_row rows[] = {
    POOL_ROW(32, "future of 32 B"),
    POOL_ROW(64, "waker of 64 B"),
    POOL_ROW(96, "channel node of 96 B"),
    POOL_ROW(128, "task of 128 B"),
};

const struct async_group async_pool_group = ASYNC_GROUP(rows);
