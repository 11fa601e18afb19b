/*
 * Purpose: parking: the live part of stacks that sleep long is copied away and their pages are
 *          given back; the resume copies it to the same address. And the walk over all of them.
 *
 *   a group is what shares a page of page tables: 2 MiB, 32 stacks of 64 KiB
 *   some of it parked: the pages of neighbours go in one call; guards and page tables stay
 *   all of it parked:  guards, pages and page table go in two calls; a wake makes its guard anew
 *
 * Owner:   async. Threads: one sweep at a time (a claim); wakes may come at any moment.
 * Design:  [async.proto.park] [async.inv.park-same-address]
 * Cost:    per stack a copy, a block and a share of the system calls; measured in stack.md.
 */
#include <string.h>

#include "async/coroutine_core.h"
#include "async/object.h"
#include "base/check.h"
#include "base/config.h"
#include "monitor/report.h"
#include "sync/atomic.h"
#include "sync/claim.h"

#define GROUP_MAX      128u
#define AGE_LIMIT      EMP_STACK_AGE_MAX
#define PRESS_AGE      1u
#define PRESS_PARKS    64u
#define CHECKSUM_BYTES (EMP_DEBUG ? sizeof(uint64_t) : 0) /* behind what is saved */
#define CHECKSUM_SEED  0x9e3779b97f4a7c15ull

/* One group while it is looked at. */
struct group {
    struct emp_stack_manager *stacks;
    struct emp_stack_size *size;
    uint32_t first;
    uint32_t count;
    uint64_t kept[GROUP_MAX]; /* word of each stack that is claimed now; 0: not claimed */
    bool is_new[GROUP_MAX];   /* claimed now because it slept */
    uint32_t news;
    uint32_t held; /* claimed, in all */
};

static uint64_t checksum_of(const void *bytes, size_t count)
{
    const unsigned char *const at = bytes;
    uint64_t sum = CHECKSUM_SEED;

    for (size_t i = 0; i < count; i++) {
        sum = (sum ^ at[i]) * 0x100000001b3ull;
    }
    return sum;
}

/* Copies the live part away. False: pinned, too large, no memory; nothing changed. */
static bool coroutine_save(struct emp_coroutine *coroutine)
{
    char *const low = emp_coroutine_live_low(coroutine);
    const size_t bytes = (size_t)(emp_coroutine_live_top(coroutine) - low);
    struct emp_stack_manager *const stacks = coroutine->stacks;

    if (coroutine->pins != 0 || bytes > stacks->policy.park_bytes_max) {
        return false;
    }
    void *const block = emp_object_hooks.memory_take(bytes + CHECKSUM_BYTES);

    if (block == NULL) {
        /* order(stack-count): relaxed; a statistic */
        emp_fetch_add_relaxed(&stacks->refusals, (uint64_t)1);
        return false;
    }
    memcpy(block, low, bytes);
    coroutine->saved_bytes = (uint32_t)bytes;
    coroutine->flags &= (uint8_t)~EMP_COROUTINE_PURGED;
    if (EMP_DEBUG) {
        const uint64_t sum = checksum_of(block, bytes);

        memcpy((char *)block + bytes, &sum, sizeof(sum));
    }
    /* A fork may find this half done: who sees it saved in the child finds all of the above. */
    __asm__ __volatile__("" ::: "memory");
    coroutine->saved = block;
    return true;
}

/* Debug builds: whether somebody wrote to the parked stack, or to what was saved of it. */
static bool park_is_damaged(const struct emp_coroutine *coroutine)
{
    const char *const low = emp_coroutine_live_low(coroutine);
    const bool is_zero = (coroutine->flags & EMP_COROUTINE_PURGED) != 0;
    uint64_t sum = 0;

    memcpy(&sum, (const char *)coroutine->saved + coroutine->saved_bytes, sizeof(sum));
    bool damaged = checksum_of(coroutine->saved, coroutine->saved_bytes) != sum;

    for (uint32_t i = 0; is_zero && i < coroutine->saved_bytes; i++) {
        damaged = damaged || low[i] != 0;
    }
    return damaged;
}

void emp_coroutine_restore(struct emp_coroutine *coroutine)
{
    struct emp_stack_manager *const stacks = coroutine->stacks;

    if (EMP_DEBUG && park_is_damaged(coroutine)) {
        const struct emp_report report = {
            .code = EMP_REPORT_STACK_WRITTEN,
            .pointer = coroutine->sp,
            .block = emp_coroutine_live_low(coroutine),
            .block_bytes = coroutine->saved_bytes,
            .call = "resume",
        };

        emp_report_misuse(&report);
    }
    memcpy(coroutine->sp, coroutine->saved, coroutine->saved_bytes);
    emp_object_hooks.memory_give(coroutine->saved);
    coroutine->saved = NULL;
    /* order(stack-count): relaxed; a count */
    emp_fetch_sub_relaxed(&stacks->sizes[coroutine->size].parked, 1u);
    /* order(stack-count): relaxed; a statistic */
    emp_fetch_add_relaxed(&stacks->unparks, (uint64_t)1);
}

static struct emp_coroutine *owner_of(uint64_t seen)
{
    return (struct emp_coroutine *)(uintptr_t)(seen & EMP_STACK_OWNER);
}

/* Claims and saves what has slept long enough. */
static void group_save(struct group *group, uint32_t age_limit)
{
    for (uint32_t i = 0; i < group->count; i++) {
        uint64_t *const word = &group->size->words[group->first + i];

        if (!emp_stack_word_claim_old(word, age_limit)) {
            group->stacks->is_aging |=
                emp_stack_state_of(emp_stack_word_look(word)) == EMP_STACK_SLEEPS;
            continue;
        }
        const uint64_t seen = emp_stack_word_look(word);

        if (coroutine_save(owner_of(seen))) {
            group->kept[i] = seen;
            group->is_new[i] = true;
            group->news++;
        } else {
            /* As old as before, so that nobody waits for it to grow old. */
            emp_stack_word_settle(word, seen & EMP_STACK_OWNER, EMP_STACK_SLEEPS | EMP_STACK_AGE);
        }
    }
    group->held = group->news;
}

/* Claims the others, if all of them are parked; false: some are not. */
static bool group_claim_rest(struct group *group)
{
    uint64_t *const words = &group->size->words[group->first];

    for (uint32_t i = 0; i < group->count; i++) {
        if (group->kept[i] == 0 &&
            emp_stack_state_of(emp_stack_word_look(&words[i])) != EMP_STACK_PARKED) {
            return false;
        }
    }
    for (uint32_t i = 0; i < group->count; i++) {
        uint64_t seen = 0;

        if (group->kept[i] != 0) {
            continue;
        }
        if (!emp_stack_word_claim_parked(&words[i], &seen)) {
            return false;
        }
        group->kept[i] = seen;
        group->held++;
    }
    return true;
}

/* Purges the new ones, neighbours together. */
static void group_purge(struct group *group)
{
    for (uint32_t i = 0; i < group->count;) {
        uint32_t end = i;

        while (end < group->count && group->is_new[end]) {
            end++;
        }
        if (end > i) {
            const bool is_purged =
                emp_stack_map_purge(&group->size->map, group->first + i, end - i);

            for (uint32_t at = i; at < end; at++) {
                owner_of(group->kept[at])->flags |= is_purged ? EMP_COROUTINE_PURGED : 0;
            }
        }
        i = end + 1;
    }
}

/* Ends all claims; bare: they have no guard any more. */
static void group_settle(struct group *group, bool is_bare)
{
    /* order(stack-count): relaxed; a count */
    emp_fetch_add_relaxed(&group->size->parked, group->news);
    /* order(stack-count): relaxed; a statistic */
    emp_fetch_add_relaxed(&group->stacks->parks, (uint64_t)group->news);
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->kept[i] != 0) {
            const uint64_t was_bare = group->is_new[i] ? 0 : group->kept[i] & EMP_STACK_BARE;

            emp_stack_word_settle(&group->size->words[group->first + i],
                                  group->kept[i] & EMP_STACK_OWNER,
                                  EMP_STACK_PARKED | (is_bare ? EMP_STACK_BARE : was_bare));
        }
    }
}

/* Parks what is due in one group; the number of stacks that are parked now and were not. */
static uint32_t group_park(struct group *group, uint32_t age_limit)
{
    const bool is_whole = group->count == emp_stack_map_group(&group->size->map) &&
                          group->size->map.kind == EMP_STACK_GUARD_LIGHT;
    bool is_bare = false;
    bool is_stripped = false;

    group_save(group, age_limit);
    if (group->news == 0) {
        return 0;
    }
    if (is_whole && group_claim_rest(group)) {
        /* Guards may be gone also when the call fails half way. */
        is_bare = true;
        is_stripped = emp_stack_map_strip(&group->size->map, group->first, group->count);
        for (uint32_t i = 0; is_stripped && i < group->count; i++) {
            owner_of(group->kept[i])->flags |= EMP_COROUTINE_PURGED;
        }
    }
    if (!is_stripped) {
        group_purge(group);
    }
    group_settle(group, is_bare);
    return group->news;
}

/* In a forked child: what a sweep or a walk of another thread held, nobody would ever let go. */
void emp_stack_let_go_in_child(struct emp_stack_size *size)
{
    const uint64_t bare = size->map.kind == EMP_STACK_GUARD_LIGHT ? EMP_STACK_BARE : 0;
    uint32_t parked = 0;

    for (uint32_t slot = 0; slot < size->fresh; slot++) {
        uint64_t *const word = &size->words[slot];
        const uint64_t seen = emp_stack_word_look(word);

        if (emp_stack_state_of(seen) == EMP_STACK_BUSY) {
            /* Its pages, and its guard, may be there or not: what was saved is right either way. */
            emp_stack_word_settle(word, seen & EMP_STACK_OWNER,
                                  owner_of(seen)->saved == NULL ? EMP_STACK_SLEEPS
                                                                : EMP_STACK_PARKED | bare);
        }
        parked += emp_stack_state_of(emp_stack_word_look(word)) == EMP_STACK_PARKED;
    }
    /* order(stack-count): relaxed; the child has one thread */
    emp_store_relaxed(&size->parked, parked);
}

/* Works from the hand on until a bound is met or the end of the size is reached. */
static uint32_t size_sweep(struct emp_stack_manager *stacks, struct emp_stack_size *size,
                           uint32_t age_limit, uint32_t parks_max)
{
    const uint32_t step = emp_stack_map_group(&size->map);
    uint32_t parked = 0;
    /* order(stack-fresh): relaxed; what is used later is young */
    const uint32_t limit = emp_load_relaxed(&size->fresh);

    while (size->hand < limit && parked < parks_max) {
        struct group group = {.stacks = stacks, .size = size, .first = size->hand};

        group.count = limit - size->hand < step ? limit - size->hand : step;
        group.count = group.count < GROUP_MAX ? group.count : GROUP_MAX;
        parked += group_park(&group, age_limit);
        size->hand += group.count;
    }
    return parked;
}

/* True when the size can be swept. */
static bool size_is_open(const struct emp_stack_size *size)
{
    /* order(stack-size): acquire; map and words */
    return emp_load_acquire(&size->is_open) != 0;
}

void emp_stack_press(struct emp_stack_manager *stacks)
{
    uint32_t left = PRESS_PARKS;

    if (emp_fiber_watched || stacks->policy.idle_ns == 0 || !emp_claim_take(&stacks->ticking)) {
        return;
    }
    for (unsigned i = 0; i < EMP_STACK_SIZES && left > 0; i++) {
        struct emp_stack_size *const size = &stacks->sizes[i];
        uint32_t done = 0;

        if (!size_is_open(size)) {
            continue;
        }
        done = size_sweep(stacks, size, PRESS_AGE, left);
        if (done < left) {
            size->hand = 0;
        }
        left -= done < left ? done : left;
    }
    emp_claim_give_back(&stacks->ticking);
}

/* One step of the sweep; true: it is not at its end. */
static bool tick_sweep(struct emp_stack_manager *stacks)
{
    uint32_t left = stacks->policy.parks_per_tick;

    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        struct emp_stack_size *const size = &stacks->sizes[i];

        if (!size_is_open(size)) {
            continue;
        }
        const uint32_t done = size_sweep(stacks, size, AGE_LIMIT, left);

        if (done >= left) {
            return true;
        }
        left -= done;
    }
    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        stacks->sizes[i].hand = 0;
    }
    return false;
}

bool emp_stack_tick(struct emp_stack_manager *stacks, uint64_t now_ns, bool *asleep)
{
    bool more = false;

    if (emp_fiber_watched || !emp_claim_take(&stacks->ticking)) {
        return false;
    }
    const uint64_t period = stacks->policy.idle_ns / (AGE_LIMIT + 1);

    if (stacks->policy.idle_ns != 0 &&
        (stacks->is_sweeping || now_ns - stacks->sweep_ns >= period)) {
        if (!stacks->is_sweeping) {
            stacks->sweep_ns = now_ns;
            stacks->is_aging = false;
            (void)emp_stack_trim(stacks, false);
        }
        more = tick_sweep(stacks);
        stacks->is_sweeping = more;
    }
    *asleep = *asleep || stacks->is_aging;
    emp_claim_give_back(&stacks->ticking);
    return more;
}

bool emp_coroutine_tick(struct emp_async_pool *pool, uint64_t now_ns)
{
    bool asleep = false;

    return pool->stacks != NULL && emp_stack_tick(pool->stacks, now_ns, &asleep);
}
