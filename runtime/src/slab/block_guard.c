/*
 * Purpose: see block_guard.h. Owner: slab. Threads: any. Design: [slab.req.canary]
 * Cost:    one store at allocation, one load and compare at free.
 */
#include "slab/block_guard.h"

#include <stdint.h>
#include <string.h>

#include "base/config.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "sync/atomic.h"

static uint64_t guard_key;

void emp_block_guard_init(void)
{
    /* The load address differs from process to process; a key, not a secret. */
    guard_key = ((uint64_t)(uintptr_t)&guard_key ^ emp_arena.base) * 0x9e3779b97f4a7c15u;
}

/* Place of the canary of a slot of this arena; NULL outside slabs. */
static char *guard_place(const void *block)
{
    uintptr_t offset = (uintptr_t)block - emp_arena.base;

    if (offset >= emp_arena.bytes) {
        return NULL;
    }
    /* order(slab-tag): relaxed; the caller holds the block */
    uint32_t class_id = emp_tag_class(emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]));

    return class_id == 0 ? NULL
                         : (char *)(uintptr_t)block + emp_classes[class_id].geometry.size - 8;
}

/* The first byte is zero, so that a string that runs over ends there. */
static uint64_t guard_value(const void *block)
{
    return (guard_key ^ ((uint64_t)(uintptr_t)block * 0xff51afd7ed558ccdu)) << 8;
}

void emp_block_guard_set(void *block)
{
    char *place = guard_place(block);
    uint64_t value = guard_value(block);

    if (place != NULL) {
        memcpy(place, &value, sizeof(value));
    }
}

bool emp_block_guard_check(const void *block)
{
    const char *place = guard_place(block);
    uint64_t value = guard_value(block);

    return place == NULL || memcmp(place, &value, sizeof(value)) == 0;
}
