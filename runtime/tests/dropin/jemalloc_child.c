/*
 * Purpose: the jemalloc names of the drop-in as servers use them: mallctl by name and by numbers,
 *          the extended calls, malloc_stats_print. [preload.req.jemalloc-facade]
 * Owner:   tests of the drop-in; run by jemalloc_test.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "dropin/child_cases.h"

#define LG_ALIGN(log2) (log2)
#define ZERO           0x40

static int (*mallctl)(const char *, void *, size_t *, void *, size_t);
static int (*nametomib)(const char *, size_t *, size_t *);
static int (*bymib)(const size_t *, size_t, void *, size_t *, void *, size_t);
static void *(*mallocx)(size_t, int);
static void *(*rallocx)(void *, size_t, int);
static size_t (*xallocx)(void *, size_t, size_t, int);
static size_t (*sallocx)(const void *, int);
static size_t (*nallocx)(size_t, int);
static void (*dallocx)(void *, int);
static void (*sdallocx)(void *, size_t, int);
static void (*stats_print)(void (*)(void *, const char *), void *, const char *);

/* A symbol of the drop-in; the test makes no sense without it. */
static void find(const char *name, void *pointer)
{
    void *found = dlsym(RTLD_DEFAULT, name);

    CHECK(found != NULL);
    memcpy(pointer, &found, sizeof(found));
}

__attribute__((constructor)) static void find_all(void)
{
    if (dlsym(RTLD_DEFAULT, "mallctl") == NULL) {
        return; /* asked for its list of cases, without the drop-in */
    }
    find("mallctl", &mallctl);
    find("mallctlnametomib", &nametomib);
    find("mallctlbymib", &bymib);
    find("mallocx", &mallocx);
    find("rallocx", &rallocx);
    find("xallocx", &xallocx);
    find("sallocx", &sallocx);
    find("nallocx", &nallocx);
    find("dallocx", &dallocx);
    find("sdallocx", &sdallocx);
    find("malloc_stats_print", &stats_print);
}

static size_t read_size(const char *name)
{
    size_t value = 0;
    size_t bytes = sizeof(value);

    CHECK_SIZE(mallctl(name, &value, &bytes, NULL, 0), ==, 0);
    CHECK_SIZE(bytes, ==, sizeof(value));
    return value;
}

/* What Redis does for INFO: refresh the epoch, then read the gauges. */
static void gauges_follow_what_is_held(void)
{
    static void *blocks[20000];
    uint64_t epoch = 1;
    size_t bytes = sizeof(epoch);
    size_t before;
    size_t held;

    CHECK_SIZE(mallctl("epoch", &epoch, &bytes, &epoch, bytes), ==, 0);
    before = read_size("stats.allocated");
    for (size_t i = 0; i < 20000; ++i) {
        blocks[i] = malloc(500);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, 500);
    }
    held = read_size("stats.allocated") - before;
    CHECK_SIZE(held, >=, 20000u * 500);
    CHECK_SIZE(held, <, 20000u * 600);
    CHECK_SIZE(read_size("stats.active"), >=, read_size("stats.allocated"));
    CHECK_SIZE(read_size("stats.resident"), >=, read_size("stats.active"));
    CHECK_SIZE(read_size("stats.mapped"), >=, read_size("stats.active"));
    CHECK_SIZE(read_size("stats.metadata"), >, 0);
    CHECK_SIZE(read_size("stats.retained"), <=, read_size("stats.mapped"));
    for (size_t i = 0; i < 20000; ++i) {
        free(blocks[i]);
    }
    CHECK_SIZE(read_size("stats.allocated"), <, before + 20000u * 100);
}

/* What Redis does for MEMORY PURGE, HAProxy when memory is short, and others by number 4096. */
static void purge_is_reached_by_every_usual_name(void)
{
    unsigned arenas = 0;
    size_t bytes = sizeof(arenas);
    char name[32];

    CHECK_SIZE(mallctl("arenas.narenas", &arenas, &bytes, NULL, 0), ==, 0);
    CHECK_SIZE(arenas, >=, 1);
    (void)snprintf(name, sizeof(name), "arena.%u.purge", arenas);
    CHECK_SIZE(mallctl(name, NULL, NULL, NULL, 0), ==, 0);
    CHECK_SIZE(mallctl("arena.0.purge", NULL, NULL, NULL, 0), ==, 0);
    CHECK_SIZE(mallctl("arena.4096.purge", NULL, NULL, NULL, 0), ==, 0);
    CHECK_SIZE(mallctl("arena.0.decay", NULL, NULL, NULL, 0), ==, 0);
    CHECK_SIZE(mallctl("arena.77.purge", NULL, NULL, NULL, 0), ==, EFAULT);
    CHECK_SIZE(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), ==, 0);
}

static void errors_are_those_of_jemalloc(void)
{
    unsigned small = 0;
    size_t bytes = sizeof(small);
    size_t value = 5;

    errno = 21;
    CHECK_SIZE(mallctl("no.such.name", NULL, NULL, NULL, 0), ==, ENOENT);
    CHECK_SIZE(mallctl("", NULL, NULL, NULL, 0), ==, ENOENT);
    CHECK_SIZE(mallctl("arena.x.purge", NULL, NULL, NULL, 0), ==, ENOENT);
    CHECK_SIZE(mallctl("arena.99999999999999999999.purge", NULL, NULL, NULL, 0), ==, ENOENT);
    CHECK_SIZE(mallctl("stats.allocated.more", NULL, NULL, NULL, 0), ==, ENOENT);
    CHECK_SIZE(mallctl("stats.allocated", &small, &bytes, NULL, 0), ==, EINVAL);
    CHECK_SIZE(bytes, ==, sizeof(small));
    CHECK_SIZE(mallctl("stats.allocated", NULL, NULL, &value, sizeof(value)), ==, EPERM);
    CHECK_SIZE(mallctl("epoch", NULL, NULL, &value, 1), ==, EINVAL);
    CHECK_SIZE(mallctl("arena.0.purge", &value, &bytes, NULL, 0), ==, EPERM);
    CHECK(errno == 21);
}

static void names_and_numbers_lead_to_the_same(void)
{
    size_t mib[8];
    size_t parts = 8;
    size_t first = 0;
    size_t second = 0;
    size_t bytes = sizeof(first);
    unsigned bins = 0;

    CHECK_SIZE(nametomib("arenas.bin.0.size", mib, &parts), ==, 0);
    CHECK_SIZE(parts, ==, 4);
    CHECK_SIZE(bymib(mib, parts, &first, &bytes, NULL, 0), ==, 0);
    CHECK_SIZE(first, ==, read_size("arenas.bin.0.size"));
    mib[2] = 5;
    CHECK_SIZE(bymib(mib, parts, &second, &bytes, NULL, 0), ==, 0);
    CHECK_SIZE(second, ==, read_size("arenas.bin.5.size"));
    CHECK_SIZE(second, >, first);
    bytes = sizeof(bins);
    CHECK_SIZE(mallctl("arenas.nbins", &bins, &bytes, NULL, 0), ==, 0);
    mib[2] = bins;
    bytes = sizeof(second);
    CHECK_SIZE(bymib(mib, parts, &second, &bytes, NULL, 0), ==, ENOENT);
    CHECK_SIZE(bymib(mib, parts - 1, &second, &bytes, NULL, 0), ==, ENOENT);
    parts = 2;
    CHECK_SIZE(nametomib("arenas.bin.0.size", mib, &parts), ==, EINVAL);
    parts = 8;
    CHECK_SIZE(nametomib("epoch", mib, &parts), ==, 0);
    CHECK_SIZE(parts, ==, 1);
    first = 1;
    CHECK_SIZE(bymib(mib, parts, NULL, NULL, &first, sizeof(first)), ==, 0);
}

static void switches_and_texts_are_answered(void)
{
    bool enabled = false;
    size_t bytes = sizeof(enabled);
    const char *version = NULL;

    CHECK_SIZE(mallctl("background_thread", &enabled, &bytes, NULL, 0), ==, 0);
    CHECK(enabled);
    CHECK_SIZE(mallctl("background_thread", NULL, NULL, &enabled, bytes), ==, 0);
    CHECK_SIZE(mallctl("config.prof", &enabled, &bytes, NULL, 0), ==, 0);
    CHECK(!enabled);
    bytes = sizeof(version);
    CHECK_SIZE(mallctl("version", &version, &bytes, NULL, 0), ==, 0);
    CHECK(strstr(version, "echomem") != NULL);
    CHECK_SIZE(read_size("arenas.page") % 4096, ==, 0);
    /* Without profiling, as in a jemalloc built without it. */
    CHECK_SIZE(mallctl("prof.active", NULL, NULL, NULL, 0), ==, ENOENT);
}

/* Every name that has a value gives one of its own size and refuses a byte more. */
static void every_name_answers_in_its_type(void)
{
    static const struct {
        const char *name;
        size_t bytes;
    } names[] = {
        {"max_background_threads", sizeof(size_t)},
        {"config.cache_oblivious", sizeof(bool)},
        {"config.debug", sizeof(bool)},
        {"config.fill", sizeof(bool)},
        {"config.lazy_lock", sizeof(bool)},
        {"config.malloc_conf", sizeof(char *)},
        {"config.stats", sizeof(bool)},
        {"config.utrace", sizeof(bool)},
        {"config.xmalloc", sizeof(bool)},
        {"opt.abort", sizeof(bool)},
        {"opt.background_thread", sizeof(bool)},
        {"opt.narenas", sizeof(unsigned)},
        {"opt.retain", sizeof(bool)},
        {"opt.tcache", sizeof(bool)},
        {"opt.zero", sizeof(bool)},
        {"thread.arena", sizeof(unsigned)},
        {"thread.tcache.enabled", sizeof(bool)},
        {"arenas.quantum", sizeof(size_t)},
        {"arenas.bin.0.nregs", sizeof(uint32_t)},
        {"arenas.bin.0.slab_size", sizeof(size_t)},
        {"arena.0.initialized", sizeof(bool)},
        {"stats.arenas.0.nthreads", sizeof(unsigned)},
        {"stats.arenas.0.mapped", sizeof(size_t)},
        {"stats.arenas.4096.resident", sizeof(size_t)},
        {"stats.arenas.0.large.allocated", sizeof(size_t)},
    };
    char value[16];

    for (size_t i = 0; i < CASE_COUNT(names); ++i) {
        size_t bytes = names[i].bytes;
        int error = mallctl(names[i].name, value, &bytes, NULL, 0);

        if (error != 0) {
            fprintf(stderr, "%s: %d\n", names[i].name, error);
        }
        CHECK_SIZE(error, ==, 0);
        ++bytes;
        CHECK_SIZE(mallctl(names[i].name, value, &bytes, NULL, 0), ==, EINVAL);
        CHECK_SIZE(bytes, ==, names[i].bytes);
    }
    CHECK_SIZE(mallctl("thread.idle", NULL, NULL, NULL, 0), ==, 0);
    CHECK_SIZE(mallctl("arena.77.decay", NULL, NULL, NULL, 0), ==, EFAULT);
    CHECK_SIZE(mallctl("stats.arenas.77.mapped", NULL, NULL, NULL, 0), ==, ENOENT);
    CHECK_SIZE(mallctl("arenas.bin.9999.nregs", NULL, NULL, NULL, 0), ==, ENOENT);
    CHECK_SIZE(mallctl("arenas.bin.9999.slab_size", NULL, NULL, NULL, 0), ==, ENOENT);
}

static void extended_calls_keep_alignment_and_zeros(void)
{
    for (int log2 = 0; log2 <= 16; ++log2) {
        size_t align = (size_t)1 << log2;

        for (size_t size = 1; size < 100000; size = size * 3 + 1) {
            unsigned char *block = mallocx(size, LG_ALIGN(log2) | ZERO);

            CHECK(block != NULL);
            CHECK_SIZE((uintptr_t)block % align, ==, 0);
            CHECK_SIZE(sallocx(block, 0), >=, size);
            CHECK_SIZE(sallocx(block, 0), >=, nallocx(size, LG_ALIGN(log2)));
            for (size_t i = 0; i < size; ++i) {
                CHECK_SIZE(block[i], ==, 0);
            }
            memset(block, 7, sallocx(block, 0));
            block = rallocx(block, size * 2, LG_ALIGN(log2) | ZERO);
            CHECK(block != NULL);
            CHECK_SIZE((uintptr_t)block % align, ==, 0);
            CHECK_SIZE(block[size - 1], ==, 7);
            sdallocx(block, size * 2, LG_ALIGN(log2));
        }
    }
}

static void extended_calls_tell_sizes(void)
{
    void *block = mallocx(1000, 0);
    size_t usable = sallocx(block, 0);

    CHECK_SIZE(usable, >=, 1000);
    CHECK_SIZE(xallocx(block, usable * 2, 0, 0), ==, usable);
    CHECK_SIZE(nallocx((size_t)PTRDIFF_MAX + 1, 0), ==, 0);
    CHECK_SIZE(nallocx((size_t)PTRDIFF_MAX, LG_ALIGN(12)), ==, 0);
    dallocx(block, 0);
    CHECK(mallocx((size_t)PTRDIFF_MAX + 1, 0) == NULL);
    CHECK(mallocx(64, LG_ALIGN(62)) == NULL);
}

static char printed[8192];

static void keep(void *arg, const char *text)
{
    CHECK(arg == printed);
    CHECK(strlen(printed) + strlen(text) < sizeof(printed));
    memcpy(printed + strlen(printed), text, strlen(text) + 1);
}

#define PRINT_HELD ((size_t)64 << 20) /* most of what the program has */

/* The number behind a text of the print is that of what is held. */
static void check_printed(const char *before)
{
    const char *at = strstr(printed, before);

    CHECK(at != NULL);
    CHECK_SIZE(strtoull(at + strlen(before), NULL, 10), >=, PRINT_HELD);
    CHECK_SIZE(strtoull(at + strlen(before), NULL, 10), <, 2 * PRINT_HELD);
}

static void print_reaches_the_callback(void)
{
    void *held = malloc(PRINT_HELD);

    CHECK(held != NULL);
    stats_print(keep, printed, NULL);
    CHECK(strstr(printed, "Begin echomem statistics") != NULL);
    check_printed("\nallocated: ");
    printed[0] = '\0';
    stats_print(keep, printed, "J");
    CHECK(strncmp(printed, "{\"jemalloc\":{", 13) == 0);
    check_printed("\"allocated\":");
    free(held);
    stats_print(NULL, NULL, "");
}

static const struct child_case cases[] = {
    {"gauges_follow_what_is_held", gauges_follow_what_is_held},
    {"purge_is_reached_by_every_usual_name", purge_is_reached_by_every_usual_name},
    {"errors_are_those_of_jemalloc", errors_are_those_of_jemalloc},
    {"names_and_numbers_lead_to_the_same", names_and_numbers_lead_to_the_same},
    {"switches_and_texts_are_answered", switches_and_texts_are_answered},
    {"every_name_answers_in_its_type", every_name_answers_in_its_type},
    {"extended_calls_keep_alignment_and_zeros", extended_calls_keep_alignment_and_zeros},
    {"extended_calls_tell_sizes", extended_calls_tell_sizes},
    {"print_reaches_the_callback", print_reaches_the_callback},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
