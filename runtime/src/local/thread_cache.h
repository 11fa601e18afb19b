/*
 * Purpose: the cache of one thread (L1, ThreadLocalObjectPool of the model): per class a bin, a
 *          stack of pointers to free blocks, and the room it is granted.
 * Owner:   local. A cache is touched by its own thread, except: maintenance may lower bin limits
 *          (relaxed store), pool creation and destruction touch the bins of that pool's class while
 *          no thread uses it, and a forked child empties the caches of threads that are gone.
 *
 *   thread: none --first slow path--> attached --key destructor--> closing --last round--> dead
 *   bin: closed --first refill--> hot (room) --slow samples (tick)--> cold (no room) --busy--> hot
 *
 * Design:  [local.proto.cache] [local.inv.sentinel] [local.req.rate]
 */
#ifndef EMP_LOCAL_THREAD_CACHE_H
#define EMP_LOCAL_THREAD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/config.h"
#include "global/central.h"

/* An address that inlined fast paths of applications write as an integer: it may alias anything. */
typedef void **emp_slot_address __attribute__((may_alias));

/* One bin. Invariant: the entry below the lowest block is NULL, so an empty bin pops NULL. */
struct emp_l1_bin {
    emp_slot_address top; /* owner only: one past the newest */
    /* atomic: bin-limit. full when top reaches it; may be lowered by maintenance */
    emp_slot_address limit;
};

/* What fast paths see; core/thread_cache_view.h is the same layout, asserted in core. */
struct emp_l1 {
    struct emp_l1_bin none; /* never has a block nor room: the bin of tag 0, where no slab is */
    uintptr_t arena_base;
    uintptr_t arena_bytes;
    const uint32_t *tags;
    uint32_t home_bit;
    uint32_t attached;    /* 1 in a thread's own cache, 0 in the static ones */
    char *slabs;          /* const: emp_arena.slab_descriptors */
    uint32_t direct_left; /* frees past full bins before the next look at the cache as a whole */
    uint32_t line_word;
    struct emp_l1_bin bins[EMP_BINS];
};

/*
 * The slow side of a bin. Owner only unless said otherwise. A bin has slots for its room, not for
 * its full room: it moves when it grows. A closed bin (room_full 0) keeps its slots for the next
 * pool of its class.
 */
struct emp_bin_state {
    uint16_t base_index;  /* words from the cache to the first slot; 0: never had any */
    uint16_t slots;       /* slots there; never fewer than room */
    uint16_t room_full;   /* blocks when hot, unless it swings; 0: closed */
    uint16_t room;        /* blocks now; 0: cold */
    uint8_t poked;        /* atomic: bin-limit. limit was lowered to sample the rate */
    uint8_t slow_samples; /* consecutive samples below the rate */
    uint8_t overflows;    /* blocks a full bin did not take since the last refill; saturates */
    /* cold: operations in the window; hot: refills and flushes since it grew */
    uint8_t events;
    uint32_t stamp_us; /* atomic: bin-limit. when poked, or when the window began */
};

#define EMP_NEAR_SLOTS 221u

/*
 * The whole cache. The first page holds everything that a thread with few classes touches; bins of
 * pools, their states and the far slots lie on later pages that come into being when used.
 */
struct emp_cache {
    struct emp_cache *next; /* guarded by the registry lock */
    struct emp_cache *prev; /* guarded by the registry lock */
    uint32_t slow_count;    /* slow paths so far */
    uint32_t tick_ms;       /* coarse time of the last tick */
    uint16_t block_shift;   /* log2 of the bytes of this block */
    uint8_t scale;          /* rooms are divided by 2^scale */
    uint8_t busy;           /* atomic: cache-busy. inside a slow path */
    uint8_t closing;        /* no room any more: the thread is ending */
    uint8_t head_byte;
    uint16_t near_used; /* slots of near_slots in use */
    uint32_t far_used;  /* slots of far_slots in use */
    uint32_t far_slots_count;
    uint32_t room_bytes;       /* sum over open bins of room * block bytes */
    uint64_t pools_known[4];   /* registry lock: bit per class whose pool state is valid */
    uint32_t exit_count;       /* slow paths when the exit hook emptied the bins last */
    uint32_t swing_bytes;      /* of room_bytes: granted to bins that swing, beyond the budget */
    uint16_t swing_refused;    /* since the last tick: grants refused, another class each time */
    uint8_t swing_class;       /* the last that was refused */
    uint8_t swing_pause;       /* ticks until a grant may be asked for again */
    uint32_t large_room_bytes; /* of room_bytes: those of blocks above EMP_SMALL_MAX */
    uint32_t head_rest[6];
    struct emp_bin_state size_states[EMP_POOL_CLASS_FIRST];
    void *near_slots[EMP_NEAR_SLOTS];
    struct emp_l1 view;
    struct emp_bin_state pool_states[EMP_BINS - EMP_POOL_CLASS_FIRST];
    void *far_slots[];
};

/* How every cache behaves; set before the second thread exists. */
struct emp_local_options {
    bool checked;     /* no bin ever has room: every operation is exact and takes the slow path */
    bool rate_limits; /* cold classes lose their room */
    /* granted beyond the budgets to bins that swing, by all threads; EMP_SWING_BYTES_MAX at most */
    uint32_t swing_bytes;
};

#define EMP_SWING_BYTES_MAX (1u << 30)

extern struct emp_local_options emp_local_options;

/* Starts the room: exit hook state. Called once by core. */
void emp_local_init(void);

/* The calling thread's cache. Opaque to the compiler: see core/thread_cache_view.h. */
#if EMP_ARCH_X86_64
static inline struct emp_l1 *emp_l1_current(void)
{
    struct emp_l1 *view;

    __asm__ __volatile__("movq emp_cache_pointer@gottpoff(%%rip), %0\n\t"
                         "movq %%fs:(%0), %0"
                         : "=r"(view));
    return view;
}
#else
static inline struct emp_l1 *emp_l1_current(void)
{
    struct emp_l1 *view;
    uintptr_t scratch;

    __asm__ __volatile__("mrs %1, tpidr_el0\n\t"
                         "adrp %0, :gottprel:emp_cache_pointer\n\t"
                         "ldr %0, [%0, #:gottprel_lo12:emp_cache_pointer]\n\t"
                         "ldr %0, [%1, %0]"
                         : "=&r"(view), "=&r"(scratch));
    return view;
}
#endif

/* Refills a bin and returns one block; NULL: errno is the caller's business, note says why. */
void *emp_cache_refill(uint32_t class_id, struct emp_central_note *note);

/* Takes a block whose bin is full, poked, without room, or must go home. ptr has a tag of
   class_id. */
void emp_cache_free_slow(uint32_t class_id, void *ptr, const char *call);

/* Tells its shard that a slot of a full slab is free. */
EMP_COLD void emp_cache_announce(struct emp_slab *slab);

/* Gives blocks of a bin of class_id to their slabs; reports what is wrong. No limit on count. */
void emp_cache_give(uint32_t class_id, void **ptrs, unsigned count, const char *call);

/* Empties every bin of the calling thread into the slabs; nothing from inside a slow path. */
void emp_cache_flush(const char *call);

/* Blocks of a class in the calling thread's bin. */
unsigned emp_cache_count(uint32_t class_id);

/* Number of caches. */
unsigned emp_cache_threads(void);

/* Samples rates and drains cold bins of the calling thread. */
void emp_cache_tick(void);

/* Lowers the limits of every thread's open bins; maintenance. */
void emp_cache_poke_all(void);

/*
 * Closes the bins of a pool class in every cache: of a new pool (room > 0) or a dead one (0).
 * What was in the bins goes to its slabs; *returned, when not NULL, receives how many
 * blocks that was, each of them once. The pools lock is held.
 */
void emp_cache_reset_class(uint32_t class_id, uint16_t room, uint64_t *returned);

/* The lock that keeps a pool class alive while its bins are looked at; core's pool repository. */
void emp_cache_pools_lock(void);
bool emp_cache_pools_try_lock(void);
void emp_cache_pools_unlock(void);

/* Sets a function called now and then on the free side, with no lock held: starts maintenance. */
void emp_cache_set_free_hook(void (*hook)(void));

/* Calls that function; for frees that do not pass through a bin. */
void emp_cache_call_free_hook(void);

/* Exit hook of the thread room: closes the cache; `last` gives its memory back. */
void emp_cache_on_exit(void *arg, bool last);

/* Fork: registry lock; the child empties the caches of threads that are gone. */
void emp_cache_fork_prepare(void);
void emp_cache_fork_parent(void);
void emp_cache_fork_child(void);

#endif
