/*
 * Purpose: what others see of stacks: statistics, the walk of a collector, the report of an
 *          overflow.
 * Owner:   async; a table of the managers that exist, for the handler of faults.
 * Threads: any; the report is async-signal-safe.
 * Design:  [async.proto.stack-pool] [async.req.overflow]
 */
#include <string.h>

#include "async/coroutine_core.h"
#include "async/object.h"
#include "async/run_slots.h"
#include "async/stack_process.h"
#include "async/task_core.h"
#include "base/check.h"
#include "monitor/report.h"
#include "sync/atomic.h"
#include "sync/claim.h"
#include "sync/run_slot.h"
#include "thread/lifecycle.h"

#define MANAGERS_MAX 32u
#define WALK_LOOK_NS 1000000u
#define LOW_WORDS    8u /* at the low end of a stack that are zero unless it ran over */

static struct emp_stack_manager *managers[MANAGERS_MAX]; /* atomic: stack-managers */
static uint32_t managers_walked;                         /* atomic: claim */

bool emp_stack_manager_list(struct emp_stack_manager *stacks)
{
    for (unsigned i = 0; i < MANAGERS_MAX; i++) {
        struct emp_stack_manager *none = NULL;

        /* order(stack-managers): release; what lies in the manager, for the handler */
        if (emp_cas_release(&managers[i], &none, stacks)) {
            return true;
        }
    }
    return false;
}

/* Waits for a claim that others hold for a walk or a sweep. */
static void claim_wait(uint32_t *claim)
{
    while (!emp_claim_take(claim)) {
        emp_lifecycle_sleep(claim, 1, WALK_LOOK_NS);
    }
}

void emp_stack_manager_unlist(const struct emp_stack_manager *stacks)
{
    claim_wait(&managers_walked);
    for (unsigned i = 0; i < MANAGERS_MAX; i++) {
        /* order(stack-managers): relaxed; the entry is the caller's */
        if (emp_load_relaxed(&managers[i]) == stacks) {
            /* order(stack-managers): relaxed; a fault on a stack of a dead pool has no report */
            emp_store_relaxed(&managers[i], NULL);
        }
    }
    emp_claim_give_back(&managers_walked);
}

bool emp_stack_tick_all(uint64_t now_ns, bool *asleep)
{
    bool more = false;

    if (!emp_claim_take(&managers_walked)) {
        return false;
    }
    for (unsigned i = 0; i < MANAGERS_MAX; i++) {
        /* order(stack-managers): acquire; what lies in the manager */
        struct emp_stack_manager *const stacks = emp_load_acquire(&managers[i]);

        if (stacks != NULL) {
            more = emp_stack_tick(stacks, now_ns, asleep) || more;
        }
    }
    emp_claim_give_back(&managers_walked);
    return more;
}

void emp_stack_fork_prepare(void)
{
    emp_mutex_lock(&emp_stack_lists);
}

void emp_stack_fork_parent(void)
{
    emp_mutex_unlock(&emp_stack_lists);
}

void emp_stack_fork_child(void)
{
    emp_mutex_reset_in_child(&emp_stack_lists);
    emp_claim_reset_in_child(&managers_walked);
    for (unsigned i = 0; i < MANAGERS_MAX; i++) {
        /* order(stack-managers): relaxed; the child has one thread */
        struct emp_stack_manager *const stacks = emp_load_relaxed(&managers[i]);

        if (stacks != NULL) {
            emp_stack_reset_in_child(stacks);
        }
    }
}

/* Where the coroutine on a stack was spawned; NULL: unknown. */
static const struct emp_spawn_site *site_of(uint64_t seen)
{
    const enum emp_stack_state state = emp_stack_state_of(seen);

    if (state == EMP_STACK_SHARED) {
        const struct emp_run_slot *const slot = (const void *)(uintptr_t)(seen & EMP_STACK_OWNER);

        seen = emp_run_slot_look(&slot->word);
        if ((seen & EMP_RUN_SLOT_TAKEN) == 0) {
            return NULL;
        }
    } else if (state != EMP_STACK_RUNS && state != EMP_STACK_SLEEPS) {
        return NULL;
    }
    const char *const body = (const char *)(uintptr_t)(seen & EMP_STACK_OWNER);
    const struct emp_task *const task = (const void *)(body - sizeof(struct emp_task));

    return emp_spawn_site_of(task->site);
}

static void report_overflow(const struct emp_stack_manager *stacks, unsigned number, uint32_t slot,
                            const void *address)
{
    const struct emp_stack_size *const size = &stacks->sizes[number];
    const struct emp_spawn_site *const site = site_of(emp_stack_word_look(&size->words[slot]));
    const struct emp_report report = {
        .code = EMP_REPORT_STACK_OVERFLOW,
        .pointer = address,
        .block = emp_stack_map_low(&size->map, slot),
        .block_bytes = emp_stack_map_bytes(&size->map),
        .used_bytes = emp_stack_map_bytes(&size->map),
        .call = "coroutine",
        .made_in = site == NULL ? NULL : site->function,
        .made_file = site == NULL ? NULL : site->file,
        .made_line = site == NULL ? 0 : site->line,
    };

    emp_report_misuse(&report);
}

bool emp_stack_explain_fault(const void *address)
{
    for (unsigned i = 0; i < MANAGERS_MAX; i++) {
        /* order(stack-managers): acquire; what lies in the manager */
        const struct emp_stack_manager *const stacks = emp_load_acquire(&managers[i]);

        for (unsigned n = 0; stacks != NULL && n < EMP_STACK_SIZES; n++) {
            const struct emp_stack_size *const size = &stacks->sizes[n];
            uint32_t slot = 0;

            /* order(stack-size): acquire; map and words */
            if (emp_load_acquire(&size->is_open) != 0 &&
                emp_stack_map_find(&size->map, address, &slot)) {
                const bool is_guard = (const char *)address < emp_stack_map_low(&size->map, slot);

                if (is_guard) {
                    report_overflow(stacks, n, slot, address);
                }
                return is_guard;
            }
        }
    }
    return false;
}

void emp_stack_check_word(const struct emp_stack_manager *stacks, unsigned size, uint32_t slot,
                          const void *pointer)
{
    const char *const low = emp_stack_map_low(&stacks->sizes[size].map, slot);
    uint64_t words[LOW_WORDS];
    uint64_t any = 0;

    memcpy(words, low, sizeof(words));
    for (unsigned i = 0; i < LOW_WORDS; i++) {
        any |= words[i];
    }
    if (any != 0 || (const char *)pointer < low + sizeof(words)) {
        report_overflow(stacks, size, slot, pointer);
        emp_check(false); /* the neighbour is damaged */
    }
}

void emp_stack_clear_word(const struct emp_stack_manager *stacks, unsigned size, uint32_t slot)
{
    memset(emp_stack_map_low(&stacks->sizes[size].map, slot), 0, LOW_WORDS * sizeof(uint64_t));
}

enum emp_status emp_coroutine_set_policy(struct emp_async_pool *pool,
                                         const struct emp_coroutine_policy *policy)
{
    if (pool == NULL || policy == NULL || pool->stacks == NULL || policy->parks_per_tick == 0 ||
        policy->run_slots > EMP_RUN_SLOTS_MAX) {
        return EMP_ERR_INVALID;
    }
    pool->stacks->policy = *policy;
    return EMP_OK;
}

struct emp_coroutine_policy emp_coroutine_get_policy(const struct emp_async_pool *pool)
{
    return pool->stacks == NULL ? (struct emp_coroutine_policy){0} : pool->stacks->policy;
}

/* Adds one size to the snapshot. */
static void stats_add(struct emp_stack_manager *stacks, struct emp_stack_size *size,
                      struct emp_coroutine_stats *out)
{
    emp_mutex_lock(&emp_stack_lists);
    out->slots_used += size->fresh;
    out->free_warm += size->warm.count;
    out->free_cold += size->cold.count;
    emp_mutex_unlock(&emp_stack_lists);
    for (uint32_t i = 0; i < stacks->shelves; i++) {
        if (emp_claim_take(&size->shelves[i].taken)) {
            out->free_warm += size->shelves[i].count;
            emp_claim_give_back(&size->shelves[i].taken);
        }
    }
    /* order(stack-count): relaxed; a count */
    out->parked += emp_load_relaxed(&size->parked);
    out->reserved_bytes += (uint64_t)size->map.slots << size->map.shift;
}

enum emp_status emp_coroutine_get_stats(struct emp_async_pool *pool,
                                        struct emp_coroutine_stats *out)
{
    if (pool == NULL || out == NULL || pool->stacks == NULL) {
        return EMP_ERR_INVALID;
    }
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        struct emp_stack_size *const size = &pool->stacks->sizes[i];

        /* order(stack-size): acquire; map, words and shelves */
        if (emp_load_acquire(&size->is_open) != 0) {
            stats_add(pool->stacks, size, out);
        }
    }
    /* order(stack-count): relaxed; statistics, all three */
    out->parks = emp_load_relaxed(&pool->stacks->parks);
    out->unparks = emp_load_relaxed(&pool->stacks->unparks);
    out->park_refusals = emp_load_relaxed(&pool->stacks->refusals);
    emp_run_slots_stats(pool->stacks, out);
    return EMP_OK;
}

/* One stack of the walk: what sleeps or is parked is held still, what runs is named as a whole. */
static void each_slot(const struct emp_stack_size *size, uint32_t slot,
                      void (*visit)(const struct emp_stack_range *range, void *arg), void *arg)
{
    uint64_t *const word = &size->words[slot];
    uint64_t seen = 0;
    const bool was_parked = emp_stack_word_claim_parked(word, &seen);
    const bool is_held = was_parked || emp_stack_word_claim_old(word, 0);
    const uint64_t owner = emp_stack_word_look(word) & EMP_STACK_OWNER;
    struct emp_stack_range range = {
        .low = emp_stack_map_low(&size->map, slot),
        .limit = emp_stack_map_top(&size->map, slot),
        .home = emp_stack_map_low(&size->map, slot),
        .is_running = true,
    };

    if (is_held) {
        const struct emp_coroutine *const coroutine = (const void *)(uintptr_t)owner;
        const char *const low = emp_coroutine_live_low(coroutine);
        const char *const at = was_parked ? coroutine->saved : low;

        range = (struct emp_stack_range){
            .low = at,
            .limit = at + (emp_coroutine_live_top(coroutine) - low),
            .home = low,
        };
    } else if (emp_stack_state_of(emp_stack_word_look(word)) != EMP_STACK_RUNS) {
        return;
    }
    visit(&range, arg);
    if (is_held) {
        emp_stack_word_settle(word, owner,
                              was_parked ? EMP_STACK_PARKED | (seen & EMP_STACK_BARE)
                                         : EMP_STACK_SLEEPS);
    }
}

void emp_stack_each(struct emp_async_pool *pool,
                    void (*visit)(const struct emp_stack_range *range, void *arg), void *arg)
{
    struct emp_stack_manager *const stacks = pool->stacks;

    if (stacks == NULL) {
        return;
    }
    /* A stack in the hands of a sweep would be missed, and what lies on it be taken for garbage. */
    claim_wait(&stacks->ticking);
    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        const struct emp_stack_size *const size = &stacks->sizes[i];

        /* order(stack-size): acquire; map and words */
        if (emp_load_acquire(&size->is_open) == 0) {
            continue;
        }
        /* order(stack-fresh): relaxed; stacks that come later are not visited */
        const uint32_t limit = emp_load_relaxed(&size->fresh);

        for (uint32_t slot = 0; slot < limit; slot++) {
            each_slot(size, slot, visit, arg);
        }
    }
    emp_run_slots_each(pool->stacks, visit, arg);
    emp_claim_give_back(&stacks->ticking);
}
