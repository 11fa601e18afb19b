/*
 * Purpose: hot, warm and cold by measured rate, at no cost on the hit path. A tick lowers ("pokes")
 *          the limit of every open bin; the next free of that class comes to the slow path, and the
 *          time since the poke is a sample of the time between two frees. Samples above 1 ms (less
 *          than 1000 a second), twice in a row, take the bin its room; a cold bin that is used at
 *          1000 a second gets it back.
 * Owner:   local. Threads: the owner, and maintenance for the poke.
 * Design:  [local.req.rate] [local.proto.poke]. Source: BR-MEM-002, BR-MEM-006r.
 * Cost:    one slow path per open bin and tick.
 */
#include "global/shard.h"
#include "local/cache_internal.h"
#include "monitor/stopwatch.h"
#include "slab/size_class.h"
#include "sync/atomic.h"

#define EMP_TICK_MS          100u  /* between the ticks a thread gives itself */
#define EMP_TICK_SLOW_PATHS  16u   /* slow paths between two looks at the clock */
#define EMP_HOT_INTERVAL_US  1000u /* 1000 operations a second */
#define EMP_SLOW_SAMPLES     2u    /* slow samples in a row that make a bin cold */
#define EMP_FIRST_ROOM_PART  16u   /* of the budget, at most ... */
#define EMP_FIRST_ROOM_BYTES 2048u /* room of a bin at first; it doubles while all bins ... */
#define EMP_GROW_PAUSE       192u  /* as a signed byte -64 */
#define EMP_ALL_ROOM_BYTES   (512u << 10) /* ... of all threads together stay near this, each ... */
#define EMP_ROOM_BYTES_MAX   (256u << 10) /* ... below this, ... */
#define EMP_ROOM_BYTES_MIN   (7u << 10)   /* ... and never held to less than this */
#define EMP_ALL_LARGE_BYTES  (2048u << 10) /* the same for the bins of blocks above ... */
#define EMP_LARGE_BYTES_MAX  (1024u << 10) /* ... EMP_SMALL_MAX, which have no least room */
#define EMP_ROOM_BOUND       2u /* budgets that all rooms of a thread, first ones too, stay in */
#define EMP_COLD_WINDOW_US   16000u /* a cold bin that sees ... */
#define EMP_COLD_OPS         16u    /* ... so many operations within the window is hot */
#define EMP_COLD_BLOCKS      2048u  /* most blocks that a bin gives back at once */

/* Takes a bin its room; what it holds stays. */
static void bin_lose_room(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    state->slow_samples = 0;
    state->events = 0;
    emp_cache_set_room(cache, class_id, 0);
}

/* Pokes one open, hot bin. */
static void bin_poke(struct emp_cache *cache, uint32_t class_id, uint32_t now_us)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    /* order(bin-limit): relaxed; a closed bin has no room either */
    if (emp_load_relaxed(&state->room) == 0) {
        return;
    }
    /*
     * order(bin-limit): relaxed; the owner may be in the middle of anything: a poke is only a hint
     */
    if (emp_load_relaxed(&state->poked) == 0) {
        /* order(bin-limit): relaxed; as above */
        emp_store_relaxed(&state->stamp_us, now_us);
        /* order(bin-limit): relaxed; as above */
        emp_store_relaxed(&state->poked, 1);
        /* order(bin-limit): relaxed; every top is above NULL, so the bin counts as full */
        emp_store_relaxed(&cache->view.bins[class_id].limit, (emp_slot_address)NULL);
    }
}

/* Takes a bin its room and its blocks; a long one some of both at a time. */
static void bin_make_cold(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    unsigned count = (unsigned)(cache->view.bins[class_id].top - emp_cache_base(cache, state));

    if (count > EMP_COLD_BLOCKS) {
        emp_cache_give_newest(cache, class_id, EMP_COLD_BLOCKS, "cold");
        count -= EMP_COLD_BLOCKS;
        emp_cache_set_room(cache, class_id, count < state->room ? count : state->room);
        /* order(bin-limit): relaxed; poked anew: the next tick looks whether it is idle still */
        emp_store_relaxed(&state->poked, 0);
        bin_poke(cache, class_id, emp_stopwatch_us());
        return;
    }
    emp_cache_give_oldest(cache, class_id, count, "cold");
    bin_lose_room(cache, class_id);
}

void emp_cache_set_room(struct emp_cache *cache, uint32_t class_id, unsigned room)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    uint32_t size = emp_classes[class_id].geometry.size;

    if (room > state->slots) {
        room = emp_cache_find_slots(cache, class_id, room);
    }
    cache->room_bytes += (room - state->room) * size;
    cache->large_room_bytes += size > EMP_SMALL_MAX ? (room - state->room) * size : 0;
    if (size <= EMP_SMALL_MAX &&
        room < state->room) { /* what was granted beyond the budget is paid back first */
        uint32_t less = (state->room - room) * size;

        cache->swing_bytes -= less < cache->swing_bytes ? less : cache->swing_bytes;
    }
    /* order(bin-limit): relaxed; maintenance only asks whether there is room at all */
    emp_store_relaxed(&state->room, (uint16_t)room);
    emp_cache_set_limit(cache, class_id);
}

/* Bytes of room that a thread may grant, by the number of threads. */
static uint32_t room_budget(void)
{
    uint32_t budget = EMP_ALL_ROOM_BYTES / (emp_cache_threads() + 1);

    budget = budget > EMP_ROOM_BYTES_MAX ? EMP_ROOM_BYTES_MAX : budget;
    return budget < EMP_ROOM_BYTES_MIN ? EMP_ROOM_BYTES_MIN : budget;
}

/*
 * The same for bins of blocks of one size. Large blocks have a budget of their own: a few of them
 * would use up that of all small ones.
 */
static uint32_t room_budget_of(uint32_t size)
{
    uint32_t budget = EMP_ALL_LARGE_BYTES / (emp_cache_threads() + 1);

    if (size <= EMP_SMALL_MAX) {
        return room_budget();
    }
    return budget > EMP_LARGE_BYTES_MAX ? EMP_LARGE_BYTES_MAX : budget;
}

/* Bytes of room of all bins that share the budget of blocks of this size, without swings. */
static uint32_t room_bytes_of(const struct emp_cache *cache, uint32_t size)
{
    return size <= EMP_SMALL_MAX ? cache->room_bytes - cache->large_room_bytes - cache->swing_bytes
                                 : cache->large_room_bytes;
}

unsigned emp_cache_first_room(const struct emp_cache *cache, uint32_t class_id)
{
    uint32_t size = emp_classes[class_id].geometry.size;
    uint32_t budget = room_budget();
    uint32_t bytes = budget / EMP_FIRST_ROOM_PART;
    uint32_t most = room_budget_of(size) * EMP_ROOM_BOUND;
    uint32_t used = room_bytes_of(cache, size);
    uint32_t left = used < most ? most - used : 0;
    unsigned full = class_id < EMP_POOL_CLASS_FIRST
                        ? cache->size_states[class_id].room_full
                        : cache->pool_states[class_id - EMP_POOL_CLASS_FIRST].room_full;
    unsigned room = (bytes > EMP_FIRST_ROOM_BYTES ? EMP_FIRST_ROOM_BYTES : bytes) / size;

    if (room < 2) { /* a pair of large blocks where few threads share the budget, one, or none */
        room = size <= budget / 8 ? 2 : size <= budget / 4;
    }
    if (room * size > left) { /* with nothing left, one block of a class that is used */
        room = left < size ? size <= budget / 4 : left / size;
    }
    return room > full ? full : room;
}

void emp_cache_note_refill(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    if (state->room != 0) {
        /* order(bin-limit): relaxed; as above */
        uint32_t waited_us = emp_stopwatch_us() - emp_load_relaxed(&state->stamp_us);

        /* order(bin-limit): relaxed; as above */
        emp_store_relaxed(&state->poked, 0);
        emp_cache_set_limit(cache, class_id);
        /* A refill stands for half a room of allocations since the last one. */
        if (waited_us <= EMP_HOT_INTERVAL_US * (state->room / 2u + 1u) ||
            !emp_local_options.rate_limits) {
            state->slow_samples = 0;
        } else if (++state->slow_samples >= EMP_SLOW_SAMPLES) {
            bin_make_cold(cache, class_id);
        }
    }
}

void emp_cache_grow(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    uint32_t size = emp_classes[class_id].geometry.size;
    unsigned room = state->room * 2u;

    state->events = 0;
    room = room > state->room_full ? state->room_full : room;
    if (room_bytes_of(cache, size) + (room - state->room) * size <= room_budget_of(size)) {
        emp_cache_set_room(cache, class_id, room);
    } else {
        state->events = EMP_GROW_PAUSE; /* ask again only after many more events */
    }
}

void emp_cache_sample(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    /* order(bin-limit): relaxed; a poke seen one visit later is as good a sample */
    if (emp_load_relaxed(&state->poked) == 0 || state->room == 0) {
        return;
    }
    /* order(bin-limit): relaxed; written before poked by the poker or read one poke later */
    uint32_t waited_us = emp_stopwatch_us() - emp_load_relaxed(&state->stamp_us);

    /* order(bin-limit): relaxed; the next poke sets it again */
    emp_store_relaxed(&state->poked, 0);
    emp_cache_set_limit(cache, class_id);
    if (waited_us <= EMP_HOT_INTERVAL_US || !emp_local_options.rate_limits) {
        state->slow_samples = 0;
    } else if (++state->slow_samples >= EMP_SLOW_SAMPLES) {
        bin_make_cold(cache, class_id);
    }
}

void emp_cache_cold_op(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    if (!emp_cache_may_keep(cache, class_id)) {
        return;
    }
    /* order(bin-limit): relaxed; while cold the stamp is the owner's alone */
    uint32_t began_us = emp_load_relaxed(&state->stamp_us);
    uint32_t now_us = emp_stopwatch_us();

    if (state->events == 0 || now_us - began_us > EMP_COLD_WINDOW_US) {
        /* order(bin-limit): relaxed; as above */
        emp_store_relaxed(&state->stamp_us, now_us);
        state->events = 1;
    } else if (++state->events >= EMP_COLD_OPS) {
        state->events = 0;
        /* order(bin-limit): relaxed; a poke from before says nothing about the rate now */
        emp_store_relaxed(&state->poked, 0);
        emp_cache_set_room(cache, class_id, emp_cache_first_room(cache, class_id));
    }
}

/* A bin that was poked a tick ago and saw no free since: nobody uses it. */
static bool bin_is_idle(struct emp_cache *cache, uint32_t class_id, uint32_t now_us)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);

    /* order(bin-limit): relaxed; set by an earlier tick of this thread or by maintenance */
    if (!emp_cache_is_open(state) || state->room == 0 || emp_load_relaxed(&state->poked) == 0) {
        return false;
    }
    /* order(bin-limit): relaxed; as above */
    return now_us - emp_load_relaxed(&state->stamp_us) > EMP_TICK_MS * 1000u / 2u;
}

/*
 * Rooms that were granted while there were fewer threads: halves them, those of the largest blocks
 * first, until the thread is within the bound of now. What is used most grows again by its
 * refills.
 */
static void cache_shrink(struct emp_cache *cache)
{
    for (uint32_t c = EMP_POOL_CLASS_FIRST; c-- > 1;) {
        struct emp_bin_state *state = emp_cache_state(cache, c);
        uint32_t size = emp_classes[c].geometry.size;
        unsigned room = state->room / 2u;

        if (room != 0 && room_bytes_of(cache, size) > room_budget_of(size) * EMP_ROOM_BOUND) {
            unsigned count = (unsigned)(cache->view.bins[c].top - emp_cache_base(cache, state));

            if (count > room) {
                emp_cache_give_oldest(cache, c, count - room, "shrink");
            }
            emp_cache_set_room(cache, c, room);
        }
    }
}

/* Counts the bytes of room anew, over all bins. */
static void room_count(struct emp_cache *cache)
{
    cache->room_bytes = 0;
    cache->large_room_bytes = 0;
    for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
        uint32_t size = emp_classes[c].geometry.size;
        uint32_t bytes = size == 0 ? 0 : emp_cache_state(cache, c)->room * size;

        cache->room_bytes += bytes;
        cache->large_room_bytes += size > EMP_SMALL_MAX ? bytes : 0;
    }
}

static void tick_sizes(struct emp_cache *cache, uint32_t now_us)
{
    for (uint32_t c = 1; c < EMP_POOL_CLASS_FIRST; c++) {
        if (bin_is_idle(cache, c, now_us)) {
            bin_make_cold(cache, c);
        } else {
            bin_poke(cache, c, now_us);
        }
    }
}

/* Pools lock: idle bins lose their room only, their blocks leave later. True: there are such. */
static bool tick_pools(struct emp_cache *cache, uint32_t now_us)
{
    bool any = false;

    for (uint32_t c = EMP_POOL_CLASS_FIRST; c < EMP_CLASS_LIMIT; c++) {
        if (emp_classes[c].geometry.size == 0) {
            continue;
        }
        if (bin_is_idle(cache, c, now_us)) {
            bin_lose_room(cache, c);
            any = true;
        } else {
            bin_poke(cache, c, now_us);
        }
    }
    return any;
}

static void cache_tick(struct emp_cache *cache)
{
    uint32_t now_us = emp_stopwatch_us();

    cache_shrink(cache);
    if (!emp_local_options.rate_limits) {
        return;
    }
    emp_cache_settle_begin(cache);
    emp_cache_settle(cache, 1, EMP_POOL_CLASS_FIRST);
    tick_sizes(cache, now_us);
    if (emp_cache_pools_try_lock()) {
        emp_cache_settle(cache, EMP_POOL_CLASS_FIRST, EMP_CLASS_LIMIT);
        bool any_cold = tick_pools(cache, now_us);

        /* Counted anew: destroyed pools took their rooms with them. */
        room_count(cache);
        if (cache->swing_bytes > cache->room_bytes - cache->large_room_bytes) {
            cache->swing_bytes = cache->room_bytes - cache->large_room_bytes;
        }
        emp_cache_pools_unlock();
        if (any_cold) {
            emp_cache_empty_pools(cache, true, "cold");
        }
    }
}

void emp_cache_tick(void)
{
    struct emp_cache *cache = emp_cache_of(emp_l1_current());

    if (cache != NULL && !cache->closing) {
        emp_cache_enter(cache);
        cache->tick_ms = emp_stopwatch_coarse_ms();
        cache_tick(cache);
        emp_cache_leave(cache);
    }
}

void emp_cache_tick_if_due(struct emp_cache *cache)
{
    if (cache->slow_count % EMP_TICK_SLOW_PATHS != 0 || cache->closing) {
        return;
    }
    uint32_t now_ms = emp_stopwatch_coarse_ms();

    if (now_ms - cache->tick_ms >= EMP_TICK_MS) {
        cache->tick_ms = now_ms;
        cache_tick(cache);
    }
}

/* What a poke of all caches carries. */
struct poke_round {
    uint32_t now_us;
};

static void poke_visit(struct emp_cache *cache, void *arg)
{
    struct poke_round *round = arg;

    for (uint32_t c = 1; c < EMP_POOL_CLASS_FIRST; c++) {
        bin_poke(cache, c, round->now_us);
    }
}

void emp_cache_poke_all(void)
{
    struct poke_round round = {emp_stopwatch_us()};

    if (emp_local_options.rate_limits) {
        emp_cache_visit(poke_visit, &round);
    }
}
