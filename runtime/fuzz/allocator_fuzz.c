/*
 * Purpose: any sequence of general allocation calls, against a shadow that knows each block's size
 *          and content.
 * Owner:   fuzz. An input is a list of four-byte steps {call, slot and alignment, size low, size
 *          high}; printable text reaches every call and size, so the corpus is text.
 * Threads: one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/advanced_memory_pool.h"

#define SLOTS      64u
#define STEP_BYTES 4u

struct shadow {
    unsigned char *block;
    size_t size;
    size_t align; /* as requested from emp_aligned_alloc, or 0 */
    unsigned char mark;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sizes from 0 to about 1 MiB, small ones most often. */
static size_t size_from(uint8_t low, uint8_t high)
{
    size_t small = (size_t)low + ((size_t)(high & 15u) << 8);

    return (high & 32u) == 0u ? small : ((size_t)low + 1u) << ((high & 15u) % 13u);
}

static void expect(int condition)
{
    if (!condition) {
        abort();
    }
}

static void verify(const struct shadow *slot)
{
    size_t i;

    for (i = 0; i < slot->size; i += 1u + slot->size / 64u) {
        expect(slot->block[i] == slot->mark);
    }
    expect(emp_usable_size(slot->block) >= slot->size);
}

static void adopt(struct shadow *slot, void *block, size_t size, unsigned char mark)
{
    slot->block = block;
    slot->size = block == NULL ? 0 : size;
    slot->align = 0;
    slot->mark = mark;
    if (block != NULL) {
        (void)memset(block, mark, size);
    }
}

static void release(struct shadow *slot, unsigned call)
{
    if (slot->block == NULL) {
        return;
    }
    verify(slot);
    if (call % 2u == 0u) {
        emp_free(slot->block);
    } else if (slot->align != 0) {
        emp_free_aligned_sized(slot->block, slot->align, slot->size);
    } else {
        emp_free_sized(slot->block, slot->size);
    }
    slot->block = NULL;
}

static void resize(struct shadow *slot, size_t size)
{
    unsigned char *block;
    size_t kept;

    if (slot->block == NULL || size == 0) {
        return;
    }
    verify(slot);
    block = emp_realloc(slot->block, size);
    if (block == NULL) {
        return;
    }
    kept = slot->size < size ? slot->size : size;
    expect(kept == 0 || (block[0] == slot->mark && block[kept - 1] == slot->mark));
    adopt(slot, block, size, slot->mark);
}

static void *zeroed(size_t size)
{
    unsigned char *block = emp_calloc(1, size);
    size_t i;

    for (i = 0; block != NULL && i < size; i += 1u + size / 256u) {
        expect(block[i] == 0);
    }
    return block;
}

static void step(struct shadow *slot, const uint8_t *bytes)
{
    size_t size = size_from(bytes[2], bytes[3]);
    size_t align = (size_t)1 << ((bytes[1] >> 4 & 7u) * 2u);
    void *block;

    switch (bytes[0] % 5u) {
    case 0:
        release(slot, 0);
        adopt(slot, emp_malloc(size), size, bytes[1]);
        break;
    case 1:
        release(slot, 1);
        adopt(slot, zeroed(size), size, bytes[1]);
        break;
    case 2:
        release(slot, 0);
        block = emp_aligned_alloc(align, size);
        expect(((uintptr_t)block & (align - 1)) == 0);
        adopt(slot, block, size, bytes[1]);
        slot->align = align;
        break;
    case 3:
        resize(slot, size);
        break;
    default:
        release(slot, bytes[0]);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shadow slots[SLOTS] = {{NULL, 0, 0, 0}};
    size_t at;

    for (at = 0; at + STEP_BYTES <= size; at += STEP_BYTES) {
        step(&slots[data[at + 1] % SLOTS], data + at);
    }
    for (at = 0; at < SLOTS; at++) {
        release(&slots[at], 0);
    }
    expect(emp_audit() == 0);
    return 0;
}
