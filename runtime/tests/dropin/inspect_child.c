/*
 * Purpose: mallinfo, mallinfo2, malloc_info, malloc_trim, mallopt, malloc_stats seen by a program.
 *          [preload.req.moving-numbers]
 * Owner:   tests of the drop-in; run by contract_test.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "dropin/child_cases.h"

/* What HAProxy does at start: an allocator whose numbers stand still is not the one it asked. */
static void mallinfo2_moves_with_one_small_block(void)
{
    for (size_t size = 1; size <= 4096; size *= 2) {
        struct mallinfo2 before = mallinfo2();
        void *block = malloc(size);
        struct mallinfo2 after = mallinfo2();

        CHECK(block != NULL);
        CHECK_SIZE(after.uordblks, >=, before.uordblks + size);
        free(block);
        CHECK_SIZE(mallinfo2().uordblks, <, after.uordblks);
    }
}

static void mallinfo2_counts_what_is_held(void)
{
    static void *blocks[10000];
    size_t before = mallinfo2().uordblks;
    struct mallinfo2 held;

    for (size_t i = 0; i < 10000; ++i) {
        blocks[i] = malloc(1000);
        CHECK(blocks[i] != NULL);
    }
    held = mallinfo2();
    CHECK_SIZE(held.uordblks - before, >=, 10000u * 1000);
    CHECK_SIZE(held.uordblks - before, <, 10000u * 1300);
    CHECK_SIZE(held.arena, ==, held.uordblks + held.fordblks);
    for (size_t i = 0; i < 10000; ++i) {
        free(blocks[i]);
    }
    CHECK_SIZE(mallinfo2().uordblks, <, before + 10000u * 100);
}

static void mallinfo_has_the_same_numbers(void)
{
    struct mallinfo2 wide = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo narrow = mallinfo();
#pragma GCC diagnostic pop

    CHECK_SIZE(narrow.uordblks, ==, wide.uordblks);
    CHECK_SIZE(narrow.arena, ==, wide.arena);
}

static void malloc_info_writes_xml(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);

    CHECK(stream != NULL);
    CHECK_SIZE(malloc_info(1, stream), ==, EINVAL);
    CHECK_SIZE(malloc_info(0, stream), ==, 0);
    CHECK(fclose(stream) == 0);
    CHECK(strncmp(text, "<malloc version=\"1\">\n", 21) == 0);
    CHECK(strstr(text, "<system type=\"current\" size=\"") != NULL);
    CHECK(strcmp(text + bytes - 10, "</malloc>\n") == 0);
    free(text);
}

static size_t resident_pages(void)
{
    unsigned long total = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHECK(file != NULL && fscanf(file, "%lu %lu", &total, &resident) == 2);
    (void)fclose(file);
    return resident;
}

static void malloc_trim_gives_memory_back(void)
{
    static void *blocks[40000];
    size_t full;

    for (size_t i = 0; i < 40000; ++i) {
        blocks[i] = malloc(1024);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, 1024);
    }
    full = resident_pages();
    for (size_t i = 0; i < 40000; ++i) {
        free(blocks[i]);
    }
    errno = 33;
    CHECK(malloc_trim(0) == 1);
    CHECK(errno == 33);
    CHECK_SIZE(resident_pages(), <, full / 2);
}

static void mallopt_accepts_everything(void)
{
    static const int parameters[] = {
        M_MXFAST,       M_TRIM_THRESHOLD, M_TOP_PAD,    M_MMAP_THRESHOLD, M_MMAP_MAX,
        M_CHECK_ACTION, M_PERTURB,        M_ARENA_TEST, M_ARENA_MAX,      12345};

    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); ++i) {
        CHECK(mallopt(parameters[i], 1) == 1);
    }
    free(malloc(100));
}

static void malloc_stats_writes_to_standard_error(void)
{
    int ends[2];
    char text[64] = {0};

    CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    malloc_stats();
    CHECK(read(ends[0], text, sizeof(text) - 1) > 0);
}

static const struct child_case cases[] = {
    {"mallinfo2_moves_with_one_small_block", mallinfo2_moves_with_one_small_block},
    {"mallinfo2_counts_what_is_held", mallinfo2_counts_what_is_held},
    {"mallinfo_has_the_same_numbers", mallinfo_has_the_same_numbers},
    {"malloc_info_writes_xml", malloc_info_writes_xml},
    {"malloc_trim_gives_memory_back", malloc_trim_gives_memory_back},
    {"mallopt_accepts_everything", mallopt_accepts_everything},
    {"malloc_stats_writes_to_standard_error", malloc_stats_writes_to_standard_error},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
