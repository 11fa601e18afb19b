/*
 * Purpose: what all rows share: amounts, the measuring loop, pinning, memory of the process.
 * Owner:   bench/async; the thread that runs main, async_pin any.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include "async/row.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/clock.h"
#include "support/pages.h"
#include "support/stats.h"

#define AMOUNT_MIN     64u
#define BATCHES_WANTED 5u
#define ENOUGH_NS      1000000000u /* after that one sample must do */

size_t async_amount(const struct async_run *run, size_t whole)
{
    size_t amount = whole / run->divisor;

    return amount < AMOUNT_MIN ? AMOUNT_MIN : amount;
}

void async_require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "async_bench: %s\n", what);
        exit(1);
    }
}

bool async_goes_on(const struct async_run *run, uint64_t start_ns, uint64_t samples)
{
    uint64_t elapsed_ns = bench_now_ns() - start_ns;

    return samples == 0 || elapsed_ns < run->bench.budget_ns ||
           (samples < BATCHES_WANTED && elapsed_ns < ENOUGH_NS);
}

void async_measure(struct async_run *run, const char *metric, double batch_operations,
                   void (*batch)(void *context), void *context)
{
    static struct bench_samples samples;
    uint64_t start = bench_now_ns();

    samples.count = 0;
    batch(context);
    while (async_goes_on(run, start, samples.count)) {
        uint64_t begin = bench_now_ns();

        batch(context);
        bench_samples_add(&samples, (double)(bench_now_ns() - begin) / batch_operations);
    }
    bench_emit(&run->bench, metric, BENCH_NS_CALL, bench_samples_median(&samples));
}

void async_pin(unsigned index)
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

size_t async_memory_bytes(void)
{
    return bench_resident_bytes() + bench_page_table_bytes();
}
