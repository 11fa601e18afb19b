/*
 * Purpose: the contract of malloc, calloc, realloc and free as C17, C23 and POSIX state it,
 *          checked from a plain program. [preload.req.family]
 * Owner:   tests of the drop-in; run by contract_test.
 */
#define _GNU_SOURCE /* reallocarray, asprintf */
#include <limits.h>
#include <malloc.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include "dropin/child_cases.h"

#define SIZES       65537u
#define CLASS_SIZES 160u

/* Hides a value from the compiler, which knows what malloc may refuse. */
static size_t opaque(size_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* A spread of sizes: small steps first, then about eight per doubling, to 8 MiB. */
static size_t spread_size(unsigned step)
{
    if (step < 64) {
        return step * 9 + 1;
    }
    return ((size_t)(8 + step % 8) << (6 + (step - 64) / 8)) + step % 5;
}

static void every_size_to_64k_is_usable_and_disjoint(void)
{
    unsigned char **blocks = calloc(SIZES, sizeof(*blocks));

    CHECK(blocks != NULL);
    for (size_t size = 0; size < SIZES; size += size < 1100 ? 1 : 61) {
        blocks[size] = malloc(size);
        CHECK(blocks[size] != NULL);
        CHECK_SIZE(malloc_usable_size(blocks[size]), >=, size);
        memset(blocks[size], (int)(size % 251), size);
    }
    for (size_t size = 0; size < SIZES; ++size) {
        for (size_t i = 0; blocks[size] != NULL && i < size; ++i) {
            CHECK_SIZE(blocks[size][i], ==, size % 251);
        }
        free(blocks[size]);
    }
    free(blocks);
}

static void zero_bytes_give_distinct_blocks(void)
{
    void *blocks[1000];

    for (size_t i = 0; i < 1000; ++i) {
        blocks[i] = malloc(opaque(0));
        CHECK(blocks[i] != NULL);
        for (size_t j = 0; j < i; ++j) {
            CHECK(blocks[i] != blocks[j]);
        }
    }
    for (size_t i = 0; i < 1000; ++i) {
        free(blocks[i]);
    }
}

/* 16 bytes for requests of 16 and more, 8 below: no object of such a size needs more. */
static void alignment_suits_every_object(void)
{
    for (size_t size = 0; size < SIZES; size += size < 1100 ? 1 : 61) {
        void *block = malloc(size);

        CHECK(block != NULL);
        CHECK_SIZE((uintptr_t)block % (size >= 16 ? alignof(max_align_t) : 8), ==, 0);
        free(block);
    }
}

static void calloc_is_zero_after_dirty_reuse(void)
{
    for (unsigned step = 0; step < CLASS_SIZES; ++step) {
        size_t size = spread_size(step);

        for (int round = 0; round < 3; ++round) {
            unsigned char *block = calloc(1, size);

            CHECK(block != NULL);
            for (size_t i = 0; i < size; ++i) {
                CHECK_SIZE(block[i], ==, 0);
            }
            memset(block, 0xff, size);
            free(block);
        }
    }
}

static void calloc_refuses_products_that_overflow(void)
{
    const size_t root = (size_t)1 << (sizeof(size_t) * CHAR_BIT / 2);

    for (size_t i = 0; i < 8; ++i) {
        for (size_t j = 0; j < 8; ++j) {
            errno = 0;
            CHECK(calloc(opaque(root + i), opaque(root + j)) == NULL);
            CHECK(errno == ENOMEM);
        }
    }
    CHECK(calloc(opaque(SIZE_MAX), 2) == NULL);
    CHECK(calloc(2, opaque(SIZE_MAX)) == NULL);
}

static void realloc_keeps_content_growing_and_shrinking(void)
{
    uint32_t state = 12345;

    for (int round = 0; round < 6000; ++round) {
        size_t from;
        size_t to;
        size_t kept;
        unsigned char *block;

        state = state * 1664525u + 1013904223u;
        from = spread_size((state >> 8) % 150) % (1u << 20);
        to = spread_size((state >> 20) % 150) % (1u << 20) + 1;
        kept = from < to ? from : to;
        block = malloc(from);
        CHECK(block != NULL);
        for (size_t i = 0; i < from; i += 1 + from / 64) {
            block[i] = (unsigned char)(i + (size_t)round);
        }
        block = realloc(block, to);
        CHECK(block != NULL);
        CHECK_SIZE(malloc_usable_size(block), >=, to);
        for (size_t i = 0; i < kept; i += 1 + from / 64) {
            CHECK_SIZE(block[i], ==, (unsigned char)(i + (size_t)round));
        }
        free(block);
    }
}

static void realloc_of_null_allocates_and_to_zero_frees(void)
{
    void *block = realloc(NULL, opaque(40));

    CHECK(block != NULL);
    CHECK(realloc(block, opaque(0)) == NULL);
    block = realloc(NULL, opaque(0));
    CHECK(block != NULL);
    free(block);
}

static void realloc_that_fails_keeps_the_block(void)
{
    char *block = malloc(100);

    CHECK(block != NULL);
    memset(block, 'k', 100);
    errno = 0;
    CHECK(realloc(block, opaque((size_t)PTRDIFF_MAX)) == NULL);
    CHECK(errno == ENOMEM);
    for (size_t i = 0; i < 100; ++i) {
        CHECK(block[i] == 'k');
    }
    free(block);
}

static void reallocarray_stays_the_c_librarys(void)
{
    int *numbers = reallocarray(NULL, 100, sizeof(int));

    CHECK(numbers != NULL);
    errno = 0;
    CHECK(reallocarray(numbers, opaque(SIZE_MAX / 2), opaque(4)) == NULL);
    CHECK(errno == ENOMEM);
    free(numbers);
}

static void sizes_above_ptrdiff_max_are_refused(void)
{
    for (size_t below = 0; below <= 8192; below += 512) {
        size_t size = opaque(SIZE_MAX - below);

        free(malloc(16));
        errno = 0;
        CHECK(malloc(size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(calloc(1, size) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(realloc(NULL, size) == NULL && errno == ENOMEM);
    }
    errno = 0;
    CHECK(malloc(opaque((size_t)PTRDIFF_MAX + 1)) == NULL && errno == ENOMEM);
}

static void free_keeps_errno(void)
{
    for (unsigned step = 0; step < CLASS_SIZES; ++step) {
        void *block = malloc(spread_size(step));

        CHECK(block != NULL);
        errno = 77;
        free(block);
        CHECK(errno == 77);
    }
    free(NULL);
    CHECK(errno == 77);
}

static void success_leaves_errno_alone(void)
{
    errno = 78;
    for (unsigned step = 0; step < CLASS_SIZES; ++step) {
        free(malloc(spread_size(step)));
        free(calloc(1, spread_size(step)));
        free(realloc(NULL, spread_size(step)));
    }
    CHECK(errno == 78);
}

static void usable_size_is_writable_and_constant(void)
{
    for (unsigned step = 0; step < CLASS_SIZES; ++step) {
        char *block = malloc(spread_size(step));
        size_t usable = malloc_usable_size(block);

        CHECK(block != NULL);
        memset(block, 1, usable);
        CHECK_SIZE(malloc_usable_size(block), ==, usable);
        free(block);
    }
    CHECK_SIZE(malloc_usable_size(NULL), ==, 0);
}

static void the_c_librarys_blocks_are_ours_to_free(void)
{
    char *line = NULL;
    size_t room = 0;
    char *copy = strdup("a string of the C library");
    char *text = NULL;
    FILE *self = fopen("/proc/self/status", "r");

    CHECK(copy != NULL && strcmp(copy, "a string of the C library") == 0);
    CHECK(asprintf(&text, "%d %s", 42, copy) > 0);
    CHECK(self != NULL && getline(&line, &room, self) > 0);
    CHECK_SIZE(malloc_usable_size(line), >=, room);
    (void)fclose(self);
    free(line);
    free(text);
    free(copy);
}

static void blocks_of_many_mebibytes_grow_in_steps(void)
{
    size_t size = (size_t)1 << 20;
    unsigned char *block = malloc(size);

    CHECK(block != NULL);
    block[0] = 11;
    block[size - 1] = 12;
    for (int step = 0; step < 6; ++step) {
        size_t last = size - 1;

        size *= 2;
        block = realloc(block, size);
        CHECK(block != NULL);
        CHECK(block[0] == 11 && block[last] == 12);
        block[size - 1] = 12;
    }
    free(block);
}

static const struct child_case cases[] = {
    {"every_size_to_64k_is_usable_and_disjoint", every_size_to_64k_is_usable_and_disjoint},
    {"zero_bytes_give_distinct_blocks", zero_bytes_give_distinct_blocks},
    {"alignment_suits_every_object", alignment_suits_every_object},
    {"calloc_is_zero_after_dirty_reuse", calloc_is_zero_after_dirty_reuse},
    {"calloc_refuses_products_that_overflow", calloc_refuses_products_that_overflow},
    {"realloc_keeps_content_growing_and_shrinking", realloc_keeps_content_growing_and_shrinking},
    {"realloc_of_null_allocates_and_to_zero_frees", realloc_of_null_allocates_and_to_zero_frees},
    {"realloc_that_fails_keeps_the_block", realloc_that_fails_keeps_the_block},
    {"reallocarray_stays_the_c_librarys", reallocarray_stays_the_c_librarys},
    {"sizes_above_ptrdiff_max_are_refused", sizes_above_ptrdiff_max_are_refused},
    {"free_keeps_errno", free_keeps_errno},
    {"success_leaves_errno_alone", success_leaves_errno_alone},
    {"usable_size_is_writable_and_constant", usable_size_is_writable_and_constant},
    {"the_c_librarys_blocks_are_ours_to_free", the_c_librarys_blocks_are_ours_to_free},
    {"blocks_of_many_mebibytes_grow_in_steps", blocks_of_many_mebibytes_grow_in_steps},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
