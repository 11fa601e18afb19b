/*
 * Purpose: what a row of async_bench is, and what it may use while it runs in a process of its own.
 * Owner:   bench/async; a run belongs to the thread that runs main.
 * Design:  docs/benchmarks.md
 */
#ifndef BENCH_ASYNC_ROW_H
#define BENCH_ASYNC_ROW_H

#include <stddef.h>
#include <stdint.h>

#include "support/workload.h"

struct async_row;

/* One execution of a row. */
struct async_run {
    struct bench_run bench; /* where results go, time to measure, who serves */
    uint64_t divisor;       /* fixed amounts of work are divided by it; 1: the whole */
};

/* What our figure should reach. */
struct async_goal {
    const char *metric; /* NULL: none */
    double limit;
};

#define ASYNC_GOALS 2

/* A row runs for contestants served by us, by malloc, or by the floor; peers bring their own. */
struct async_row {
    const char *name;    /* "switch.64"; peers use the same names */
    const char *title;   /* one line for the table */
    unsigned apis;       /* BENCH_ON_...; BENCH_ON_TYPED stands for echomem */
    unsigned rounds_max; /* 0: as many as asked for */
    size_t count;        /* the file says of what */
    size_t threads;      /* producers, workers; the file says */
    struct async_goal goals[ASYNC_GOALS];
    void (*run)(struct async_run *run, const struct async_row *row);
};

/* The rows of one file. */
struct async_group {
    const struct async_row *rows;
    size_t count;
};

#define ASYNC_GROUP(array)                        \
    {                                             \
        (array), sizeof(array) / sizeof(array)[0] \
    }

#define ASYNC_MILLION ((size_t)1000000)

/* The main figure of most rows. */
#define ASYNC_METRIC_TIME "time"

/* Number of rows, and each of them by index below that number. */
size_t async_row_count(void);
const struct async_row *async_row_at(size_t index);

/* The row of that exact name, or NULL. */
const struct async_row *async_row_find(const char *name);

/* A fixed amount of work as this run wants it: at least 64. */
size_t async_amount(const struct async_run *run, size_t whole);

/* Ends the child with a message when what must hold does not: a wrong figure is worse than none. */
void async_require(int holds, const char *what);

/* Whether another sample is due: until the budget is used up; five of them unless that takes a
 * second; always one. */
bool async_goes_on(const struct async_run *run, uint64_t start_ns, uint64_t samples);

/*
 * Calls batch as async_goes_on says, after a warm-up, and reports the median of elapsed
 * nanoseconds / batch_operations as metric.
 */
void async_measure(struct async_run *run, const char *metric, double batch_operations,
                   void (*batch)(void *context), void *context);

/* Binds the calling thread to the index-th processor of the process, modulo their number. */
void async_pin(unsigned index);

/* A moment of nothing, for threads that look again and again. */
#if defined(__x86_64__)
static inline void async_pause(void)
{
    __builtin_ia32_pause();
}
#else
static inline void async_pause(void)
{
    __asm__ __volatile__("yield" : : : "memory");
}
#endif

/* Resident bytes and page tables of this process: VmRSS + VmPTE. */
size_t async_memory_bytes(void);

#endif
