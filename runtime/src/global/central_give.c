/*
 * Purpose: flush: blocks go back to the bitmaps of their slabs. Own slabs under the shard's lock
 *          with plain stores, foreign ones by one atomic per word. Every double, interior,
 *          misaligned or never allocated block is found here at the latest.
 * Owner:   global. Threads: any; never waits for a lock: without one every slab is foreign.
 * Cost:    a batch that is one run: O(words); else about 2 ns per block.
 * Design:  [global.proto.give] [global.inv.exact]
 */
#include "base/bits.h"
#include "base/check.h"
#include "global/central.h"
#include "global/shard.h"
#include "monitor/report.h"
#include "sync/atomic.h"
#include "sync/remote_word.h"

/* A flush in progress. Owner: the flushing thread's stack. */
struct give_state {
    struct emp_shard_class *state;
    const struct emp_class *info;
    uint32_t class_id;
    uint32_t me; /* shard index, or a number no shard has */
    struct emp_central_fault *faults;
    unsigned fault_count;
    unsigned own_count;     /* blocks that went to slabs of ours */
    unsigned foreign_count; /* blocks published to others */
    unsigned retired_count;
    struct emp_slab *retired[EMP_RETIRE_MAX];
};

#define EMP_NO_SHARD    0x100u
#define EMP_EMPTY_KEPT  2u /* empty slabs a class keeps per shard */
#define EMP_OFFER_ABOVE 8u /* partial slabs of a class above which one is offered */

static void give_fault(struct give_state *give, void *ptr, enum emp_report_code code)
{
    give->faults[give->fault_count++] = (struct emp_central_fault){ptr, (int)code};
}

/* Why a slot that looks free is being freed. */
static enum emp_report_code give_free_code(const struct emp_slab *slab, unsigned word)
{
    return word > slab->high_word ? EMP_REPORT_NEVER_ALLOCATED : EMP_REPORT_DOUBLE_FREE;
}

/* A slab of ours changed state: first free block, or all free. Holder. */
static void give_transition(struct give_state *give, struct emp_slab *slab)
{
    if (slab->list == EMP_LIST_FULL) {
        emp_shard_link(give->state, slab);
        return;
    }
    if (slab->list >= EMP_LIST_COUNT || slab->free_count != slab->slots) {
        return;
    }
    emp_shard_unlink(give->state, slab);
    if (give->state->empty_count >= EMP_EMPTY_KEPT && give->retired_count < EMP_RETIRE_MAX) {
        give->state->slots -= slab->slots;
        give->state->free_blocks -= slab->slots;
        emp_slab_retire(slab);
        give->retired[give->retired_count++] = slab;
    } else {
        emp_shard_link(give->state, slab);
    }
}

/* Sets bits of one word of a slab of ours; bits are not set yet. Holder. */
static inline void give_bits(struct give_state *give, struct emp_slab *slab, unsigned word,
                             uint64_t before, uint64_t bits)
{
    struct emp_shard_class *state = give->state;
    unsigned count = emp_bits_count(bits);

    /* order(slab-free): relaxed; the holder is the only writer, remote readers look for other
       bits */
    emp_store_relaxed(&slab->free[word], before | bits);
    state->warm[state->warm_top & state->warm_mask] =
        ((uint32_t)emp_slab_number(slab) + 1) << 7 | word;
    state->warm_top += before == 0;
    give->own_count += count;
    slab->free_count = (uint16_t)(slab->free_count + count);
    if (emp_unlikely(slab->free_count == count || slab->free_count == slab->slots)) {
        give_transition(give, slab);
    }
}

/* Publishes bits of one word of a foreign slab; returns those that were free already. */
static uint64_t give_remote(struct give_state *give, struct emp_slab *slab, unsigned word,
                            uint64_t bits)
{
    /* order(slab-free): relaxed; a thread that holds a block has the clear of its bit behind it */
    uint64_t again = emp_load_relaxed(&slab->free[word]) & bits;
    uint64_t old = 0;

    bits &= ~again;
    give->foreign_count += emp_bits_count(bits);
    if (bits != 0) {
        old = emp_remote_publish(&slab->remote[word], bits);
        if (old == 0) {
            emp_shard_notify(slab);
        }
    }
    return again | (old & bits);
}

/* Reports every bit of a word that was freed twice. */
static void give_report_bits(struct give_state *give, struct emp_slab *slab, unsigned word,
                             uint64_t again)
{
    for (; again != 0; again &= again - 1) {
        uintptr_t slot = (uintptr_t)word * EMP_WORD_BITS + emp_bits_lowest(again);
        void *ptr = (void *)(emp_slab_base(slab) + slot * give->info->geometry.size);

        give_fault(give, ptr, give_free_code(slab, word));
    }
}

/* The slab of an address, when it is one of this class; else NULL. */
static inline struct emp_slab *give_slab(const struct give_state *give, uintptr_t address)
{
    struct emp_slab *slab = emp_slab_at(emp_slab_number_of(address, give->info));

    return slab->class_id == give->class_id && emp_slab_exists(slab) ? slab : NULL;
}

static inline bool give_is_mine(const struct give_state *give, const struct emp_slab *slab)
{
    return emp_slab_owner(slab) == give->me;
}

/* A batch that is one run of neighbours in one slab; false: not so, nothing was done. */
static bool give_run(struct give_state *give, uintptr_t lowest, unsigned count)
{
    const struct emp_bitmap_geometry *geometry = &give->info->geometry;
    uintptr_t offset = (lowest - geometry->arena_base) & geometry->slab_mask;
    unsigned first = (unsigned)(((uint64_t)offset * geometry->reciprocal) >> 32);
    struct emp_slab *slab = give_slab(give, lowest);

    if (slab == NULL || (uintptr_t)first * geometry->size != offset ||
        first + count > slab->slots) {
        return false;
    }
    bool mine = give_is_mine(give, slab);

    for (unsigned i = first; i < first + count;) {
        unsigned left = first + count - i;
        unsigned in_word = 64u - i % 64u < left ? 64u - i % 64u : left;
        uint64_t bits = emp_bits_mask(in_word) << (i % 64u);
        unsigned word = i / 64u;
        uint64_t again = 0;

        if (mine) {
            /* order(slab-free): relaxed; the holder is the only writer */
            uint64_t before = emp_load_relaxed(&slab->free[word]);

            /* order(remote-word): relaxed; only to see a block that was freed elsewhere before */
            again = bits & (before | emp_load_relaxed(&slab->remote[word]));
            bits &= ~again;
            if (bits != 0) {
                give_bits(give, slab, word, before, bits);
            }
        } else {
            again = give_remote(give, slab, word, bits);
        }
        if (emp_unlikely(again != 0)) {
            give_report_bits(give, slab, word, again);
        }
        i += in_word;
    }
    return true;
}

/* Foreign block number i of a mixed batch, merged with the neighbours of the same word. */
static unsigned give_foreign(struct give_state *give, void **ptrs, const uint32_t *indices,
                             unsigned i, unsigned count)
{
    struct emp_slab *slab = give_slab(give, (uintptr_t)ptrs[i]);
    unsigned word = indices[i] / 64u;
    uint64_t bits = 0;

    for (; i < count; i++) {
        uint64_t bit = (uint64_t)1 << (indices[i] % 64u);

        if (indices[i] / 64u != word || give_slab(give, (uintptr_t)ptrs[i]) != slab ||
            (bits & bit) != 0) {
            break;
        }
        bits |= bit;
    }
    uint64_t again = give_remote(give, slab, word, bits);

    if (emp_unlikely(again != 0)) {
        give_report_bits(give, slab, word, again);
    }
    return i;
}

/*
 * One block of a mixed batch that is not simply ours: foreign, faulty or freed twice. Returns which
 * block comes next; the same one when its slab has become ours meanwhile.
 */
static EMP_NOINLINE unsigned give_other(struct give_state *give, void **ptrs,
                                        const uint32_t *indices, unsigned i, unsigned count)
{
    struct emp_slab *slab = give_slab(give, (uintptr_t)ptrs[i]);

    if (slab == NULL || indices[i] >= slab->slots) {
        give_fault(give, ptrs[i], EMP_REPORT_INVALID);
        return i + 1;
    }
    if (give_is_mine(give, slab)) {
        unsigned word = indices[i] / 64u;
        /* order(slab-free): relaxed; the holder is the only writer */
        uint64_t freed = emp_load_relaxed(&slab->free[word]);

        /* order(remote-word): relaxed; only to see a block that was freed elsewhere before */
        freed |= emp_load_relaxed(&slab->remote[word]);
        if ((freed >> (indices[i] % 64u) & 1) == 0) {
            return i; /* a thread without our lock has just adopted it for us: look again */
        }
        give_fault(give, ptrs[i], give_free_code(slab, word));
        return i + 1;
    }
    return give_foreign(give, ptrs, indices, i, count);
}

/* The first eight bytes of the descriptor of a slab of mine, without its slots. */
static uint64_t give_expected_head(const struct give_state *give)
{
    return EMP_SLAB_MAGIC | (uint64_t)give->class_id << 32 | (uint64_t)(give->me & 0xffu) << 40;
}

/*
 * Blocks in any order whose slot numbers are known. The loop is the second pass of every free that
 * a thread's cache could not keep: everything it needs is in locals, one load proves magic, class
 * and owner.
 */
static void give_mixed(struct give_state *give, void **ptrs, const uint32_t *indices,
                       unsigned count)
{
    struct emp_shard_class *state = give->state;
    const uintptr_t base = emp_arena.base;
    const size_t unit_mask = ~(size_t)(give->info->units - 1u);
    char *const descriptors = emp_arena.slab_descriptors;
    const uint64_t expected = give_expected_head(give);
    const bool locked = give->me != EMP_NO_SHARD;
    const uint32_t warm_mask = locked ? state->warm_mask : 0;
    uint32_t warm_top = locked ? state->warm_top : 0;
    unsigned own = 0;

    for (unsigned i = 0; i < count;) {
        size_t number = (((uintptr_t)ptrs[i] - base) >> EMP_UNIT_SHIFT) & unit_mask;
        struct emp_slab *slab =
            (struct emp_slab *)(void *)(descriptors + number * EMP_SLAB_DESCRIPTOR_BYTES);
        unsigned word = indices[i] / 64u;
        uint64_t bit = (uint64_t)1 << (indices[i] % 64u);

        /* order(slab-owner): acquire; as emp_slab_owner and emp_slab_exists, in one load */
        uint64_t head = emp_load_acquire((uint64_t *)(void *)slab) & 0x0000ffffffffffffu;

        if (EMP_TSAN) {
            /* It pairs by address: the owner was released as the byte that it is. */
            (void)emp_slab_owner(slab);
        }
        if (emp_likely(locked && head == expected && indices[i] < slab->slots)) {
            /* order(slab-free): relaxed; the holder is the only writer */
            uint64_t before = emp_load_relaxed(&slab->free[word]);

            /* order(remote-word): relaxed; only to see a block that was freed elsewhere before */
            if (emp_likely(((before | emp_load_relaxed(&slab->remote[word])) & bit) == 0)) {
                /* order(slab-free): relaxed; remote readers look for other bits */
                emp_store_relaxed(&slab->free[word], before | bit);
                state->warm[warm_top & warm_mask] = ((uint32_t)number + 1) << 7 | word;
                warm_top += before == 0;
                own++;
                i++;
                uint16_t free_count = ++slab->free_count;

                if (emp_unlikely(free_count == 1 || free_count == slab->slots)) {
                    give_transition(give, slab);
                }
                continue;
            }
        }
        i = give_other(give, ptrs, indices, i, count);
    }
    if (locked) {
        state->warm_top = warm_top;
    }
    give->own_count += own;
}

/* Splits off what is not the start of a block, gives the rest. */
static void give_batch(struct give_state *give, void **ptrs, unsigned count)
{
    uint32_t indices[EMP_GIVE_MAX];
    bool descending = false;

    if (count >= 4 && emp_bitmap_ops.run(ptrs, count, give->info->geometry.size, &descending) &&
        emp_slab_number_of((uintptr_t)ptrs[0], give->info) ==
            emp_slab_number_of((uintptr_t)ptrs[count - 1], give->info) &&
        give_run(give, (uintptr_t)(descending ? ptrs[count - 1] : ptrs[0]), count)) {
        return;
    }
    while (count > 0) {
        unsigned exact = emp_bitmap_ops.indices(ptrs, count, &give->info->geometry, indices);

        give_mixed(give, ptrs, indices, exact);
        if (exact < count) {
            give_fault(give, ptrs[exact],
                       (uintptr_t)ptrs[exact] % 8 != 0 ? EMP_REPORT_MISALIGNED
                                                       : EMP_REPORT_INTERIOR);
            exact++;
        }
        ptrs += exact;
        count -= exact;
    }
}

/* Offers a slab of the emptiest bucket when the shard has many; holder. */
static void give_offer(struct give_state *give)
{
    struct emp_shard_class *state = give->state;
    uint32_t item = state->list[EMP_LIST_BUCKETS - 1];

    if (state->partial_count > EMP_OFFER_ABOVE && item != 0 && emp_shard_count > 1) {
        struct emp_slab *slab = emp_slab_at(item - 1);

        if (!slab->offered && emp_ring_push(emp_rings[give->class_id], item)) {
            slab->offered = 1;
        }
    }
}

/* Books what went where. Holder when locked. */
static void give_account(struct give_state *give)
{
    struct emp_shard_class *state = give->state;

    if (give->own_count != 0) {
        state->free_blocks += give->own_count;
        state->given += give->own_count;
    }
    if (give->foreign_count != 0) {
        /* order(shard-count): relaxed; a statistic */
        emp_fetch_add_relaxed(&state->remote, give->foreign_count);
    }
}

unsigned emp_central_give(uint32_t class_id, void **ptrs, unsigned count,
                          struct emp_central_fault *faults)
{
    struct give_state give = {
        .class_id = class_id, .info = &emp_classes[class_id], .faults = faults, .me = EMP_NO_SHARD};
    struct emp_shard *shard = emp_shards[emp_shard_current()];
    bool locked = emp_mutex_try_lock(&shard->lock);

    emp_assert(count <= EMP_GIVE_MAX);
    give.state = &shard->classes[class_id];
    give.me = locked ? shard->index : EMP_NO_SHARD;
    give_batch(&give, ptrs, count);
    give_account(&give);
    if (locked) {
        give_offer(&give);
        emp_mutex_unlock(&shard->lock);
        emp_central_end_slabs(give.retired, give.retired_count);
    }
    return give.fault_count;
}
