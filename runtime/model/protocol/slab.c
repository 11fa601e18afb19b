/*
 * What: harnesses of slab/slab.c and global/shard.c as they stand: remote frees against the holder,
 *       against a change of owner, against the end of a slab and its unit's next life, and purging
 *       against reuse.
 * How:  world.c makes shards and a slab of two blocks; blocks are plain memory, so that a block
 *       with two holders, or a holder that misses its last one, is a race.
 * Design: [slab.proto.owner] [slab.inv.counts] [global.proto.shard] [global.proto.adopt]
 */
#include "slab/slab.h"

#include "cases.h"
#include "global/central.h"
#include "global/shard.h"
#include "model.h"
#include "protocol/world.h"
#include "sync/remote_word.h"

/* emp_slab_owner and emp_slab_exists are one place in the source, asked again and again. */
#define REREADS 8u

static struct emp_slab *slab;
static uint64_t expected; /* blocks that are free in the end */
static uint32_t *const block = world_block[0];

/* Frees a block of a slab that is not ours, as a flush does. */
static void free_remotely(unsigned slot)
{
    const uint64_t bit = (uint64_t)1 << slot;
    block[slot]++;
    const uint64_t old = emp_remote_publish(&slab->remote[0], bit);
    model_assert((old & bit) == 0);
    if (old == 0) {
        emp_shard_notify(slab);
    }
}

static void free_block_0(void)
{
    free_remotely(0);
}

static void free_block_1(void)
{
    free_remotely(1);
}

/* Uses every free block of the slab, if the shard owns it: a warm word that names it. Holder. */
static void use_free_blocks(uint32_t shard)
{
    if (!emp_slab_exists(slab) || emp_slab_owner(slab) != shard) {
        return;
    }
    for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
        /* order(slab-free): relaxed; the holder is the only writer */
        if ((emp_load_relaxed(&slab->free[0]) >> slot & 1) != 0) {
            block[slot]++;
        }
    }
}

static void hold(uint32_t shard)
{
    emp_mutex_lock(&emp_shards[shard]->lock);
    (void)emp_shard_drain_inbox(emp_shards[shard]);
    use_free_blocks(shard);
    emp_mutex_unlock(&emp_shards[shard]->lock);
}

static void hold_shard_0(void)
{
    hold(0);
}

static void hold_shard_1(void)
{
    hold(1);
}

static void set_up(void)
{
    world_set_up();
    slab = world_slab(0, 0);
    expected = 3;
}

/* Both blocks are free and the slab is linked as empty. */
static void set_up_free(void)
{
    set_up();
    emp_shard_unlink(&emp_shards[0]->classes[WORLD_CLASS], slab);
    slab->free[0] = 3;
    slab->free_count = WORLD_SLOTS;
    emp_shard_link(&emp_shards[0]->classes[WORLD_CLASS], slab);
}

/* The slab is free and on offer. */
static void set_up_offered(void)
{
    set_up_free();
    slab->offered = 1;
    model_assert(emp_ring_push(emp_rings[WORLD_CLASS], (uint32_t)emp_slab_number(slab) + 1));
}

/* Block 1 is free, so that a poor shard may adopt the slab; block 0 is with the program. */
static void set_up_one(void)
{
    set_up();
    slab->free[0] = 2;
    slab->free_count = 1;
    slab->list = EMP_LIST_FULL;
    emp_shard_link(&emp_shards[0]->classes[WORLD_CLASS], slab);
}

/* Both blocks are with the program; the lists say otherwise, so that the slab can be adopted. */
static void set_up_half(void)
{
    set_up();
    slab->list = EMP_LIST_DETACHED;
    slab->free_count = 1;
    emp_shard_link(&emp_shards[0]->classes[WORLD_CLASS], slab);
    slab->free_count = 0;
}

/* What was freed came back: after what is announced was drained, the slab is whole. */
static void slab_is_whole(void)
{
    for (unsigned i = 0; i < 3; i++) { /* an entry in the wrong inbox is forwarded */
        world_drain(0);
        world_drain(1);
    }
    model_assert(slab->free[0] == expected && slab->remote[0] == 0);
    model_assert(slab->free_count == (uint32_t)__builtin_popcountll(expected));
    model_assert(emp_shard_take_double_free() == NULL);
}

/* A poor shard looks for a slab: on offer in the ring, or of a sibling. */
static void adopt(void)
{
    (void)emp_central_adopt(WORLD_CLASS, 1);
}

static void adopt_and_hold(void)
{
    adopt();
    hold(1);
}

/* Ends the slab when all of it is free; what follows is a new slab of shard 1 on the same unit. */
static void end_and_make_anew(void)
{
    bool is_ended = false;
    emp_mutex_lock(&emp_shards[0]->lock);
    (void)emp_shard_drain_inbox(emp_shards[0]);
    if (slab->free_count == WORLD_SLOTS) {
        emp_shard_unlink(&emp_shards[0]->classes[WORLD_CLASS], slab);
        emp_slab_retire(slab);
        is_ended = true;
    }
    emp_mutex_unlock(&emp_shards[0]->lock);
    if (is_ended) {
        model_assert(emp_slab_destroy(slab) == NULL);
        block[0]++;
        block[1]++;
        const bool made = emp_slab_create(0, WORLD_CLASS, 1, WORLD_SLOTS);
        model_assert(made);
        emp_mutex_lock(&emp_shards[1]->lock);
        emp_shard_link(&emp_shards[1]->classes[WORLD_CLASS], slab);
        emp_mutex_unlock(&emp_shards[1]->lock);
    }
}

/* Whatever life the unit is in: what is free, published or handed out is each block once. */
static void unit_is_whole(void)
{
    for (unsigned i = 0; i < 3; i++) {
        world_drain(0);
        world_drain(1);
    }
    model_assert(slab->magic == EMP_SLAB_MAGIC && slab->free_count == WORLD_SLOTS);
    model_assert(world_bits(slab) == 3);
    model_assert(emp_shards[0]->inbox == 0 && emp_shards[1]->inbox == 0);
}

/* The slab was told of while it belonged to shard 1; then shard 0 adopted it, the entry stays. */
static void set_up_stale(void)
{
    world_set_up();
    expected = 3;
    slab = world_slab(0, 1);
    (void)emp_remote_publish(&slab->remote[0], 3);
    emp_shard_notify(slab);
    emp_slab_set_owner(slab, 0);
}

/* The slab was told of while it belonged to shard 0, which then ends it. */
static void set_up_own_entry(void)
{
    set_up();
    (void)emp_remote_publish(&slab->remote[0], 3);
    emp_shard_notify(slab);
}

/* The slab ends and its unit becomes a slab of shard 1, which may meet the old entry any time. */
static void end_with_entry(void)
{
    void *twice = NULL;
    emp_mutex_lock(&emp_shards[0]->lock);
    (void)emp_slab_drain(slab, &twice);
    slab->list = EMP_LIST_DETACHED;
    emp_slab_retire(slab);
    emp_mutex_unlock(&emp_shards[0]->lock);
    model_assert(emp_slab_destroy(slab) == NULL);
    const bool made = emp_slab_create(0, WORLD_CLASS, 1, WORLD_SLOTS);
    model_assert(made);
    emp_mutex_lock(&emp_shards[1]->lock);
    emp_shard_link(&emp_shards[1]->classes[WORLD_CLASS], slab);
    emp_mutex_unlock(&emp_shards[1]->lock);
}

/* The offered slab ends; the unit's next life belongs to the same shard, its number is offered. */
static void end_offered(void)
{
    emp_mutex_lock(&emp_shards[0]->lock);
    const bool is_mine = emp_slab_owner(slab) == 0;
    if (is_mine) {
        emp_shard_unlink(&emp_shards[0]->classes[WORLD_CLASS], slab);
        emp_slab_retire(slab);
    }
    emp_mutex_unlock(&emp_shards[0]->lock);
    if (is_mine) {
        model_assert(emp_slab_destroy(slab) == NULL);
        const bool made = emp_slab_create(0, WORLD_CLASS, 0, WORLD_SLOTS);
        model_assert(made);
        emp_mutex_lock(&emp_shards[0]->lock);
        emp_shard_link(&emp_shards[0]->classes[WORLD_CLASS], slab);
        emp_mutex_unlock(&emp_shards[0]->lock);
    }
}

/* The slab is linked once, in the shard that owns it. */
static void linked_once(void)
{
    const uint32_t item = (uint32_t)emp_slab_number(slab) + 1;
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        const struct emp_shard_class *const state = &emp_shards[i]->classes[WORLD_CLASS];
        model_assert(state->list[EMP_LIST_EMPTY] == (slab->owner == i ? item : 0));
    }
    model_assert(slab->magic == EMP_SLAB_MAGIC && slab->list == EMP_LIST_EMPTY);
}

/* Maintenance: claims the free pages, purges them outside the lock, puts them back. */
static void purge(void)
{
    emp_mutex_lock(&emp_shards[0]->lock);
    const uint64_t pages = emp_slab_free_pages(slab) & 3;
    (void)emp_slab_claim_pages(slab, pages);
    emp_mutex_unlock(&emp_shards[0]->lock);
    for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
        if ((pages >> slot & 1) != 0) {
            block[slot] = 0; /* what the system does to the page */
        }
    }
    emp_mutex_lock(&emp_shards[0]->lock);
    emp_slab_restore_pages(slab, pages);
    emp_mutex_unlock(&emp_shards[0]->lock);
}

/* Takes block 0 if it is free, uses it, frees it as the holder of a foreign block does. */
static void take_and_free(void)
{
    bool taken = false;
    emp_mutex_lock(&emp_shards[0]->lock);
    /* order(slab-free): relaxed; the holder is the only writer */
    const uint64_t before = emp_load_relaxed(&slab->free[0]);
    if ((before & 1) != 0) {
        /* order(slab-free): relaxed; the block is free, nobody looks for its bit */
        emp_store_relaxed(&slab->free[0], before & ~(uint64_t)1);
        slab->free_count--;
        taken = true;
    }
    emp_mutex_unlock(&emp_shards[0]->lock);
    if (taken) {
        block[0] = 5;
        model_assert(block[0] == 5);
        free_remotely(0);
    }
}

const struct model_case protocol_slab[] = {
    {.name = "slab/free-drain",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a block freed by another shard comes to the holder once, with its content",
     .set_up = set_up,
     .thread = {free_block_0, free_block_1, hold_shard_0},
     .finish = slab_is_whole},
    {.name = "slab/owner-change",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a block freed while its slab changes its owner is found by the new one",
     .set_up = set_up_one,
     .thread = {free_block_0, adopt_and_hold, hold_shard_0},
     .finish = slab_is_whole},
    {.name = "slab/owner-change-four",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same with two blocks on their way",
     .set_up = set_up_half,
     .thread = {free_block_0, adopt_and_hold, hold_shard_0, free_block_1},
     .finish = slab_is_whole,
     .is_long = true},
    {.name = "slab/two-holders",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "after a change of owner the old holder keeps off, the new one sees everything",
     .set_up = set_up_offered,
     .thread = {adopt, hold_shard_0, hold_shard_1},
     .finish = slab_is_whole},
    {.name = "slab/end-and-reuse",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a slab ends only when every block is back, and its unit's next life is its own",
     .set_up = set_up,
     .thread = {free_block_0, free_block_1, end_and_make_anew},
     .finish = NULL},
    {.name = "slab/stale-entry",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "who meets an entry of a slab that ended sees the next life of its unit whole",
     .set_up = set_up_stale,
     .thread = {end_with_entry, hold_shard_1},
     .finish = unit_is_whole},
    {.name = "slab/own-entry",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a shard that meets an entry of a slab that it ended keeps off the next life",
     .set_up = set_up_own_entry,
     .thread = {end_with_entry, hold_shard_0},
     .finish = unit_is_whole},
    {.name = "slab/stale-entry-three",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same beside a holder of the shard that ends it",
     .set_up = set_up_stale,
     .thread = {end_with_entry, hold_shard_1, hold_shard_0},
     .finish = unit_is_whole,
     .is_long = true},
    {.name = "slab/stale-offer",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "who adopts a slab by an old offer takes it whole or not at all",
     .set_up = set_up_offered,
     .thread = {end_offered, adopt},
     .finish = linked_once},
    {.name = "slab/purge-reuse",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a page that is given back has no user meanwhile",
     .set_up = set_up_free,
     .thread = {purge, take_and_free},
     .finish = slab_is_whole},
    {.name = "slab/purge-reuse-drain",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same with a holder that drains between",
     .set_up = set_up_free,
     .thread = {purge, take_and_free, hold_shard_0},
     .finish = slab_is_whole,
     .is_long = true},
    {.name = NULL},
};
