/*
 * Purpose: more slabs for a shard: one on offer in the ring of its class, one of a sibling that has
 *          plenty, or a new one.
 * Owner:   global. Threads: any; no lock on entry or return. Only try-locks are taken on shards
 *          that are not one's own, so nobody waits for a busy sibling.
 * Design:  [global.proto.adopt] [global.proto.expand]
 */
#include "base/check.h"
#include "global/budget.h"
#include "global/central.h"
#include "global/shard.h"
#include "span/unit.h"
#include "sync/atomic.h"

#define EMP_ADOPT_TRIES 4u

/* Takes the slab away from its owner; false when it is not what it was said to be. */
static bool adopt_detach(struct emp_slab *slab, uint32_t class_id, uint32_t to,
                         unsigned *free_count)
{
    uint32_t from = emp_slab_owner(slab); /* checked again under the lock of that owner */
    bool done = false;

    if (from >= emp_shard_count || from == to || !emp_mutex_try_lock(&emp_shards[from]->lock)) {
        return false;
    }
    struct emp_shard_class *state = &emp_shards[from]->classes[class_id];

    if (emp_slab_exists(slab) && emp_slab_owner(slab) == from && slab->class_id == class_id &&
        slab->list < EMP_LIST_COUNT) {
        emp_shard_unlink(state, slab);
        state->slots -= slab->slots;
        state->free_blocks -= slab->free_count;
        *free_count = slab->free_count;
        slab->offered = 0;
        emp_slab_set_owner(slab, (uint8_t)to);
        done = true;
    }
    emp_mutex_unlock(&emp_shards[from]->lock);
    return done;
}

/* Links a slab that is detached and ours; blocks freed since it became ours are booked already. */
static void adopt_attach(struct emp_slab *slab, uint32_t class_id, uint32_t to, unsigned free_count)
{
    struct emp_shard_class *state = &emp_shards[to]->classes[class_id];

    emp_mutex_lock(&emp_shards[to]->lock);
    state->warm_mask = state->warm_mask == 0 ? EMP_WARM_MASK : state->warm_mask;
    state->slots += slab->slots;
    state->free_blocks += free_count;
    emp_shard_link(state, slab);
    emp_mutex_unlock(&emp_shards[to]->lock);
}

/* The emptiest slab a sibling can spare, or NULL. */
static struct emp_slab *adopt_find(uint32_t class_id, struct emp_shard *sibling)
{
    struct emp_shard_class *state = &sibling->classes[class_id];
    struct emp_slab *found = NULL;

    /* order(shard-count): relaxed; a hint, the lock follows */
    if (emp_load_relaxed(&state->partial_count) + emp_load_relaxed(&state->empty_count) == 0 &&
        /* order(inbox-head): relaxed; a hint as well */
        emp_load_relaxed(&sibling->inbox) == 0) {
        return NULL;
    }
    if (!emp_mutex_try_lock(&sibling->lock)) {
        return NULL;
    }
    (void)emp_shard_drain_inbox(sibling);
    for (unsigned list = EMP_LIST_COUNT; list-- > 0 && found == NULL;) {
        if (state->list[list] != 0) {
            found = emp_slab_at(state->list[list] - 1);
        }
    }
    emp_mutex_unlock(&sibling->lock);
    return found;
}

bool emp_central_adopt(uint32_t class_id, uint32_t shard_index)
{
    uint32_t item = 0;
    unsigned free_count = 0;

    for (unsigned i = 0; i < EMP_ADOPT_TRIES && emp_ring_pop(emp_rings[class_id], &item); i++) {
        struct emp_slab *slab = emp_slab_at(item - 1);

        if (adopt_detach(slab, class_id, shard_index, &free_count)) {
            adopt_attach(slab, class_id, shard_index, free_count);
            return true;
        }
    }
    for (uint32_t i = 1; i < emp_shard_count; i++) {
        struct emp_shard *sibling = emp_shards[(shard_index + i) & (emp_shard_count - 1)];
        struct emp_slab *slab = adopt_find(class_id, sibling);

        if (slab != NULL && adopt_detach(slab, class_id, shard_index, &free_count)) {
            adopt_attach(slab, class_id, shard_index, free_count);
            return true;
        }
    }
    return false;
}

bool emp_central_expand(uint32_t class_id, uint32_t shard_index, struct emp_central_note *note)
{
    const struct emp_class *info = &emp_classes[class_id];
    uint64_t before = 0;
    bool limited = false;
    unsigned slots = emp_budget_reserve(class_id, info->geometry.slots, &before);

    if (slots == 0) {
        note->limited = true;
        return false;
    }
    size_t unit = emp_unit_take(info->units, &limited);

    if (unit == SIZE_MAX) {
        note->limited = limited;
        emp_budget_release(class_id, slots);
        return false;
    }
    if (!emp_slab_create(unit, class_id, (uint8_t)shard_index, (uint16_t)slots)) {
        emp_unit_give(unit, info->units);
        emp_budget_release(class_id, slots);
        return false;
    }
    note->old_capacity = note->expanded ? note->old_capacity : before;
    note->expanded = true;
    note->new_capacity = before + slots;
    note->added_bytes += info->units * EMP_UNIT_BYTES;
    /* order(budget): relaxed; a statistic */
    emp_fetch_add_relaxed(&emp_budgets[class_id].expansions, 1);
    adopt_attach(emp_slab_at(unit), class_id, shard_index, slots);
    return true;
}

void emp_central_end_slabs(struct emp_slab *const *slabs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t class_id = slabs[i]->class_id;

        emp_budget_release(class_id, slabs[i]->slots);
        /* order(budget): relaxed; a statistic */
        emp_fetch_add_relaxed(&emp_budgets[class_id].shrinks, 1);
        emp_slab_destroy(slabs[i], emp_shard_put_double_free);
    }
}
