/*
 * Purpose: what every peer program in C and C++ shares: arguments, the measuring loop, threads
 *          behind a gate, lines of results.
 * Owner:   one peer program; linked to nothing of ours.
 * Lines:   "metric <tab> name <tab> unit <tab> detail <tab> value" on descriptor 3, or on standard
 *          output where that is not open; with --rows "row <tab> name" and "version <tab> text".
 */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity; C++ defines it itself */
#endif

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PEER_RESULT_FD   3
#define PEER_SAMPLES_MAX 4096
#define PEER_BATCHES_MIN 5
#define PEER_AMOUNT_MIN  64
#define PEER_MILLION     1000000
#define PEER_SPINS       64
#define PEER_ENOUGH_NS   1000000000u /* after that one sample must do */

struct peer_row {
    const char *name;
    void (*run)(void);
};

static uint64_t peer_budget_ns;
static uint64_t peer_divisor = 1;

static inline uint64_t peer_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline int peer_out(void)
{
    return fcntl(PEER_RESULT_FD, F_GETFD) < 0 ? STDOUT_FILENO : PEER_RESULT_FD;
}

static inline void peer_emit(const char *metric, const char *unit, double value)
{
    dprintf(peer_out(), "metric\t%s\t%s\t0\t%.9g\n", metric, unit, value);
}

/* Ends the program with a message when a result is wrong. */
static inline void peer_require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "peer: %s\n", what);
        exit(1);
    }
}

/* A fixed amount of work as this run wants it. */
static inline size_t peer_amount(size_t whole)
{
    return whole / peer_divisor < PEER_AMOUNT_MIN ? PEER_AMOUNT_MIN : whole / peer_divisor;
}

static inline int peer_compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Samples until the budget is used up; batch returns nanoseconds per operation. Gives the least. */
static inline double peer_sample(const char *metric, double (*batch)(void *context), void *context)
{
    static double samples[PEER_SAMPLES_MAX];
    uint64_t begin = peer_now_ns();
    size_t count = 0;

    batch(context);
    while (count == 0 || peer_now_ns() < begin + peer_budget_ns ||
           (count < PEER_BATCHES_MIN && peer_now_ns() < begin + PEER_ENOUGH_NS)) {
        if (count == PEER_SAMPLES_MAX) {
            break;
        }
        samples[count++] = batch(context);
    }
    qsort(samples, count, sizeof samples[0], peer_compare);
    peer_emit(metric, "ns", samples[count / 2]);
    return samples[0];
}

/* Resident bytes and page tables of this process. */
static inline size_t peer_memory_bytes(void)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        kib += strncmp(line, "Rss:", 4) == 0 ? strtoull(line + 4, NULL, 10) : 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        kib += strncmp(line, "VmPTE:", 6) == 0 ? strtoull(line + 6, NULL, 10) : 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024u;
}

/* Binds the calling thread to the index-th processor the process may use, modulo their number. */
static inline void peer_pin(unsigned index)
{
    cpu_set_t allowed;
    cpu_set_t one;
    unsigned wanted;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) {
        return;
    }
    wanted = index % (unsigned)CPU_COUNT(&allowed);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && wanted-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            return;
        }
    }
}

/* A moment of nothing. */
#if defined(__x86_64__)
static inline void peer_pause(void)
{
    __builtin_ia32_pause();
}
#else
static inline void peer_pause(void)
{
    __asm__ __volatile__("yield" : : : "memory");
}
#endif

/* Nothing to do just now: a pause, and now and then the processor for somebody else. */
static inline void peer_wait(unsigned *spins)
{
    if (++*spins % PEER_SPINS == 0) {
        sched_yield();
    } else {
        peer_pause();
    }
}

/* Runs the row that the arguments name. Returns the exit code. */
static inline int peer_main(int count, char **arguments, const struct peer_row *rows,
                            const char *version)
{
    if (count == 2 && strcmp(arguments[1], "--rows") == 0) {
        for (; rows->name != NULL; rows++) {
            dprintf(peer_out(), "row\t%s\n", rows->name);
        }
        dprintf(peer_out(), "version\t%s\n", version);
        return 0;
    }
    if (count < 4 || strtoull(arguments[3], NULL, 10) == 0) {
        return 2;
    }
    peer_budget_ns = strtoull(arguments[2], NULL, 10);
    peer_divisor = strtoull(arguments[3], NULL, 10);
    for (; rows->name != NULL; rows++) {
        if (strcmp(rows->name, arguments[1]) == 0) {
            rows->run();
            return 0;
        }
    }
    return 2;
}

#endif
