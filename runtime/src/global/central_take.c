/*
 * Purpose: refill: warm words first (L2), then slabs fullest first (L3), then other shards, then
 *          the next larger classes, then a new slab.
 * Owner:   global. Threads: any. The lock of one shard is held while bits are taken, never across a
 *          system call. Cost: about 1 ns per block plus one lock; see docs/design/global.md.
 * Design:  [global.proto.take] [global.req.borrow]
 */
#include <string.h>

#include "base/bits.h"
#include "base/check.h"
#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "sync/atomic.h"

#define EMP_TAKE_SCAN 8u /* slabs looked at per list before settling */

/* Where a refill stands. Owner: the refilling thread's stack. */
struct take_state {
    struct emp_shard *shard;
    uint32_t class_id;
    void **out;
    unsigned count;
    unsigned want;
};

/* The lowest `count` set bits of word. */
static uint64_t lowest_bits(uint64_t word, unsigned count)
{
    if (~word == 0) {
        return emp_bits_mask(count);
    }
    unsigned surplus = emp_bits_count(word);

    if (surplus <= count) {
        return word;
    }
    uint64_t rest = word;

    if (count <= surplus - count) {
        for (; count > 0; count--) {
            rest &= rest - 1;
        }
        return word ^ rest;
    }
    for (; surplus > count; surplus--) {
        rest &= ~((uint64_t)1 << emp_bits_highest(rest));
    }
    return rest;
}

/* Takes free slots of one word; returns how many. Holder; keeps the lists of the class in order. */
static unsigned take_word(struct take_state *take, struct emp_shard_class *state,
                          struct emp_slab *slab, unsigned word)
{
    const struct emp_class *info = &emp_classes[slab->class_id];
    /* order(slab-free): relaxed; the holder is the only writer */
    uint64_t before = emp_load_relaxed(&slab->free[word]);
    uint64_t bits = lowest_bits(before, take->want - take->count);
    unsigned got = 0;

    if (bits == 0) {
        return 0;
    }
    /* order(slab-free): relaxed; the blocks are free, nobody else looks for their bits */
    emp_store_relaxed(&slab->free[word], before & ~bits);
    got = emp_bitmap_ops.expand(
        bits, emp_slab_base(slab) + (uintptr_t)word * EMP_WORD_BITS * info->geometry.size,
        info->geometry.size, take->out + take->count);
    if (slab->purged_pages != 0) {
        emp_slab_touch_word(slab, word, info->geometry.size);
    }
    if (word > slab->high_word) {
        slab->high_word = (uint16_t)word;
    }
    bool was_empty = slab->free_count == slab->slots;

    slab->free_count = (uint16_t)(slab->free_count - got);
    state->free_blocks -= got;
    take->count += got;
    if ((was_empty || slab->free_count == 0) && slab->list < EMP_LIST_COUNT) {
        emp_shard_unlink(state, slab);
        emp_shard_link(state, slab);
    }
    return got;
}

/* L2: words that recently received blocks, newest first. */
static void take_warm(struct take_state *take, struct emp_shard_class *state)
{
    for (unsigned i = 0; i <= state->warm_mask && take->count < take->want; i++) {
        uint32_t *entry = &state->warm[(state->warm_top - 1) & state->warm_mask];
        uint32_t place = *entry;

        if (place == 0) {
            return;
        }
        *entry = 0;
        state->warm_top--;
        struct emp_slab *slab = emp_slab_at((place >> 7) - 1);

        if (!emp_slab_exists(slab) || emp_slab_owner(slab) != take->shard->index ||
            slab->class_id != take->class_id ||
            slab->list >= EMP_LIST_COUNT) { /* full, or detached: retired, purged or on its way */
            continue;
        }
        unsigned left = take->want - take->count;
        unsigned got = take_word(take, state, slab, place & 127u);

        state->l2_hits += got != 0;
        if (got == left && slab->free[place & 127u] != 0) {
            *entry = place; /* the word has more: it stays the newest */
            state->warm_top++;
        }
    }
}

/* Moves a slab whose occupancy changed since it was linked; returns true when it moved. */
static bool take_relink(struct emp_shard_class *state, struct emp_slab *slab)
{
    unsigned bucket = (unsigned)slab->free_count * EMP_LIST_BUCKETS / slab->slots;

    if (slab->list >= EMP_LIST_BUCKETS || bucket <= slab->list) {
        return false;
    }
    emp_shard_unlink(state, slab);
    emp_shard_link(state, slab);
    return true;
}

/* L3: slabs of one list, until the batch is full or the list has no more. */
static void take_list(struct take_state *take, struct emp_shard_class *state, unsigned list)
{
    unsigned moved = 0;

    while (take->count < take->want && state->list[list] != 0) {
        struct emp_slab *slab = emp_slab_at(state->list[list] - 1);
        unsigned words = emp_classes[slab->class_id].words;
        unsigned word = 0;

        if (moved < EMP_TAKE_SCAN && take_relink(state, slab)) {
            moved++;
            continue;
        }
        while (take->count < take->want &&
               (word = emp_bitmap_ops.find_nonzero(slab->free, words, word)) < words) {
            state->l3_hits += take_word(take, state, slab, word) != 0;
            word += slab->free[word] == 0;
        }
    }
}

static void take_slabs(struct take_state *take, struct emp_shard_class *state)
{
    for (unsigned list = 0; list < EMP_LIST_COUNT && take->count < take->want; list++) {
        take_list(take, state, list);
    }
}

/* Everything the shard has; holder. */
static void take_from_shard(struct take_state *take)
{
    struct emp_shard_class *state = &take->shard->classes[take->class_id];

    (void)emp_shard_drain_inbox(take->shard);
    take_warm(take, state);
    take_slabs(take, state);
    state->taken += take->count;
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
            for (unsigned list = 0; list < EMP_LIST_COUNT && take->count < take->want; list++) {
                take_list(take, state, list);
            }
            bool was_idle = (uint32_t)state->taken == state->tick_taken;

            state->taken += take->count;
            state->borrowed += take->count;
            if (was_idle) { /* lending does not make a class busy */
                state->tick_taken = (uint32_t)state->taken;
            }
        }
    }
}

/* Locks a shard: the current one, else a sibling, else waits for the current one. */
static struct emp_shard *lock_some_shard(void)
{
    uint32_t current = emp_shard_current();

    for (uint32_t i = 0; i < emp_shard_count; i++) {
        struct emp_shard *shard = emp_shards[(current + i) & (emp_shard_count - 1)];

        if (emp_mutex_try_lock(&shard->lock)) {
            return shard;
        }
    }
    emp_mutex_lock(&emp_shards[current]->lock);
    return emp_shards[current];
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

/* The last try before a failure: what any shard has, waiting for each in turn. */
static void take_waiting(struct take_state *take)
{
    for (uint32_t i = 0; i < emp_shard_count && take->count == 0; i++) {
        take->shard = emp_shards[i];
        emp_mutex_lock(&take->shard->lock);
        take_from_shard(take);
        emp_mutex_unlock(&take->shard->lock);
    }
}

unsigned emp_central_take(uint32_t class_id, void **out, unsigned want, uint32_t *home,
                          struct emp_central_note *note)
{
    struct take_state take = {NULL, class_id, out, 0, want};

    emp_assert(want >= 1 && want <= EMP_TAKE_MAX);
    if (!take_existing(&take, false)) {
        bool adopted = emp_central_adopt(class_id, take.shard->index);

        if (!take_existing(&take, !adopted) && !take_borrow_of_siblings(&take)) {
            while (emp_central_expand(class_id, take.shard->index, note) &&
                   !take_existing(&take, false)) {
            }
        }
    }
    if (take.count == 0) {
        take_waiting(&take);
    }
    *home = take.shard->index;
    if (take.count == 0) {
        /* order(budget): relaxed; a statistic */
        emp_fetch_add_relaxed(&emp_budgets[class_id].failures, 1);
    }
    return take.count;
}
