/*
 * Purpose: every build-time constant: its default, its legal range, and the relations between them.
 * Owner:   base; constants only.
 * Design:  [base.req.limits]
 */
#ifndef EMP_BASE_CONFIG_H
#define EMP_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#ifndef EMP_DEBUG
#define EMP_DEBUG 0 /* 1: emp_assert is live */
#endif
#ifndef EMP_AUDIT
#define EMP_AUDIT 0 /* 1: every operation takes the checked slow path, structures are audited */
#endif
#ifndef EMP_SECURE
#define EMP_SECURE 0 /* 1: state per slot and canaries, all misuse is reported in the call */
#endif
#ifndef EMP_FAULT
#define EMP_FAULT 0 /* 1: the os room can be told to fail its n-th call */
#endif

#define EMP_VERSION_MAJOR 0
#define EMP_VERSION_MINOR 1
#define EMP_VERSION_PATCH 0
#define EMP_VERSION_TEXT  "0.1.0"

#define EMP_LINE_BYTES 64u

/* Address space: chunks of the arena, units inside chunks. */
#define EMP_CHUNK_SHIFT     21u
#define EMP_CHUNK_BYTES     ((size_t)1 << EMP_CHUNK_SHIFT)
#define EMP_UNIT_SHIFT      16u
#define EMP_UNIT_BYTES      ((size_t)1 << EMP_UNIT_SHIFT)
#define EMP_CHUNK_UNITS     (EMP_CHUNK_BYTES / EMP_UNIT_BYTES)
#define EMP_WIDE_UNITS      4u /* units of a slab whose blocks are larger than EMP_NARROW_MAX */
#define EMP_NARROW_MAX      8192u
#define EMP_RUN_PAGE_SHIFT  12u
#define EMP_RUN_PAGE_BYTES  ((size_t)1 << EMP_RUN_PAGE_SHIFT)
#define EMP_CHUNK_RUN_PAGES (EMP_CHUNK_BYTES / EMP_RUN_PAGE_BYTES)

#define EMP_ARENA_BYTES_MAX ((size_t)1 << 40)
#define EMP_ARENA_BYTES_MIN ((size_t)1 << 24)

/* Sizes: slabs to EMP_SLAB_MAX, runs to EMP_RUN_MAX, chunks to EMP_CHUNKED_MAX, then mmap. */
#define EMP_SMALL_MAX   1024u
#define EMP_SLAB_MAX    32768u
#define EMP_RUN_MAX     ((size_t)1 << 20)
#define EMP_CHUNKED_MAX ((size_t)32 << 20)
#define EMP_ALLOC_MAX   ((size_t)PTRDIFF_MAX)

/* Classes: 0 = none, 1..EMP_SIZE_CLASSES by size, then one per pool, the last value is reserved. */
#define EMP_SIZE_CLASSES     65u
#define EMP_POOL_CLASS_FIRST 66u
#define EMP_CLASS_LIMIT      255u
#define EMP_BINS             256u

/* Where the bins lie in a thread's view; a slab's tag carries the offset of its bin. */
#define EMP_BINS_OFFSET 64u
#define EMP_BIN_BYTES   16u

#define EMP_SHARDS_MAX     64u
#define EMP_WORD_BITS      64u
#define EMP_SLAB_WORDS_MAX 128u /* an 8-byte slab: 8192 slots */

_Static_assert(EMP_CHUNK_UNITS == 32, "the free-unit mask of a chunk is one 32-bit word");
_Static_assert(EMP_SIZE_CLASSES < EMP_POOL_CLASS_FIRST, "the two kinds of class do not meet");
_Static_assert(EMP_CLASS_LIMIT < EMP_BINS, "every class has a bin");
_Static_assert(EMP_UNIT_BYTES / 8 == (size_t)EMP_SLAB_WORDS_MAX * EMP_WORD_BITS, "8-byte slots");
_Static_assert(EMP_RUN_MAX <= EMP_CHUNK_BYTES / 2, "a run chunk holds at least two runs");

#endif
