/*
 * What it is for: the types that the facades share: status codes, configuration, statistics,
 *   events.
 * When not to use it: never alone; a facade header includes it.
 * Life cycle: plain values. Configuration structs start from their _default() function.
 * Threads: plain values, no sharing rule. Errors: enum emp_status, EMP_OK is zero.
 */
#ifndef EMP_CORE_POOL_TYPES_H
#define EMP_CORE_POOL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/export.h"
#include "base/status_code.h"

#define EMP_POOL_NAME_BYTES 32

/* ObjectPoolConfig of the model (row A8). Zero in an optional field means "choose for me". */
struct emp_pool_config {
    size_t struct_bytes;     /* sizeof(struct emp_pool_config), set by emp_pool_config_default */
    const char *name;        /* copied, at most 31 bytes; NULL: "pool-<id>" */
    size_t object_size;      /* bytes, 1..32768 */
    size_t object_align;     /* power of two, 8..4096; 0: natural (64 for multiples of 64) */
    size_t initial_capacity; /* objects made ready at creation, 0.. */
    size_t max_capacity;     /* objects, hard limit over all threads; 0: none */
    size_t l1_cache_size;    /* objects kept per thread, 1..512; 0: by size */
    size_t l2_cache_size;    /* free objects per CPU shard that stay resident when idle */
    size_t batch_alloc_size; /* objects moved per refill, 1..128; 0: by size */
};

/* PoolStats of the model (rows A9 and F1). Counts of objects; derived on read, free on the hit
   path. */
struct emp_pool_stats {
    /* blocks handed out of L1: a lower bound, reuse inside L1 is not counted */
    uint64_t l1_hits;
    uint64_t l2_hits;          /* slabs that served a refill and were open */
    uint64_t l3_hits;          /* slabs that were opened for a refill */
    uint64_t allocations;      /* blocks that left the shared tiers for a thread */
    uint64_t frees;            /* blocks that came back to the shared tiers */
    uint64_t expansions;       /* slabs added */
    uint64_t shrinks;          /* slabs given back */
    uint64_t borrowed;         /* blocks taken from the next larger classes instead of expanding */
    uint64_t failures;         /* allocations refused */
    uint64_t total_allocated;  /* objects in use or cached by threads now */
    uint64_t total_free;       /* objects ready in slabs now */
    uint64_t cached;           /* objects in the calling thread's L1 now */
    uint64_t slabs;            /* slabs held now */
    uint64_t capacity;         /* objects in all slabs */
    uint64_t object_bytes;     /* block size */
    double fragmentation_rate; /* 1 - in use / capacity of non-empty slabs, 0..1 */
    uint64_t gc_count;         /* tick rounds that gave memory of this pool back */
    uint64_t last_gc_time_ns;  /* monotonic time of the last such round, 0: never */
};

/* SizeClassInfo of the model (row B5). */
struct emp_size_class_info {
    uint32_t index;       /* 1.. */
    uint32_t block_bytes; /* size of a block */
    uint32_t align_bytes; /* guaranteed alignment of every block */
    uint32_t slab_bytes;  /* size of a slab of this class */
    uint32_t slab_blocks; /* blocks in a slab */
    uint32_t l1_blocks;   /* blocks a thread may keep at full room */
};

/* SlabConfig of the model (row B5): bounds of one class; zero means none. */
struct emp_slab_config {
    size_t block_size;     /* bytes, selects the class that serves this size */
    size_t initial_blocks; /* blocks to make ready now */
    /* hard limit of blocks in slabs of the class, rounded up to whole slabs */
    size_t maximum_blocks;
};

/* Process-wide gauges, in bytes. allocated <= active <= resident(ours) <= mapped. */
struct emp_stats {
    uint64_t allocated;    /* bytes of blocks that left the shared tiers (in use or in an L1) */
    uint64_t active;       /* bytes of non-empty slabs, runs and large blocks */
    uint64_t metadata;     /* bytes committed for descriptors, bitmaps, tags, thread caches */
    uint64_t resident;     /* estimate: active + dirty free pages + metadata */
    uint64_t mapped;       /* bytes committed from the system */
    uint64_t retained;     /* committed bytes that are free (dirty or purged) */
    uint64_t dirty;        /* free bytes not yet given back */
    uint64_t purged;       /* bytes given back so far, total */
    uint64_t purge_calls;  /* calls that gave memory back */
    uint64_t expansions;   /* slabs added */
    uint64_t shrinks;      /* slabs given back */
    uint64_t partitions;   /* slabs cut into blocks (every expansion cuts one) */
    uint64_t aligns;       /* requests of an alignment above the natural one, but hits */
    uint64_t failures;     /* requests refused */
    uint64_t threads;      /* thread caches now */
    uint64_t large_blocks; /* runs, chunk blocks and mapped blocks in use */
    uint64_t large_bytes;  /* their bytes */
    uint64_t allocations;  /* blocks that left the shared tiers, total */
    uint64_t frees;        /* blocks that came back, total */
    uint64_t l2_hits;      /* slabs that served a refill and were open */
    uint64_t l3_hits;      /* slabs that were opened for a refill */
    uint64_t borrowed;     /* blocks borrowed from larger classes */
    uint64_t limit_bytes;  /* configured limit, 0: none */
};

/* The kinds of event that reach a callback. */
enum emp_event_type { EMP_EVENT_POOL_EXPANDED = 1, EMP_EVENT_ALLOCATION_FAILED = 2 };

/* PoolExpanded and AllocationFailed of the model (row F5). Strings live during the callback
   only. */
struct emp_event {
    enum emp_event_type type;
    const char *type_name;    /* "memory.pool.expanded", "memory.allocation.failed" */
    const char *pool_id;      /* pool name, or "class-<block bytes>" */
    uint64_t old_capacity;    /* objects before */
    uint64_t new_capacity;    /* objects after */
    uint64_t expansion_bytes; /* bytes added */
    uint64_t requested_bytes; /* size of the request that failed or caused the expansion */
    const char *reason;       /* "refill", "reserve", "limit", "out of memory", "too large" */
    uint64_t timestamp_ns;    /* CLOCK_MONOTONIC */
};

#endif
