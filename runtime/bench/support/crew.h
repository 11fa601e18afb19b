/*
 * Purpose: threads of a workload: they start together, run until told to stop, and are joined.
 * Owner:   the thread that made the crew; bodies read crew->stop only.
 */
#ifndef BENCH_SUPPORT_CREW_H
#define BENCH_SUPPORT_CREW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "support/atomic.h"

struct bench_crew;

/* Work of thread number index. */
typedef void bench_crew_body(struct bench_crew *crew, unsigned index);

struct bench_crew {
    bench_crew_body *body; /* const after start */
    void *context;         /* const after start; for body */
    unsigned threads;      /* const after start */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned idle;     /* guarded by lock: threads waiting at the gate */
    unsigned finished; /* guarded by lock: threads whose body returned */
    bool open;         /* guarded by lock: the gate */
    bool dismissed;    /* guarded by lock: threads may end */
    uint32_t stop;     /* atomic: bench.crew */
    pthread_t *handles;
    struct bench_crew_place *places;
};

/* Starts the threads; returns when all of them wait at the gate, none having run its body. */
void bench_crew_start(struct bench_crew *crew, unsigned threads);

/* Opens the gate. */
void bench_crew_go(struct bench_crew *crew);

/* Asks the bodies to return; waits until all have returned; the threads themselves stay alive. */
void bench_crew_halt(struct bench_crew *crew);

/* Lets the threads end and joins them. */
void bench_crew_end(struct bench_crew *crew);

/* Start, go, sleep, halt, end. */
void bench_crew_run_for(struct bench_crew *crew, unsigned threads, uint64_t ns);

/* Whether a body should return. */
static inline bool bench_crew_stopped(const struct bench_crew *crew)
{
    /* order(bench.crew): relaxed, a flag that guards no data; results are read after the join. */
    return bench_load_relaxed(&crew->stop) != 0;
}

#endif
