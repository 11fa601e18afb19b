/*
 * Purpose: the slow paths of the thread cache: refill an empty bin, make room in a full one, send
 *          blocks of line-sharing classes home.
 * Owner:   local. Threads: the owner. Cost: one batch of up to 64 blocks per call.
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

#define EMP_OVERFLOWS_MANY  2u /* flushes without a refill after which a bin keeps little */
#define EMP_OVERFLOW_KEEP   8u
#define EMP_HOOK_SLOW_PATHS 16u /* slow paths between two calls of the free hook */

void emp_cache_set_limit(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    /* order(bin-limit): relaxed; maintenance may lower it again at once, which only means a
       visit */
    emp_store_relaxed(&cache->view.bins[class_id].limit,
                      emp_cache_base(cache, state) + state->room);
}

/* Reports what the shared tiers found wrong. */
static void cache_report(const struct emp_central_fault *faults, unsigned count, uint32_t class_id,
                         const char *call)
{
    for (unsigned i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)faults[i].pointer;
        const struct emp_slab *slab =
            emp_slab_at(emp_slab_number_of(address, &emp_classes[class_id]));
        char name[32];
        struct emp_report report = {
            .code = (enum emp_report_code)faults[i].code,
            .pointer = faults[i].pointer,
            .block_bytes = emp_classes[class_id].geometry.size,
            .class_id = class_id,
            /* order(slab-owner): relaxed; for the text of the report */
            .owner_shard = emp_load_relaxed(&slab->owner),
            .pool = class_id >= EMP_POOL_CLASS_FIRST ? emp_budget_name(class_id, name, sizeof(name))
                                                     : NULL,
            .call = call,
        };
        emp_report_misuse(&report);
    }
}

/* Class of the slab that a block lies in; 0: none. */
static uint32_t block_class(const void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - emp_arena.base;

    /* order(slab-tag): relaxed; for a block we hold the slab cannot end meanwhile */
    return emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]) & 0xffu;
}

/*
 * Blocks borrowed from a larger class go back to that class. Removes them from faults, adds what is
 * wrong with them there; returns how many faults are left.
 */
static unsigned give_borrowed(uint32_t class_id, struct emp_central_fault *faults, unsigned found)
{
    uint32_t size = emp_classes[class_id].geometry.size;
    unsigned left = 0;

    for (unsigned i = 0; i < found; i++) {
        uint32_t lender = block_class(faults[i].pointer);
        uint32_t lent_size = emp_classes[lender].geometry.size;
        struct emp_central_fault one = faults[i];
        unsigned wrong = 1;

        if (lender <= EMP_SIZE_CLASSES && lender > class_id && lent_size * 2 <= size * 3) {
            wrong = emp_central_give(lender, &faults[i].pointer, 1, &one);
        }
        if (wrong != 0) {
            faults[left++] = one;
        }
    }
    return left;
}

/* Reports the double frees that were found while a slab was drained, purged or ended. */
static void report_drained(const char *call)
{
    void *twice = NULL;

    while (emp_unlikely((twice = emp_shard_take_double_free()) != NULL)) {
        struct emp_central_fault fault = {twice, EMP_REPORT_DOUBLE_FREE};

        cache_report(&fault, 1, block_class(twice), call);
    }
}

void emp_cache_give(uint32_t class_id, void **ptrs, unsigned count, const char *call)
{
    struct emp_central_fault faults[EMP_GIVE_MAX];

    while (count > 0) {
        unsigned batch = count < EMP_GIVE_MAX ? count : EMP_GIVE_MAX;
        unsigned found = emp_central_give(class_id, ptrs, batch, faults);

        if (emp_unlikely(found != 0)) {
            found = give_borrowed(class_id, faults, found);
            cache_report(faults, found, class_id, call);
        }
        ptrs += batch;
        count -= batch;
    }
    report_drained(call);
}

/* Blocks in an open bin. */
static unsigned bin_count(struct emp_cache *cache, uint32_t class_id)
{
    return (unsigned)(cache->view.bins[class_id].top -
                      emp_cache_base(cache, emp_cache_state(cache, class_id)));
}

/* Moves the oldest `count` blocks of a bin, at most EMP_GIVE_MAX, into batch; returns how many. */
static unsigned bin_pick_oldest(struct emp_cache *cache, uint32_t class_id, unsigned count,
                                void **batch)
{
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    void **base = emp_cache_base(cache, emp_cache_state(cache, class_id));
    unsigned step = count < EMP_GIVE_MAX ? count : EMP_GIVE_MAX;
    size_t rest = (size_t)(bin->top - base) - step;

    memcpy(batch, base, step * sizeof(void *));
    memmove(base, base + step, rest * sizeof(void *));
    bin->top = base + rest;
    return step;
}

void emp_cache_give_oldest(struct emp_cache *cache, uint32_t class_id, unsigned count,
                           const char *call)
{
    void *batch[EMP_GIVE_MAX];

    while (count > 0) {
        unsigned step = bin_pick_oldest(cache, class_id, count, batch);

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
    cache->view.home_bit = 1u << (8u + emp_shard_current() % 16u);
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
    state->overflows = 0;
    emp_cache_note_refill(cache, class_id);
    emp_cache_grow(cache, class_id);
    unsigned count = emp_central_take(class_id, out, refill_want(state, class_id), &home, note);

    cache_set_home(cache);
    /* Lowest address on top: blocks leave in ascending order and come back as runs. */
    for (unsigned i = count; i > 1; i--) {
        *bin->top++ = out[i - 1];
    }
    emp_cache_tick_if_due(cache);
    emp_cache_leave(cache);
    return count != 0 ? out[0] : NULL;
}

void emp_cache_flush_away(struct emp_cache *cache, const char *call)
{
    void *pending[EMP_AWAY_MAX];
    void *batch[EMP_AWAY_MAX];
    unsigned left = cache->away_count;

    memcpy(pending, cache->away, left * sizeof(void *));
    cache->away_count = 0;
    while (left > 0) {
        unsigned same = 0;
        unsigned rest = 0;
        uint32_t class_id = 0;

        for (unsigned i = 0; i < left; i++) {
            uintptr_t offset = (uintptr_t)pending[i] - emp_arena.base;
            /* order(slab-tag): relaxed; the block is ours, its slab cannot end meanwhile */
            uint32_t id = emp_load_relaxed(&emp_arena.tags[offset >> EMP_UNIT_SHIFT]) & 0xffu;

            class_id = i == 0 ? id : class_id;
            if (id == class_id) {
                batch[same++] = pending[i];
            } else {
                pending[rest++] = pending[i];
            }
        }
        if (class_id != 0) {
            emp_cache_give(class_id, batch, same, call);
        }
        left = rest;
    }
}

/*
 * A block of a line-sharing class whose home is another shard. Blocks of pools never wait: their
 * pool may be destroyed meanwhile.
 */
static void cache_free_away(struct emp_cache *cache, uint32_t class_id, void *ptr, const char *call)
{
    if (class_id >= EMP_POOL_CLASS_FIRST) {
        emp_cache_give(class_id, &ptr, 1, call);
        return;
    }
    cache->away[cache->away_count++] = ptr;
    if (cache->away_count == EMP_AWAY_MAX || cache->closing || emp_local_options.checked) {
        emp_cache_flush_away(cache, call);
    }
}

/* Makes room in a full bin: half of it, or nearly all when only frees come. */
static void cache_overflow(struct emp_cache *cache, uint32_t class_id, const char *call)
{
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    unsigned count = (unsigned)(bin->top - emp_cache_base(cache, state));
    unsigned give = (count + 1) / 2;

    if (state->overflows >= EMP_OVERFLOWS_MANY) {
        give = count > EMP_OVERFLOW_KEEP ? count - EMP_OVERFLOW_KEEP : give;
    } else {
        state->overflows++;
    }
    emp_cache_grow(cache, class_id);
    emp_cache_give_oldest(cache, class_id, give, call);
}

void emp_cache_free_slow(uint32_t class_id, void *ptr, const char *call)
{
    struct emp_cache *cache = emp_cache_get();
    void *one[1] = {ptr};

    if (emp_unlikely(cache == NULL)) {
        emp_cache_give(class_id, one, 1, call);
        return;
    }
    struct emp_l1_bin *bin = &cache->view.bins[class_id];
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    /* order(slab-tag): relaxed; the caller holds the block */
    uint32_t tag =
        emp_load_relaxed(&emp_arena.tags[((uintptr_t)ptr - emp_arena.base) >> EMP_UNIT_SHIFT]);

    emp_cache_enter(cache);
    cache_set_home(cache);
    if ((tag & cache->view.home_bit) != 0) {
        cache_free_away(cache, class_id, ptr, call);
    } else if (!emp_cache_is_open(state) && !emp_cache_open_bin(cache, class_id)) {
        emp_cache_give(class_id, one, 1, call);
    } else {
        emp_cache_sample(cache, class_id);
        if (state->room == 0) {
            emp_cache_cold_op(cache, class_id);
        }
        if (state->room == 0) {
            emp_cache_give(class_id, one, 1, call);
        } else {
            /* order(bin-limit): relaxed; our own store, or a poke that came meanwhile */
            if (bin->top - emp_cache_base(cache, state) >= state->room) {
                cache_overflow(cache, class_id, call);
            }
            *bin->top++ = ptr;
        }
    }
    emp_cache_tick_if_due(cache);
    bool look = cache->slow_count % EMP_HOOK_SLOW_PATHS == 0 && !cache->closing;

    emp_cache_leave(cache);
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

/* One batch of a pool's bin; returns what was wrong in it. Pools lock: the pool cannot end. */
static unsigned pool_bin_give(struct emp_cache *cache, uint32_t class_id, bool cold_only,
                              struct emp_central_fault *faults)
{
    void *batch[EMP_GIVE_MAX];
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    if (emp_classes[class_id].geometry.size == 0 || !emp_cache_is_open(state) ||
        (cold_only && state->room != 0)) {
        return 0;
    }
    unsigned count = bin_pick_oldest(cache, class_id, bin_count(cache, class_id), batch);

    emp_cache_set_room(cache, class_id, cache->closing ? 0 : state->room);
    return count != 0 ? emp_central_give(class_id, batch, count, faults) : 0;
}

/* True when a pool's bin has blocks that pool_bin_give would take. Pools lock. */
static bool pool_bin_has_more(struct emp_cache *cache, uint32_t class_id, bool cold_only)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    return emp_classes[class_id].geometry.size != 0 && emp_cache_is_open(state) &&
           !(cold_only && state->room != 0) && bin_count(cache, class_id) != 0;
}

void emp_cache_empty_pools(struct emp_cache *cache, bool cold_only, const char *call)
{
    struct emp_central_fault faults[EMP_GIVE_MAX];
    uint32_t class_id = EMP_POOL_CLASS_FIRST;

    while (class_id < EMP_CLASS_LIMIT) {
        uint32_t faulty = class_id;
        unsigned found = 0;

        emp_cache_pools_lock();
        while (class_id < EMP_CLASS_LIMIT && found == 0) {
            faulty = class_id;
            found = pool_bin_give(cache, class_id, cold_only, faults);
            class_id += !pool_bin_has_more(cache, class_id, cold_only);
        }
        emp_cache_pools_unlock();
        if (emp_unlikely(found != 0)) {
            cache_report(faults, found, faulty, call); /* asks the application: no lock is held */
        }
    }
    report_drained(call);
}

void emp_cache_empty(struct emp_cache *cache, const char *call)
{
    emp_cache_flush_away(cache, call);
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
