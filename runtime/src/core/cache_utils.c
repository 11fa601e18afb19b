/*
 * Purpose: cache_utils.h: bitmaps on the slab room's word scan, NUMA queries on the os room.
 * Owner:   core; no state.
 * Threads: as the header says.
 * Design:  [core.req.cache-utils]
 * Cost:    finding a set bit goes four words at a time where the processor has AVX2.
 */
#include "core/cache_utils.h"

#include <stdalign.h>
#include <string.h>

#include "base/align.h"
#include "base/bits.h"
#include "base/check.h"
#include "base/config.h"
#include "os/os_memory.h"
#include "os/os_numa.h"
#include "slab/bitmap_expand.h"

#define BITS_MAX ((size_t)1 << 37)

_Static_assert(EMP_CACHE_LINE_BYTES == EMP_LINE_BYTES, "the public line is ours");
_Static_assert(sizeof(struct emp_cache_line) == EMP_LINE_BYTES, "one line");
_Static_assert(alignof(struct emp_cache_line) == EMP_LINE_BYTES, "on a line");
_Static_assert(sizeof(struct emp_producer_cache_line) == EMP_LINE_BYTES, "one line");
_Static_assert(alignof(struct emp_producer_cache_line) == EMP_LINE_BYTES, "on a line");
_Static_assert(offsetof(struct emp_producer_cache_line, head) == 0, "the shared index leads");
_Static_assert(sizeof(struct emp_consumer_cache_line) == EMP_LINE_BYTES, "one line");
_Static_assert(alignof(struct emp_consumer_cache_line) == EMP_LINE_BYTES, "on a line");
_Static_assert(offsetof(struct emp_consumer_cache_line, tail) == 0, "the shared index leads");

void emp_bitmap_fill(const struct emp_bitmap *map, bool value)
{
    const size_t whole = map->bits / EMP_WORD_BITS;
    const unsigned rest = (unsigned)(map->bits % EMP_WORD_BITS);

    memset(map->words, value ? 0xff : 0, whole * sizeof map->words[0]);
    if (rest != 0) {
        map->words[whole] = value ? emp_bits_mask(rest) : 0;
    }
}

/* The index found, unless it lies behind the last bit. */
static size_t bitmap_clamp(const struct emp_bitmap *map, size_t index)
{
    return index < map->bits ? index : map->bits;
}

size_t emp_bitmap_find_set(const struct emp_bitmap *map, size_t from)
{
    const unsigned count = (unsigned)emp_bitmap_words(map->bits);
    unsigned word = (unsigned)(from / EMP_WORD_BITS);

    emp_assert(map->bits <= BITS_MAX);
    if (from >= map->bits) {
        return map->bits;
    }
    const uint64_t first = map->words[word] & ~emp_bits_mask((unsigned)(from % EMP_WORD_BITS));
    if (first != 0) {
        return bitmap_clamp(map, (size_t)word * EMP_WORD_BITS + emp_bits_lowest(first));
    }
    word = emp_bitmap_ops.find_nonzero(map->words, count, word + 1);
    if (word == count) {
        return map->bits;
    }
    return bitmap_clamp(map, (size_t)word * EMP_WORD_BITS + emp_bits_lowest(map->words[word]));
}

size_t emp_bitmap_find_clear(const struct emp_bitmap *map, size_t from)
{
    const size_t count = emp_bitmap_words(map->bits);
    size_t word = from / EMP_WORD_BITS;

    if (from >= map->bits) {
        return map->bits;
    }
    uint64_t clear = ~map->words[word] & ~emp_bits_mask((unsigned)(from % EMP_WORD_BITS));
    while (clear == 0 && ++word < count) {
        clear = ~map->words[word];
    }
    if (clear == 0) {
        return map->bits;
    }
    return bitmap_clamp(map, word * EMP_WORD_BITS + emp_bits_lowest(clear));
}

size_t emp_bitmap_count(const struct emp_bitmap *map)
{
    const size_t whole = map->bits / EMP_WORD_BITS;
    const unsigned rest = (unsigned)(map->bits % EMP_WORD_BITS);
    size_t count = 0;

    for (size_t i = 0; i < whole; i++) {
        count += emp_bits_count(map->words[i]);
    }
    if (rest != 0) {
        count += emp_bits_count(map->words[whole] & emp_bits_mask(rest));
    }
    return count;
}

unsigned emp_numa_node_count(void)
{
    return emp_os_numa_count();
}

unsigned emp_numa_node_limit(void)
{
    return emp_os_numa_limit();
}

unsigned emp_numa_current_node(void)
{
    return emp_os_numa_current();
}

/* Hands out a node that is known. */
static enum emp_status numa_answer(unsigned found, unsigned *node)
{
    if (found == EMP_OS_NUMA_NONE) {
        return EMP_ERR_NOT_FOUND;
    }
    *node = found;
    return EMP_OK;
}

enum emp_status emp_numa_node_of_cpu(unsigned cpu, unsigned *node)
{
    return node == NULL ? EMP_ERR_INVALID : numa_answer(emp_os_numa_of_cpu(cpu), node);
}

enum emp_status emp_numa_node_of_address(const void *address, unsigned *node)
{
    return node == NULL ? EMP_ERR_INVALID : numa_answer(emp_os_numa_of_address(address), node);
}

enum emp_status emp_numa_prefer(void *base, size_t bytes, unsigned node)
{
    const size_t start = (size_t)base;

    if (base == NULL || bytes == 0 || emp_align_down(start, emp_os_page_bytes()) != start) {
        return EMP_ERR_INVALID;
    }
    return emp_os_numa_prefer(base, bytes, node) ? EMP_OK : EMP_ERR_UNSUPPORTED;
}
