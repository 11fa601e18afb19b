/*
 * Purpose: marks in blocks that show whether two owners shared one: a word derived from address,
 *          size and a tag at both ends, and in between for small blocks.
 * Owner:   test support. Threads: the owner of the block.
 */
#ifndef EMP_TESTS_SUPPORT_COOKIE_H
#define EMP_TESTS_SUPPORT_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "support/random_stream.h"

#define COOKIE_BYTES ((size_t)8)

/* A block as its owner knows it. */
struct cookie_block {
    void *ptr;
    size_t size;  /* bytes requested */
    uint64_t tag; /* chosen by whoever allocated it */
};

static inline uint64_t cookie_word(const struct cookie_block *block)
{
    return random_mix((uint64_t)(uintptr_t)block->ptr ^ block->tag << 1 ^
                      (uint64_t)block->size << 40);
}

static inline void cookie_write(const struct cookie_block *block)
{
    uint64_t word = cookie_word(block);
    char *bytes = block->ptr;
    size_t step = block->size < COOKIE_BYTES ? block->size : COOKIE_BYTES;

    memcpy(bytes, &word, step);
    memcpy(bytes + block->size - step, &word, step);
}

/* The write of sizes below 8 overlaps nothing: both ends are the same bytes. */
static inline bool cookie_is_whole(const struct cookie_block *block)
{
    uint64_t word = cookie_word(block);
    const char *bytes = block->ptr;
    size_t step = block->size < COOKIE_BYTES ? block->size : COOKIE_BYTES;
    char head[COOKIE_BYTES];
    size_t tail_at = block->size - step;

    if (memcmp(bytes + tail_at, &word, step) != 0) {
        return false;
    }
    /* Between 9 and 15 bytes the tail was written over the end of the head. */
    size_t clear = tail_at < step ? tail_at : step;

    memcpy(head, bytes, clear);
    return memcmp(head, &word, clear) == 0;
}

#endif
