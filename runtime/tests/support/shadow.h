/*
 * Purpose: what the allocator should have: the blocks that are live, with their content, beside
 *          what the allocator says it has.
 * Owner:   test support; one shadow per thread, no lock. An error is kept as text, the first one
 *          wins, so that threads without a test frame can use it.
 */
#ifndef EMP_TESTS_SUPPORT_SHADOW_H
#define EMP_TESTS_SUPPORT_SHADOW_H

#include <stdbool.h>
#include <stddef.h>

#include "core/advanced_memory_pool.h"
#include "support/cookie.h"

#define SHADOW_BLOCKS 4096u

/* A live block. */
struct shadow_block {
    struct cookie_block cookie;
    size_t usable;         /* as first answered; must never change */
    struct emp_pool *pool; /* NULL: of the general allocator */
};

/* The live blocks of one thread. */
struct shadow {
    size_t count;
    char error[200]; /* empty: none */
    struct shadow_block blocks[SHADOW_BLOCKS];
};

/* Keeps an error with a number; the first one wins. */
void shadow_error(struct shadow *shadow, const char *text, const void *ptr, size_t number);

/* Enters a block: checks alignment (0: natural) and usable size, writes the cookie. */
void shadow_add(struct shadow *shadow, const struct shadow_block *block, size_t align);

/* Takes block `index` out; its content was checked. */
struct shadow_block shadow_take(struct shadow *shadow, size_t index);

/* Checks content and usable size of every block, and that no two blocks of all shadows overlap. */
void shadow_check_blocks(struct shadow *const *shadows, size_t count);

/*
 * Checks that the allocator has as many blocks of every class, and as many large ones, as the
 * shadows.
 * No other thread is at work and all thread caches are empty: bits + live = slots then.
 */
void shadow_check_counts(struct shadow *const *shadows, size_t count);

#endif
