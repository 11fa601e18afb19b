/*
 * Purpose: see shard_tick.h.
 * Owner:   global. Threads: the tick. Cost: about 50 ns per slab and round.
 * Design:  [global.proto.tick]
 */
#include "global/shard_tick.h"

#include "base/bits.h"
#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "span/arena.h"
#include "sync/atomic.h"

#define EMP_IDLE_ROUNDS 2u  /* rounds without change before pages of a slab are given back */
#define EMP_TICK_BATCH  16u /* slabs claimed per lock */
#define EMP_TICK_COUNT  64u /* slabs counted per lock */
#define EMP_OFFER_ABOVE 8u  /* open slabs of a class above which one is offered */

/* Slabs claimed for purging or ending. Owner: the tick's stack. */
struct tick_batch {
    unsigned count;
    uint8_t round; /* number of the present round, modulo 256 */
    int64_t spare; /* blocks that may still lose their memory in this round */
    struct emp_slab *slabs[EMP_TICK_BATCH];
    uint64_t pages[EMP_TICK_BATCH];
};

/* Books idleness once a round; true when the slab has been idle long enough. Holder. */
static bool tick_idle(struct emp_slab *slab, bool all, uint8_t round)
{
    if (slab->tick_round == round) {
        return all || slab->idle_ticks >= EMP_IDLE_ROUNDS;
    }
    slab->tick_round = round;
    if (slab->tick_count != slab->free_count) {
        slab->tick_count = slab->free_count;
        slab->idle_ticks = 0;
    } else if (slab->idle_ticks < 255) {
        slab->idle_ticks++;
    }
    return all || slab->idle_ticks >= EMP_IDLE_ROUNDS;
}

/*
 * Free blocks whose memory may be given back: those that have memory, less what the class is to
 * keep (its L2). Without such a wish there is no need to count. Holder.
 */
static int64_t tick_spare(const struct emp_shard_class *state)
{
    int64_t resident = 0;

    if (state->keep_blocks == 0) {
        return INT64_MAX;
    }
    for (unsigned list = 0; list < EMP_LIST_OPEN; list++) {
        for (uint32_t item = state->list[list]; item != 0; item = emp_slab_at(item - 1)->next) {
            const struct emp_slab *slab = emp_slab_at(item - 1);

            resident += slab->free_count - (int)emp_slab_page_blocks(slab, slab->purged_pages);
        }
    }
    return resident - (int64_t)state->keep_blocks;
}

/* True, and booked, when so many blocks of the class may lose their memory. */
static bool tick_spend(int64_t *spare, unsigned blocks)
{
    if (blocks != 0 && *spare < (int64_t)blocks) {
        return false;
    }
    *spare -= *spare == INT64_MAX ? 0 : (int64_t)blocks;
    return true;
}

/* Claims slabs of one list that have pages to give back; holder. from: where to go on, 0: done. */
static void tick_claim_pages(struct emp_shard_class *state, uint32_t *from, bool all,
                             struct tick_batch *batch, bool *more)
{
    uint32_t item = *from;

    while (item != 0 && batch->count < EMP_TICK_BATCH) {
        struct emp_slab *slab = emp_slab_at(item - 1);
        uint64_t pages = 0;

        item = slab->next;
        bool due = tick_idle(slab, all, batch->round);

        pages = emp_slab_free_pages(slab);
        if (pages == 0) {
            continue;
        }
        *more = *more || !due;
        if (due && tick_spend(&batch->spare, emp_slab_page_blocks(slab, pages))) {
            unsigned news = 0;

            emp_shard_unlink(state, slab);
            state->free_blocks -= emp_slab_claim_pages(slab, pages, &news);
            state->free_blocks += news;
            state->given += news;
            batch->slabs[batch->count] = slab;
            batch->pages[batch->count++] = pages;
        }
    }
    *from = item;
}

/* Gives the pages of one slab back, neighbours in one call. No lock. */
static void tick_purge_slab(const struct emp_slab *slab, uint64_t pages, emp_page_giver *give,
                            struct emp_tick_result *result)
{
    while (pages != 0) {
        unsigned first = emp_bits_lowest(pages);
        uint64_t gap = ~(pages >> first);
        unsigned length = gap == 0 ? 64 - first : emp_bits_lowest(gap);
        uint64_t mask = emp_bits_mask(length) << first;

        if (give((void *)(emp_slab_base(slab) + (size_t)first * 4096u), (size_t)length * 4096u)) {
            result->given_bytes += (size_t)length * 4096u;
        }
        pages &= ~mask;
    }
}

/* Purges a claimed batch and puts the slabs back. */
static void tick_finish_batch(struct emp_shard *shard, struct emp_shard_class *state,
                              struct tick_batch *batch, emp_page_giver *give,
                              struct emp_tick_result *result)
{
    for (unsigned i = 0; i < batch->count; i++) {
        tick_purge_slab(batch->slabs[i], batch->pages[i], give, result);
    }
    emp_mutex_lock(&shard->lock);
    for (unsigned i = 0; i < batch->count; i++) {
        struct emp_slab *slab = batch->slabs[i];
        uint16_t before = slab->free_count;

        /* A refused page counts as given back too: it is not asked for again before it is used. */
        emp_slab_restore_pages(slab, batch->pages[i]);
        slab->tick_count = slab->free_count;
        state->free_blocks += slab->free_count - before;
        emp_shard_link(state, slab);
    }
    emp_mutex_unlock(&shard->lock);
    batch->count = 0;
}

/* One round of maintenance, as every class of every shard sees it. */
struct tick_round {
    bool all;
    uint8_t number;
    uint32_t count_round;
    uint64_t now_ns;
    emp_page_giver *give;
    struct emp_tick_result *result;
};

/* Pages inside the partial and empty slabs of one class. */
static void tick_class_pages(struct emp_shard *shard, struct emp_shard_class *state,
                             const struct tick_round *round, int64_t *spare)
{
    struct tick_batch batch = {.round = round->number, .spare = *spare};

    for (unsigned list = 0; list < EMP_LIST_OPEN; list++) {
        bool again = true;

        for (unsigned step = 0; again && step < 4096; step++) {
            emp_mutex_lock(&shard->lock);
            uint32_t from = state->list[list];

            tick_claim_pages(state, &from, round->all, &batch, &round->result->more);
            emp_mutex_unlock(&shard->lock);
            again = batch.count == EMP_TICK_BATCH;
            tick_finish_batch(shard, state, &batch, round->give, round->result);
        }
    }
    *spare = batch.spare;
}

/* Offers a slab of the emptiest bucket to siblings when the shard has many. Holder. */
static void tick_offer(struct emp_shard_class *state, uint32_t class_id)
{
    uint32_t item = state->list[EMP_LIST_BUCKETS - 1];

    if (state->open_count > EMP_OFFER_ABOVE && item != 0 && emp_shard_count > 1) {
        struct emp_slab *slab = emp_slab_at(item - 1);

        if (!slab->offered && emp_ring_push(emp_rings[class_id], item)) {
            slab->offered = 1;
        }
    }
}

/* Ends empty slabs that have been so, unused, for two rounds. */
static void tick_class_empty(struct emp_shard *shard, struct emp_shard_class *state,
                             const struct tick_round *round, int64_t *spare)
{
    struct emp_slab *ended[EMP_TICK_BATCH];
    unsigned count = EMP_TICK_BATCH;

    while (count == EMP_TICK_BATCH) {
        count = 0;
        emp_mutex_lock(&shard->lock);
        for (uint32_t item = state->list[EMP_LIST_EMPTY]; item != 0 && count < EMP_TICK_BATCH;) {
            struct emp_slab *slab = emp_slab_at(item - 1);

            item = slab->next;
            unsigned resident = slab->slots - emp_slab_page_blocks(slab, slab->purged_pages);

            if (!tick_idle(slab, round->all, round->number)) {
                round->result->more = true;
            } else if (tick_spend(spare, resident)) {
                emp_shard_forget(state, slab);
                ended[count++] = slab;
            }
        }
        emp_mutex_unlock(&shard->lock);
        emp_central_end_slabs(ended, count);
        round->result->slabs_ended += count;
    }
}

/* Counts what was freed since the last round; offers a slab where there are many. */
static void tick_class_count(struct emp_shard *shard, uint32_t class_id, uint32_t round)
{
    struct emp_shard_class *state = &shard->classes[class_id];
    uint32_t steps = 0;
    bool more = true;

    for (uint32_t step = 0; more && step <= steps; step++) {
        emp_mutex_lock(&shard->lock);
        steps = step == 0 ? emp_shard_recount_steps(state, EMP_TICK_COUNT) : steps;
        more = emp_shard_recount_some(state, EMP_LIST_COUNT, round, EMP_TICK_COUNT);
        if (!more) {
            tick_offer(state, class_id);
        }
        emp_mutex_unlock(&shard->lock);
    }
}

static void tick_class(struct emp_shard *shard, uint32_t class_id, const struct tick_round *round)
{
    struct emp_shard_class *state = &shard->classes[class_id];
    const struct emp_tick_result *result = round->result;
    struct emp_tick_result before = *result;

    tick_class_count(shard, class_id, round->count_round);
    /* Pages first: the unit of a slab that ends may be a slab again before it has aged. */
    emp_mutex_lock(&shard->lock);
    int64_t spare = tick_spare(state);
    emp_mutex_unlock(&shard->lock);
    tick_class_pages(shard, state, round, &spare);
    tick_class_empty(shard, state, round, &spare);
    emp_mutex_lock(&shard->lock);
    state->tick_taken = (uint32_t)state->taken;
    emp_mutex_unlock(&shard->lock);
    if (result->given_bytes != before.given_bytes || result->slabs_ended != before.slabs_ended) {
        /* order(budget): relaxed; statistics */
        emp_fetch_add_relaxed(&emp_budgets[class_id].tick_rounds, 1);
        /* order(budget): relaxed; statistics */
        emp_store_relaxed(&emp_budgets[class_id].tick_time, round->now_ns);
    }
}

void emp_shard_tick(bool all, uint64_t now_ns, emp_page_giver *give, struct emp_tick_result *result)
{
    static uint8_t last_round; /* one round at a time: the caller's maintenance lock */

    const struct tick_round round = {.all = all,
                                     .number = ++last_round,
                                     .count_round = emp_shard_new_round(),
                                     .now_ns = now_ns,
                                     .give = give,
                                     .result = result};

    for (uint32_t s = 0; s < emp_shard_count; s++) {
        struct emp_shard *shard = emp_shards[s];

        emp_mutex_lock(&shard->lock);
        (void)emp_shard_drain_inbox(shard);
        emp_mutex_unlock(&shard->lock);
        for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
            struct emp_shard_class *state = &shard->classes[c];

            /* order(shard-count): relaxed; a hint, the lists are looked at under the lock */
            if (emp_load_relaxed(&state->open_count) + emp_load_relaxed(&state->full_count) != 0) {
                tick_class(shard, c, &round);
            }
        }
    }
}
