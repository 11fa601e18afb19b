/*
 * Purpose: see stack_pool.h.
 * Owner:   async. Threads: any.
 * Design:  [async.proto.stack-pool]
 * Cost:    take and give from the shelf: a claim and its end; every 15th takes the lock. A first
 *          use is a guard and a page fault.
 */
#include "async/stack_pool.h"

#include <string.h>

#include "async/object.h"
#include "async/run_slots.h"
#include "async/stack_process.h"
#include "base/check.h"
#include "sync/atomic.h"
#include "sync/claim.h"
#include "thread/cpu.h"
#include "thread/fault.h"

#define SHELVES_MAX       64u
#define SHELF_BATCH       15u
#define RESIDENT_GUESS    4096u /* bytes that a stack with pages is taken for */
#define SLOTS_OF_VALGRIND 4096u /* which notes the state of every mapped byte */
#define TRIM_BATCH        32u
#define DEFAULT_IDLE_NS   1000000000ull
#define DEFAULT_RUN_SLOTS 64u

/* Bits of a slot's bytes and slots, per size: 64 GiB of addresses each. */
static const struct size_row {
    uint32_t shift;
    uint32_t slots;
} size_rows[EMP_STACK_SIZES] = {
    {14, 1u << 22},
    {16, 1u << 20},
    {18, 1u << 18},
    {20, 1u << 16},
};

struct emp_mutex emp_stack_lists = EMP_MUTEX_INIT(STACKS);

static uint32_t made_total; /* atomic: stack-fresh. stacks ever made */

uint32_t emp_stack_made_total(void)
{
    /* order(stack-fresh): relaxed; a number that decides whether a thread is worth it */
    return emp_load_relaxed(&made_total);
}

static void list_push(struct emp_stack_size *size, struct emp_stack_list *list, uint32_t slot)
{
    emp_stack_word_end(&size->words[slot], list->head);
    list->head = slot + 1;
    list->count++;
}

/* Pops up to count slots. */
static uint32_t list_pop(const struct emp_stack_size *size, struct emp_stack_list *list,
                         uint32_t *slots, uint32_t count)
{
    uint32_t got = 0;

    while (got < count && list->head != 0) {
        slots[got] = list->head - 1;
        list->head = (uint32_t)(emp_stack_word_look(&size->words[slots[got]]) >> EMP_STACK_SHIFT);
        list->count--;
        got++;
    }
    return got;
}

/* Pops warm slots; what lay unused since the last tick is never more than lies there. */
static uint32_t warm_pop(struct emp_stack_size *size, uint32_t *slots, uint32_t count)
{
    const uint32_t got = list_pop(size, &size->warm, slots, count);

    if (size->warm.count < size->warm_least) {
        size->warm_least = size->warm.count;
    }
    return got;
}

/* Says how many are cold; the lock is held. */
static void cold_tell(struct emp_stack_size *size)
{
    /* order(stack-count): relaxed; an estimate for who has no lock */
    emp_store_relaxed(&size->cold_slots, size->cold.count);
}

struct emp_stack_manager *emp_stack_manager_new(const struct emp_async_pool *pool)
{
    struct emp_stack_manager *const stacks = emp_object_hooks.memory_take(sizeof(*stacks));
    uint32_t shelves = 1;

    if (stacks == NULL) {
        return NULL;
    }
    emp_fiber_init();
    memset(stacks, 0, sizeof(*stacks));
    while (shelves < SHELVES_MAX && shelves < emp_cpu_count()) {
        shelves *= 2;
    }
    stacks->pool = pool;
    stacks->shelves = shelves;
    stacks->policy = (struct emp_coroutine_policy){
        .idle_ns = DEFAULT_IDLE_NS,
        .park_bytes_max = 2048,
        .parks_per_tick = 2048,
        .resident_max = (size_t)1 << 30,
        .free_resident_max = (size_t)64 << 20,
        .run_slots = DEFAULT_RUN_SLOTS,
    };
    /* Without the handler, or with too many pools, an overflow is a fault without a report. */
    (void)emp_fault_init(emp_stack_explain_fault);
    (void)emp_stack_manager_list(stacks);
    return stacks;
}

/* Ends one size; the tools forget its stacks. */
static void size_close(struct emp_stack_manager *stacks, unsigned number)
{
    struct emp_stack_size *const size = &stacks->sizes[number];

    for (uint32_t slot = 0; emp_fiber_watched && slot < size->fresh; slot++) {
        emp_fiber_unmake(emp_stack_fiber(stacks, number, slot));
    }
    emp_stack_map_table_end(size->words, (size_t)size->map.slots * sizeof(*size->words));
    emp_stack_map_close(&size->map);
    emp_object_hooks.memory_give(size->shelves);
}

void emp_stack_manager_end(struct emp_stack_manager *stacks)
{
    if (stacks == NULL) {
        return;
    }
    emp_stack_manager_unlist(stacks);
    /* order(run-slots): relaxed; whoever used the pool is done with it */
    emp_run_slots_end(emp_load_relaxed(&stacks->run_slots));
    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        if (stacks->sizes[i].is_open != 0) {
            size_close(stacks, i);
        }
    }
    emp_object_hooks.memory_give(stacks);
}

unsigned emp_stack_size_for(size_t bytes)
{
    unsigned number = 0;

    while (number + 1 < EMP_STACK_SIZES && bytes > ((size_t)3 << size_rows[number].shift) / 4) {
        number++;
    }
    return number;
}

/* Opens map and table; the lock is held. */
static bool size_open_locked(struct emp_stack_size *size, const struct size_row *row)
{
    if (size->is_open != 0) {
        return true;
    }
    const bool is_valgrind = emp_fiber_watched && !EMP_ASAN && !EMP_TSAN;
    const uint32_t slots = is_valgrind ? SLOTS_OF_VALGRIND : row->slots;

    if (!emp_stack_map_open(&size->map, row->shift, slots)) {
        return false;
    }
    size->words = emp_stack_map_table((size_t)size->map.slots * sizeof(*size->words));
    if (size->words == NULL) {
        emp_stack_map_close(&size->map);
        return false;
    }
    /* order(stack-size): release; map and words, for who finds the size open */
    emp_store_release(&size->is_open, 1u);
    return true;
}

static EMP_COLD bool size_open(struct emp_stack_manager *stacks, unsigned number)
{
    struct emp_stack_size *const size = &stacks->sizes[number];
    const size_t bytes = stacks->shelves * sizeof(*size->shelves);
    struct emp_stack_shelf *shelves = emp_object_hooks.memory_take(bytes);

    if (shelves == NULL) {
        return false;
    }
    memset(shelves, 0, bytes);
    emp_mutex_lock(&emp_stack_lists);
    if (size->shelves == NULL) {
        size->shelves = shelves;
        shelves = NULL;
    }
    const bool is_open = size_open_locked(size, &size_rows[number]);

    if (!is_open && shelves == NULL) {
        shelves = size->shelves;
        size->shelves = NULL;
    }
    emp_mutex_unlock(&emp_stack_lists);
    if (shelves != NULL) {
        emp_object_hooks.memory_give(shelves);
    }
    return is_open;
}

/* Takes up to count slots that were never used; the lock is held. */
static uint32_t size_cut_fresh(struct emp_stack_size *size, uint32_t *slots, uint32_t count)
{
    uint32_t got = 0;

    while (got < count && size->fresh + 1 < size->map.slots) {
        slots[got++] = size->fresh;
        /* order(stack-fresh): relaxed; a bound for sweeps, words behind it are zero: free */
        emp_store_relaxed(&size->fresh, size->fresh + 1);
    }
    return got;
}

/* Takes up to count slots from warm, cold and fresh; *fresh receives how many of them are new. */
static uint32_t size_pop(struct emp_stack_size *size, uint32_t *slots, uint32_t count,
                         uint32_t *fresh)
{
    *fresh = 0;
    emp_mutex_lock(&emp_stack_lists);
    uint32_t got = warm_pop(size, slots, count);

    if (got == 0) {
        got = list_pop(size, &size->cold, slots, count);
        cold_tell(size);
    }
    if (got == 0) {
        *fresh = size_cut_fresh(size, slots, count);
        got = *fresh;
    }
    emp_mutex_unlock(&emp_stack_lists);
    return got;
}

/* What a slot needs before its first use. */
static void slot_prepare(struct emp_stack_manager *stacks, unsigned number, uint32_t slot)
{
    struct emp_stack_size *const size = &stacks->sizes[number];

    (void)emp_stack_map_guard(&size->map, slot);
    if (emp_fiber_watched) {
        emp_fiber_make(emp_stack_fiber(stacks, number, slot), emp_stack_map_low(&size->map, slot),
                       emp_stack_map_bytes(&size->map) - sizeof(struct emp_fiber));
    }
}

/* Fills slots from the lists; at least one unless there is none. */
static EMP_COLD uint32_t size_refill(struct emp_stack_manager *stacks, unsigned number,
                                     uint32_t *slots)
{
    uint32_t fresh = 0;
    const uint32_t got = size_pop(&stacks->sizes[number], slots, SHELF_BATCH, &fresh);

    for (uint32_t i = got - fresh; i < got; i++) {
        slot_prepare(stacks, number, slots[i]);
    }
    if (fresh != 0) {
        /* order(stack-fresh): relaxed; as above */
        emp_fetch_add_relaxed(&made_total, fresh);
        emp_object_hooks.stacks_grew();
    }
    return got;
}

/* A shelf of this processor, claimed; NULL: somebody else has it. */
static struct emp_stack_shelf *shelf_claim(const struct emp_stack_manager *stacks, unsigned number)
{
    struct emp_stack_shelf *const shelves = stacks->sizes[number].shelves;
    struct emp_stack_shelf *const shelf = &shelves[emp_cpu_current() & (stacks->shelves - 1)];

    return emp_claim_take(&shelf->taken) ? shelf : NULL;
}

/* Puts slots on the warm list; how many are there now. */
static uint32_t size_keep(struct emp_stack_size *size, const uint32_t *slots, uint32_t count)
{
    emp_mutex_lock(&emp_stack_lists);
    for (uint32_t i = 0; i < count; i++) {
        list_push(size, &size->warm, slots[i]);
    }
    const uint32_t warm = size->warm.count;

    emp_mutex_unlock(&emp_stack_lists);
    return warm;
}

/* Puts what a refill brought beside the one that is wanted on the shelf, or back on the list. */
static void shelf_fill(struct emp_stack_manager *stacks, unsigned number, const uint32_t *slots,
                       uint32_t count)
{
    struct emp_stack_shelf *const shelf = shelf_claim(stacks, number);
    uint32_t put = 0;

    if (shelf != NULL) {
        while (put < count && shelf->count < EMP_SHELF_SLOTS) {
            shelf->slots[shelf->count++] = slots[put++];
        }
        emp_claim_give_back(&shelf->taken);
    }
    if (put < count) {
        (void)size_keep(&stacks->sizes[number], slots + put, count - put);
    }
}

static EMP_COLD bool take_slow(struct emp_stack_manager *stacks, unsigned number, uint32_t *slot)
{
    struct emp_stack_size *const size = &stacks->sizes[number];
    uint32_t slots[SHELF_BATCH];

    /* order(stack-size): acquire; map and words */
    if (emp_load_acquire(&size->is_open) == 0 && !size_open(stacks, number)) {
        return false;
    }
    const uint32_t got = size_refill(stacks, number, slots);

    if (got == 0) {
        return false;
    }
    *slot = slots[0];
    shelf_fill(stacks, number, slots + 1, got - 1);
    return true;
}

bool emp_stack_take(struct emp_stack_manager *stacks, unsigned number, uint32_t *slot)
{
    struct emp_stack_size *const size = &stacks->sizes[number];
    bool found = false;

    /* order(stack-size): acquire; map, words and shelves */
    if (emp_likely(emp_load_acquire(&size->is_open) != 0)) {
        struct emp_stack_shelf *const shelf = shelf_claim(stacks, number);

        if (emp_likely(shelf != NULL)) {
            if (shelf->count > 0) {
                *slot = shelf->slots[--shelf->count];
                found = true;
            }
            emp_claim_give_back(&shelf->taken);
        }
    }
    if (emp_unlikely(!found) && !take_slow(stacks, number, slot)) {
        return false;
    }
    if (emp_unlikely(emp_fiber_watched)) {
        emp_fiber_renew(emp_stack_fiber(stacks, number, *slot));
    }
    return true;
}

/* Purges warm stacks until so many are left; the tools' notes would be lost. Bytes given back. */
static size_t size_cool(struct emp_stack_size *size, uint32_t keep)
{
    uint32_t slots[TRIM_BATCH];
    size_t given = 0;
    uint32_t got = TRIM_BATCH;

    while (got == TRIM_BATCH && !emp_fiber_watched) {
        emp_mutex_lock(&emp_stack_lists);
        const uint32_t above = size->warm.count > keep ? size->warm.count - keep : 0;

        got = warm_pop(size, slots, above < TRIM_BATCH ? above : TRIM_BATCH);
        emp_mutex_unlock(&emp_stack_lists);
        for (uint32_t i = 0; i < got; i++) {
            if (emp_stack_map_purge(&size->map, slots[i], 1)) {
                given += RESIDENT_GUESS;
            }
        }
        emp_mutex_lock(&emp_stack_lists);
        for (uint32_t i = 0; i < got; i++) {
            list_push(size, &size->cold, slots[i]);
        }
        cold_tell(size);
        emp_mutex_unlock(&emp_stack_lists);
    }
    return given;
}

static EMP_COLD void give_slow(struct emp_stack_manager *stacks, unsigned number, uint32_t slot)
{
    struct emp_stack_size *const size = &stacks->sizes[number];
    uint32_t slots[SHELF_BATCH + 1] = {slot};
    uint32_t count = 1;
    struct emp_stack_shelf *const shelf = shelf_claim(stacks, number);

    if (shelf != NULL) {
        while (count <= SHELF_BATCH && shelf->count > 0) {
            slots[count++] = shelf->slots[--shelf->count];
        }
        emp_claim_give_back(&shelf->taken);
    }
    const uint32_t warm = size_keep(size, slots, count);
    const uint32_t keep = (uint32_t)(stacks->policy.free_resident_max / RESIDENT_GUESS);

    /* Not one by one: what is purged here is a quarter, so that a steady state purges nothing. */
    if (emp_unlikely(warm > keep)) {
        (void)size_cool(size, keep - keep / 4);
    }
}

void emp_stack_give(struct emp_stack_manager *stacks, unsigned number, uint32_t slot)
{
    struct emp_stack_shelf *const shelf = shelf_claim(stacks, number);
    bool is_put = false;

    emp_stack_word_end(&stacks->sizes[number].words[slot], 0);
    if (emp_likely(shelf != NULL)) {
        if (shelf->count < EMP_SHELF_SLOTS) {
            shelf->slots[shelf->count++] = slot;
            is_put = true;
        }
        emp_claim_give_back(&shelf->taken);
    }
    if (emp_unlikely(!is_put)) {
        give_slow(stacks, number, slot);
    }
}

/* Puts everything on the shelves of a size on its warm list. */
static void size_clear_shelves(struct emp_stack_manager *stacks, struct emp_stack_size *size)
{
    for (uint32_t i = 0; i < stacks->shelves; i++) {
        struct emp_stack_shelf *const shelf = &size->shelves[i];

        if (emp_claim_take(&shelf->taken)) {
            const uint32_t count = shelf->count;

            shelf->count = 0;
            (void)size_keep(size, shelf->slots, count);
            emp_claim_give_back(&shelf->taken);
        }
    }
}

size_t emp_stack_trim(struct emp_stack_manager *stacks, bool all)
{
    size_t given = 0;

    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        struct emp_stack_size *const size = &stacks->sizes[i];

        /* order(stack-size): acquire; map, words and shelves */
        if (emp_load_acquire(&size->is_open) == 0) {
            continue;
        }
        if (all) {
            size_clear_shelves(stacks, size);
        }
        emp_mutex_lock(&emp_stack_lists);
        /* What lay unused since the last call is too much; half of it goes. */
        emp_assert(size->warm_least <= size->warm.count);
        const uint32_t keep = all ? 0 : size->warm.count - size->warm_least / 2;

        size->warm_least = keep;
        emp_mutex_unlock(&emp_stack_lists);
        given += size_cool(size, keep);
    }
    return given;
}

/* A shelf whose holder is gone may name a stack that is in use: nothing is taken from it. */
static void size_reset_in_child(struct emp_stack_size *size, uint32_t shelves)
{
    for (uint32_t at = 0; at < shelves; at++) {
        struct emp_stack_shelf *const shelf = &size->shelves[at];

        if (!emp_claim_take(&shelf->taken)) {
            shelf->count = 0;
        }
        emp_claim_reset_in_child(&shelf->taken);
    }
}

void emp_stack_reset_in_child(struct emp_stack_manager *stacks)
{
    const bool was_swept = !emp_claim_take(&stacks->ticking);

    emp_claim_reset_in_child(&stacks->ticking);
    /* order(run-slots): relaxed; the child has one thread */
    emp_run_slots_reset_in_child(emp_load_relaxed(&stacks->run_slots));
    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        struct emp_stack_size *const size = &stacks->sizes[i];

        if (size->is_open != 0) {
            size_reset_in_child(size, stacks->shelves);
        }
        if (size->is_open != 0 && was_swept) {
            emp_stack_let_go_in_child(size);
        }
    }
}

bool emp_stack_is_pressed(const struct emp_stack_manager *stacks)
{
    size_t resident = 0;

    for (unsigned i = 0; i < EMP_STACK_SIZES; i++) {
        const struct emp_stack_size *const size = &stacks->sizes[i];
        /* order(stack-fresh): relaxed; an estimate */
        const uint32_t fresh = emp_load_relaxed(&size->fresh);
        /* order(stack-count): relaxed; an estimate */
        const uint32_t parked = emp_load_relaxed(&size->parked);
        /* order(stack-count): relaxed; an estimate */
        const uint32_t cold = emp_load_relaxed(&size->cold_slots);

        resident += fresh > parked + cold ? fresh - parked - cold : 0;
    }
    return resident > stacks->policy.resident_max / RESIDENT_GUESS;
}
