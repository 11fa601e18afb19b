/*
 * Purpose: refill: the open slab first (L2), then slabs fullest first (L3), then other shards, then
 *          the next larger classes, then a new slab.
 * Owner:   global. Threads: any. The lock of one shard is held while bits are taken, never across a
 *          system call. Cost: about 1 ns per block plus one lock; see docs/design/global.md.
 * Design:  [global.proto.take] [global.req.borrow]
 */
#include <string.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/compiler.h"
#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "monitor/stopwatch.h"
#include "sync/atomic.h"

#define EMP_COUNT_PAUSE_US 1000000u /* between two counts before a failure, at most */
#define EMP_SIBLING_TRIES  4u       /* siblings asked before fresh memory is used */
#define EMP_FEW_SLABS      4u       /* a class with more uses fresh memory as it comes */
#define EMP_SIBLING_SLABS  2u       /* a sibling with so many slabs keeps them */
#define EMP_TAKE_FEW       8u       /* up to so many blocks cost less one by one */
#define EMP_TAKE_RUN       8u       /* from so many slots side by side on no table is needed */

/* Where a refill stands. Owner: the refilling thread's stack. */
struct take_state {
    struct emp_shard *shard;
    uint32_t class_id;
    void **out;
    unsigned count;
    unsigned want;
    bool may_touch; /* memory that no block was taken of before, too */
    bool is_fresh;  /* the shard had such memory, and it was left alone */
};

/* Books that a slot was handed out; those taken of a slab come in rising order. Holder. */
static inline void touch_slot(struct emp_slab *slab, unsigned slot)
{
    slab->touched = slot >= slab->touched ? (uint16_t)(slot + 1) : slab->touched;
}

/* Where the slots of one word of a slab lie. */
struct take_place {
    uintptr_t base; /* of the slot of its lowest bit */
    size_t size;
    unsigned slot; /* number of that slot */
};

/*
 * Takes free slots one by one, lowest first, up to `want`; returns how many. Holder. For few of
 * them the vector code costs more than it saves.
 */
static inline unsigned take_few(struct emp_slab *slab, const struct take_place *place,
                                uint64_t found, unsigned want, void **out)
{
    uint8_t *states = slab->states + place->slot;
    unsigned got = 0;
    unsigned slot = 0;

    do {
        slot = emp_bits_lowest(found);

        emp_slot_set(&states[slot], EMP_SLOT_USED);
        out[got++] = (void *)(place->base + slot * place->size);
        found &= found - 1;
    } while (found != 0 && got < want);
    touch_slot(slab, place->slot + slot);
    return got;
}

/* As above, with what the processor has for many slots at once. */
static EMP_NOINLINE unsigned take_many(struct emp_slab *slab, const struct take_place *place,
                                       uint64_t found, unsigned want, void **out)
{
    uint64_t bits = emp_bitmap_ops.lowest(found, want);

    emp_slab_take_bits(slab, place->slot / EMP_WORD_BITS, bits);
    touch_slot(slab, place->slot + emp_bits_highest(bits));
    return emp_bitmap_ops.expand(bits, place->base, place->size, out);
}

/* Bits side by side from the lowest on, which is set. */
static inline unsigned run_length(uint64_t word)
{
    return ~word == 0 ? EMP_WORD_BITS : emp_bits_lowest(~word);
}

/* True when a word has at most three bits. */
static inline bool is_sparse(uint64_t found)
{
    uint64_t rest = found & (found - 1);

    rest &= rest - 1;
    return (rest & (rest - 1)) == 0;
}

/*
 * Takes free slots of one word, those found; returns how many. Holder. Slots side by side need no
 * table: what a slab has that is new, or that was filled and emptied as a whole, in any order.
 */
static inline unsigned take_word(struct emp_slab *slab, const struct take_place *place,
                                 uint64_t found, unsigned want, void **out)
{
    unsigned got = 0;

    do {
        if (want - got <= EMP_TAKE_FEW || is_sparse(found)) {
            return got + take_few(slab, place, found, want - got, out + got);
        }
        unsigned first = emp_bits_lowest(found);
        unsigned run = run_length(found >> first);

        if (run < EMP_TAKE_RUN) {
            return got + take_many(slab, place, found, want - got, out + got);
        }
        run = run < want - got ? run : want - got;
        emp_slab_take_run(slab, place->slot + first, run);
        touch_slot(slab, place->slot + first + run - 1);
        emp_bitmap_ops.run(place->base + first * place->size, place->size, run, out + got);
        found &= ~(emp_bits_mask(run) << first);
        got += run;
    } while (found != 0 && got < want);
    return got;
}

/* A word of a slab is used: its pages count as touched. Holder. */
static inline void take_touch(struct emp_slab *slab, unsigned word, uint32_t size)
{
    if (emp_unlikely(slab->purged_pages != 0)) {
        emp_slab_touch_word(slab, word, size);
    }
}

/* Books what was taken from a slab. Holder. */
static inline void take_book(struct emp_shard_class *state, struct emp_slab *slab, unsigned got)
{
    slab->idle_ticks = 0;
    slab->tick_count = UINT16_MAX; /* whatever the next round counts, it was in use until now */
    if (got > slab->free_count) {  /* more than was known */
        unsigned news = got - slab->free_count;

        slab->free_count = (uint16_t)got;
        state->free_blocks += news;
        state->given += news;
    }
    slab->free_count = (uint16_t)(slab->free_count - got);
    state->free_blocks -= got;
}

/* The slots of a word that lie before a limit. */
static inline uint64_t word_mask(unsigned word, unsigned limit)
{
    unsigned first = word * EMP_WORD_BITS;

    if (limit >= first + EMP_WORD_BITS) {
        return UINT64_MAX;
    }
    return limit > first ? emp_bits_mask(limit - first) : 0;
}

/*
 * Takes from the slots before a limit of one slab, lowest address first: its last pages stay
 * untouched while they can. Returns how many blocks. Holder.
 */
static inline unsigned take_slab(struct emp_shard_class *state, struct emp_slab *slab,
                                 unsigned want, void **out, unsigned limit)
{
    const struct emp_class *info = &emp_classes[slab->class_id];
    const uintptr_t base = emp_slab_base(slab);
    const uint32_t size = info->geometry.size;
    unsigned count = 0;
    unsigned word = 0;
    uint64_t found = 0;

    do {
        word = emp_bitmap_ops.next(slab->states, info->words, word, &found);
        if (word >= info->words) {
            break;
        }
        found &= word_mask(word, limit);
        if (found == 0) { /* no word behind it has any before the limit either */
            break;
        }
        const struct take_place place = {base + (uintptr_t)word * EMP_WORD_BITS * size, size,
                                         word * EMP_WORD_BITS};

        take_touch(slab, word, size);
        count += take_word(slab, &place, found, want - count, out + count);
        word++;
    } while (count < want);
    if (count != 0) {
        take_book(state, slab, count);
    }
    return count;
}

/*
 * True when a slab has free slots only where none was handed out yet. Holder. What was freed and
 * not found yet counts: it is looked for.
 */
static inline bool slab_is_fresh(const struct emp_slab *slab)
{
    unsigned words = (slab->touched + EMP_WORD_BITS - 1u) / EMP_WORD_BITS;
    uint64_t found = 0;

    if (slab->touched == slab->slots) {
        return false;
    }
    unsigned word = emp_bitmap_ops.next(slab->states, words, 0, &found);

    return word >= words || (found & word_mask(word, slab->touched)) == 0;
}

/* Takes from the first slab of a list; what is left of it decides where it goes. Holder. */
static inline unsigned take_first(const struct take_state *take, struct emp_shard_class *state,
                                  unsigned list, unsigned have)
{
    unsigned want = take->want - have;
    uint32_t item = state->list[list];
    struct emp_slab *slab = emp_slab_at(item - 1);

    if (item == state->open_slab) {
        state->l2_hits++;
    } else {
        state->l3_hits++;
        state->open_slab = item;
    }
    unsigned count = take_slab(state, slab, want, take->out + have,
                               take->may_touch ? UINT16_MAX : slab->touched);

    /* Before the end of a slab that is not touched as a whole, nothing is known about the rest. */
    if (count < want && (take->may_touch || slab->touched == slab->slots)) {
        emp_shard_quiet(state, slab);
    } else if (list == EMP_LIST_EMPTY) {
        emp_shard_unlink(state, slab);
        emp_shard_link_in(state, slab, EMP_LIST_BUCKETS - 1, true);
    }
    return count;
}

/* Takes from the open slabs, fullest first, until the batch is full or there is no more. Holder. */
static void take_slabs(struct take_state *take, struct emp_shard_class *state)
{
    unsigned count = take->count;

    for (unsigned list = 0; list < EMP_LIST_OPEN && count < take->want; list++) {
        while (count < take->want && state->list[list] != 0 &&
               (take->may_touch || !slab_is_fresh(emp_slab_at(state->list[list] - 1)))) {
            count += take_first(take, state, list, count);
        }
    }
    take->is_fresh = !take->may_touch && state->open_count != 0;
    take->count = count;
}

/* Everything the shard has; holder. */
static inline void take_from_shard(struct take_state *take)
{
    struct emp_shard_class *state = &take->shard->classes[take->class_id];
    unsigned before = take->count;

    if (!emp_inbox_is_empty(&take->shard->inbox)) {
        (void)emp_shard_drain_inbox(take->shard);
    }
    take_slabs(take, state);
    state->taken += take->count - before;
}

/*
 * True when the class has enough to lend some to a smaller one: three eighths of its slots free
 * while it is in use itself, a quarter of a slab when no block of it was taken since the last round
 * of maintenance.
 */
static bool take_may_lend(const struct emp_shard_class *class_state, uint32_t class_id)
{
    int64_t slab_slots = emp_classes[class_id].geometry.slots;
    bool is_idle = (uint32_t)class_state->taken == class_state->tick_taken;

    if (is_idle) {
        return class_state->free_blocks * 4 > slab_slots;
    }
    return class_state->free_blocks > slab_slots &&
           class_state->free_blocks * 8 >= class_state->slots * 3;
}

/* Alignment that every block of a size has by its place. */
static uint32_t natural_align(uint32_t size)
{
    return size & (~size + 1);
}

/*
 * Borrows from the next larger size classes whose blocks waste at most a third and are at least as
 * aligned: whoever pops a bin relies on the alignment of its class. Holder.
 */
static void take_borrow(struct take_state *take)
{
    uint32_t size = emp_classes[take->class_id].geometry.size;

    for (uint32_t c = take->class_id + 1; c <= EMP_SIZE_CLASSES && take->count == 0; c++) {
        struct emp_shard_class *state = &take->shard->classes[c];

        if (emp_classes[c].geometry.size * 2 > size * 3) {
            return;
        }
        if (natural_align(emp_classes[c].geometry.size) >= natural_align(size) &&
            take_may_lend(state, c)) {
            take_slabs(take, state);
            bool was_idle = (uint32_t)state->taken == state->tick_taken;

            state->taken += take->count;
            state->borrowed += take->count;
            if (was_idle) { /* lending does not make a class busy */
                state->tick_taken = (uint32_t)state->taken;
            }
        }
    }
}

/* Locks a sibling of the current shard, which was taken, else waits for the current one. */
static EMP_COLD struct emp_shard *lock_other_shard(uint32_t current)
{
    for (uint32_t i = 1; i < emp_shard_count; i++) {
        struct emp_shard *shard = emp_shards[(current + i) & (emp_shard_count - 1)];

        if (emp_mutex_try_lock(&shard->lock)) {
            return shard;
        }
    }
    emp_mutex_lock(&emp_shards[current]->lock);
    return emp_shards[current];
}

/* Locks a shard: the current one, else a sibling, else waits for the current one. */
static inline struct emp_shard *lock_some_shard(void)
{
    uint32_t current = emp_shard_current();
    struct emp_shard *shard = emp_shards[current];

    return emp_likely(emp_mutex_try_lock(&shard->lock)) ? shard : lock_other_shard(current);
}

/* One try with what exists; true when blocks were found. */
static bool take_existing(struct take_state *take, bool may_borrow)
{
    take->shard = lock_some_shard();
    take_from_shard(take);
    if (take->count == 0 && may_borrow && take->class_id <= EMP_SIZE_CLASSES) {
        take_borrow(take);
    }
    emp_mutex_unlock(&take->shard->lock);
    return take->count != 0;
}

/*
 * Before a class expands: what siblings would lend. A program that fills on one processor and goes
 * on upon another finds nothing to borrow in its own shard.
 */
static bool take_borrow_of_siblings(struct take_state *take)
{
    uint32_t own = take->shard->index;

    for (uint32_t i = 1; i < emp_shard_count && take->count == 0; i++) {
        struct emp_shard *shard = emp_shards[(own + i) & (emp_shard_count - 1)];

        if (take->class_id <= EMP_SIZE_CLASSES && emp_mutex_try_lock(&shard->lock)) {
            take->shard = shard;
            take_borrow(take);
            emp_mutex_unlock(&shard->lock);
        }
    }
    if (take->count == 0) {
        take->shard = emp_shards[own];
    }
    return take->count != 0;
}

/*
 * Counts a class before a failure: news that was missed is found. Where failures come one after the
 * other, at most an eighth of the time goes into counting.
 */
static void take_count(struct emp_shard *shard, uint32_t class_id)
{
    struct emp_shard_class *state = &shard->classes[class_id];
    uint32_t begin_us = emp_stopwatch_us();

    /* order(shard-count): relaxed; a hint, two that count at once do no harm */
    uint32_t wait_us = emp_load_relaxed(&state->count_again_us) - begin_us;

    if (wait_us != 0 && wait_us <= EMP_COUNT_PAUSE_US) { /* else it is past, or from long ago */
        return;
    }
    emp_shard_recount_all(shard, class_id);
    uint32_t end_us = emp_stopwatch_us();
    uint32_t pause_us = 8u * (end_us - begin_us);

    pause_us = pause_us > EMP_COUNT_PAUSE_US ? EMP_COUNT_PAUSE_US : pause_us;

    /* order(shard-count): relaxed; as above */
    emp_store_relaxed(&state->count_again_us, end_us + pause_us);
}

/*
 * True when a sibling has blocks for a shard that has fresh memory only, or none: then a few of
 * them, of a sibling with little. Of one with plenty a slab is adopted.
 */
static bool sibling_may_serve(const struct emp_shard *shard, const struct take_state *take)
{
    const struct emp_shard_class *state = &shard->classes[take->class_id];

    /* order(shard-count): relaxed; a hint, the lock follows */
    uint32_t open = emp_load_relaxed(&state->open_count);

    /* order(shard-count): relaxed; as above */
    uint32_t all = open + emp_load_relaxed(&state->full_count);

    return open != 0 &&
           (take->is_fresh || (all <= EMP_SIBLING_SLABS && take->want <= EMP_TAKE_FEW));
}

/*
 * Before fresh memory is used: blocks of siblings whose memory exists already. Each processor has
 * slabs of its own, and without this look each of them would grow to the most it ever needed.
 */
static EMP_NOINLINE void take_of_siblings(struct take_state *take)
{
    uint32_t own = take->shard->index;
    uint32_t others = emp_shard_count - 1;
    uint32_t tries = others < EMP_SIBLING_TRIES ? others : EMP_SIBLING_TRIES;
    bool has_fresh = take->is_fresh;

    for (uint32_t i = 1; i <= tries && take->count < take->want; i++) {
        struct emp_shard *shard = emp_shards[(own + i) & (emp_shard_count - 1)];

        if (sibling_may_serve(shard, take) && emp_mutex_try_lock(&shard->lock)) {
            take->shard = shard;
            take_from_shard(take);
            take->is_fresh = has_fresh;
            emp_mutex_unlock(&shard->lock);
        }
    }
    take->may_touch = true;
    if (take->count == 0) {
        take->shard = emp_shards[own];
        if (has_fresh) {
            (void)take_existing(take, false);
        }
    }
}

/*
 * True when a shard may use fresh memory as it comes. Not so where blocks may come from any shard
 * and it has few slabs: then each page counts. Of many slabs, one that is touched too early is a
 * small part. Blocks that share cache lines stay with the processor, those of a pool with the
 * threads that use it. Holder.
 */
static inline bool take_may_touch(const struct emp_shard *shard, uint32_t class_id)
{
    const struct emp_shard_class *state = &shard->classes[class_id];

    return emp_classes[class_id].shares_lines || class_id > EMP_SIZE_CLASSES ||
           emp_shard_count == 1 || state->open_count + state->full_count > EMP_FEW_SLABS;
}

/* The last try before a failure: what any shard has, waiting for each in turn. */
static void take_waiting(struct take_state *take)
{
    for (uint32_t i = 0; i < emp_shard_count && take->count == 0; i++) {
        take->shard = emp_shards[i];
        take_count(take->shard, take->class_id);
        emp_mutex_lock(&take->shard->lock);
        take_from_shard(take);
        emp_mutex_unlock(&take->shard->lock);
    }
}

/* What costs more than a look at the shard's own slabs, cheapest first. */
static EMP_NOINLINE void take_elsewhere(struct take_state *take, struct emp_central_note *note)
{
    emp_central_collect(take->shard->index);
    bool adopted = emp_central_adopt(take->class_id, take->shard->index);

    if (!take_existing(take, !adopted) && !take_borrow_of_siblings(take)) {
        while (emp_central_expand(take->class_id, take->shard->index, note) &&
               !take_existing(take, false)) {
        }
    }
    if (take->count == 0) {
        take_waiting(take);
    }
    if (take->count == 0) {
        /* order(budget): relaxed; a statistic */
        emp_fetch_add_relaxed(&emp_budgets[take->class_id].failures, 1);
    }
}

unsigned emp_central_take(uint32_t class_id, void **out, unsigned want, uint32_t *home,
                          struct emp_central_note *note)
{
    struct take_state take = {NULL, class_id, out, 0, want, .may_touch = false, .is_fresh = false};

    emp_assert(want >= 1 && want <= EMP_TAKE_MAX);
    take.shard = lock_some_shard();
    take.may_touch = take_may_touch(take.shard, class_id);
    take_from_shard(&take);
    emp_mutex_unlock(&take.shard->lock);
    if (emp_unlikely(take.count < want) && !take.may_touch) {
        take_of_siblings(&take);
    }
    if (emp_unlikely(take.count == 0)) {
        take_elsewhere(&take, note);
    }
    *home = take.shard->index;
    return take.count;
}
