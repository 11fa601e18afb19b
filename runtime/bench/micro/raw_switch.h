/*
 * Purpose: the switch between two stacks alone, without a task around it.
 * Owner:   a child process, one thread.
 */
#ifndef BENCH_MICRO_RAW_SWITCH_H
#define BENCH_MICRO_RAW_SWITCH_H

#include <stddef.h>

/* Bytes of one stack. */
#define BENCH_RAW_STACK_BYTES ((size_t)16384)

/* Stacks that do nothing but switch back. */
struct bench_raw_switch {
    size_t count;
    char *stacks; /* count of them, one behind the other, 64-aligned */
    void **words; /* count: each the other stack of a pair, see thread/switch.h */
};

/* Prepares the stacks and runs each once. */
void bench_raw_switch_begin(struct bench_raw_switch *raw);

/* Switches to each stack and back, turns times. */
void bench_raw_switch_run(struct bench_raw_switch *raw, size_t turns);

#endif
