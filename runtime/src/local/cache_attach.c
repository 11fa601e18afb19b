/*
 * Purpose: the life of a thread's cache: creation at its first slow path, the registry of all
 *          caches, the end of the thread, fork.
 * Owner:   local. Threads: as thread_cache.h says. Cost: attach about 1 us; nothing afterwards.
 * Design:  [local.proto.cache] [local.inv.sentinel] [local.req.bounded]
 */
#include <string.h>

#include "base/check.h"
#include "base/config.h"
#include "global/shard.h"
#include "local/cache_internal.h"
#include "monitor/stopwatch.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/meta.h"
#include "sync/atomic.h"
#include "thread/cpu.h"
#include "thread/lifecycle.h"
#include "thread/mutex.h"

_Static_assert(offsetof(struct emp_cache, view) % EMP_LINE_BYTES == 0, "bins start on a line");
_Static_assert(offsetof(struct emp_cache, view.bins[EMP_POOL_CLASS_FIRST]) <= 4096,
               "a thread without pools touches one page");
_Static_assert(offsetof(struct emp_l1, bins) == EMP_BINS_OFFSET &&
                   sizeof(struct emp_l1_bin) == EMP_BIN_BYTES,
               "tags carry these");
_Static_assert(sizeof(struct emp_bin_state) == 16, "states of the size classes fit the first page");
_Static_assert(EMP_BINS <= 4 * 64, "a bit of pools_known for every class");

/* Address space of a cache, touched as far as used; the longest where bins may swing. */
#define EMP_CACHE_SHIFT_LONG  19u
#define EMP_CACHE_SHIFT_FULL  16u
#define EMP_CACHE_SHIFT_SMALL 15u
/* Where the arena is small, so is the range of the metadata: no long caches. */
#define EMP_CACHE_LONG_ARENA ((size_t)1 << 30)

_Static_assert(((size_t)1 << EMP_CACHE_SHIFT_LONG) / sizeof(void *) <= (size_t)UINT16_MAX + 1,
               "base_index reaches every slot");

/* The bins of a thread without cache: always empty, never with room. */
static void *no_slots[2];
#define EMP_NO_BIN                 \
    {                              \
        &no_slots[1], &no_slots[0] \
    }
/* Before the start the size table gives offset 0, and tags do where no slab is. */
static struct emp_l1 l1_none = {.none = EMP_NO_BIN, .bins = {[0 ... EMP_BINS - 1] = EMP_NO_BIN}};
static struct emp_l1 l1_dead = {.none = EMP_NO_BIN, .bins = {[0 ... EMP_BINS - 1] = EMP_NO_BIN}};

/* The thread's cache; see core/thread_cache_view.h for the public declaration. */
EMP_EXPORT EMP_TLS struct emp_l1 *emp_cache_pointer = &l1_none;

struct emp_local_options emp_local_options = {.checked = false, .rate_limits = true};

static struct {
    struct emp_mutex lock;
    struct emp_cache *first;       /* guarded by lock */
    uint32_t count;                /* atomic: registry-count */
    uint16_t pool_rooms[EMP_BINS]; /* guarded by lock: room of each pool class, 0: none */
    uint32_t had_pools;            /* atomic: registry-count. 1: there was a pool once */
} registry = {.lock = EMP_MUTEX_INIT(REGISTRY)};

/* Keeps pool classes alive while their bins are looked at. */
static struct emp_mutex pools_lock = EMP_MUTEX_INIT(POOLS);

/* Called on the free side; set once by core. */
static void (*free_hook)(void);

void emp_cache_pools_lock(void)
{
    emp_mutex_lock(&pools_lock);
}

bool emp_cache_pools_try_lock(void)
{
    return emp_mutex_try_lock(&pools_lock);
}

void emp_cache_pools_unlock(void)
{
    emp_mutex_unlock(&pools_lock);
}

void emp_cache_set_free_hook(void (*hook)(void))
{
    /* order(free-hook): release; what the hook uses was prepared before */
    emp_store_release(&free_hook, hook);
}

void emp_cache_call_free_hook(void)
{
    /* order(free-hook): acquire; see emp_cache_set_free_hook */
    void (*hook)(void) = emp_load_acquire(&free_hook);

    if (hook != NULL) {
        hook();
    }
}

void emp_local_init(void)
{
    emp_assert(emp_arena.bytes != 0);
}

struct emp_cache *emp_cache_of(struct emp_l1 *view)
{
    if (view == &l1_none || view == &l1_dead) {
        return NULL;
    }
    return (struct emp_cache *)(void *)((char *)view - offsetof(struct emp_cache, view));
}

unsigned emp_cache_threads(void)
{
    /* order(registry-count): relaxed; a statistic */
    return emp_load_relaxed(&registry.count);
}

bool emp_cache_had_pools(void)
{
    /* order(registry-count): relaxed; who has a block of a pool comes after its creation */
    return emp_load_relaxed(&registry.had_pools) != 0;
}

/*
 * Slots for bins are fewer where threads are many; budgets (cache_rate.c) shrink with the number.
 */
static uint8_t scale_for(unsigned threads)
{
    unsigned cpus = emp_cpu_count();

    if (threads <= 4 * cpus || threads <= 16) {
        return 0;
    }
    return threads <= 64 ? 1 : threads <= 256 ? 2 : 3;
}

/* Puts a bin into its closed state: empty, and no slots when it is new. */
static void bin_close(struct emp_cache *cache, uint32_t class_id, bool is_new)
{
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    bin->top = &no_slots[1];
    /* order(bin-limit): relaxed; see emp_cache_set_limit */
    emp_store_relaxed(&bin->limit, &no_slots[0]);
    *state = (struct emp_bin_state){.base_index = is_new ? 0 : state->base_index,
                                    .slots = is_new ? 0 : state->slots};
}

/* Closes the bin of a pool class; its state is garbage until the first time. Registry lock. */
static void bin_close_pool(struct emp_cache *cache, uint32_t class_id)
{
    uint64_t bit = (uint64_t)1 << (class_id % 64u);
    uint64_t *known = &cache->pools_known[class_id / 64u];

    bin_close(cache, class_id, (*known & bit) == 0);
    *known |= bit;
}

/* Room of a class in a cache of this scale. */
static uint16_t room_for(const struct emp_cache *cache, uint32_t class_id)
{
    uint16_t room = class_id < EMP_POOL_CLASS_FIRST ? emp_classes[class_id].room
                                                    : registry.pool_rooms[class_id];
    uint16_t scaled = (uint16_t)(room >> cache->scale);

    return scaled < 2 ? 2 : scaled;
}

/* Finds `count` slots and an end mark below them; NULL when the cache has no more. */
static void **slots_find(struct emp_cache *cache, uint32_t count)
{
    void **slots = NULL;

    if (cache->near_used + count + 1u <= EMP_NEAR_SLOTS) {
        slots = &cache->near_slots[cache->near_used];
        cache->near_used = (uint16_t)(cache->near_used + count + 1u);
    } else if (cache->far_used + count + 1u <= cache->far_slots_count) {
        slots = &cache->far_slots[cache->far_used];
        cache->far_used += count + 1u;
    }
    return slots;
}

unsigned emp_cache_find_slots(struct emp_cache *cache, uint32_t class_id, unsigned room)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    /* At least twice the slots left behind: all that a class ever leaves is less than it has. */
    unsigned count = room > 2u * state->slots ? room : 2u * state->slots;
    void **slots = slots_find(cache, count);

    if (slots == NULL) {
        state->room_full = state->slots < state->room_full ? state->slots : state->room_full;
        return state->slots; /* grows no more; one that swings asks again */
    }
    unsigned blocks = 0;

    slots[0] = NULL;
    if (state->slots != 0) {
        void **base = emp_cache_base(cache, state);

        blocks = (unsigned)(bin->top - base);
        memcpy(slots + 1, base, blocks * sizeof(void *));
    }
    state->base_index = (uint16_t)(slots + 1 - (void **)(void *)cache);
    state->slots = (uint16_t)count;
    bin->top = slots + 1 + blocks;
    return room;
}

bool emp_cache_open_bin(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    unsigned room = 0;

    state->room_full = room_for(cache, class_id);
    if (emp_cache_may_keep(cache, class_id)) {
        room = emp_cache_first_room(cache, class_id);
    }
    if (state->slots == 0 && emp_cache_find_slots(cache, class_id, room != 0 ? room : 1) == 0) {
        return false;
    }
    cache->view.bins[class_id].top = emp_cache_base(cache, state);
    emp_cache_set_room(cache, class_id, room);
    return true;
}

/* log2 of the bytes of the next cache. */
static unsigned shift_for(unsigned threads, uint8_t scale)
{
    if (threads <= EMP_SWING_THREADS && emp_arena.bytes >= EMP_CACHE_LONG_ARENA) {
        return EMP_CACHE_SHIFT_LONG;
    }
    return scale == 0 ? EMP_CACHE_SHIFT_FULL : EMP_CACHE_SHIFT_SMALL;
}

/* Fills a block with an empty cache; memory of an earlier cache may be in it. */
static void cache_init(struct emp_cache *cache, unsigned shift, uint8_t scale)
{
    cache->slow_count = 0;
    cache->tick_ms = emp_stopwatch_coarse_ms();
    cache->block_shift = (uint16_t)shift;
    cache->scale = scale;
    cache->exit_count = 0;
    cache->busy = 0;
    cache->closing = 0;
    cache->near_used = 0;
    cache->far_used = 0;
    cache->room_bytes = 0;
    cache->swing_bytes = 0;
    cache->swing_refused = 0;
    cache->swing_class = 0;
    cache->swing_pause = 0;
    cache->large_room_bytes = 0;
    cache->far_slots_count =
        (uint32_t)((((size_t)1 << shift) - offsetof(struct emp_cache, far_slots)) / sizeof(void *));
    cache->view.none = (struct emp_l1_bin)EMP_NO_BIN;
    cache->view.arena_base = emp_arena.base;
    cache->view.arena_bytes = emp_arena.bytes;
    cache->view.tags = emp_arena.tags;
    cache->view.home_bit = 1u << (16u + emp_shard_current() % 16u);
    cache->view.attached = 1;
    cache->view.slabs = emp_arena.slab_descriptors;
    cache->view.direct_left = 1;
    memset(cache->pools_known, 0, sizeof(cache->pools_known));
    for (uint32_t c = 0; c < EMP_POOL_CLASS_FIRST; c++) {
        bin_close(cache, c, true);
    }
}

/* Enters a cache into the registry and prepares the bins of the pools that exist. */
static void registry_add(struct emp_cache *cache)
{
    emp_mutex_lock(&registry.lock);
    for (uint32_t c = EMP_POOL_CLASS_FIRST; c < EMP_BINS; c++) {
        if (registry.pool_rooms[c] != 0) {
            bin_close_pool(cache, c);
        }
    }
    cache->prev = NULL;
    cache->next = registry.first;
    if (cache->next != NULL) {
        cache->next->prev = cache;
    }
    registry.first = cache;
    /* order(registry-count): relaxed; a statistic, the lock orders the list */
    emp_fetch_add_relaxed(&registry.count, 1);
    emp_mutex_unlock(&registry.lock);
}

static void registry_remove(struct emp_cache *cache)
{
    emp_mutex_lock(&registry.lock);
    if (cache->prev != NULL) {
        cache->prev->next = cache->next;
    } else {
        registry.first = cache->next;
    }
    if (cache->next != NULL) {
        cache->next->prev = cache->prev;
    }
    /* order(registry-count): relaxed; a statistic, the lock orders the list */
    emp_fetch_sub_relaxed(&registry.count, 1);
    emp_mutex_unlock(&registry.lock);
}

struct emp_cache *emp_cache_attach(void)
{
    struct emp_l1 *view = emp_l1_current();
    struct emp_cache *cache = emp_cache_of(view);

    if (cache != NULL || view == &l1_dead) {
        return cache;
    }
    unsigned threads = emp_cache_threads() + 1;
    uint8_t scale = scale_for(threads);
    unsigned shift = shift_for(threads, scale);

    cache = emp_meta_alloc_uncleared((size_t)1 << shift);
    if (cache == NULL) {
        return NULL;
    }
    cache_init(cache, shift, scale);
    registry_add(cache);
    emp_cache_pointer = &cache->view;
    (void)emp_lifecycle_attach(cache); /* may allocate: the cache is in place by now */
    return cache;
}

void emp_cache_on_exit(void *arg, bool last)
{
    struct emp_cache *cache = arg;

    emp_cache_enter(cache);
    /* Without room a block comes into a bin by a slow path only: none since, nothing to empty. */
    bool is_empty = cache->closing && cache->slow_count == cache->exit_count + 1;

    cache->closing = 1;
    cache->exit_count = cache->slow_count;
    if (!is_empty) {
        emp_cache_empty(cache, "thread exit");
    }
    if (last) {
        emp_cache_pointer = &l1_dead;
        registry_remove(cache);
        emp_meta_free(cache, (size_t)1 << cache->block_shift);
    } else {
        emp_cache_leave(cache);
    }
}

void emp_cache_visit(void (*visit)(struct emp_cache *cache, void *arg), void *arg)
{
    emp_mutex_lock(&registry.lock);
    for (struct emp_cache *cache = registry.first; cache != NULL; cache = cache->next) {
        visit(cache, arg);
    }
    emp_mutex_unlock(&registry.lock);
}

/* Gives the blocks of an open bin to their slabs; one that is free already is passed over. */
static uint64_t bin_return(struct emp_cache *cache, uint32_t class_id)
{
    void **base = emp_cache_base(cache, emp_cache_state(cache, class_id));
    uint64_t count = 0;

    for (void **at = base; at < (void **)cache->view.bins[class_id].top; at++) {
        count += emp_central_give(class_id, *at) == EMP_PROBE_GOOD;
    }
    return count;
}

void emp_cache_reset_class(uint32_t class_id, uint16_t room, uint64_t *returned)
{
    uint64_t count = 0;

    emp_mutex_lock(&registry.lock);
    bool had_bins = registry.pool_rooms[class_id] != 0;

    registry.pool_rooms[class_id] = room;
    /* order(registry-count): relaxed; see emp_cache_had_pools */
    emp_store_relaxed(&registry.had_pools, 1);
    for (struct emp_cache *cache = registry.first; cache != NULL; cache = cache->next) {
        if (had_bins && emp_cache_is_open(emp_cache_state(cache, class_id))) {
            count += bin_return(cache, class_id);
        }
        bin_close_pool(cache, class_id);
    }
    emp_mutex_unlock(&registry.lock);
    if (returned != NULL) {
        *returned = count;
    }
}

void emp_cache_fork_prepare(void)
{
    emp_mutex_lock(&pools_lock);
    emp_mutex_lock(&registry.lock);
}

void emp_cache_fork_parent(void)
{
    emp_mutex_unlock(&registry.lock);
    emp_mutex_unlock(&pools_lock);
}

/*
 * On aarch64 the store of a block and that of the new top may have reached memory in the other
 * order when the thread vanished: its newest entries are not trusted, at the price of a block per
 * bin.
 */
static void cache_drop_newest(struct emp_cache *cache)
{
    for (uint32_t c = 1; EMP_ARCH_AARCH64 && c < EMP_CLASS_LIMIT; c++) {
        if (emp_classes[c].geometry.size != 0 && cache->view.bins[c].top[-1] != NULL) {
            cache->view.bins[c].top--;
        }
    }
}

void emp_cache_fork_child(void)
{
    struct emp_cache *mine = emp_cache_of(emp_l1_current());
    struct emp_cache *cache = registry.first;

    emp_mutex_reset_in_child(&registry.lock);
    emp_mutex_reset_in_child(&pools_lock);
    while (cache != NULL) {
        struct emp_cache *next = cache->next;

        /* order(cache-busy): relaxed; the thread is gone, its last store before the fork is seen */
        if (cache != mine && emp_load_relaxed(&cache->busy) == 0) {
            cache_drop_newest(cache);
            emp_cache_empty(cache, "fork");
            registry_remove(cache);
            emp_meta_free(cache, (size_t)1 << cache->block_shift);
        }
        cache = next;
    }
}
