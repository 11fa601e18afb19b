/*
 * Purpose: what a workload is, and what it may use while it runs in a process of its own.
 * Owner:   bench/support; a run belongs to the thread that runs main.
 * Design:  docs/benchmarks.md
 */
#ifndef BENCH_SUPPORT_WORKLOAD_H
#define BENCH_SUPPORT_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who serves the blocks of a run. A constant wherever it is passed on, so that the calls inline. */
enum bench_api {
    BENCH_API_MALLOC = 0, /* malloc and free of the process, through the PLT */
    BENCH_API_TYPED,      /* EMP_POOL_DEFINE pools, inlined */
    BENCH_API_FLOOR       /* an inlined thread-local pointer stack without metadata */
};

#define BENCH_ON_MALLOC (1u << BENCH_API_MALLOC)
#define BENCH_ON_TYPED  (1u << BENCH_API_TYPED)
#define BENCH_ON_FLOOR  (1u << BENCH_API_FLOOR)

/* Units of results; bench_unit_text and bench_unit_higher_is_better describe them. */
enum bench_unit {
    BENCH_NS_PAIR,     /* nanoseconds for one allocation and its free */
    BENCH_NS_CALL,     /* nanoseconds for one call */
    BENCH_NS_SLOT,     /* nanoseconds per pointer produced */
    BENCH_MOPS,        /* million allocations and frees per second */
    BENCH_MOBJ,        /* million objects handed over per second */
    BENCH_MPAIRS,      /* million pairs per second */
    BENCH_TIMES,       /* a ratio, smaller is better */
    BENCH_GAIN,        /* a ratio, larger is better */
    BENCH_MIB,         /* mebibytes */
    BENCH_US_THREAD,   /* microseconds per thread */
    BENCH_PER_MILLION, /* events per million calls */
    BENCH_BYTES,       /* bytes, smaller is better */
    BENCH_MS           /* milliseconds */
};

/* One execution of a workload for one contestant. */
struct bench_run {
    enum bench_api api;
    uint64_t
        budget_ns;   /* time to measure for; a workload with a fixed size of work may exceed it */
    uint64_t seed;   /* the same for all contestants of a round */
    int result_fd;   /* lines of results go here */
    int turn_fds[2]; /* read end, write end of the turn; -1: no turns are taken */
};

/* Parameters; each workload file says what it uses. */
struct bench_shape {
    size_t size;    /* bytes of a block; 0: mixed */
    size_t count;   /* blocks, slots, depth or percent */
    unsigned order; /* an enumeration of the file */
    unsigned threads;
};

struct bench_workload {
    const char *name;    /* "burst.64.10k.fifo" */
    const char *title;   /* one line for the table */
    unsigned apis;       /* BENCH_ON_... */
    bool waits;          /* mostly asleep: all contestants of a round run at the same time */
    unsigned rounds_max; /* 0: as many as asked for */
    struct bench_shape shape;
    void (*run)(struct bench_run *run, const struct bench_shape *shape);
};

/* The workloads of one file. */
struct bench_group {
    const struct bench_workload *workloads;
    size_t count;
};

/* The metric that every malloc workload has: its peak of resident memory. */
#define BENCH_METRIC_PEAK "peak resident"

#define BENCH_GROUP(array)                        \
    {                                             \
        (array), sizeof(array) / sizeof(array)[0] \
    }

/* Reports a result that tables show. */
void bench_emit(struct bench_run *run, const char *metric, enum bench_unit unit, double value);

/* Reports a result that only JSON and --details show. */
void bench_emit_detail(struct bench_run *run, const char *metric, enum bench_unit unit,
                       double value);

/* Text of a unit, and the direction in which it improves. */
const char *bench_unit_text(enum bench_unit unit);
bool bench_unit_higher_is_better(enum bench_unit unit);

/* The unit of a text; false when there is none. */
bool bench_unit_parse(const char *text, enum bench_unit *unit);

/* Waits until no other contestant of a waiting workload is busy; given back before sleeping. */
void bench_turn_take(struct bench_run *run);
void bench_turn_give(struct bench_run *run);

/* Keeps a block and all memory alive in the eyes of the compiler. */
static inline void bench_escape(void *block)
{
    __asm__ __volatile__("" : : "r"(block) : "memory");
}

/* Writes the first word of a block of at least 8 bytes and lets it escape. */
static inline void bench_touch(void *block, uint64_t value)
{
    *(uint64_t *)block = value;
    bench_escape(block);
}

#endif
