/*
 * Purpose: see shadow.h.
 */
#include "support/shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory_monitor.h"
#include "core/runtime.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "support/settled.h"
#include "sync/atomic.h"

void shadow_error(struct shadow *shadow, const char *text, const void *ptr, size_t number)
{
    if (shadow->error[0] == '\0') {
        snprintf(shadow->error, sizeof(shadow->error), "%s: %p, %zu", text, ptr, number);
    }
}

/* Alignment that a block must have by its size alone. */
static size_t natural_align(const struct shadow_block *block)
{
    size_t slot = block->usable + EMP_CANARY_BYTES;

    if (block->pool != NULL || slot < 16) {
        return 8;
    }
    return slot % 64 == 0 && EMP_CANARY_BYTES == 0 ? 64 : 16;
}

void shadow_add(struct shadow *shadow, const struct shadow_block *block, size_t align)
{
    struct shadow_block *entry = &shadow->blocks[shadow->count++];

    *entry = *block;
    entry->usable = emp_usable_size(block->cookie.ptr);
    if (entry->usable < block->cookie.size) {
        shadow_error(shadow, "usable size below the request", block->cookie.ptr, entry->usable);
    }
    align = align == 0 ? natural_align(entry) : align;
    if ((uintptr_t)block->cookie.ptr % align != 0) {
        shadow_error(shadow, "misaligned block", block->cookie.ptr, align);
    }
    cookie_write(&entry->cookie);
}

static void check_block(struct shadow *shadow, const struct shadow_block *block)
{
    if (!cookie_is_whole(&block->cookie)) {
        shadow_error(shadow, "content of a block changed", block->cookie.ptr, block->cookie.size);
    }
    if (emp_usable_size(block->cookie.ptr) != block->usable) {
        shadow_error(shadow, "usable size changed", block->cookie.ptr, block->usable);
    }
}

struct shadow_block shadow_take(struct shadow *shadow, size_t index)
{
    struct shadow_block block = shadow->blocks[index];

    check_block(shadow, &block);
    shadow->blocks[index] = shadow->blocks[--shadow->count];
    return block;
}

/* By address. */
static int compare_blocks(const void *left, const void *right)
{
    const struct shadow_block *a = left;
    const struct shadow_block *b = right;
    uintptr_t first = (uintptr_t)a->cookie.ptr;
    uintptr_t second = (uintptr_t)b->cookie.ptr;

    return (first > second) - (first < second);
}

void shadow_check_blocks(struct shadow *const *shadows, size_t count)
{
    size_t total = 0;
    size_t at = 0;

    for (size_t s = 0; s < count; s++) {
        total += shadows[s]->count;
    }
    struct shadow_block *all = calloc(total + 1, sizeof(*all));

    if (all == NULL) {
        shadow_error(shadows[0], "no memory for the check", NULL, total);
        return;
    }
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < shadows[s]->count; i++) {
            check_block(shadows[s], &shadows[s]->blocks[i]);
            all[at++] = shadows[s]->blocks[i];
        }
    }
    qsort(all, total, sizeof(*all), compare_blocks);
    for (size_t i = 1; i < total; i++) {
        uintptr_t end = (uintptr_t)all[i - 1].cookie.ptr + all[i - 1].usable;

        if (end > (uintptr_t)all[i].cookie.ptr) {
            shadow_error(shadows[0], "two blocks overlap", all[i].cookie.ptr, all[i - 1].usable);
        }
    }
    free(all);
}

/* Class by the tag of its unit; 0: large, of whatever kind. */
static uint32_t class_of_block(const void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    /* order(slab-tag): relaxed; the block is live */
    return offset < emp_arena.bytes
               ? emp_tag_class(emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]))
               : 0;
}

void shadow_check_counts(struct shadow *const *shadows, size_t count)
{
    size_t by_class[EMP_BINS] = {0};
    struct emp_stats stats;

    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < shadows[s]->count; i++) {
            by_class[class_of_block(shadows[s]->blocks[i].cookie.ptr)]++;
        }
    }
    emp_maintenance_pause(); /* as in settled.h */
    for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
        struct emp_pool_stats one;

        if (emp_classes[c].geometry.size == 0) {
            continue;
        }
        emp_class_stats(c, &one);
        if (one.capacity - one.total_free != by_class[c]) {
            char text[80];

            snprintf(text, sizeof(text), "class %u has %llu of %llu slots in use, live", c,
                     (unsigned long long)(one.capacity - one.total_free),
                     (unsigned long long)one.capacity);
            shadow_error(shadows[0], text, NULL, by_class[c]);
        }
    }
    emp_maintenance_resume();
    (void)settled_stats_read(&stats);
    if (stats.large_blocks != by_class[0]) {
        shadow_error(shadows[0], "large blocks differ from the live ones", NULL, by_class[0]);
    }
}
