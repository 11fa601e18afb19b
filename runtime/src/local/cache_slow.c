/*
 * Purpose: the slow paths of the thread cache: refill an empty bin; give blocks back to their slabs
 *          that a full bin, or one that is not at home, does not take.
 * Owner:   local. Threads: the owner. Cost: refill one batch of up to 128 blocks; free one block.
 * Design:  [local.proto.cache] [local.req.overflow]
 */
#include <string.h>

#include "base/check.h"
#include "global/budget.h"
#include "global/shard.h"
#include "local/cache_internal.h"
#include "monitor/report.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "sync/atomic.h"

#define EMP_OVERFLOW_KEEP   4u  /* what a bin keeps that overflows without a refill ... */
#define EMP_OVERFLOWS_MANY  4u  /* ... for so many times ... */
#define EMP_DIRECT_FREES    64u /* ... this number of blocks */
#define EMP_HOOK_SLOW_PATHS 32u /* slow paths between two calls of the free hook */
#define EMP_GIVE_BATCH      128u

/* Blocks that an open, hot bin takes: its room, or little when it only receives. */
static unsigned room_now(const struct emp_bin_state *state)
{
    bool only_frees = state->overflows >= EMP_OVERFLOWS_MANY && state->room > EMP_OVERFLOW_KEEP;

    return only_frees ? EMP_OVERFLOW_KEEP : state->room;
}

void emp_cache_set_limit(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    void **base = emp_cache_base(cache, state);

    /*
     * order(bin-limit): relaxed; maintenance may lower it again at once, which only means a visit.
     * Without room it lies below every top: such a bin is not merely full, its rate is looked at.
     */
    emp_store_relaxed(&cache->view.bins[class_id].limit,
                      state->room != 0 ? base + room_now(state) : base - 1);
}

/* Reports what is wrong with a block of a class. */
static EMP_COLD void cache_report(uint32_t class_id, void *ptr, int code, const char *call)
{
    const struct emp_slab *slab =
        emp_slab_at(emp_slab_number_of((uintptr_t)ptr, &emp_classes[class_id]));
    char name[32];
    struct emp_report report = {
        .code = (enum emp_report_code)code,
        .pointer = ptr,
        .block_bytes = emp_classes[class_id].geometry.size,
        .class_id = class_id,
        /* order(slab-owner): relaxed; for the text of the report */
        .owner_shard = emp_load_relaxed(&slab->owner),
        .pool =
            class_id >= EMP_POOL_CLASS_FIRST ? emp_budget_name(class_id, name, sizeof(name)) : NULL,
        .call = call,
    };

    emp_report_misuse(&report);
}

/* Class of the slab that a block lies in; 0: none. */
static uint32_t block_class(const void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    /* order(slab-tag): relaxed; for a block we hold the slab cannot end meanwhile */
    return emp_tag_class(emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]));
}

/* Gives one block of a bin of class_id: its slab may be one of a larger class that lent it. */
static int give_one(uint32_t class_id, void *ptr)
{
    uint32_t lender = block_class(ptr);

    if (emp_likely(lender == class_id)) {
        return emp_central_give(class_id, ptr);
    }
    bool lent = lender <= EMP_SIZE_CLASSES && lender > class_id &&
                emp_classes[lender].geometry.size * 2 <= emp_classes[class_id].geometry.size * 3;

    return lent ? emp_central_give(lender, ptr) : EMP_REPORT_INVALID;
}

/*
 * The usual block: of a slab of one unit and of this class. False: nothing was done. `arena` is a
 * copy: the compiler has to take it that the state of a slot may be any byte of the original.
 */
static inline bool give_own(const struct emp_arena *arena, uint32_t bin_offset, const void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - arena->base;
    struct emp_slab *slab = NULL;

    if (emp_unlikely(offset >= arena->bytes)) {
        return false;
    }
    /* order(slab-tag): relaxed; for a block we hold the slab cannot end meanwhile */
    uint32_t tag = emp_load_relaxed(&arena->tags[offset >> EMP_UNIT_SHIFT]);

    /* The inlined free of a typed pool takes any pointer: the tag before the descriptor. */
    if (emp_unlikely((tag & 0xffffu) != bin_offset ||
                     !emp_slab_release(arena->slab_descriptors, offset, &slab))) {
        return false;
    }
    if (emp_unlikely(emp_inbox_is_quiet(&slab->inbox))) {
        emp_shard_notify(slab);
    }
    return true;
}

/* Any other: of a wide slab, borrowed, or wrong. */
static EMP_NOINLINE void give_other(uint32_t class_id, void *ptr, const char *call)
{
    int code = give_one(class_id, ptr);

    if (emp_unlikely(code != EMP_PROBE_GOOD)) {
        cache_report(class_id, ptr, code, call);
    }
}

void emp_cache_give(uint32_t class_id, void **ptrs, unsigned count, const char *call)
{
    const struct emp_arena arena = emp_arena;
    const uint32_t bin_offset = emp_bin_offset(class_id);

    for (unsigned i = 0; i < count; i++) {
        if (emp_unlikely(!give_own(&arena, bin_offset, ptrs[i]))) {
            give_other(class_id, ptrs[i], call);
        }
    }
}

/* Blocks in an open bin. */
static unsigned bin_count(struct emp_cache *cache, uint32_t class_id)
{
    return (unsigned)(cache->view.bins[class_id].top -
                      emp_cache_base(cache, emp_cache_state(cache, class_id)));
}

/*
 * Moves some of the oldest `count` blocks of a bin, EMP_GIVE_BATCH at most, to batch; returns how
 * many. The newest of them first: so only what stays is moved down.
 */
static unsigned bin_pick_oldest(struct emp_cache *cache, uint32_t class_id, unsigned count,
                                void **batch)
{
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    unsigned step = count < EMP_GIVE_BATCH ? count : EMP_GIVE_BATCH;
    void **from = emp_cache_base(cache, emp_cache_state(cache, class_id)) + count - step;
    size_t rest = (size_t)((void **)bin->top - from) - step;

    memcpy(batch, from, step * sizeof(void *));
    memmove(from, from + step, rest * sizeof(void *));
    bin->top = from + rest;
    return step;
}

void emp_cache_give_oldest(struct emp_cache *cache, uint32_t class_id, unsigned count,
                           const char *call)
{
    void *batch[EMP_GIVE_BATCH];

    while (count > 0) {
        unsigned step = bin_pick_oldest(cache, class_id, count, batch);

        emp_cache_give(class_id, batch, step, call);
        count -= step;
    }
}

void emp_cache_give_newest(struct emp_cache *cache, uint32_t class_id, unsigned count,
                           const char *call)
{
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    void *batch[EMP_GIVE_BATCH];

    while (count > 0) {
        unsigned step = count < EMP_GIVE_BATCH ? count : EMP_GIVE_BATCH;

        bin->top -= step;
        memcpy(batch, (void **)bin->top, step * sizeof(void *));
        emp_cache_give(class_id, batch, step, call);
        count -= step;
    }
}

/* How many blocks a refill asks for: three quarters of the room, one when cold. */
static unsigned refill_want(const struct emp_bin_state *state, uint32_t class_id)
{
    unsigned batch = emp_classes[class_id].batch;
    unsigned want = batch != 0 && batch < state->room ? batch : state->room - state->room / 4u;

    want = want < 1 ? 1 : want;
    return want > EMP_TAKE_MAX ? EMP_TAKE_MAX : want;
}

/* Home is the shard of the processor the thread runs on, as of its last slow path. */
static void cache_set_home(struct emp_cache *cache)
{
    cache->view.home_bit = 1u << (16u + emp_shard_current() % 16u);
}

/* The bin is empty after it was full: it wants more room, and has all of it again. */
static void bin_restore(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    state->overflows = 0;
    emp_cache_set_limit(cache, class_id);
    emp_cache_count_refill(cache, state, class_id);
    if (state->room != 0) {
        emp_cache_swing(cache, class_id);
    }
}

/* One block without a cache. */
static void *take_one(uint32_t class_id, struct emp_central_note *note)
{
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;

    return emp_central_take(class_id, out, 1, &home, note) != 0 ? out[0] : NULL;
}

void *emp_cache_refill(uint32_t class_id, struct emp_central_note *note)
{
    struct emp_cache *cache = emp_cache_get();
    void *out[EMP_TAKE_ROOM];
    uint32_t home = 0;

    if (emp_unlikely(cache == NULL)) {
        return take_one(class_id, note);
    }
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    emp_cache_enter(cache);
    if (bin->top[-1] != NULL) { /* attaching ran code that filled the bin */
        emp_cache_leave(cache);
        return *--bin->top;
    }
    if (!emp_cache_is_open(state) && !emp_cache_open_bin(cache, class_id)) {
        emp_cache_leave(cache);
        return take_one(class_id, note);
    }
    if (state->room == 0) {
        emp_cache_cold_op(cache, class_id);
    }
    /* order(bin-limit): relaxed; a poke that comes now is answered by the next free or refill */
    if (emp_unlikely(emp_load_relaxed(&state->poked) != 0)) {
        emp_cache_note_refill(cache, class_id);
    }
    if (state->overflows != 0) {
        bin_restore(cache, class_id);
    }
    emp_cache_count_refill(cache, state, class_id);
    unsigned count = emp_central_take(class_id, out, refill_want(state, class_id), &home, note);

    cache_set_home(cache);
    /* Lowest address on top. The new top is stored once: a chain of loads and stores costs more. */
    if (emp_likely(count > 1)) {
        emp_bitmap_ops.turn(out + 1, count - 1, bin->top);
        bin->top += count - 1;
    }
    emp_cache_tick_if_due(cache);
    emp_cache_leave(cache);
    return count != 0 ? out[0] : NULL;
}

void emp_cache_announce(struct emp_slab *slab)
{
    emp_shard_notify(slab);
}

/*
 * A full bin: the block goes home; one that only overflows keeps little of what it has. What is in
 * it above its limit leaves by and by, so that no free pays for a long bin.
 */
static int cache_overflow(struct emp_cache *cache, uint32_t class_id, void *ptr, const char *call)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    unsigned count = bin_count(cache, class_id);

    /* Wide slabs are not described for the hit path: each of their blocks comes here. */
    if (state->overflows <= EMP_OVERFLOWS_MANY && emp_classes[class_id].units == 1 &&
        count <= room_now(state)) {
        state->overflows++;
        if (state->overflows == EMP_OVERFLOWS_MANY) {
            emp_cache_set_limit(cache, class_id); /* lower, until the next refill */
        }
    }
    unsigned room = room_now(state);

    if (count > room + EMP_GIVE_BATCH) {
        emp_cache_give_newest(cache, class_id, EMP_GIVE_BATCH, call);
    } else if (count > room) {
        emp_cache_give_oldest(cache, class_id, count - room, call);
    }
    return emp_central_give(class_id, ptr);
}

/* A free of a block at home, with a bin that may take it. */
static int cache_free_home(struct emp_cache *cache, uint32_t class_id, void *ptr, const char *call)
{
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    if (!emp_cache_is_open(state) && !emp_cache_open_bin(cache, class_id)) {
        return emp_central_give(class_id, ptr);
    }
    emp_cache_sample(cache, class_id);
    if (state->room == 0) {
        emp_cache_cold_op(cache, class_id);
    }
    /* order(bin-limit): relaxed; our own store, or a poke that came meanwhile */
    if (bin->top >= emp_load_relaxed(&bin->limit)) {
        return state->room == 0 ? emp_central_give(class_id, ptr)
                                : cache_overflow(cache, class_id, ptr, call);
    }
    *bin->top++ = ptr;
    return EMP_PROBE_GOOD;
}

void emp_cache_free_slow(uint32_t class_id, void *ptr, const char *call)
{
    struct emp_cache *cache = emp_cache_get();
    int code = EMP_PROBE_GOOD;

    if (emp_unlikely(cache == NULL)) {
        emp_cache_give(class_id, &ptr, 1, call);
        return;
    }
    /* order(slab-tag): relaxed; the caller holds the block */
    uint32_t tag =
        emp_load_relaxed(&emp_arena.tags[((uintptr_t)ptr - emp_arena.base) >> EMP_UNIT_SHIFT]);

    emp_cache_enter(cache);
    cache->view.direct_left = EMP_DIRECT_FREES;
    if ((tag & cache->view.home_bit) != 0) {
        cache_set_home(cache);
        code = emp_central_give(class_id, ptr);
    } else {
        code = cache_free_home(cache, class_id, ptr, call);
    }
    emp_cache_tick_if_due(cache);
    bool look = cache->slow_count % EMP_HOOK_SLOW_PATHS == 0 && !cache->closing;

    emp_cache_leave(cache);
    if (emp_unlikely(code != EMP_PROBE_GOOD)) {
        cache_report(class_id, ptr, code, call);
    }
    if (look) {
        emp_cache_call_free_hook();
    }
}

/* Empties the bins of the size classes; an ending thread's bins also lose their room. */
static void cache_empty_sizes(struct emp_cache *cache, const char *call)
{
    for (uint32_t c = 1; c < EMP_POOL_CLASS_FIRST; c++) {
        struct emp_bin_state *state = emp_cache_state(cache, c);

        if (emp_cache_is_open(state)) {
            emp_cache_give_oldest(cache, c, bin_count(cache, c), call);
            emp_cache_set_room(cache, c, cache->closing ? 0 : state->room);
        }
    }
}

/* What went wrong while the bins of pools were emptied; reported later. */
struct pool_fault {
    uint32_t class_id;
    void *pointer;
    int code;
};

/* Gives a pool's bin back until something is wrong. Pools lock: the pool cannot end. */
static bool pool_bin_give(struct emp_cache *cache, uint32_t class_id, bool cold_only,
                          struct pool_fault *fault)
{
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    if (emp_classes[class_id].geometry.size == 0 || !emp_cache_is_open(state) ||
        (cold_only && state->room != 0)) {
        return true;
    }
    while (bin_count(cache, class_id) != 0) {
        fault->pointer = *--bin->top;
        fault->class_id = class_id;
        fault->code = emp_central_give(class_id, fault->pointer);
        if (fault->code != EMP_PROBE_GOOD) {
            return false;
        }
    }
    emp_cache_set_room(cache, class_id, cache->closing ? 0 : state->room);
    return true;
}

void emp_cache_empty_pools(struct emp_cache *cache, bool cold_only, const char *call)
{
    struct pool_fault fault;
    uint32_t class_id = emp_cache_had_pools() ? EMP_POOL_CLASS_FIRST : EMP_CLASS_LIMIT;

    while (class_id < EMP_CLASS_LIMIT) {
        bool good = true;

        emp_cache_pools_lock();
        while (class_id < EMP_CLASS_LIMIT && good) {
            good = pool_bin_give(cache, class_id, cold_only, &fault);
            class_id += good;
        }
        emp_cache_pools_unlock();
        if (emp_unlikely(!good)) { /* asks the application: no lock is held */
            cache_report(fault.class_id, fault.pointer, fault.code, call);
        }
    }
}

void emp_cache_empty(struct emp_cache *cache, const char *call)
{
    cache_empty_sizes(cache, call);
    emp_cache_empty_pools(cache, false, call);
}

void emp_cache_flush(const char *call)
{
    struct emp_cache *cache = emp_cache_of(emp_l1_current());

    /* order(cache-busy): relaxed; our own: a report inside a flush, or a signal handler, must not
       nest */
    if (cache != NULL && emp_load_relaxed(&cache->busy) == 0) {
        emp_cache_enter(cache);
        emp_cache_empty(cache, call);
        emp_cache_leave(cache);
    }
}

unsigned emp_cache_count(uint32_t class_id)
{
    struct emp_cache *cache = emp_cache_of(emp_l1_current());

    if (cache == NULL || !emp_cache_is_open(emp_cache_state(cache, class_id))) {
        return 0;
    }
    return (unsigned)(cache->view.bins[class_id].top -
                      emp_cache_base(cache, emp_cache_state(cache, class_id)));
}
