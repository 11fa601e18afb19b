/*
 * Purpose: the vocabulary of the litmus tests: a thread in one line, registers, and what to say at
 *          the end.
 * Owner:   model; each file has its own memory.
 * Threads: the checker's own.
 * Design:  docs/design/model.md, "Litmus tests"
 */
#ifndef EMP_MODEL_LITMUS_LITMUS_H
#define EMP_MODEL_LITMUS_LITMUS_H

#include <string.h>

#include "model.h"

#define LITMUS_REGISTERS 4u

/* One line of threads; x, y, z begin as 0, each thread writes registers of its own. */
#define THREAD(name, ...)  \
    static void name(void) \
    {                      \
        __VA_ARGS__;       \
    }
#define PUT(p, v, order)  MODEL_STORE(&(p), (v), order)
#define GET(p, order)     MODEL_LOAD(&(p), order)
#define ADD(p, v, order)  MODEL_RMW(&(p), (v), ADD, order)
#define SWAP(p, v, order) MODEL_RMW(&(p), (v), EXCHANGE, order)
#define FENCE(order)      MODEL_FENCE(order)

#define LITMUS(name_, says, expected, text, ...)                                                \
    {                                                                                           \
        .name = "litmus/" name_, .property = (text), .set_up = set_up, .thread = {__VA_ARGS__}, \
        .finish = (says), .outcomes = (expected)                                                \
    }

/* Atomics of the tests, and what their threads read. */
static uint32_t x, y, z;
static uint32_t r[LITMUS_REGISTERS];

static void set_up(void)
{
    x = 0;
    y = 0;
    z = 0;
    memset(r, 0, sizeof r);
}

static inline void say_two(void)
{
    model_outcome("%u %u", r[0], r[1]);
}

static inline void say_three(void)
{
    model_outcome("%u %u %u", r[0], r[1], r[2]);
}

static inline void say_four(void)
{
    model_outcome("%u %u %u %u", r[0], r[1], r[2], r[3]);
}

/* The last values of x and y. */
static inline void say_memory(void)
{
    model_outcome("%u %u", x, y);
}

/* A register and the last value of x, or of y. */
static inline void say_with_x(void)
{
    model_outcome("%u %u", r[0], x);
}

static inline void say_with_y(void)
{
    model_outcome("%u %u", r[0], y);
}

#define ALL_OF_TWO   "0 0|0 1|1 0|1 1"
#define ALL_OF_THREE "0 0 0|0 0 1|0 1 0|0 1 1|1 0 0|1 0 1|1 1 0|1 1 1"
#define ALL_OF_FOUR                                                    \
    "0 0 0 0|0 0 0 1|0 0 1 0|0 0 1 1|0 1 0 0|0 1 0 1|0 1 1 0|0 1 1 1|" \
    "1 0 0 0|1 0 0 1|1 0 1 0|1 0 1 1|1 1 0 0|1 1 0 1|1 1 1 0|1 1 1 1"

#endif
