/*
 * What: harnesses of sync/slot_state.h and sync/inbox.h, alone and together, without a shard.
 * How:  releasers write plain memory before they release a slot; the taker writes it after it has
 *       taken the slot, so that a missing order, or a block with two holders, is a race. The taker
 *       does what emp_shard_drain_inbox and emp_shard_quiet do; slab.c runs those themselves.
 * Design: [sync.proto.slot-state] [sync.proto.inbox]
 */
#include "cases.h"
#include "model.h"
#include "slab/slab.h"
#include "sync/inbox.h"
#include "sync/slot_state.h"

#include <string.h>

#define SLOTS 10u /* that a case uses; a line of states has room for 64 */
#define ITEMS 2u
#define KEPT  3u /* slot that stays with the program until the end */

/* The states are one place in the source, looked at again and again. */
#define REREADS 8u

/* A slab as the releasers and its taker see it. */
struct item {
    uint8_t states[EMP_WORD_BITS] __attribute__((aligned(64)));
    struct emp_inbox_link link;
    bool is_listed;          /* the taker's */
    uint32_t content[SLOTS]; /* plain: belongs to who holds the block */
    uint32_t frees[SLOTS];   /* plain: as content */
    uint32_t takes[SLOTS];   /* the taker's */
};

static struct item items[ITEMS + 1];
static uint32_t head;   /* atomic: inbox-head */
static uint32_t handed; /* atomic: hand-over of a block to another thread, by the program */
static uint32_t passed; /* atomic: releases that found the slot in use */

/* Every slot is with the program; both items are listed. */
static void set_up(void)
{
    memset(items, 0, sizeof items);
    head = 0;
    handed = 0;
    passed = 0;
    for (unsigned i = 1; i <= ITEMS; i++) {
        memset(items[i].states + SLOTS, EMP_SLOT_NONE, EMP_WORD_BITS - SLOTS);
        emp_inbox_start(&items[i].link);
        items[i].is_listed = true;
    }
}

/* Both items are full and quiet. */
static void set_up_quiet(void)
{
    set_up();
    for (unsigned i = 1; i <= ITEMS; i++) {
        emp_inbox_quiet(&items[i].link);
        items[i].is_listed = false;
    }
}

/* Item 1 is listed, item 2 full and quiet. */
static void set_up_one_quiet(void)
{
    set_up();
    emp_inbox_quiet(&items[2].link);
    items[2].is_listed = false;
}

/* What the user of a block does with it at last. */
static void use_and_release(unsigned number, unsigned slot)
{
    struct item *const item = &items[number];
    item->content[slot] = slot + 1;
    item->frees[slot]++;
    model_assert(emp_slot_release(&item->states[slot]));
}

static void announce(unsigned number)
{
    struct item *const item = &items[number];
    if (emp_inbox_is_quiet(&item->link) && emp_inbox_mark(&item->link)) {
        emp_inbox_push(&head, &item->link, number);
    }
}

static void free_block(unsigned number, unsigned slot)
{
    use_and_release(number, slot);
    announce(number);
}

/* Takes the slots of a word through the product's function; the blocks are the taker's then. */
static void take_bits(struct item *item, uint64_t bits)
{
    struct emp_slab slab;
    slab.states = item->states;
    emp_slab_take_bits(&slab, 0, bits);
    for (unsigned i = 0; i < SLOTS; i++) {
        if ((bits >> i & 1) != 0) {
            model_assert(item->content[i] == i + 1);
            item->content[i] = 0;
            item->takes[i]++;
        }
    }
}

static uint64_t look(const struct item *item, unsigned slots)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < slots; i++) {
        bits |= (uint64_t)emp_slot_is_free(&item->states[i]) << i;
    }
    return bits;
}

/* What was released was taken or is free, each block once. */
static void all_accounted(void)
{
    for (unsigned n = 1; n <= ITEMS; n++) {
        for (unsigned i = 0; i < SLOTS; i++) {
            model_assert(items[n].frees[i] ==
                         items[n].takes[i] + (items[n].states[i] == EMP_SLOT_FREE));
            model_assert(items[n].states[i] <= EMP_SLOT_FREE);
        }
    }
}

static void release_0(void)
{
    use_and_release(1, 0);
}

static void release_1_and_2(void)
{
    use_and_release(1, 1);
    use_and_release(1, 2);
}

static void look_and_take_twice(void)
{
    for (unsigned i = 0; i < 2; i++) {
        take_bits(&items[1], look(&items[1], 3));
    }
}

/* Takes block 0 and gives it to the other thread. */
static void take_and_hand_over(void)
{
    const uint64_t bits = look(&items[1], 1);
    take_bits(&items[1], bits);
    if (bits != 0) {
        emp_store_release(&handed, 1);
    }
    take_bits(&items[1], look(&items[1], 1));
}

static void release_handed(void)
{
    if (emp_load_acquire(&handed) != 0) {
        use_and_release(1, 0);
    }
}

/* The eight of a word are free, and their neighbours are with the program. */
static void set_up_eight(void)
{
    set_up();
    for (unsigned i = 0; i < 8; i++) {
        use_and_release(1, i);
    }
}

/* Seven of eight are free. */
static void set_up_seven(void)
{
    set_up();
    for (unsigned i = 1; i < 8; i++) {
        use_and_release(1, i);
    }
}

static void release_8(void)
{
    use_and_release(1, 8);
}

static void release_9(void)
{
    use_and_release(1, 9);
}

static void take_what_is_seen(void)
{
    take_bits(&items[1], look(&items[1], SLOTS));
}

/* The word as the product gathers it under the thread sanitizer, all of its 64 states. */
static void gather_and_take(void)
{
    take_bits(&items[1], emp_bitmap_gather_c(items[1].states));
}

static void release_0_and_hand_over(void)
{
    use_and_release(1, 0);
    emp_store_release(&handed, 1);
}

/* A second free of a block that is free: seen, and nothing changes. */
static void release_again(void)
{
    if (emp_load_acquire(&handed) != 0) {
        model_assert(!emp_slot_release(&items[1].states[0]));
    }
}

static void set_up_free_0(void)
{
    set_up();
    use_and_release(1, 0);
}

static void release_free_0(void)
{
    model_assert(!emp_slot_release(&items[1].states[0]));
}

/* The holder keeps block 0 back while its page is given to the system. */
static void hold_0(void)
{
    uint8_t *const state = &items[1].states[0];
    model_assert(emp_slot_is_free(state));
    emp_slot_set(state, EMP_SLOT_HELD);
    items[1].content[0] = 1; /* what the system does to the page */
    emp_slot_set(state, EMP_SLOT_FREE);
    take_bits(&items[1], look(&items[1], 2) & 2);
}

static void release_1(void)
{
    use_and_release(1, 1);
}

/* Two threads free one block: each may pass the look, the byte is FREE once all the same. */
static void release_same(void)
{
    if (emp_slot_release(&items[1].states[0])) {
        emp_fetch_add_relaxed(&passed, 1);
    }
}

static void freed_once(void)
{
    model_assert(items[1].states[0] == EMP_SLOT_FREE && passed >= 1);
    model_outcome("%s", passed == 1 ? "seen" : "both");
}

static void free_1_0(void)
{
    free_block(1, 0);
}

static void free_1_1(void)
{
    free_block(1, 1);
}

static void free_2_2(void)
{
    free_block(2, 2);
}

static void free_1_1_and_2_2(void)
{
    free_block(1, 1);
    free_block(2, 2);
}

/* The same with the fence that the product's releasers do not pay for. */
static void free_1_0_fenced(void)
{
    use_and_release(1, 0);
    emp_fence_seq_cst();
    announce(1);
}

/* The inbox comes: what is in it was told of, and is not listed while it is on its way. */
static void drain(void)
{
    uint32_t number = emp_inbox_take(&head);
    for (unsigned steps = 0; number != 0; steps++) {
        struct item *const item = &items[number];
        model_assert(steps < ITEMS && number <= ITEMS);
        number = emp_inbox_next(&item->link);
        model_assert(!item->is_listed && !emp_inbox_is_quiet(&item->link));
        item->is_listed = true;
    }
}

/* One refill: takes what is listed; what is used up becomes quiet, with a second look. */
static void take(void)
{
    drain();
    for (unsigned i = 1; i <= ITEMS; i++) {
        struct item *const item = &items[i];
        if (item->is_listed) {
            take_bits(item, look(item, KEPT));
            item->is_listed = false;
            emp_inbox_quiet(&item->link);
            item->is_listed = look(item, KEPT) != 0 && emp_inbox_mark(&item->link);
        }
    }
}

/* A refill of a shard that has item 1 only. */
static void take_1(void)
{
    drain();
    struct item *const item = &items[1];
    if (item->is_listed) {
        take_bits(item, look(item, 2));
        item->is_listed = false;
        emp_inbox_quiet(&item->link);
        item->is_listed = look(item, 2) != 0 && emp_inbox_mark(&item->link);
    }
}

static void take_1_twice(void)
{
    take_1();
    take_1();
}

static void take_twice(void)
{
    take();
    take();
}

/* True when a slot is free that nobody was told of. */
static bool is_missed(const struct item *item)
{
    return item->link.told == 0 && look(item, KEPT) != 0;
}

/*
 * A count finds all; whoever is told of is listed when the inbox is empty; and who is not, whether
 * something was missed or not, is announced by the next release.
 */
static void nothing_lost(void)
{
    drain();
    all_accounted();
    for (unsigned i = 1; i <= ITEMS; i++) {
        struct item *const item = &items[i];
        model_assert(item->is_listed == (item->link.told == 1));
        const bool is_quiet = item->link.told == 0;
        free_block(i, KEPT);
        model_assert(head == (is_quiet ? i : 0));
        drain();
        model_assert(item->is_listed);
    }
    all_accounted();
}

static void told_or_missed(void)
{
    drain();
    const char *const outcome = is_missed(&items[1])      ? "missed"
                                : items[1].link.told == 1 ? "told"
                                                          : "taken";
    nothing_lost();
    model_outcome("%s", outcome);
}

static void never_missed(void)
{
    drain();
    model_assert(!is_missed(&items[1]));
    told_or_missed();
}

const struct model_case protocol_words[] = {
    {.name = "slot-state/release-take",
     .is_protocol = true,
     .property = "every block released is taken once or stays free, and its content is seen",
     .set_up = set_up,
     .thread = {release_0, release_1_and_2, look_and_take_twice},
     .finish = all_accounted},
    {.name = "slot-state/hand-over",
     .is_protocol = true,
     .property = "a block has one owner at a time: user, taker, next user, taker",
     .set_up = set_up,
     .thread = {release_0, release_handed, take_and_hand_over},
     .finish = all_accounted},
    {.name = "slot-state/eight-and-neighbours",
     .is_protocol = true,
     .property = "to take eight at once undoes no release beside them",
     .set_up = set_up_eight,
     .thread = {release_8, release_9, take_what_is_seen},
     .finish = all_accounted},
    {.name = "slot-state/seven-of-eight",
     .is_protocol = true,
     .property = "where seven of eight are free the eighth is not written",
     .set_up = set_up_seven,
     .thread = {release_0, take_what_is_seen},
     .finish = all_accounted},
    {.name = "slot-state/gather",
     .is_protocol = true,
     .property = "the word that gather returns brings the content of each of its blocks",
     .set_up = set_up,
     .thread = {release_0, release_1_and_2, gather_and_take},
     .finish = all_accounted},
    {.name = "slot-state/double-free",
     .is_protocol = true,
     .property = "a second free of a block that is free is seen, and changes nothing",
     .set_up = set_up,
     .thread = {release_0_and_hand_over, release_again, release_1_and_2},
     .finish = all_accounted},
    {.name = "slot-state/held",
     .is_protocol = true,
     .property = "a second free of a block that is kept back is seen, and changes nothing",
     .set_up = set_up_free_0,
     .thread = {hold_0, release_free_0, release_1},
     .finish = all_accounted},
    {.name = "slot-state/same-instant",
     .property = "two that free one block at once may both pass the look; it is free once",
     .set_up = set_up,
     .thread = {release_same, release_same},
     .finish = freed_once,
     .outcomes = "both|seen"},
    {.name = "inbox/missed",
     .rereads = REREADS,
     .property = "an announcement may be missed: told is 0 and a slot is free; the next release "
                 "tells, a count finds it",
     .set_up = set_up,
     .thread = {free_1_0, take_1},
     .finish = told_or_missed,
     .outcomes = "missed|taken|told"},
    {.name = "inbox/missed-not-with-a-fence",
     .rereads = REREADS,
     .is_protocol = true,
     .property = "with a fence between a releaser's store and its look none is missed",
     .set_up = set_up,
     .thread = {free_1_0_fenced, take_1},
     .finish = never_missed,
     .outcomes = "taken|told"},
    {.name = "inbox/two-releasers",
     .rereads = REREADS,
     .is_protocol = true,
     .property = "two releasers of a listed item and a taker: a count finds every slot, and the "
                 "next release tells",
     .set_up = set_up,
     .thread = {free_1_0, free_1_1, take_1_twice},
     .finish = nothing_lost},
    {.name = "inbox/quiet",
     .rereads = REREADS,
     .is_protocol = true,
     .property = "the same when the item is full and quiet: it is in one stack at most",
     .set_up = set_up_quiet,
     .thread = {free_1_0, free_1_1, take_1_twice},
     .finish = nothing_lost},
    {.name = "inbox/two-items",
     .rereads = REREADS,
     .is_protocol = true,
     .property = "the links of all items taken are seen; no item is listed while it is on its way",
     .set_up = set_up_quiet,
     .thread = {free_1_0, free_1_1_and_2_2, take_twice},
     .finish = nothing_lost},
    {.name = "inbox/three-releasers",
     .rereads = REREADS,
     .is_protocol = true,
     .property = "the same with three releasers, one item listed, the other quiet",
     .set_up = set_up_one_quiet,
     .thread = {free_1_0, free_1_1, free_2_2, take},
     .finish = nothing_lost},
    {.name = "inbox/three-releasers-quiet",
     .rereads = REREADS,
     .is_protocol = true,
     .property = "the same with both quiet and a taker that comes twice",
     .set_up = set_up_quiet,
     .thread = {free_1_0, free_1_1, free_2_2, take_twice},
     .finish = nothing_lost,
     .is_long = true},
    {.name = NULL},
};
