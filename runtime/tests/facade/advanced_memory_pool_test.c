/*
 * What: the facade core/advanced_memory_pool.h as an application uses it.
 * How:  without arguments every call once, with its promises checked, then a short run of threads:
 *       suitable for valgrind and the sanitizers. With --concurrency and --duration the stress of
 *       support/stress.h, with the goals of a thousand-thread server. --seed plants one error for a
 *       checker to find.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/typed_pool.h"
#include "support/cookie.h"
#include "support/settled.h"
#include "support/stress.h"

#define LIVE_BYTES_EACH ((size_t)64 << 10)
#define NS_PER_MS       1000000u
#define GOAL_OPERATIONS 1e6 /* a second */

/* Resident / live of the row for 1000 threads; fewer threads have too little live for it to mean
   much. */
#define GOAL_RATIO   1.2
#define MANY_THREADS 256u

/* The canary of the secure build. */
#define CANARY_BYTES (EMP_SECURE ? 1u : 0u)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || EMP_DEBUG || EMP_AUDIT || \
    EMP_SECURE
#define GOALS_COUNT 0
#else
#define GOALS_COUNT 1
#endif

/* What the command line asks for. */
struct arguments {
    unsigned threads;
    uint64_t duration_ns;
    uint64_t seed;
    const char *plant; /* "leak", "use-after-free" or NULL */
    bool stress;
    bool help;
};

static unsigned failures;

/* Says what was expected, with the numbers. */
static void expect(bool ok, const char *what, unsigned long long got, unsigned long long wanted)
{
    if (!ok) {
        failures++;
        printf("FAILED: %s: got %llu, wanted %llu\n", what, got, wanted);
    }
}

static void expect_equal(const char *what, unsigned long long got, unsigned long long wanted)
{
    expect(got == wanted, what, got, wanted);
}

static uint64_t bytes_in_use(void)
{
    struct emp_stats stats;

    emp_park();
    expect_equal("emp_stats_read", settled_stats_read(&stats), EMP_OK);
    return stats.allocated;
}

static void blocks_of_every_kind_of_size_keep_what_is_written(void)
{
    static const size_t sizes[] = {0,     1,     7,      8,       16,       17,
                                   100,   512,   1000,   4096,    8192,     10000,
                                   32768, 40000, 262144, 1048576, 3u << 20, 40u << 20};
    struct cookie_block blocks[sizeof(sizes) / sizeof(sizes[0])];
    size_t count = sizeof(sizes) / sizeof(sizes[0]);

    for (size_t i = 0; i < count; i++) {
        blocks[i] = (struct cookie_block){emp_malloc(sizes[i]), sizes[i], i};
        expect(blocks[i].ptr != NULL, "malloc of this size", 0, sizes[i]);
        expect(emp_usable_size(blocks[i].ptr) >= sizes[i], "usable size",
               emp_usable_size(blocks[i].ptr), sizes[i]);
        expect(emp_usable_size(blocks[i].ptr) <= emp_good_size(sizes[i]) * 3 / 2, "good size",
               emp_usable_size(blocks[i].ptr), emp_good_size(sizes[i]));
        cookie_write(&blocks[i]);
    }
    for (size_t i = 0; i < count; i++) {
        expect(cookie_is_whole(&blocks[i]), "content of a block of this size", 0, sizes[i]);
        emp_free(blocks[i].ptr);
    }
}

static void zeroed_blocks_are_zero_also_when_memory_is_used_again(void)
{
    static const size_t sizes[] = {24, 1000, 5000, 20000, 100000, 3u << 20};
    void *neighbour = emp_malloc(100000); /* so that its chunk does not become free as a whole */

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int round = 0; round < 3; round++) {
            unsigned char *block = emp_calloc(1, sizes[i]);
            size_t dirty = 0;

            for (size_t at = 0; at < sizes[i]; at++) {
                dirty += block[at] != 0;
            }
            expect_equal("bytes that are not zero", dirty, 0);
            memset(block, 0xa5, sizes[i]);
            emp_free(block);
        }
    }
    emp_free(neighbour);
    errno = 0;
    expect(emp_calloc(SIZE_MAX / 2, 3) == NULL, "calloc that overflows", 1, 0);
    expect_equal("its errno", (unsigned)errno, ENOMEM);
}

static void realloc_keeps_content_from_class_to_class(void)
{
    size_t size = 1;
    unsigned char *block = emp_realloc(NULL, size);

    block[0] = 1;
    while (size < ((size_t)40 << 20)) {
        size_t next = size * 3 + 5;

        block = emp_realloc(block, next);
        expect_equal("first byte", block[0], 1);
        expect_equal("last byte", block[size - 1], 1);
        block[next - 1] = 1;
        size = next;
    }
    while (size > 1) {
        size = size / 5 + 1 < size ? size / 5 + 1 : size - 1;
        block = emp_realloc(block, size);
        expect_equal("first byte after shrinking", block[0], 1);
    }
    expect(emp_realloc(block, 0) == NULL, "realloc to zero", 1, 0);
}

static void aligned_blocks_are_aligned_and_sized_frees_take_them(void)
{
    for (size_t align = 1; align <= ((size_t)4 << 20); align *= 2) {
        void *block = emp_aligned_alloc(align, 300);

        expect_equal("address modulo alignment", (uintptr_t)block % align, 0);
        memset(block, 1, 300);
        emp_free_aligned_sized(block, align, 300);
    }
    errno = 0;
    expect(emp_aligned_alloc(48, 100) == NULL, "alignment 48", 1, 0);
    expect_equal("its errno", (unsigned)errno, EINVAL);
    emp_free_sized(emp_malloc(77), 77);
    emp_free_sized(emp_malloc(100000), 100000);
    emp_free(NULL);
    emp_free_sized(NULL, 5);
}

static void batches_deliver_distinct_blocks(void)
{
    void *blocks[200];
    size_t got = emp_batch_alloc(72, blocks, 200);

    expect_equal("blocks of a batch", got, 200);
    for (size_t i = 0; i < got; i++) {
        memset(blocks[i], (int)i, 72);
    }
    for (size_t i = 0; i < got; i++) {
        expect_equal("first byte of a block", *(unsigned char *)blocks[i], i & 0xff);
        expect_equal("last byte of a block", ((unsigned char *)blocks[i])[71], i & 0xff);
    }
    emp_batch_free(blocks, got);
}

static void a_pool_serves_objects_up_to_its_limit(void)
{
    struct emp_pool_config config = emp_pool_config_default(120);
    struct emp_pool *pool = NULL;
    struct emp_pool_stats stats;
    void *objects[100];
    size_t live = 1;

    config.name = "facade";
    config.max_capacity = 100;
    config.initial_capacity = 10;
    expect_equal("pool create", emp_pool_create(&config, &pool), EMP_OK);
    expect(emp_pool_find_name("facade") == pool, "find by name", 0, 1);
    expect(emp_pool_find_id(emp_pool_id(pool)) == pool, "find by id", 0, 1);
    expect_equal("objects", emp_pool_alloc_batch(pool, objects, 100), 100);
    errno = 0;
    expect(emp_pool_alloc(pool) == NULL, "object 101", 1, 0);
    expect_equal("its errno", (unsigned)errno, ENOMEM);
    expect_equal("stats", emp_pool_get_stats(pool, &stats), EMP_OK);
    expect_equal("capacity", stats.capacity, 100);
    expect_equal("failures", stats.failures, 1);
    emp_pool_free_batch(pool, objects, 99);
    emp_pool_free(pool, objects[99]);
    expect_equal("destroy", emp_pool_destroy(pool, &live), EMP_OK);
    expect_equal("objects never freed", live, 0);
    expect(emp_pool_find_name("facade") == NULL, "find after destroy", 1, 0);
}

struct message {
    uint64_t number;
    char text[56];
};

EMP_POOL_DEFINE(message, struct message)

static void a_typed_pool_comes_and_goes_and_comes_again(void)
{
    for (int round = 0; round < 2; round++) {
        struct message *messages[64];
        size_t live = 99;

        for (uint64_t i = 0; i < 64; i++) {
            messages[i] = message_alloc();
            messages[i]->number = i;
        }
        for (uint64_t i = 0; i < 64; i++) {
            expect_equal("number of a message", messages[i]->number, i);
            message_free(messages[i]);
        }
        expect_equal("destroy of a typed pool", message_destroy(&live), EMP_OK);
        expect_equal("messages never freed", live, 0);
    }
}

static void classes_and_upkeep_answer(void)
{
    struct emp_size_class_info info;
    uint32_t count = emp_size_class_count();

    for (uint32_t i = 1; i <= count; i++) {
        expect_equal("describe", emp_size_class_describe(i, &info), EMP_OK);
        size_t good = emp_good_size(info.block_bytes - CANARY_BYTES);

        /* under valgrind there is no canary */
        expect_equal("good size of a class",
                     good == info.block_bytes || good == info.block_bytes - CANARY_BYTES, 1);
    }
    expect_equal("class 0", emp_size_class_describe(0, &info), EMP_ERR_INVALID);
    (void)emp_tick();
    emp_park();
    (void)emp_purge();
    expect_equal("inconsistencies", emp_audit(), 0);
}

static void threads_trade_blocks_and_nothing_is_lost(uint64_t seed)
{
    const struct stress_settings settings = {
        .threads = 4, .operations_each = 3000, .live_bytes = LIVE_BYTES_EACH, .seed = seed};
    struct stress_result result;

    expect_equal("threads", (unsigned)stress_run(&settings, &result), 0);
    expect_equal("corrupt blocks", result.corrupt, 0);
    expect_equal("blocks freed", result.freed, result.allocated);
    expect_equal("bytes in use afterwards", result.in_use_after, result.in_use_before);
    expect_equal("inconsistencies", result.inconsistencies, 0);
    expect(result.handed_over > 0, "blocks handed over", result.handed_over, 1);
}

static int self_test(uint64_t seed)
{
    uint64_t before = bytes_in_use();

    blocks_of_every_kind_of_size_keep_what_is_written();
    zeroed_blocks_are_zero_also_when_memory_is_used_again();
    realloc_keeps_content_from_class_to_class();
    aligned_blocks_are_aligned_and_sized_frees_take_them();
    batches_deliver_distinct_blocks();
    a_pool_serves_objects_up_to_its_limit();
    a_typed_pool_comes_and_goes_and_comes_again();
    classes_and_upkeep_answer();
    threads_trade_blocks_and_nothing_is_lost(seed);
    expect_equal("bytes in use in the end", bytes_in_use(), before);
    printf("advanced_memory_pool_test: self-test %s (seed %llu)\n",
           failures == 0 ? "passed" : "FAILED", (unsigned long long)seed);
    return failures == 0 ? 0 : 1;
}

static void print_result(const struct stress_settings *settings, const struct stress_result *result)
{
    double seconds = (double)result->run_ns / 1e9;
    double mib = 1024.0 * 1024.0;

    printf("threads %u, %.1f s, seed %llu\n", settings->threads, seconds,
           (unsigned long long)settings->seed);
    printf("operations   %12llu  = %.2f M/s\n", (unsigned long long)result->operations,
           (double)result->operations / seconds / 1e6);
    printf("blocks       %12llu allocated, %llu freed, %llu handed over, %llu refused\n",
           (unsigned long long)result->allocated, (unsigned long long)result->freed,
           (unsigned long long)result->handed_over, (unsigned long long)result->refused);
    printf("live         %12.2f MiB, mean of %u samples\n", result->live_bytes / mib,
           result->samples);
    printf("resident     %12.2f MiB above idle threads: %.3f x live, worst sample %.3f x\n",
           result->resident_bytes / mib, result->resident_bytes / result->live_bytes,
           result->resident_worst);
    printf("corrupt %llu, lost blocks %lld, bytes in use %llu -> %llu, inconsistencies %llu\n",
           (unsigned long long)result->corrupt, (long long)(result->allocated - result->freed),
           (unsigned long long)result->in_use_before, (unsigned long long)result->in_use_after,
           (unsigned long long)result->inconsistencies);
}

static int stress_test(const struct arguments *arguments)
{
    const struct stress_settings settings = {.threads = arguments->threads,
                                             .duration_ns = arguments->duration_ns,
                                             .live_bytes = LIVE_BYTES_EACH,
                                             .seed = arguments->seed};
    struct stress_result result;

    if (stress_run(&settings, &result) != 0) {
        fprintf(stderr, "advanced_memory_pool_test: %u threads could not be started\n",
                settings.threads);
        return 1;
    }
    print_result(&settings, &result);
    double rate = (double)result.operations / ((double)result.run_ns / 1e9);
    double ratio = result.resident_bytes / result.live_bytes;
    bool fast = rate > GOAL_OPERATIONS;
    bool small = ratio <= GOAL_RATIO || settings.threads < MANY_THREADS;

    expect_equal("corrupt blocks", result.corrupt, 0);
    expect_equal("blocks freed", result.freed, result.allocated);
    expect_equal("allocations refused", result.refused, 0);
    expect_equal("bytes in use afterwards", result.in_use_after, result.in_use_before);
    expect_equal("inconsistencies", result.inconsistencies, 0);
    printf("goal of %.0f M operations/s %s%s\n", GOAL_OPERATIONS / 1e6, fast ? "met" : "MISSED",
           GOALS_COUNT ? "" : " (not counted in this build)");
    if (settings.threads >= MANY_THREADS) {
        printf("goal of resident / live at most %.1f %s%s\n", GOAL_RATIO, small ? "met" : "MISSED",
               GOALS_COUNT ? "" : " (not counted in this build)");
    }
    failures += GOALS_COUNT && !(fast && small);
    printf("advanced_memory_pool_test: %s\n", failures == 0 ? "passed" : "FAILED");
    return failures == 0 ? 0 : 1;
}

/*
 * Allocates a block that nobody can reach afterwards. Not the first of all: the address of that one
 * is the start of the arena, which the library itself keeps in many places.
 */
static __attribute__((noinline)) void leak_one_block(void)
{
    void *first = emp_malloc(100);
    unsigned char *block = emp_malloc(100);

    memset(block, 1, 100);
    __asm__ __volatile__("" : "+r"(block));
    emp_free(first);
}

/* Writes to a block that was freed; the compiler must not see that it is one. */
static __attribute__((noinline)) void write_after_free(void)
{
    unsigned char *block = emp_malloc(100);
    unsigned char *later = block;

    __asm__ __volatile__("" : "+r"(later));
    block[0] = 1;
    emp_free(block);
    later[5] = 1;
}

/* So that no register and no stack slot keeps the pointer of the leaked block. */
static __attribute__((noinline)) void forget_everything(void)
{
    unsigned char stack[4096];

    memset(stack, 0, sizeof(stack));
    __asm__ __volatile__("" : : "r"(stack) : "memory");
}

static int plant_error(const char *plant)
{
    uint64_t before = bytes_in_use();

    if (strcmp(plant, "leak") == 0) {
        leak_one_block();
    } else {
        write_after_free();
    }
    forget_everything();
    uint64_t after = bytes_in_use();

    printf("planted %s: %llu bytes in use that were not before\n", plant,
           (unsigned long long)(after - before));
    return 0;
}

static void print_help(void)
{
    puts("usage: advanced_memory_pool_test [--concurrency=N] [--duration=T] [--random=N]\n"
         "       advanced_memory_pool_test --seed=leak|use-after-free\n"
         "\n"
         "Without arguments: every call of the facade once, then a few threads; exit code 0 or 1.\n"
         "  --concurrency=N  stress with N threads (1..4096; 4) that keep 64 KiB live each\n"
         "  --duration=T     for so long: 10s, 500ms, 2m (10s)\n"
         "  --random=N       seed of the random numbers (1)\n"
         "  --seed=leak      leaks exactly one block of 100 bytes, for valgrind to find\n"
         "  --seed=use-after-free  writes one byte to a freed block, for valgrind or ASan to find\n"
         "  --help           this text");
}

/* A number and a unit: ms, s or m; 0: not a duration. */
static uint64_t parse_duration(const char *text)
{
    char *end = NULL;
    unsigned long long number = strtoull(text, &end, 10);

    if (end == text || number > 1000000) {
        return 0;
    }
    if (strcmp(end, "ms") == 0) {
        return number * NS_PER_MS;
    }
    if (strcmp(end, "s") == 0) {
        return number * 1000 * NS_PER_MS;
    }
    return strcmp(end, "m") == 0 ? number * 60000 * NS_PER_MS : 0;
}

/* Value of --name=value, or NULL when the argument is another. */
static const char *value_of(const char *argument, const char *name)
{
    size_t length = strlen(name);

    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1
                                                                           : NULL;
}

/* One argument; false: not understood. */
static bool parse_argument(const char *argument, struct arguments *out)
{
    const char *value = NULL;

    if ((value = value_of(argument, "--concurrency")) != NULL) {
        out->threads = (unsigned)strtoul(value, NULL, 10);
        out->stress = true;
        return out->threads >= 1 && out->threads <= STRESS_THREADS_MAX;
    }
    if ((value = value_of(argument, "--duration")) != NULL) {
        out->duration_ns = parse_duration(value);
        out->stress = true;
        return out->duration_ns != 0;
    }
    if ((value = value_of(argument, "--random")) != NULL) {
        out->seed = strtoull(value, NULL, 0);
        return true;
    }
    if ((value = value_of(argument, "--seed")) != NULL) {
        out->plant = value;
        return strcmp(value, "leak") == 0 || strcmp(value, "use-after-free") == 0;
    }
    out->help = strcmp(argument, "--help") == 0;
    return out->help;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .threads = 4, .duration_ns = (uint64_t)10000 * NS_PER_MS, .seed = 1};

    for (int i = 1; i < argc; i++) {
        if (!parse_argument(argv[i], &arguments)) {
            fprintf(stderr, "advanced_memory_pool_test: cannot use %s; see --help\n", argv[i]);
            return 2;
        }
    }
    if (arguments.help) {
        print_help();
        return 0;
    }
    if (arguments.plant != NULL) {
        return plant_error(arguments.plant);
    }
    return arguments.stress ? stress_test(&arguments) : self_test(arguments.seed);
}
