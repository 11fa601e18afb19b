/*
 * Purpose: the reserved address range, cut into chunks of 2 MiB, and the tag of every 64 KiB unit.
 * Owner:   span. One arena per process, reserved once; chunks are committed as the frontier grows
 *          and never uncommitted; their pages are purged instead.
 *
 *   chunk: beyond frontier --take--> in use (slab | wide | run | large) --give--> free dirty
 *          free dirty --purge (tick)--> free clean --take--> in use
 *
 * Threads: any; a mutex of rank SPAN inside, dropped around system calls.
 * Design:  [span.proto.chunk] [span.inv.tag-readable]
 */
#ifndef EMP_SPAN_ARENA_H
#define EMP_SPAN_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "sync/atomic.h"

/* What a chunk is used for. */
enum emp_chunk_kind {
    EMP_CHUNK_NONE = 0, /* beyond the frontier, or lost to a failed commit */
    EMP_CHUNK_FREE,
    EMP_CHUNK_SLAB,  /* units for slabs of one unit */
    EMP_CHUNK_WIDE,  /* units for slabs of four units */
    EMP_CHUNK_RUN,   /* pages for runs */
    EMP_CHUNK_LARGE, /* first chunk of a large block */
    EMP_CHUNK_LARGE_REST
};

struct emp_run_map;

/* Descriptor of a chunk. Owner: span. Invariant: FREE iff its bit in the free map is set. */
struct emp_chunk {
    uint8_t kind;          /* guarded by the span lock: enum emp_chunk_kind */
    uint8_t advised_huge;  /* guarded by the span lock: MADV_HUGEPAGE was given */
    uint8_t dirty;         /* guarded by the span lock: pages may hold data (FREE, LARGE) */
    uint8_t aged;          /* guarded by the span lock: dirty since before the last tick */
    uint32_t free_units;   /* guarded by the span lock: bit u set: unit u is free */
    uint32_t dirty_units;  /* guarded by the span lock: free units whose pages may hold data */
    uint32_t aged_units;   /* guarded by the span lock: dirty since before the last tick */
    uint32_t large_chunks; /* LARGE: chunks in the block */
    uint32_t full_ticks;   /* ticks for which every unit was in use */
    size_t large_bytes;    /* LARGE: usable bytes */
    /* atomic: run-map. pages and states of runs; NULL until the chunk is RUN for the first time */
    struct emp_run_map *runs;
    uint64_t reserved[3];
};

/* The arena as fast paths and slabs see it. Const after init. */
struct emp_arena {
    uintptr_t base;
    size_t bytes;             /* zero until init succeeded */
    uint32_t *tags;           /* one per unit; readable for every unit of the range */
    struct emp_chunk *chunks; /* one per chunk */
    /* EMP_SLAB_DESCRIPTOR_BYTES per unit; committed up to the frontier */
    char *slab_descriptors;
    size_t chunk_count;
};

#define EMP_SLAB_DESCRIPTOR_BYTES 128u

extern struct emp_arena emp_arena;

/* Counters of the span room, bytes unless said otherwise. */
struct emp_span_counts {
    size_t mapped_bytes; /* committed chunks and mapped blocks */
    size_t free_bytes;   /* free chunks, free units, free run pages */
    size_t dirty_bytes;  /* of those, with pages */
    size_t purged_bytes; /* given back so far */
    size_t purge_calls;
    size_t large_blocks; /* runs, chunk blocks and mapped blocks in use */
    size_t large_bytes;
    size_t used_bytes; /* units in slabs, runs and large blocks in use */
};

/* Reserves the arena; false when the system has no room at all. Idempotent; one thread at a
   time. */
bool emp_arena_init(void);

/* From now on chunks ask for transparent huge pages when they are committed; or no longer. */
void emp_arena_set_huge(bool always);

/* Sets the limit of mapped bytes; 0: none. */
void emp_arena_set_limit(size_t bytes);
size_t emp_arena_limit(void);

/*
 * Takes count adjacent chunks; returns the index of the first, or SIZE_MAX. *zero tells whether all
 * pages read as zero. *limited is set when the configured limit was the cause of a failure.
 */
size_t emp_arena_take(size_t count, enum emp_chunk_kind kind, bool *zero, bool *limited);

/* Gives chunks back; dirty tells whether their pages may hold data. */
void emp_arena_give(size_t index, size_t count, bool dirty);

/* Ages and purges free chunks; returns bytes given back. all: without waiting. */
size_t emp_arena_purge(bool all);

/* Accounts for mapped bytes outside the arena; false when the limit forbids it. */
bool emp_arena_charge(size_t bytes);
void emp_arena_uncharge(size_t bytes);

/* What is mapped from the system. */
struct emp_span_mapped {
    size_t committed_bytes; /* atomic: span-count. in the arena */
    size_t outside_bytes;   /* atomic: span-count. outside */
};

extern struct emp_span_mapped emp_span_mapped;

/* Bytes mapped from the system, in the arena and outside. */
static inline size_t emp_arena_mapped(void)
{
    /* order(span-count): relaxed; a number that may change at any time */
    return emp_load_relaxed(&emp_span_mapped.committed_bytes) +
           emp_load_relaxed(&emp_span_mapped.outside_bytes);
}

/* Reads the counters. */
void emp_arena_read_counts(struct emp_span_counts *out);

/* For files of this room: the lock and the counters. */
void emp_span_lock(void);
void emp_span_unlock(void);
void emp_span_count_purge(size_t bytes);
void emp_span_count_large(ptrdiff_t blocks, ptrdiff_t bytes);
void emp_span_fork_child(void);

/* Chunk of an address inside the arena. */
static inline struct emp_chunk *emp_arena_chunk_of(uintptr_t address)
{
    return &emp_arena.chunks[(address - emp_arena.base) >> EMP_CHUNK_SHIFT];
}

/* First byte of a chunk. */
static inline char *emp_arena_chunk_base(size_t index)
{
    return (char *)emp_arena.base + (index << EMP_CHUNK_SHIFT);
}

/* True when the address lies in the arena. */
static inline bool emp_arena_contains(const void *ptr)
{
    return (uintptr_t)ptr - emp_arena.base < emp_arena.bytes;
}

#endif
