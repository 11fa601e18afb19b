/*
 * Purpose: see stress.h.
 * How:     every thread holds a table of its blocks and trades parcels of them with the others
 *          through mailboxes, one exchange per parcel; whoever finds a parcel owns its blocks. All
 *          blocks and all parcels come from the library; the tables come from the C library, before
 *          the baseline.
 */
#define _GNU_SOURCE
#include "support/stress.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "support/cookie.h"
#include "support/random_stream.h"
#include "support/settled.h"
#include "sync/atomic.h"

#define TABLE_BLOCKS     2048u
#define PARCEL_BLOCKS    15u
#define MAILBOXES        64u
#define OPERATIONS_BATCH 64u /* operations between two looks at the clock and the mailboxes */
#define STACK_BYTES      (256u << 10) /* a thread needs little */
#define STACK_TOUCHED    (16u << 10) /* touched before the baseline: stacks are not ours to count */
#define SAMPLES          20u

/* Blocks on their way to another thread. */
struct parcel {
    unsigned count;
    struct cookie_block blocks[PARCEL_BLOCKS];
};

struct mailbox {
    struct parcel *parcel; /* atomic: stress-mailbox */
    char line_rest[56];
};

/* One thread. Written by it; live_bytes is read by the sampler, the rest after it was joined. */
struct worker {
    pthread_t thread;
    struct random_stream random;
    struct stress_result counts;
    size_t live_bytes; /* atomic: stress-live */
    unsigned used;
    struct cookie_block *table;
};

static struct {
    struct stress_settings settings;
    pthread_barrier_t start;
    uint32_t stop; /* atomic: stress-stop */
    struct mailbox boxes[MAILBOXES];
    struct worker *workers;
} stress;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long total = 0;
    unsigned long resident = 0;

    if (file != NULL) {
        if (fscanf(file, "%lu %lu", &total, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* A server's sizes: 94 % to 512 bytes, each octave as likely; the rest reaches every class and
   runs. */
static size_t random_size(struct random_stream *random)
{
    uint32_t kind = random_below(random, 1000);

    if (kind < 940) {
        uint32_t octave = (uint32_t)8 << random_below(random, 6);

        return octave + 1 + random_below(random, octave) - (kind < 20 ? octave : 0);
    }
    if (kind < 990) {
        return 513 + random_below(random, 3584);
    }
    return kind < 998 ? 4097 + random_below(random, 4096) : 8193 + random_below(random, 32768);
}

static bool all_zero(const char *bytes, size_t count)
{
    return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* Allocates by one of the calls and checks what that call promises; NULL when refused. */
static void *checked_alloc(struct worker *worker, size_t size)
{
    uint32_t kind = random_below(&worker->random, 32);
    uintptr_t align = size < 16 ? 8 : 16;
    void *ptr = NULL;

    if (kind == 0) {
        ptr = emp_calloc(1, size);
        worker->counts.corrupt += ptr != NULL && !all_zero(ptr, size);
    } else if (kind == 1) {
        align = 64;
        ptr = emp_aligned_alloc(align, size);
    } else {
        ptr = emp_malloc(size);
    }
    worker->counts.corrupt += (uintptr_t)ptr % align != 0;
    worker->counts.corrupt += ptr != NULL && emp_usable_size(ptr) < size;
    return ptr;
}

static void live_add(struct worker *worker, ptrdiff_t bytes)
{
    /* order(stress-live): relaxed; only a number for the sampler */
    emp_store_relaxed(&worker->live_bytes, worker->live_bytes + (size_t)bytes);
}

static void block_make(struct worker *worker)
{
    struct cookie_block block = {NULL, random_size(&worker->random), random_next(&worker->random)};

    block.ptr = checked_alloc(worker, block.size);
    if (block.ptr == NULL) {
        worker->counts.refused++;
        return;
    }
    cookie_write(&block);
    worker->table[worker->used++] = block;
    worker->counts.allocated++;
    live_add(worker, (ptrdiff_t)block.size);
}

/* Takes a random block out of the table. */
static struct cookie_block block_pick(struct worker *worker)
{
    unsigned at = random_below(&worker->random, worker->used);
    struct cookie_block block = worker->table[at];

    worker->table[at] = worker->table[--worker->used];
    live_add(worker, -(ptrdiff_t)block.size);
    return block;
}

static void block_end(struct worker *worker)
{
    struct cookie_block block = block_pick(worker);

    worker->counts.corrupt += !cookie_is_whole(&block);
    worker->counts.freed++;
    emp_free(block.ptr);
}

/* Resizes a random block; its first bytes must be kept. */
static void block_resize(struct worker *worker)
{
    struct cookie_block block = block_pick(worker);
    size_t size = random_size(&worker->random);
    uint64_t head = 0;
    uint64_t kept = 0;
    size_t compare = size < block.size ? size : block.size;

    compare = compare < sizeof(head) ? compare : sizeof(head);
    worker->counts.corrupt += !cookie_is_whole(&block);
    memcpy(&head, block.ptr, compare);
    void *moved = emp_realloc(block.ptr, size);

    if (moved == NULL) {
        worker->counts.refused++;
    } else {
        memcpy(&kept, moved, compare);
        worker->counts.corrupt += kept != head;
        block.ptr = moved;
        block.size = size;
    }
    cookie_write(&block);
    worker->table[worker->used++] = block;
    live_add(worker, (ptrdiff_t)block.size);
}

/* Unpacks a parcel into the table of whoever found it. */
static void parcel_open(struct worker *worker, struct parcel *parcel)
{
    for (unsigned i = 0; i < parcel->count; i++) {
        worker->table[worker->used++] = parcel->blocks[i];
        live_add(worker, (ptrdiff_t)parcel->blocks[i].size);
    }
    worker->counts.handed_over += parcel->count;
    worker->counts.freed++;
    emp_free(parcel);
}

/* Puts a parcel into a mailbox and takes what was there. */
static void parcel_trade(struct worker *worker)
{
    struct mailbox *box = &stress.boxes[random_below(&worker->random, MAILBOXES)];
    struct parcel *parcel = NULL;

    if (worker->used >= PARCEL_BLOCKS * 2 && (parcel = emp_malloc(sizeof(*parcel))) != NULL) {
        worker->counts.allocated++;
        for (parcel->count = 0; parcel->count < PARCEL_BLOCKS; parcel->count++) {
            parcel->blocks[parcel->count] = block_pick(worker);
        }
    }
    /* order(stress-mailbox): acq_rel; the parcel and its blocks change hands */
    parcel = emp_exchange_acq_rel(&box->parcel, parcel);
    if (parcel != NULL) {
        parcel_open(worker, parcel);
    }
}

static void worker_batch(struct worker *worker)
{
    for (unsigned i = 0; i < OPERATIONS_BATCH; i++) {
        bool is_room = worker->used + PARCEL_BLOCKS + 1 < TABLE_BLOCKS;

        if (worker->used == 0 || (worker->live_bytes < stress.settings.live_bytes && is_room)) {
            block_make(worker);
        } else {
            block_end(worker);
        }
    }
    if (worker->used != 0) {
        block_resize(worker);
    }
    parcel_trade(worker);
    worker->counts.operations += OPERATIONS_BATCH + 2;
}

static __attribute__((noinline)) void touch_stack(void)
{
    char stack[STACK_TOUCHED];

    memset(stack, 1, sizeof(stack));
    __asm__ __volatile__("" : : "r"(stack) : "memory");
}

static void *worker_body(void *arg)
{
    struct worker *worker = arg;

    touch_stack();
    (void)pthread_barrier_wait(&stress.start); /* everybody is there: the baseline is taken */
    (void)pthread_barrier_wait(&stress.start);
    while (worker->live_bytes < stress.settings.live_bytes && worker->used < TABLE_BLOCKS / 2) {
        block_make(worker);
    }
    (void)pthread_barrier_wait(&stress.start); /* everybody has his blocks: the run begins */
    /* order(stress-stop): relaxed; seen a batch later is as good */
    while (emp_load_relaxed(&stress.stop) == 0 &&
           (stress.settings.operations_each == 0 ||
            worker->counts.operations < stress.settings.operations_each)) {
        worker_batch(worker);
    }
    while (worker->used != 0) {
        block_end(worker);
    }
    return NULL;
}

/* One look at memory; the sums are means in the end. */
static void sample(size_t baseline, struct stress_result *result)
{
    size_t resident = resident_bytes();
    double live = 0;

    for (unsigned i = 0; i < stress.settings.threads; i++) {
        /* order(stress-live): relaxed; only a number */
        live += (double)emp_load_relaxed(&stress.workers[i].live_bytes);
    }
    double above = resident > baseline ? (double)(resident - baseline) : 0;

    if (live > 0) {
        result->live_bytes += live;
        result->resident_bytes += above;
        result->resident_worst =
            above / live > result->resident_worst ? above / live : result->resident_worst;
        result->samples++;
    }
}

/* Waits for the end of the run and looks at memory meanwhile, after the first fifth. */
static void watch(size_t baseline, struct stress_result *result)
{
    uint64_t slice = stress.settings.duration_ns / SAMPLES;

    for (unsigned i = 0; i < SAMPLES && slice != 0; i++) {
        struct timespec pause = {(time_t)(slice / 1000000000u), (long)(slice % 1000000000u)};

        nanosleep(&pause, NULL);
        if (i >= SAMPLES / 5) {
            sample(baseline, result);
        }
    }
    if (slice != 0) {
        /* order(stress-stop): relaxed; joining the threads orders the rest */
        emp_store_relaxed(&stress.stop, 1);
    }
}

static void collect(struct stress_result *result)
{
    for (unsigned i = 0; i < stress.settings.threads; i++) {
        const struct stress_result *counts = &stress.workers[i].counts;

        result->operations += counts->operations;
        result->allocated += counts->allocated;
        result->freed += counts->freed;
        result->handed_over += counts->handed_over;
        result->corrupt += counts->corrupt;
        result->refused += counts->refused;
    }
}

/* What nobody picked up, by the thread that ends the run. */
static void empty_mailboxes(void)
{
    for (unsigned i = 0; i < MAILBOXES; i++) {
        if (stress.boxes[i].parcel != NULL) {
            parcel_open(&stress.workers[0], stress.boxes[i].parcel);
            stress.boxes[i].parcel = NULL;
        }
        while (stress.workers[0].used != 0) {
            block_end(&stress.workers[0]);
        }
    }
}

/* Bytes the library counts as allocated. */
static uint64_t bytes_in_use(void)
{
    struct emp_stats stats;

    emp_park();
    (void)settled_stats_read(&stats);
    return stats.allocated;
}

/* Makes the threads; returns how many. */
static unsigned start_workers(void)
{
    pthread_attr_t attributes;
    unsigned made = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (; made < stress.settings.threads; made++) {
        struct worker *worker = &stress.workers[made];

        worker->random.state = random_mix(stress.settings.seed + made);
        worker->table = calloc(TABLE_BLOCKS, sizeof(*worker->table));
        if (worker->table == NULL) {
            break;
        }
        memset(worker->table, 1, TABLE_BLOCKS * sizeof(*worker->table)); /* resident from now on */
        if (pthread_create(&worker->thread, &attributes, worker_body, worker) != 0) {
            break;
        }
    }
    pthread_attr_destroy(&attributes);
    return made;
}

int stress_run(const struct stress_settings *settings, struct stress_result *result)
{
    memset(&stress, 0, sizeof(stress));
    stress.settings = *settings;
    stress.workers = calloc(settings->threads, sizeof(*stress.workers));
    *result = (struct stress_result){.in_use_before = bytes_in_use()};
    if (stress.workers == NULL ||
        pthread_barrier_init(&stress.start, NULL, settings->threads + 1)) {
        return 1;
    }
    if (start_workers() != settings->threads) {
        return 1; /* the threads that were made wait for ever; the caller ends the process */
    }
    (void)pthread_barrier_wait(&stress.start);
    size_t baseline = resident_bytes();

    (void)pthread_barrier_wait(&stress.start);
    (void)pthread_barrier_wait(&stress.start);
    uint64_t began = now_ns();

    watch(baseline, result);
    result->run_ns = now_ns() - began;
    for (unsigned i = 0; i < settings->threads; i++) {
        (void)pthread_join(stress.workers[i].thread, NULL);
    }
    result->run_ns = settings->duration_ns != 0 ? result->run_ns : now_ns() - began;
    empty_mailboxes();
    collect(result);
    result->live_bytes /= result->samples != 0 ? result->samples : 1;
    result->resident_bytes /= result->samples != 0 ? result->samples : 1;
    result->inconsistencies = emp_audit();
    result->in_use_after = bytes_in_use();
    for (unsigned i = 0; i < settings->threads; i++) {
        free(stress.workers[i].table);
    }
    free(stress.workers);
    (void)pthread_barrier_destroy(&stress.start);
    return 0;
}
