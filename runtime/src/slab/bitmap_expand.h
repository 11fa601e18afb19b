/*
 * Purpose: the operations on bitmap words by which blocks leave a slab: the states of 64 slots to a
 *          word, a word to addresses; and the next word with a bit set.
 * Owner:   slab. Callers go through emp_bitmap_ops; the variants give identical answers.
 * Threads: pure functions over memory the caller owns (a bitmap under its shard's lock, a batch of
 *          its own). The table is written before the process has a second user of it, then read.
 * Design:  [slab.req.bitmap-variants]
 * Source:  D. Lemire, W. Mula, "Compressed bitmap indexes" (byte table); Granlund and Montgomery,
 *          "Division by Invariant Integers using Multiplication", PLDI 1994.
 * Cost:    docs/design/bitmap.md has the measured table.
 */
#ifndef EMP_SLAB_BITMAP_EXPAND_H
#define EMP_SLAB_BITMAP_EXPAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries of the output array of expand, whatever the number of set bits. */
#define EMP_BITMAP_EXPAND_ROOM 64u

/* Largest slab and block for which the reciprocal is proved exact by the exhaustive test. */
#define EMP_BITMAP_SLAB_BYTES_MAX  262144u
#define EMP_BITMAP_BLOCK_BYTES_MAX 32768u

/* Where the slots of a class lie. Const after emp_bitmap_geometry_make. */
struct emp_bitmap_geometry {
    uintptr_t arena_base; /* slabs lie at arena_base + k * slab bytes */
    uint32_t slab_mask;   /* slab bytes - 1; slab bytes are a power of two */
    uint32_t size;        /* block bytes */
    uint32_t reciprocal;  /* ceil(2^32 / size) */
    uint32_t slots;       /* slab bytes / size: what lies behind the last slot is not a block */
};

/* Geometry of slabs of slab_bytes, a power of two, with blocks of size bytes, a multiple of 8. */
struct emp_bitmap_geometry emp_bitmap_geometry_make(uintptr_t arena_base, uint32_t slab_bytes,
                                                    uint32_t size);

/* One set of implementations; every member is set. */
struct emp_bitmap_ops {
    /* "c", "avx2" or "neon". */
    const char *name;

    /*
     * Writes base + i * size for every set bit i of word, ascending; returns how many. out must
     * have room for EMP_BITMAP_EXPAND_ROOM entries whatever the count: those past the count may be
     * overwritten with values that mean nothing, those past the room never are
     * ([slab.inv.bitmap-room]).
     */
    unsigned (*expand)(uint64_t word, uintptr_t base, size_t size, void **out);

    /*
     * Writes base + i * size for i < count, count in 1..64, ascending: what expand does for a word
     * whose bits lie side by side. out as above.
     */
    void (*run)(uintptr_t base, size_t size, unsigned count, void **out);

    /* Copies count pointers in reverse order; neither reads nor writes any other. */
    void (*turn)(void *const *from, unsigned count, void **out);

    /* The `count` lowest set bits of word, or all of them when it has no more; count in 0..64. */
    uint64_t (*lowest)(uint64_t word, unsigned count);

    /* Index of the first non-zero word in [from, count), or count. Reads nothing outside. */
    unsigned (*find_nonzero)(const uint64_t *words, unsigned count, unsigned from);

    /*
     * The word whose bit i says that states[i], of 64, is 1 (free). Acquires: what
     * happened before a state became 1 is visible to the caller when its bit is set.
     */
    uint64_t (*gather)(const uint8_t *states);

    /*
     * The first word in [from, count) with a free slot; *word receives what gather says of it.
     * Returns count when there is none. states has 64 bytes per word.
     */
    unsigned (*next)(const uint8_t *states, unsigned count, unsigned from, uint64_t *word);
};

/* The chosen variant; plain C until emp_bitmap_dispatch_init ran. */
extern struct emp_bitmap_ops emp_bitmap_ops;

/* The vector variant of this platform: run it only when emp_bitmap_vector_usable() says true. */
extern const struct emp_bitmap_ops emp_bitmap_vector_ops;

/* True when this processor and system can run emp_bitmap_vector_ops. */
bool emp_bitmap_vector_usable(void);

/* Chooses the best variant this processor runs. Called once at start, before a second thread. */
void emp_bitmap_dispatch_init(void);

/* Chooses a variant by name, for tests and benchmarks. False: not known or not runnable here. */
bool emp_bitmap_dispatch_force(const char *name);

/* The plain C variant: the definition the others are tested against. */
unsigned emp_bitmap_expand_c(uint64_t word, uintptr_t base, size_t size, void **out);
void emp_bitmap_run_c(uintptr_t base, size_t size, unsigned count, void **out);
void emp_bitmap_turn_c(void *const *from, unsigned count, void **out);
uint64_t emp_bitmap_lowest_c(uint64_t word, unsigned count);
unsigned emp_bitmap_find_nonzero_c(const uint64_t *words, unsigned count, unsigned from);
uint64_t emp_bitmap_gather_c(const uint8_t *states);
unsigned emp_bitmap_next_c(const uint8_t *states, unsigned count, unsigned from, uint64_t *word);

#endif
