/*
 * Purpose: see run_slots.h.
 * Owner:   async. Threads: any.
 * Design:  [async.proto.run-slots] [async.inv.run-slot-home]
 * Cost:    without a conflict a compare-and-swap; with one another, two copies of the live parts,
 *          and a block when they differ much in size.
 */
#include "async/run_slots.h"

#include <string.h>

#include "async/coroutine_core.h"
#include "async/object.h"
#include "async/task.h"
#include "base/align.h"
#include "base/check.h"
#include "sync/atomic.h"
#include "sync/claim.h"
#include "sync/run_slot.h"
#include "thread/lifecycle.h"

#define SWAP_BYTES   512u /* between two copies */
#define SPARE_PART   4u   /* a block is used again when less than this part of it stays empty */
#define WALK_LOOK_NS 50000u

static uint64_t owner_word(const struct emp_coroutine *coroutine)
{
    return (uint64_t)(uintptr_t)coroutine;
}

static struct emp_coroutine *owner_of(uint64_t word)
{
    return (struct emp_coroutine *)(uintptr_t)(word & EMP_RUN_SLOT_OWNER);
}

static size_t live_bytes(const struct emp_coroutine *coroutine)
{
    return (size_t)(emp_coroutine_live_top(coroutine) - emp_coroutine_live_low(coroutine));
}

static struct emp_run_slots *slots_of(struct emp_stack_manager *stacks)
{
    /* order(run-slots): acquire; what lies in the table */
    return emp_load_acquire(&stacks->run_slots);
}

/* Gives the stacks of the first count slots back, and the table. */
static void slots_drop(struct emp_stack_manager *stacks, struct emp_run_slots *slots,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        emp_stack_give(stacks, EMP_RUN_SLOT_SIZE, slots->slots[i].slot);
    }
    emp_object_hooks.memory_give(slots);
}

static EMP_COLD struct emp_run_slots *slots_make(struct emp_stack_manager *stacks)
{
    const uint32_t count = stacks->policy.run_slots;
    const size_t bytes = sizeof(struct emp_run_slots) + count * sizeof(struct emp_run_slot);
    struct emp_run_slots *const slots = emp_object_hooks.memory_take(bytes);

    if (slots == NULL) {
        return NULL;
    }
    memset(slots, 0, bytes);
    slots->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct emp_run_slot *const slot = &slots->slots[i];

        if (!emp_stack_take(stacks, EMP_RUN_SLOT_SIZE, &slot->slot)) {
            slots_drop(stacks, slots, i);
            return NULL;
        }
        slot->index = (uint16_t)i;
        emp_stack_word_share(emp_stack_word(stacks, EMP_RUN_SLOT_SIZE, slot->slot),
                             (uint64_t)(uintptr_t)slot);
    }
    return slots;
}

struct emp_run_slots *emp_run_slots_open(struct emp_stack_manager *stacks)
{
    struct emp_run_slots *slots = slots_of(stacks);
    struct emp_run_slots *found = NULL;

    if (emp_likely(slots != NULL)) {
        return slots;
    }
    slots = slots_make(stacks);
    if (slots == NULL) {
        return slots_of(stacks);
    }
    /* order(run-slots): release; what lies in the table, for who finds it */
    if (emp_cas_release(&stacks->run_slots, &found, slots)) {
        return slots;
    }
    slots_drop(stacks, slots, slots->count);
    return slots_of(stacks);
}

void emp_run_slots_end(struct emp_run_slots *slots)
{
    for (uint32_t i = 0; slots != NULL && i < slots->count; i++) {
        for (struct emp_coroutine *at = slots->slots[i].saved; at != NULL; at = at->next_saved) {
            emp_object_hooks.memory_give(at->saved);
        }
    }
    if (slots != NULL) {
        emp_object_hooks.memory_give(slots);
    }
}

struct emp_run_slot *emp_run_slots_home(const struct emp_coroutine *coroutine)
{
    /* order(run-slots): relaxed; its spawn has seen the table */
    return &emp_load_relaxed(&coroutine->stacks->run_slots)->slots[coroutine->home];
}

/* Counts the list, which the caller has claimed. */
static void list_count(struct emp_run_slot *slot, uint32_t change)
{
    /* order(stack-count): relaxed; the claim's holder alone writes it */
    emp_store_relaxed(&slot->saved_count, emp_load_relaxed(&slot->saved_count) + change);
}

static void list_insert(struct emp_run_slot *slot, struct emp_coroutine *coroutine)
{
    coroutine->next_saved = slot->saved;
    coroutine->prev_saved = NULL;
    if (slot->saved != NULL) {
        slot->saved->prev_saved = coroutine;
    }
    slot->saved = coroutine;
    list_count(slot, 1);
}

static void list_remove(struct emp_run_slot *slot, struct emp_coroutine *coroutine)
{
    if (coroutine->prev_saved != NULL) {
        coroutine->prev_saved->next_saved = coroutine->next_saved;
    } else {
        slot->saved = coroutine->next_saved;
    }
    if (coroutine->next_saved != NULL) {
        coroutine->next_saved->prev_saved = coroutine->prev_saved;
    }
    list_count(slot, UINT32_MAX);
}

/* A live part lies at the end of its block, as on the stack: two of them swap from the top down. */
static char *block_top(const struct emp_coroutine *coroutine)
{
    return (char *)coroutine->saved + coroutine->saved_bytes;
}

/* Swaps what lies below two addresses: so many bytes of the one against so many of the other. */
static void swap_below(char *stack, size_t stack_bytes, char *block, size_t block_bytes)
{
    const size_t common = stack_bytes < block_bytes ? stack_bytes : block_bytes;
    char between[SWAP_BYTES];

    for (size_t done = 0; done < common;) {
        const size_t part = common - done < SWAP_BYTES ? common - done : SWAP_BYTES;

        done += part;
        memcpy(between, stack - done, part);
        memcpy(stack - done, block - done, part);
        memcpy(block - done, between, part);
    }
    if (stack_bytes > common) {
        memcpy(block - stack_bytes, stack - stack_bytes, stack_bytes - common);
    } else if (block_bytes > common) {
        memcpy(stack - block_bytes, block - block_bytes, block_bytes - common);
    }
}

/* Sends kept away in the block of the newcomer, and brings that one in. */
static void slot_swap(struct emp_coroutine *kept, struct emp_coroutine *newcomer)
{
    swap_below(emp_coroutine_live_top(kept), live_bytes(kept), block_top(newcomer),
               live_bytes(newcomer));
    kept->saved = newcomer->saved;
    kept->saved_bytes = newcomer->saved_bytes;
}

/* Sends kept away in a new block. False: no memory. */
static bool slot_save(struct emp_coroutine *kept)
{
    const size_t bytes = live_bytes(kept);
    void *const block = emp_object_hooks.memory_take(emp_align_up(bytes, 16));

    if (block == NULL) {
        return false;
    }
    kept->saved = block;
    kept->saved_bytes = (uint32_t)emp_align_up(bytes, 16);
    memcpy(block_top(kept) - bytes, emp_coroutine_live_low(kept), bytes);
    return true;
}

/* Brings one back from its block. */
static void slot_restore(struct emp_coroutine *newcomer)
{
    const size_t bytes = live_bytes(newcomer);

    memcpy(emp_coroutine_live_low(newcomer), block_top(newcomer) - bytes, bytes);
    emp_object_hooks.memory_give(newcomer->saved);
}

/*
 * Sends kept away, and brings back; either may be NULL. Without memory a block that is large enough
 * will do, however much of it stays empty. False: no memory, nothing changed.
 */
static bool slot_exchange(struct emp_coroutine *kept, struct emp_coroutine *back)
{
    const size_t bytes = kept == NULL ? 0 : live_bytes(kept);
    const size_t room = back == NULL ? 0 : back->saved_bytes;

    if (kept != NULL && back != NULL && bytes <= room && room - bytes <= room / SPARE_PART) {
        slot_swap(kept, back);
        return true;
    }
    if (kept != NULL && !slot_save(kept)) {
        if (back == NULL || bytes > room) {
            return false;
        }
        slot_swap(kept, back);
        return true;
    }
    if (back != NULL) {
        slot_restore(back);
    }
    return true;
}

/* The slot is the caller's: makes its stack free for the newcomer, which sleeps or is NULL. */
static EMP_NOINLINE bool slot_clear(struct emp_run_slots *slots, struct emp_run_slot *slot,
                                    struct emp_coroutine *kept, struct emp_coroutine *back)
{
    if (kept == NULL && back == NULL) {
        return true;
    }
    if (!emp_claim_take(&slot->listed)) {
        return false; /* a collector walks over the copies */
    }
    const bool is_done = slot_exchange(kept, back);

    if (is_done && back != NULL) {
        list_remove(slot, back);
        back->saved = NULL;
    }
    if (is_done && kept != NULL) {
        list_insert(slot, kept);
        /* order(stack-count): relaxed; the claim's holder alone writes it */
        emp_store_relaxed(&slot->saves, emp_load_relaxed(&slot->saves) + 1);
    }
    emp_claim_give_back(&slot->listed);
    if (!is_done) {
        /* order(stack-count): relaxed; a statistic */
        emp_fetch_add_relaxed(&slots->refusals, (uint64_t)1);
    }
    return is_done;
}

/* Takes one slot and makes its stack free. back: the taker, if its live part is elsewhere. */
static bool slot_take(struct emp_run_slots *slots, struct emp_run_slot *slot,
                      struct emp_coroutine *taker, struct emp_coroutine *back)
{
    uint64_t kept = 0;

    if (!emp_run_slot_take(&slot->word, owner_word(taker), &kept)) {
        return false;
    }
    if (kept == owner_word(taker) || slot_clear(slots, slot, owner_of(kept), back)) {
        return true;
    }
    emp_run_slot_put(&slot->word, kept);
    return false;
}

static EMP_COLD void count_wait(struct emp_run_slots *slots)
{
    /* order(stack-count): relaxed; a statistic */
    emp_fetch_add_relaxed(&slots->waits, (uint64_t)1);
}

struct emp_run_slot *emp_run_slots_take(struct emp_coroutine *coroutine)
{
    struct emp_run_slots *const slots = slots_of(coroutine->stacks);
    /* order(run-slots): relaxed; a number that spreads the homes */
    const uint32_t first = emp_fetch_add_relaxed(&slots->next, 1u);

    for (uint32_t i = 0; i < slots->count; i++) {
        struct emp_run_slot *const slot = &slots->slots[(first + i) % slots->count];

        if (slot_take(slots, slot, coroutine, NULL)) {
            return slot;
        }
    }
    count_wait(slots);
    return NULL;
}

bool emp_run_slots_enter(struct emp_coroutine *coroutine)
{
    struct emp_run_slots *const slots = slots_of(coroutine->stacks);

    if (emp_likely(slot_take(slots, &slots->slots[coroutine->home], coroutine, coroutine))) {
        return true;
    }
    count_wait(slots);
    return false;
}

void emp_run_slots_stats(struct emp_stack_manager *stacks, struct emp_coroutine_stats *out)
{
    struct emp_run_slots *const slots = slots_of(stacks);

    if (slots == NULL) {
        return;
    }
    out->run_slots = slots->count;
    for (uint32_t i = 0; i < slots->count; i++) {
        /* order(stack-count): relaxed; a count and a statistic */
        out->shared_saved += emp_load_relaxed(&slots->slots[i].saved_count);
        out->shared_saves += emp_load_relaxed(&slots->slots[i].saves);
    }
    /* order(stack-count): relaxed; statistics, both */
    out->shared_waits = emp_load_relaxed(&slots->waits);
    out->shared_refusals = emp_load_relaxed(&slots->refusals);
}

/* What lies on the stack: the live part of who sleeps there, all of it when somebody runs there. */
static void each_on_stack(const struct emp_stack_manager *stacks, struct emp_run_slot *slot,
                          void (*visit)(const struct emp_stack_range *range, void *arg), void *arg)
{
    const struct emp_stack_map *const map = &stacks->sizes[EMP_RUN_SLOT_SIZE].map;
    const uint64_t seen = emp_run_slot_look(&slot->word);
    uint64_t kept = 0;

    if (emp_run_slot_take(&slot->word, seen & EMP_RUN_SLOT_OWNER, &kept)) {
        const struct emp_coroutine *const owner = owner_of(kept);

        if (owner != NULL) {
            visit(&(struct emp_stack_range){.low = emp_coroutine_live_low(owner),
                                            .limit = emp_coroutine_live_top(owner),
                                            .home = emp_coroutine_live_low(owner)},
                  arg);
        }
        emp_run_slot_put(&slot->word, kept);
        return;
    }
    visit(&(struct emp_stack_range){.low = emp_stack_map_low(map, slot->slot),
                                    .limit = emp_stack_map_top(map, slot->slot),
                                    .home = emp_stack_map_low(map, slot->slot),
                                    .is_running = true},
          arg);
}

/* One slot; nothing goes in or out meanwhile. */
static void each_of_slot(const struct emp_stack_manager *stacks, struct emp_run_slot *slot,
                         void (*visit)(const struct emp_stack_range *range, void *arg), void *arg)
{
    while (!emp_claim_take(&slot->listed)) {
        emp_lifecycle_sleep(&slot->listed, 1, WALK_LOOK_NS); /* an exchange is some copies */
    }
    for (const struct emp_coroutine *at = slot->saved; at != NULL; at = at->next_saved) {
        const char *const limit = block_top(at);

        visit(&(struct emp_stack_range){.low = limit - live_bytes(at),
                                        .limit = limit,
                                        .home = emp_coroutine_live_low(at)},
              arg);
    }
    each_on_stack(stacks, slot, visit, arg);
    emp_claim_give_back(&slot->listed);
}

void emp_run_slots_each(struct emp_stack_manager *stacks,
                        void (*visit)(const struct emp_stack_range *range, void *arg), void *arg)
{
    struct emp_run_slots *const slots = slots_of(stacks);

    for (uint32_t i = 0; slots != NULL && i < slots->count; i++) {
        each_of_slot(stacks, &slots->slots[i], visit, arg);
    }
}

void emp_run_slots_reset_in_child(struct emp_run_slots *slots)
{
    const struct emp_task *const task = emp_task_current();
    const void *const body = task == NULL ? NULL : task->body;

    for (uint32_t i = 0; slots != NULL && i < slots->count; i++) {
        struct emp_run_slot *const slot = &slots->slots[i];
        const uint64_t seen = emp_run_slot_look(&slot->word);

        if ((seen & EMP_RUN_SLOT_TAKEN) != 0 && owner_of(seen) != body) {
            emp_run_slot_reset_in_child(&slot->word);
        }
        if (!emp_claim_take(&slot->listed)) {
            slot->saved = NULL; /* half changed; the coroutines do not go on here */
        }
        emp_claim_reset_in_child(&slot->listed);
    }
}
