/*
 * Purpose: one spelling of "allocate" and "free" for the three ways a block can be served. With a
 *          constant api every call below compiles to that way alone.
 * Owner:   bench/workload; typed pools are per file that includes this header.
 */
#ifndef BENCH_WORKLOAD_SERVE_H
#define BENCH_WORKLOAD_SERVE_H

#include <stdlib.h>

#include "core/typed_pool.h"
#include "support/floor.h"
#include "support/workload.h"

#define BENCH_INLINE static inline __attribute__((always_inline, unused))

/* An object of a fixed size, for typed pools. */
#define BENCH_OBJECT(bytes)          \
    struct bench_object_##bytes {    \
        uint64_t words[(bytes) / 8]; \
    };                               \
    EMP_POOL_DEFINE(bench_typed_##bytes, struct bench_object_##bytes)

BENCH_OBJECT(16)
BENCH_OBJECT(32)
BENCH_OBJECT(48)
BENCH_OBJECT(64)
BENCH_OBJECT(96)
BENCH_OBJECT(128)
BENCH_OBJECT(192)
BENCH_OBJECT(256)
BENCH_OBJECT(384)
BENCH_OBJECT(512)

/* The pool of a size that is a constant here, or NULL. */
BENCH_INLINE struct emp_typed_pool *bench_typed_pool(size_t size)
{
    switch (size) {
    case 16:
        return &bench_typed_16_pool;
    case 32:
        return &bench_typed_32_pool;
    case 48:
        return &bench_typed_48_pool;
    case 64:
        return &bench_typed_64_pool;
    case 96:
        return &bench_typed_96_pool;
    case 128:
        return &bench_typed_128_pool;
    case 192:
        return &bench_typed_192_pool;
    case 256:
        return &bench_typed_256_pool;
    case 384:
        return &bench_typed_384_pool;
    case 512:
        return &bench_typed_512_pool;
    default:
        return NULL;
    }
}

/* A block of size bytes; for typed pools one of the sizes above. */
BENCH_INLINE void *bench_serve(enum bench_api api, size_t size)
{
    switch (api) {
    case BENCH_API_TYPED:
        return emp_typed_pool_alloc(bench_typed_pool(size));
    case BENCH_API_FLOOR:
        return bench_floor_alloc(size);
    default:
        return malloc(size);
    }
}

/*
 * Frees what bench_serve gave for the same api and size. The barrier keeps the compiler from
 * merging a loop of inlined frees into one copy: every free is one, as at scattered places of a
 * program.
 */
BENCH_INLINE void bench_give_back(enum bench_api api, void *block, size_t size)
{
    switch (api) {
    case BENCH_API_TYPED:
        emp_typed_pool_free(bench_typed_pool(size), block);
        break;
    case BENCH_API_FLOOR:
        bench_floor_free(block, size);
        break;
    default:
        free(block);
        break;
    }
    bench_escape(block);
}

/* Prepares the calling thread for an api. */
BENCH_INLINE void bench_serve_begin(enum bench_api api)
{
    if (api == BENCH_API_FLOOR) {
        bench_floor_begin();
    }
}

#endif
