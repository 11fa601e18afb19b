/*
 * What: harnesses of slab/slab.c and global/shard.c as they stand: frees against the holder, a
 *       count, a change of owner, the end of a slab and its unit's next life; purging against reuse
 *       and a second free.
 * How:  world.c makes shards and a slab of two blocks; blocks are plain memory, so that a block
 *       with two holders, or a holder that misses its last one, is a race.
 * Design: [slab.proto.owner] [slab.inv.counts] [global.proto.shard] [global.proto.count]
 *         [global.proto.adopt]
 */
#include "slab/slab.h"

#include "cases.h"
#include "global/central.h"
#include "global/shard.h"
#include "model.h"
#include "protocol/world.h"

#include <string.h>

/* emp_slab_owner and emp_slab_exists are one place in the source, asked again and again. */
#define REREADS 8u
#define ROUND   7u /* of counting */

static struct emp_slab *slab;
static uint32_t *const block = world_block[0];
static uint32_t takes[WORLD_SLOTS]; /* plain: belongs to who holds the block, as block does */
static uint32_t frees[WORLD_SLOTS]; /* plain: the same */

static struct emp_shard_class *class_of(uint32_t shard)
{
    return &emp_shards[shard]->classes[WORLD_CLASS];
}

static void release_block(unsigned slot)
{
    struct emp_slab *found = NULL;
    block[slot]++;
    frees[slot]++;
    const bool done = emp_slab_release(emp_arena.slab_descriptors, (uintptr_t)slot * 4096u, &found);
    model_assert(done && found == slab);
}

static void announce(void)
{
    if (emp_inbox_is_quiet(&slab->inbox)) {
        emp_shard_notify(slab);
    }
}

/* Frees a block as emp_fast_give does: its state, then a look whether the slab is quiet. */
static void free_block(unsigned slot)
{
    release_block(slot);
    announce();
}

/* The same with the fence that the product's releasers do not pay for. */
static void free_block_0_fenced(void)
{
    release_block(0);
    emp_fence_seq_cst();
    announce();
}

static void free_block_0(void)
{
    free_block(0);
}

static void free_block_1(void)
{
    free_block(1);
}

/* Frees block 0, which is free: refused, whatever the holder does with it meanwhile. */
static void free_block_0_again(void)
{
    struct emp_slab *found = NULL;
    model_assert(!emp_slab_release(emp_arena.slab_descriptors, 0, &found));
}

/* Takes what is free in a slab, as take_word does. Holder. */
static unsigned take_found(struct emp_shard_class *state, struct emp_slab *from)
{
    const uint64_t bits = emp_slab_word(from, 0);
    const unsigned got = (unsigned)__builtin_popcountll(bits);
    emp_slab_take_bits(from, 0, bits);
    if (got > from->free_count) {
        state->free_blocks += got - from->free_count;
        from->free_count = (uint16_t)got;
    }
    from->free_count = (uint16_t)(from->free_count - got);
    state->free_blocks -= got;
    for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
        if ((bits >> slot & 1) != 0) {
            block[slot]++;
            takes[slot]++;
        }
    }
    return got;
}

/* A refill that takes all that the shard has; every slab becomes quiet. */
static void refill(uint32_t shard)
{
    struct emp_shard_class *const state = class_of(shard);
    emp_mutex_lock(&emp_shards[shard]->lock);
    (void)emp_shard_drain_inbox(emp_shards[shard]);
    for (unsigned list = 0; list < EMP_LIST_OPEN; list++) {
        while (state->list[list] != 0) {
            struct emp_slab *const from = emp_slab_at(state->list[list] - 1);
            (void)take_found(state, from);
            emp_shard_quiet(state, from);
        }
    }
    emp_mutex_unlock(&emp_shards[shard]->lock);
}

static void refill_0(void)
{
    refill(0);
}

static void refill_1(void)
{
    refill(1);
}

static void refill_0_twice(void)
{
    refill(0);
    refill(0);
}

/* A round of maintenance counts full slabs too. */
static void count_0(void)
{
    emp_mutex_lock(&emp_shards[0]->lock);
    (void)emp_shard_recount_some(class_of(0), EMP_LIST_COUNT, ROUND, 64);
    emp_mutex_unlock(&emp_shards[0]->lock);
}

static void drain_0(void)
{
    emp_mutex_lock(&emp_shards[0]->lock);
    (void)emp_shard_drain_inbox(emp_shards[0]);
    emp_mutex_unlock(&emp_shards[0]->lock);
}

/* One slab of shard 0; the blocks of `used` are with the program. */
static void set_up_used(uint64_t used)
{
    world_set_up();
    memset(takes, 0, sizeof takes);
    memset(frees, 0, sizeof frees);
    slab = world_slab(0, 0, used);
    for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
        frees[slot] = (used >> slot & 1) == 0;
    }
}

/* All is with the program, and the slab is full and quiet. */
static void set_up_quiet(void)
{
    set_up_used(3);
    emp_shard_quiet(class_of(0), slab);
    model_assert(slab->list == EMP_LIST_FULL && slab->inbox.told == 0);
}

/* All is with the program, but the slab is listed: the last refill took just what there was. */
static void set_up_listed(void)
{
    set_up_used(3);
}

/* Block 1 is free, so that a poor shard may adopt the slab; block 0 is with the program. */
static void set_up_one(void)
{
    set_up_used(1);
}

/* Both blocks are free and the slab is linked as empty. */
static void set_up_free(void)
{
    set_up_used(0);
}

/* The slab is free and on offer. */
static void set_up_offered(void)
{
    set_up_free();
    slab->offered = 1;
    model_assert(emp_ring_push(emp_rings[WORLD_CLASS], (uint32_t)emp_slab_number(slab) + 1));
}

/* The slab was on offer when it became full: its number is still in the ring. */
static void set_up_quiet_offered(void)
{
    set_up_quiet();
    slab->offered = 1;
    model_assert(emp_ring_push(emp_rings[WORLD_CLASS], (uint32_t)emp_slab_number(slab) + 1));
}

/* Every block that came back was taken or is free. */
static void blocks_accounted(void)
{
    const uint64_t bits = world_free(slab);
    for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
        model_assert(frees[slot] == takes[slot] + (bits >> slot & 1));
    }
}

/* A count finds every block that came back; then what has some is listed and told of. */
static void count_finds_all(void)
{
    blocks_accounted();
    world_recount();
    world_audit(slab);
    blocks_accounted();
    model_assert(slab->free_count == (unsigned)__builtin_popcountll(world_free(slab)));
    model_assert((slab->list == EMP_LIST_FULL) == (slab->inbox.told == 0));
    model_assert(slab->free_count == 0 || slab->list != EMP_LIST_FULL);
    model_assert(emp_shards[0]->inbox == 0 && emp_shards[1]->inbox == 0);
}

/* A slab that is quiet at the end, whether something was missed or not, is told of at once. */
static void next_release_tells(void)
{
    blocks_accounted();
    for (uint32_t i = 0; i < WORLD_SHARDS; i++) {
        emp_mutex_lock(&emp_shards[i]->lock);
        (void)emp_shard_drain_inbox(emp_shards[i]);
        emp_mutex_unlock(&emp_shards[i]->lock);
    }
    world_audit(slab);
    model_assert((slab->list == EMP_LIST_FULL) == (slab->inbox.told == 0));
    const uint32_t item = (uint32_t)emp_slab_number(slab) + 1;
    for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
        const bool is_quiet = slab->inbox.told == 0;
        if (slab->states[slot] == EMP_SLOT_USED) {
            free_block(slot);
            model_assert(!is_quiet || emp_shards[slab->owner]->inbox == item);
        }
    }
    count_finds_all();
}

/* Nothing was missed: what is free in a slab that is quiet was told of. */
static void nothing_missed(void)
{
    drain_0();
    model_assert(slab->inbox.told == 1 || world_free(slab) == 0);
    count_finds_all();
}

/* A poor shard looks for a slab: on offer in the ring, or of a sibling. */
static void adopt(void)
{
    (void)emp_central_adopt(WORLD_CLASS, 1);
}

static void adopt_for_0(void)
{
    (void)emp_central_adopt(WORLD_CLASS, 0);
}

static void adopt_and_refill(void)
{
    adopt();
    refill(1);
}

/* A slab of shard `owner` on the unit whose slab has just been retired. No lock. */
static void make_anew(uint8_t owner)
{
    emp_slab_destroy(slab);
    const bool made = emp_slab_create(0, WORLD_CLASS, owner, WORLD_SLOTS);
    model_assert(made);
    emp_mutex_lock(&emp_shards[owner]->lock);
    world_link(slab);
    emp_mutex_unlock(&emp_shards[owner]->lock);
}

/* Ends the slab when a count finds all of it free; what follows is a new slab of shard 1. */
static bool end_and_make_anew(void)
{
    bool is_ended = false;
    emp_mutex_lock(&emp_shards[0]->lock);
    (void)emp_shard_drain_inbox(emp_shards[0]);
    (void)emp_shard_recount_some(class_of(0), EMP_LIST_COUNT, ROUND + 1, 64);
    if (slab->list == EMP_LIST_EMPTY) {
        emp_shard_forget(class_of(0), slab);
        is_ended = true;
    }
    emp_mutex_unlock(&emp_shards[0]->lock);
    if (is_ended) {
        for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
            block[slot]++;
            frees[slot] = takes[slot] + 1;
        }
        make_anew(1);
    }
    return is_ended;
}

static void end_slab(void)
{
    (void)end_and_make_anew();
}

/* The new slab is used up: who looks late at the inbox link of the old one finds it quiet. */
static void end_slab_and_refill(void)
{
    if (end_and_make_anew()) {
        refill(1);
    }
}

/* The offered slab ends; the unit's next life belongs to a shard, its number is offered. */
static void end_offered_for(uint8_t owner)
{
    emp_mutex_lock(&emp_shards[0]->lock);
    const bool is_mine = emp_slab_owner(slab) == 0;
    if (is_mine) {
        emp_shard_forget(class_of(0), slab);
    }
    emp_mutex_unlock(&emp_shards[0]->lock);
    if (is_mine) {
        make_anew(owner);
    }
}

static void end_offered(void)
{
    end_offered_for(0);
}

static void end_offered_for_1(void)
{
    end_offered_for(1);
}

/* Maintenance: claims the free pages, purges them outside the lock, puts them back. */
static void purge(void)
{
    unsigned news = 0;
    emp_mutex_lock(&emp_shards[0]->lock);
    const uint64_t pages = emp_slab_free_pages(slab) & 3;
    const bool is_listed = slab->list < EMP_LIST_OPEN;
    if (pages == 0 || !is_listed) {
        emp_mutex_unlock(&emp_shards[0]->lock);
        return;
    }
    emp_shard_unlink(class_of(0), slab);
    class_of(0)->free_blocks -= emp_slab_claim_pages(slab, pages, &news);
    class_of(0)->free_blocks += news;
    emp_mutex_unlock(&emp_shards[0]->lock);
    for (unsigned slot = 0; slot < WORLD_SLOTS; slot++) {
        if ((pages >> slot & 1) != 0) {
            block[slot] = 0; /* what the system does to the page */
        }
    }
    emp_mutex_lock(&emp_shards[0]->lock);
    const unsigned before = slab->free_count;
    emp_slab_restore_pages(slab, pages);
    class_of(0)->free_blocks += slab->free_count - before;
    emp_shard_link(class_of(0), slab);
    emp_mutex_unlock(&emp_shards[0]->lock);
}

/* Takes block 0 if it is free, uses it, frees it. */
static void take_and_free(void)
{
    bool taken = false;
    emp_mutex_lock(&emp_shards[0]->lock);
    if ((emp_slab_word(slab, 0) & 1) != 0 && slab->list < EMP_LIST_OPEN) {
        emp_slab_take_bits(slab, 0, 1);
        slab->purged_pages = 0;
        slab->free_count--;
        class_of(0)->free_blocks--;
        takes[0]++;
        taken = true;
    }
    emp_mutex_unlock(&emp_shards[0]->lock);
    if (taken) {
        block[0] = 5;
        model_assert(block[0] == 5);
        free_block(0);
    }
}

const struct model_case protocol_slab[] = {
    {.name = "slab/free-refill",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a block freed while its slab is full comes to the holder once, with its content",
     .set_up = set_up_quiet,
     .thread = {free_block_0, free_block_1, refill_0},
     .finish = count_finds_all},
    {.name = "slab/quiet-release",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a slab that becomes quiet beside a free: the next release tells of it",
     .set_up = set_up_one,
     .thread = {free_block_0, refill_0_twice},
     .finish = next_release_tells},
    {.name = "slab/quiet-fenced",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "with a fence between a releaser's store and its look the second look misses none",
     .set_up = set_up_listed,
     .thread = {free_block_0_fenced, refill_0},
     .finish = nothing_missed},
    {.name = "slab/quiet-two",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same with two frees: a count finds both blocks",
     .set_up = set_up_listed,
     .thread = {free_block_0, free_block_1, refill_0},
     .finish = count_finds_all},
    {.name = "slab/count-release",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a round that counts a full slab and a free that tells of it list it once",
     .set_up = set_up_quiet,
     .thread = {free_block_0, count_0, drain_0},
     .finish = next_release_tells},
    {.name = "slab/count-refill",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same beside a refill",
     .set_up = set_up_quiet,
     .thread = {free_block_0, count_0, refill_0},
     .finish = next_release_tells},
    {.name = "slab/count-two",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same with two frees",
     .set_up = set_up_quiet,
     .thread = {free_block_0, free_block_1, count_0, refill_0},
     .finish = count_finds_all,
     .is_long = true},
    {.name = "slab/owner-change",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "who frees a block while its slab changes its owner tells the new one or nobody",
     .set_up = set_up_one,
     .thread = {free_block_0, adopt_and_refill},
     .finish = count_finds_all},
    {.name = "slab/owner-change-holder",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same beside a holder of the old shard",
     .set_up = set_up_one,
     .thread = {free_block_0, adopt_and_refill, refill_0},
     .finish = count_finds_all,
     .is_long = true},
    {.name = "slab/adopt-told",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a full slab changes its owner only after its link has arrived",
     .set_up = set_up_quiet,
     .thread = {free_block_0, adopt_and_refill},
     .finish = count_finds_all},
    {.name = "slab/adopt-told-two",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same with two frees",
     .set_up = set_up_quiet,
     .thread = {free_block_0, free_block_1, adopt_and_refill},
     .finish = count_finds_all,
     .is_long = true},
    {.name = "slab/full-offer",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a full slab is not adopted by an old offer: its link may be on its way",
     .set_up = set_up_quiet_offered,
     .thread = {free_block_0, adopt_and_refill},
     .finish = count_finds_all},
    {.name = "slab/two-holders",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "after a change of owner the old holder keeps off, the new one sees everything",
     .set_up = set_up_offered,
     .thread = {adopt, refill_0, refill_1},
     .finish = count_finds_all},
    {.name = "slab/end-and-reuse",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a slab ends only when every block is back, and its unit's next life is its own",
     .set_up = set_up_listed,
     .thread = {free_block_0, free_block_1, end_slab},
     .finish = count_finds_all},
    {.name = "slab/late-look",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "who looks at told after its slab has ended tells of the next one at most",
     .set_up = set_up_one,
     .thread = {free_block_0, end_slab_and_refill},
     .finish = count_finds_all},
    {.name = "slab/late-push",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a slab whose link is on its way neither ends nor changes its owner",
     .set_up = set_up_quiet,
     .thread = {free_block_0, free_block_1, end_slab},
     .finish = count_finds_all},
    {.name = "slab/stale-offer",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "who adopts a slab by an old offer takes it whole or not at all",
     .set_up = set_up_offered,
     .thread = {end_offered, adopt},
     .finish = count_finds_all},
    {.name = "slab/stale-offer-other",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same when the unit's next life belongs to another shard",
     .set_up = set_up_offered,
     .thread = {end_offered_for_1, adopt_for_0},
     .finish = count_finds_all},
    {.name = "slab/two-adopters",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "of two that adopt one slab, by an offer and by a look, each finds it whole",
     .set_up = set_up_offered,
     .thread = {adopt, adopt_for_0},
     .finish = count_finds_all},
    {.name = "slab/purge-reuse",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a page that is given back has no user meanwhile",
     .set_up = set_up_free,
     .thread = {purge, take_and_free},
     .finish = count_finds_all},
    {.name = "slab/purge-free",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a block that is freed while pages of its slab are claimed is counted once",
     .set_up = set_up_one,
     .thread = {purge, free_block_0},
     .finish = count_finds_all},
    {.name = "slab/purge-double-free",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "a second free of a block whose page is claimed is seen and changes nothing",
     .set_up = set_up_free,
     .thread = {purge, free_block_0_again},
     .finish = count_finds_all},
    {.name = "slab/purge-reuse-refill",
     .is_protocol = true,
     .rereads = REREADS,
     .property = "the same with a holder that refills between",
     .set_up = set_up_free,
     .thread = {purge, take_and_free, refill_0},
     .finish = count_finds_all,
     .is_long = true},
    {.name = NULL},
};
