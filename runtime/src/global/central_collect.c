/*
 * Purpose: frees are not counted when they happen, so a slab may have become empty unnoticed.
 *          Before a shard that has grown by an eighth grows further, its slabs are counted, and the
 *          empty ones end: their units serve any class.
 * Owner:   global. Threads: any; the shard's lock for 64 slabs at a time.
 * Cost:    about 50 ns per slab of the shard, once per eighth of growth.
 * Design:  [global.proto.count]
 */
#include "global/central.h"
#include "global/shard.h"
#include "sync/atomic.h"

#define EMP_COLLECT_BATCH 64u
#define EMP_COLLECT_LEAST 64u /* slabs a shard may grow by before it is worth a look */
#define EMP_COLLECT_PART  8u

/* Retires empty slabs of one class; returns how many, at most EMP_COLLECT_BATCH. Holder. */
static unsigned collect_empty(struct emp_shard_class *state, struct emp_slab **ended)
{
    unsigned count = 0;

    while (state->list[EMP_LIST_EMPTY] != 0 && count < EMP_COLLECT_BATCH) {
        struct emp_slab *slab = emp_slab_at(state->list[EMP_LIST_EMPTY] - 1);

        emp_shard_forget(state, slab);
        ended[count++] = slab;
    }
    return count;
}

/* Counts the slabs of one class and ends the empty ones; returns how many slabs it has left. */
static uint32_t collect_class(struct emp_shard *shard, uint32_t class_id, uint32_t round)
{
    struct emp_shard_class *state = &shard->classes[class_id];
    struct emp_slab *ended[EMP_COLLECT_BATCH];
    uint32_t left = 0;
    uint32_t steps = 0;
    bool more = true;

    for (uint32_t step = 0; more && step <= steps; step++) {
        emp_mutex_lock(&shard->lock);
        steps = step == 0 ? emp_shard_recount_steps(state, EMP_COLLECT_BATCH) : steps;
        more = emp_shard_recount_some(state, EMP_LIST_OPEN, round, EMP_COLLECT_BATCH);
        unsigned count = collect_empty(state, ended);

        more = more || count == EMP_COLLECT_BATCH;
        left = state->open_count + state->full_count;
        emp_mutex_unlock(&shard->lock);
        emp_central_end_slabs(ended, count);
    }
    return left;
}

void emp_central_collect(uint32_t shard_index)
{
    struct emp_shard *shard = emp_shards[shard_index];
    uint32_t round = emp_shard_new_round();
    uint32_t slabs = 0;

    /* order(shard-count): relaxed; a hint, two collections at once do no harm */
    uint32_t collect_at = emp_load_relaxed(&shard->collect_at);

    /* order(shard-count): relaxed; as above */
    if (emp_load_relaxed(&shard->grown) < (collect_at == 0 ? EMP_COLLECT_LEAST : collect_at)) {
        return;
    }
    /* order(shard-count): relaxed; as above */
    emp_store_relaxed(&shard->grown, 0);
    /* Not pools: one may be destroyed meanwhile, and what they keep is their own business. */
    for (uint32_t c = 1; c <= EMP_SIZE_CLASSES; c++) {
        struct emp_shard_class *state = &shard->classes[c];

        /* order(shard-count): relaxed; a hint, the lists are looked at under the lock */
        if (emp_load_relaxed(&state->open_count) + emp_load_relaxed(&state->full_count) != 0) {
            slabs += collect_class(shard, c, round);
        }
    }
    slabs /= EMP_COLLECT_PART;
    /* order(shard-count): relaxed; as above */
    emp_store_relaxed(&shard->collect_at, slabs < EMP_COLLECT_LEAST ? EMP_COLLECT_LEAST : slabs);
}
