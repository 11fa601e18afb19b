/*
 * Purpose: a short report of one process: the cost of single operations, throughput and memory of
 *          our library (linked in) beside the malloc of the process, whichever that is. No
 *          children, no preloading: what `numactl --cpunodebind=0 performance_test` measures is
 *          that node.
 * Owner:   main and the threads of one measurement.
 * Design:  docs/benchmarks.md
 */
#define _GNU_SOURCE /* dladdr, RTLD_DEFAULT, sched_getaffinity */
#include <dlfcn.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/clock.h"
#include "support/crew.h"
#include "support/pages.h"
#include "support/rng.h"
#include "support/stats.h"
#include "workload/serve.h"

#define SECONDS_DEFAULT 3.0
#define BATCH_PAIRS     4096u
#define DEPTH           16u
#define BATCHES_MIN     8u
#define MEMORY_BLOCKS   200000u
#define THREADS_MAX     64u
#define THREAD_SLOTS    1024u
#define SHARES          16u /* parts the whole time is divided into */
#define MIB             1048576.0

enum side { SIDE_OWN, SIDE_PROCESS, SIDE_TYPED };

BENCH_INLINE void *side_alloc(enum side side, size_t size)
{
    switch (side) {
    case SIDE_OWN:
        return emp_malloc(size);
    case SIDE_TYPED:
        return bench_serve(BENCH_API_TYPED, size);
    default:
        return malloc(size);
    }
}

BENCH_INLINE void side_free(enum side side, void *block, size_t size)
{
    switch (side) {
    case SIDE_OWN:
        emp_free(block);
        break;
    case SIDE_TYPED:
        bench_give_back(BENCH_API_TYPED, block, size);
        break;
    default:
        free(block);
        break;
    }
}

/* ns of one allocation and of one free, in batches of 16 blocks. */
struct cost {
    double alloc_ns;
    double free_ns;
};

BENCH_INLINE struct cost cost_batch(enum side side, size_t size)
{
    void *blocks[DEPTH];
    uint64_t alloc_ticks = 0;
    uint64_t free_ticks = 0;
    double ticks_per_pair = bench_ticks_per_ns() * BATCH_PAIRS;

    for (unsigned done = 0; done < BATCH_PAIRS; done += DEPTH) {
        uint64_t begin = bench_ticks();
        uint64_t middle;

        for (unsigned i = 0; i < DEPTH; i++) {
            blocks[i] = side_alloc(side, size);
            bench_touch(blocks[i], i);
        }
        middle = bench_ticks();
        for (unsigned i = 0; i < DEPTH; i++) {
            side_free(side, blocks[i], size);
        }
        alloc_ticks += middle - begin;
        free_ticks += bench_ticks() - middle;
    }
    return (struct cost){(double)alloc_ticks / ticks_per_pair, (double)free_ticks / ticks_per_pair};
}

BENCH_INLINE struct cost cost_measure(enum side side, size_t size, uint64_t budget_ns)
{
    static struct bench_samples allocs;
    static struct bench_samples frees;
    uint64_t deadline = bench_now_ns() + budget_ns;

    allocs.count = 0;
    frees.count = 0;
    cost_batch(side, size);
    while (allocs.count < BATCHES_MIN || bench_now_ns() < deadline) {
        struct cost cost = cost_batch(side, size);

        bench_samples_add(&allocs, cost.alloc_ns);
        bench_samples_add(&frees, cost.free_ns);
    }
    return (struct cost){bench_samples_median(&allocs), bench_samples_median(&frees)};
}

static void print_cost(const char *name, struct cost cost, struct cost process)
{
    printf("  %-22s alloc %6.2f ns  free %6.2f ns  pair %6.2f ns  %5.2fx\n", name, cost.alloc_ns,
           cost.free_ns, cost.alloc_ns + cost.free_ns,
           (process.alloc_ns + process.free_ns) / (cost.alloc_ns + cost.free_ns));
}

#define COST_OF_SIZE(size)                                                                 \
    static void cost_of_##size(uint64_t budget_ns, bool is_typed)                          \
    {                                                                                      \
        struct cost process = cost_measure(SIDE_PROCESS, (size), budget_ns);               \
        struct cost own = cost_measure(SIDE_OWN, (size), budget_ns);                       \
                                                                                           \
        printf("%d B\n", (size));                                                          \
        print_cost("malloc of the process", process, process);                             \
        print_cost("emp_malloc", own, process);                                            \
        if (is_typed) {                                                                    \
            print_cost("typed pool, inlined", cost_measure(SIDE_TYPED, (size), budget_ns), \
                       process);                                                           \
        }                                                                                  \
    }

COST_OF_SIZE(64)
COST_OF_SIZE(128)
COST_OF_SIZE(512)
COST_OF_SIZE(1024)

static void report_cost(uint64_t budget_ns)
{
    printf("\nsingle operations, warm, in groups of 16; the factor is to the process's malloc\n");
    cost_of_64(budget_ns / 2, true);
    cost_of_128(budget_ns / 2, true);
    cost_of_512(budget_ns / 2, true);
    cost_of_1024(budget_ns / 2, false);
}

struct throughput_table {
    enum side side;
    const uint32_t *sizes; /* BATCH_PAIRS entries */
    double rates[THREADS_MAX];
};

/* Random replacement of mixed blocks; ends with its slots empty. */
static void throughput_body(struct bench_crew *crew, unsigned index)
{
    struct throughput_table *table = crew->context;
    struct bench_rng rng = bench_rng_make(1, index);
    void **slots = bench_pages_map(THREAD_SLOTS * sizeof *slots);
    uint64_t begin = bench_now_ns();
    uint64_t pairs = 0;

    do {
        for (unsigned i = 0; i < BATCH_PAIRS; i++) {
            size_t slot = bench_rng_below(&rng, THREAD_SLOTS);

            side_free(table->side, slots[slot], 0);
            slots[slot] = side_alloc(table->side, table->sizes[i]);
            bench_touch(slots[slot], i);
        }
        pairs += BATCH_PAIRS;
    } while (!bench_crew_stopped(crew));
    table->rates[index] = (double)pairs * 1e3 / (double)(bench_now_ns() - begin);
    for (unsigned slot = 0; slot < THREAD_SLOTS; slot++) {
        side_free(table->side, slots[slot], 0);
    }
    bench_pages_unmap(slots, THREAD_SLOTS * sizeof *slots);
}

static double throughput(enum side side, unsigned threads, uint64_t budget_ns)
{
    struct bench_rng rng = bench_rng_make(1, THREADS_MAX);
    uint32_t *sizes = bench_pages_map(BATCH_PAIRS * sizeof *sizes);
    struct throughput_table table = {.side = side, .sizes = sizes};
    struct bench_crew crew = {.body = throughput_body, .context = &table};
    double rate = 0;

    bench_rng_sizes(&rng, sizes, BATCH_PAIRS, (const uint32_t[2]){16, 512});
    bench_crew_run_for(&crew, threads, budget_ns);
    for (unsigned i = 0; i < threads; i++) {
        rate += table.rates[i];
    }
    bench_pages_unmap(sizes, BATCH_PAIRS * sizeof *sizes);
    return rate;
}

static void report_throughput(unsigned processors, uint64_t budget_ns)
{
    printf("\nthroughput, mixed sizes 16-512 B, random replacement\n");
    for (unsigned threads = 1; threads <= processors; threads *= 2) {
        double process = throughput(SIDE_PROCESS, threads, budget_ns);
        double own = throughput(SIDE_OWN, threads, budget_ns);

        printf("  %2u threads  process %7.1f M pairs/s  echomem %7.1f M pairs/s  %5.2fx\n", threads,
               process, own, own / process);
    }
}

/* Resident bytes that allocations of one side added: full, and after all are freed. */
static void report_memory_of(enum side side, const char *name)
{
    struct bench_rng rng = bench_rng_make(1, 0);
    void **blocks = bench_pages_map(MEMORY_BLOCKS * sizeof *blocks);
    uint32_t *sizes = bench_pages_map(MEMORY_BLOCKS * sizeof *sizes);
    size_t start_bytes;
    size_t full_bytes;
    double live = 0;

    bench_pages_touch(blocks, MEMORY_BLOCKS * sizeof *blocks);
    bench_rng_sizes(&rng, sizes, MEMORY_BLOCKS, (const uint32_t[2]){16, 512});
    start_bytes = bench_resident_bytes();
    for (unsigned i = 0; i < MEMORY_BLOCKS; i++) {
        blocks[i] = side_alloc(side, sizes[i]);
        bench_touch(blocks[i], i);
        live += sizes[i];
    }
    full_bytes = bench_resident_bytes();
    for (unsigned i = 0; i < MEMORY_BLOCKS; i++) {
        side_free(side, blocks[i], sizes[i]);
    }
    printf("  %-22s live %5.1f MiB  resident %5.1f MiB (%.2fx)  after freeing all %5.1f MiB\n",
           name, live / MIB, ((double)full_bytes - (double)start_bytes) / MIB,
           ((double)full_bytes - (double)start_bytes) / live,
           ((double)bench_resident_bytes() - (double)start_bytes) / MIB);
    bench_pages_unmap(blocks, MEMORY_BLOCKS * sizeof *blocks);
    bench_pages_unmap(sizes, MEMORY_BLOCKS * sizeof *sizes);
}

static void report_memory(void)
{
    printf("\nmemory, %u blocks of 16-512 B\n", MEMORY_BLOCKS);
    report_memory_of(SIDE_PROCESS, "malloc of the process");
    report_memory_of(SIDE_OWN, "emp_malloc");
    printf("  emp_purge gives back   %.1f MiB\n", (double)emp_purge() / MIB);
}

/* Processors this process may run on, as numactl or taskset left them. */
static unsigned allowed_processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    return CPU_COUNT(&set) < (int)THREADS_MAX ? (unsigned)CPU_COUNT(&set) : THREADS_MAX;
}

static void report_head(unsigned processors)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    bool is_known = address != NULL && dladdr(address, &info) != 0 && info.dli_fname != NULL;

    printf("echomem %s against the malloc of this process (%s), %u processors\n", emp_version(),
           is_known ? info.dli_fname : "unknown", processors);
}

static const char usage_text[] =
    "usage: performance_test [--seconds=S]\n"
    "Reports the cost of single operations, throughput and memory of libechomem beside the malloc\n"
    "of this process, in about S seconds (default 3). runtime_test --bench compares with other\n"
    "allocators, each in a process of its own.\n";

/* Seconds asked for; ends the program for --help and for wrong usage. */
static double parse_seconds(int count, char **arguments)
{
    static const struct option long_options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    double seconds = SECONDS_DEFAULT;
    int code;

    while ((code = getopt_long(count, arguments, "h", long_options, NULL)) != -1) {
        char *end = NULL;

        if (code == 'h') {
            fputs(usage_text, stdout);
            exit(0);
        }
        seconds = code == 's' ? strtod(optarg, &end) : 0;
        if (seconds <= 0 || end == NULL || *end != '\0') {
            fputs(usage_text, stderr);
            exit(2);
        }
    }
    if (optind < count) {
        fputs(usage_text, stderr);
        exit(2);
    }
    return seconds;
}

int main(int count, char **arguments)
{
    uint64_t share_ns = (uint64_t)(parse_seconds(count, arguments) * 1e9 / SHARES);
    unsigned processors = allowed_processors();

    setvbuf(stdout, NULL, _IOLBF, 0);
    report_head(processors);
    report_cost(share_ns);
    report_throughput(processors, share_ns * 2);
    report_memory();
    return 0;
}
