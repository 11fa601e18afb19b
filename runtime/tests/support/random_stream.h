/*
 * Purpose: repeatable random numbers for tests: one seed, printed, from TEST_SEED or the clock.
 * Owner:   test support; a stream belongs to one thread.
 * Source:  S. Vigna, splitmix64 (public domain).
 */
#ifndef EMP_TESTS_SUPPORT_RANDOM_STREAM_H
#define EMP_TESTS_SUPPORT_RANDOM_STREAM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random_stream {
    uint64_t state;
};

/* Bijective mixing of 64 bits. */
static inline uint64_t random_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static inline uint64_t random_next(struct random_stream *stream)
{
    stream->state += 0x9e3779b97f4a7c15u;
    return random_mix(stream->state);
}

/* 0 .. limit - 1; limit > 0. */
static inline uint32_t random_below(struct random_stream *stream, uint32_t limit)
{
    return (uint32_t)(((random_next(stream) >> 32) * limit) >> 32);
}

/* True in `part` of `whole` cases. */
static inline int random_chance(struct random_stream *stream, uint32_t part, uint32_t whole)
{
    return random_below(stream, whole) < part;
}

/* The seed of this run, printed once so that a failure can be repeated. */
static inline uint64_t random_seed(const char *test)
{
    const char *given = getenv("TEST_SEED");
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
                                  : random_mix((uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec);

    printf("%s: TEST_SEED=%llu repeats this run\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

#endif
