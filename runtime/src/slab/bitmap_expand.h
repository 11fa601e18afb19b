/*
 * Purpose: the operations on bitmap words by which blocks enter and leave a slab: a word to
 *          addresses, addresses to slot numbers, next word with a free slot, is a batch one run.
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

    /* Index of the first non-zero word in [from, count), or count. Reads nothing outside. */
    unsigned (*find_nonzero)(const uint64_t *words, unsigned count, unsigned from);

    /*
     * True when ptrs[0..count), count >= 2, is an arithmetic progression of step +stride or
     * -stride; *descending then tells which. False leaves *descending undefined.
     */
    bool (*run)(void *const *ptrs, unsigned count, uintptr_t stride, bool *descending);

    /*
     * Slot number of every pointer: index_out[i] for i < the result is exact. Returns the number of
     * leading pointers that are the first byte of a slot; a result < count names the first pointer
     * that is not (interior, misaligned, or in the tail behind the last slot). index_out has room
     * for count entries; those from the result on are undefined. The pointers lie in the arena.
     */
    unsigned (*indices)(void *const *ptrs, unsigned count,
                        const struct emp_bitmap_geometry *geometry, uint32_t *index_out);
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
unsigned emp_bitmap_find_nonzero_c(const uint64_t *words, unsigned count, unsigned from);
bool emp_bitmap_run_c(void *const *ptrs, unsigned count, uintptr_t stride, bool *descending);
unsigned emp_bitmap_indices_c(void *const *ptrs, unsigned count,
                              const struct emp_bitmap_geometry *geometry, uint32_t *index_out);

#endif
