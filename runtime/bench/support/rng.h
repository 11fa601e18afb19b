/*
 * Purpose: the bench's random numbers: fast, seeded, the same on every machine.
 * Owner:   whoever holds the state; one thread.
 * Source:  Marsaglia, "Xorshift RNGs" (xorshift64*); Steele et al., SplitMix, for the seed.
 * Cost:    about 1 ns per number.
 */
#ifndef BENCH_SUPPORT_RNG_H
#define BENCH_SUPPORT_RNG_H

#include <stddef.h>
#include <stdint.h>

struct bench_rng {
    uint64_t state; /* never zero */
};

/* A generator whose stream depends on seed and stream number only. */
static inline struct bench_rng bench_rng_make(uint64_t seed, uint64_t stream)
{
    uint64_t z = seed + (stream + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (struct bench_rng){z != 0 ? z : 1};
}

/* 64 random bits; the high ones are the better ones. */
static inline uint64_t bench_rng_next(struct bench_rng *rng)
{
    uint64_t x = rng->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return x * 0x2545f4914f6cdd1du;
}

/* A number in [0, limit); limit in 1..2^32. */
static inline uint32_t bench_rng_below(struct bench_rng *rng, uint64_t limit)
{
    return (uint32_t)(((bench_rng_next(rng) >> 32) * limit) >> 32);
}

/* Puts count numbers in random order. */
void bench_rng_shuffle(struct bench_rng *rng, uint32_t *numbers, size_t count);

/* Fills sizes with bytes drawn log-uniformly from [low, high): small ones are the more frequent. */
void bench_rng_sizes(struct bench_rng *rng, uint32_t *sizes, size_t count, const uint32_t range[2]);

#endif
