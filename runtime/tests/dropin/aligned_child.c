/*
 * Purpose: the contract of the aligned and sized calls: posix_memalign, aligned_alloc, memalign,
 *          valloc, pvalloc, free_sized, free_aligned_sized, and glibc's second names.
 *          [preload.req.family]
 * Owner:   tests of the drop-in; run by contract_test.
 */
#define _GNU_SOURCE /* valloc */
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "dropin/child_cases.h"

#define LOG2_ALIGN_MAX 30u

static size_t opaque(size_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

static void check_block(unsigned char *block, size_t align, size_t size)
{
    CHECK(block != NULL);
    CHECK_SIZE((uintptr_t)block % align, ==, 0);
    CHECK_SIZE(malloc_usable_size(block), >=, size);
    if (size != 0) {
        block[0] = 1;
        block[size - 1] = 2;
    }
}

/* Alignments to 1 GiB with sizes to 64 MiB; only the ends of blocks are touched. */
static void aligned_alloc_serves_every_power_of_two(void)
{
    static const size_t sizes[] = {0,     1,      8,       24,      48,      64,
                                   100,   256,    1000,    4096,    5000,    32768,
                                   32769, 100000, 1048576, 3000001, 67108864};

    for (unsigned log2 = 0; log2 <= LOG2_ALIGN_MAX; ++log2) {
        size_t align = (size_t)1 << log2;

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
            unsigned char *block = aligned_alloc(align, sizes[i]);

            check_block(block, align, sizes[i]);
            free(block);
        }
    }
}

static void many_aligned_blocks_are_disjoint(void)
{
    unsigned char *blocks[512];

    for (unsigned i = 0; i < 512; ++i) {
        size_t align = (size_t)16 << i % 9;

        blocks[i] = memalign(align, 200 + i);
        check_block(blocks[i], align, 200 + i);
        memset(blocks[i], (int)i % 251, 200 + i);
    }
    for (unsigned i = 0; i < 512; ++i) {
        for (unsigned j = 0; j < 200 + i; ++j) {
            CHECK_SIZE(blocks[i][j], ==, i % 251);
        }
        free(blocks[i]);
    }
}

static void posix_memalign_reports_by_its_result(void)
{
    static char untouched;
    void *block = &untouched;
    static const size_t invalid[] = {0, 1, 2, 4, 3, 7, 12, 24, 48, 100, 4095, SIZE_MAX};

    errno = 55;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); ++i) {
        CHECK_SIZE(posix_memalign(&block, opaque(invalid[i]), 64), ==, EINVAL);
        CHECK(block == &untouched);
    }
    CHECK_SIZE(posix_memalign(&block, 64, opaque(SIZE_MAX)), ==, ENOMEM);
    CHECK_SIZE(posix_memalign(&block, 64, opaque((size_t)PTRDIFF_MAX)), ==, ENOMEM);
    CHECK_SIZE(posix_memalign(&block, opaque((size_t)1 << 62), 8), ==, ENOMEM);
    CHECK(block == &untouched);
    CHECK(errno == 55);
    for (size_t align = sizeof(void *); align <= 65536; align *= 2) {
        CHECK_SIZE(posix_memalign(&block, align, opaque(align == 64 ? 0 : 100)), ==, 0);
        check_block(block, align, align == 64 ? 0 : 100);
        free(block);
    }
    CHECK(errno == 55);
}

static void aligned_alloc_refuses_what_is_no_alignment(void)
{
    errno = 0;
    CHECK(aligned_alloc(opaque(0), 8) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(aligned_alloc(opaque(24), 48) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(aligned_alloc(64, opaque(SIZE_MAX - 63)) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(aligned_alloc(opaque((size_t)1 << 62), 8) == NULL && errno == ENOMEM);
}

static void memalign_rounds_the_alignment_up(void)
{
    void *block = memalign(opaque(48), 100);

    check_block(block, 64, 100);
    free(block);
    block = memalign(opaque(0), 100);
    check_block(block, 16, 100);
    free(block);
    errno = 0;
    CHECK(memalign(opaque(SIZE_MAX), 8) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(memalign(64, opaque(SIZE_MAX)) == NULL && errno == ENOMEM);
}

static void valloc_and_pvalloc_serve_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *block = valloc(opaque(10));

    check_block(block, page, 10);
    free(block);
    block = pvalloc(opaque(page + 1));
    check_block(block, page, 2 * page);
    free(block);
    block = pvalloc(opaque(0));
    check_block(block, page, page);
    free(block);
    for (size_t below = 0; below < 2 * page; below += page / 4) {
        errno = 0;
        CHECK(pvalloc(opaque(SIZE_MAX - below)) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(valloc(opaque(SIZE_MAX - below)) == NULL && errno == ENOMEM);
    }
}

static void realloc_and_free_take_aligned_blocks(void)
{
    for (size_t align = 16; align <= 1u << 20; align *= 2) {
        unsigned char *block = memalign(align, 300);

        check_block(block, align, 300);
        block[299] = 9;
        block = realloc(block, 5000);
        CHECK(block != NULL && block[0] == 1 && block[299] == 9);
        errno = 66;
        free(block);
        CHECK(errno == 66);
    }
}

/* A function of the drop-in that the headers of this system do not declare. */
static void *extra(const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);

    if (found == NULL) {
        fprintf(stderr, "%s is missing\n", name);
        exit(1);
    }
    return found;
}

static void free_sized_takes_the_size_asked_for(void)
{
    void (*free_sized)(void *, size_t) = (void (*)(void *, size_t))extra("free_sized");

    errno = 44;
    for (size_t size = 0; size < 40000; size += size < 1100 ? 1 : 97) {
        free_sized(malloc(size), size);
        free_sized(calloc(1, size), size);
        free_sized(realloc(malloc(size / 2 + 8), size + 1), size + 1);
    }
    free_sized(malloc(3000000), 3000000);
    free_sized(NULL, 10);
    CHECK(errno == 44);
}

static void free_aligned_sized_takes_both_asked_for(void)
{
    void (*free_aligned_sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))extra("free_aligned_sized");

    errno = 45;
    for (size_t align = 1; align <= 65536; align *= 2) {
        for (size_t size = 0; size < 70000; size = size * 3 + 5) {
            free_aligned_sized(aligned_alloc(align, size), align, size);
        }
    }
    free_aligned_sized(NULL, 64, 10);
    CHECK(errno == 45);
}

static void second_names_reach_the_same_allocator(void)
{
    void *(*libc_malloc)(size_t) = (void *(*)(size_t))extra("__libc_malloc");
    void *(*libc_calloc)(size_t, size_t) = (void *(*)(size_t, size_t))extra("__libc_calloc");
    void *(*libc_realloc)(void *, size_t) = (void *(*)(void *, size_t))extra("__libc_realloc");
    void *(*libc_memalign)(size_t, size_t) = (void *(*)(size_t, size_t))extra("__libc_memalign");
    void *(*libc_valloc)(size_t) = (void *(*)(size_t))extra("__libc_valloc");
    void *(*libc_pvalloc)(size_t) = (void *(*)(size_t))extra("__libc_pvalloc");
    void (*libc_free)(void *) = (void (*)(void *))extra("__libc_free");

    free(libc_malloc(100));
    free(libc_calloc(10, 10));
    free(libc_realloc(malloc(10), 1000));
    free(libc_memalign(128, 100));
    free(libc_valloc(100));
    free(libc_pvalloc(100));
    libc_free(malloc(100));
}

static const struct child_case cases[] = {
    {"aligned_alloc_serves_every_power_of_two", aligned_alloc_serves_every_power_of_two},
    {"many_aligned_blocks_are_disjoint", many_aligned_blocks_are_disjoint},
    {"posix_memalign_reports_by_its_result", posix_memalign_reports_by_its_result},
    {"aligned_alloc_refuses_what_is_no_alignment", aligned_alloc_refuses_what_is_no_alignment},
    {"memalign_rounds_the_alignment_up", memalign_rounds_the_alignment_up},
    {"valloc_and_pvalloc_serve_pages", valloc_and_pvalloc_serve_pages},
    {"realloc_and_free_take_aligned_blocks", realloc_and_free_take_aligned_blocks},
    {"free_sized_takes_the_size_asked_for", free_sized_takes_the_size_asked_for},
    {"free_aligned_sized_takes_both_asked_for", free_aligned_sized_takes_both_asked_for},
    {"second_names_reach_the_same_allocator", second_names_reach_the_same_allocator},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
