/*
 * Purpose: the tree of executions: which alternative each choice takes this time, and which
 *          transitions need not be tried because an earlier branch has covered them (sleep sets).
 * Owner:   model; one search at a time. Threads: the checker's own.
 * Design:  docs/design/model.md, "Reduction"
 */
#ifndef EMP_MODEL_ENGINE_SEARCH_H
#define EMP_MODEL_ENGINE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

/* A step of one thread that the order of threads matters for: it reads this message. */
struct model_option {
    uint16_t message;
    uint8_t actor;
    bool is_update;    /* it also writes: nobody else can then update from the same message */
    bool never_sleeps; /* its effect is more than the message: futex calls */
};

enum model_mode { MODEL_EXHAUSTIVE, MODEL_RANDOM, MODEL_REPLAY };

/* A new search; the seed matters for random ones. */
void model_search_begin(enum model_mode mode, uint64_t seed);

/* Before each execution. */
void model_search_restart(void);

/* After each execution: goes on to the next one; false: there is none. */
bool model_search_next(void);

/* false: every step of every thread is an option and nothing sleeps, to prove the reduction. */
void model_search_reduce(bool reduces);
bool model_search_reduces(void);

/* One of count alternatives within a thread. */
unsigned model_search_number(unsigned count);

/* One of the options; NULL: all of them are covered elsewhere. */
const struct model_option *model_search_option(const struct model_option *options, unsigned count);

/* Keeps the choices of the execution just made, to be replayed: the shortest failing one. */
void model_search_keep(void);

#endif
