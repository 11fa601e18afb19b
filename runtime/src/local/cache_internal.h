/*
 * Purpose: what the files of the local room share and nobody else may use.
 * Owner:   local. Threads: the thread that owns the cache, unless said otherwise.
 * Design:  [local.proto.cache]
 */
#ifndef EMP_LOCAL_CACHE_INTERNAL_H
#define EMP_LOCAL_CACHE_INTERNAL_H

#include "local/thread_cache.h"
#include "sync/atomic.h"

#define EMP_GROW_EVENTS   2  /* a bin grows after so many refills */
#define EMP_SWING_THREADS 2u /* with more threads than that no bin gets room for its swing */

/* Attaches the thread if it may have a cache; NULL: it has none (ending, no memory). */
struct emp_cache *emp_cache_attach(void);

/* The cache to use, attaching the thread if need be; NULL as above. */
static inline struct emp_cache *emp_cache_get(void)
{
    struct emp_l1 *view = emp_l1_current();

    if (emp_likely(view->attached != 0)) {
        return (struct emp_cache *)(void *)((char *)view - offsetof(struct emp_cache, view));
    }
    return emp_cache_attach();
}

/* The cache of a view that is not one of the static ones; NULL for those. */
struct emp_cache *emp_cache_of(struct emp_l1 *view);

/* The slow side of a bin. */
static inline struct emp_bin_state *emp_cache_state(struct emp_cache *cache, uint32_t class_id)
{
    return class_id < EMP_POOL_CLASS_FIRST ? &cache->size_states[class_id]
                                           : &cache->pool_states[class_id - EMP_POOL_CLASS_FIRST];
}

/* Begins a slow path: bins may be in the middle of a change until it is left. */
static inline void emp_cache_enter(struct emp_cache *cache)
{
    cache->slow_count++;
    /*
     * order(cache-busy): relaxed; read only by a forked child, which has this thread's past whole
     */
    emp_store_relaxed(&cache->busy, (uint8_t)(cache->busy + 1)); /* callbacks may nest */
}

/* Ends a slow path. */
static inline void emp_cache_leave(struct emp_cache *cache)
{
    /* order(cache-busy): relaxed; as in emp_cache_enter */
    emp_store_relaxed(&cache->busy, (uint8_t)(cache->busy - 1));
}

/* First slot of an open bin. */
static inline void **emp_cache_base(struct emp_cache *cache, const struct emp_bin_state *state)
{
    return (void **)(void *)cache + state->base_index;
}

/* True when a bin has slots and a room to return to. */
static inline bool emp_cache_is_open(const struct emp_bin_state *state)
{
    return state->room_full != 0;
}

/*
 * False: no bin of the class may have room in this cache. The inlined calls of typed pools know
 * nothing of guards: in the secure build they find the bins of pools empty and full.
 */
static inline bool emp_cache_may_keep(const struct emp_cache *cache, uint32_t class_id)
{
    return !emp_local_options.checked && !cache->closing &&
           !(EMP_SECURE && class_id >= EMP_POOL_CLASS_FIRST);
}

/*
 * Moves a bin to more slots, enough for `room` blocks; returns that, or how many it has when the
 * cache has no more. Inside a slow path.
 */
unsigned emp_cache_find_slots(struct emp_cache *cache, uint32_t class_id, unsigned room);

/* Opens a closed bin; false: the cache has no slots left. */
bool emp_cache_open_bin(struct emp_cache *cache, uint32_t class_id);

/* Sets the limit by the room of the bin. */
void emp_cache_set_limit(struct emp_cache *cache, uint32_t class_id);

/* Removes the `count` oldest blocks of a bin and gives them back. */
void emp_cache_give_oldest(struct emp_cache *cache, uint32_t class_id, unsigned count,
                           const char *call);

/* The `count` newest, for a long bin: nothing is moved. */
void emp_cache_give_newest(struct emp_cache *cache, uint32_t class_id, unsigned count,
                           const char *call);

/* False: no bin of any pool ever held a block. */
bool emp_cache_had_pools(void);

/* Empties the bins of pools, with cold_only those without room; reports with no lock held. */
void emp_cache_empty_pools(struct emp_cache *cache, bool cold_only, const char *call);

/* Empties every bin of a cache; the owner, or the child of a fork for a thread that is gone. */
void emp_cache_empty(struct emp_cache *cache, const char *call);

/* A free or poked operation on a bin: books the sample, restores the limit. */
void emp_cache_sample(struct emp_cache *cache, uint32_t class_id);

/* An operation on a cold bin: counts it, gives the bin its room when the rate is high enough. */
void emp_cache_cold_op(struct emp_cache *cache, uint32_t class_id);

/* A refill answers a poke too: a thread that only allocates is not idle. For a poked bin. */
EMP_COLD void emp_cache_note_refill(struct emp_cache *cache, uint32_t class_id);

/* Gives a bin more room, within the thread's budget. */
EMP_COLD void emp_cache_grow(struct emp_cache *cache, uint32_t class_id);

/* A refill of a hot bin: those that see many of them grow. */
static inline void emp_cache_count_refill(struct emp_cache *cache, struct emp_bin_state *state,
                                          uint32_t class_id)
{
    if (state->room != 0 && state->room < state->room_full &&
        (int8_t)++state->events >= EMP_GROW_EVENTS) {
        emp_cache_grow(cache, class_id);
    }
}

/*
 * A bin ran empty after it had overflowed: gives it more room than a class has of its own, where
 * threads are few ([local.proto.swing]).
 */
EMP_COLD void emp_cache_swing(struct emp_cache *cache, uint32_t class_id);

/* A tick: were grants refused so often that what is granted is in vain? */
void emp_cache_settle_begin(struct emp_cache *cache);

/*
 * A tick: takes bins of the classes [first, limit) that swing no more half of their room, down to
 * that of their class. Of pools with the pools lock held.
 */
void emp_cache_settle(struct emp_cache *cache, uint32_t first, uint32_t limit);

/* Sets the room of an open bin and its limit, and books the bytes. */
void emp_cache_set_room(struct emp_cache *cache, uint32_t class_id, unsigned room);

/* Room of a bin that has just become hot. */
unsigned emp_cache_first_room(const struct emp_cache *cache, uint32_t class_id);

/* A tick if one is due. */
void emp_cache_tick_if_due(struct emp_cache *cache);

/* Calls visit for every cache with the registry locked. */
void emp_cache_visit(void (*visit)(struct emp_cache *cache, void *arg), void *arg);

#endif
