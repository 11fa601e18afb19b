/*
 * Purpose: the guard of the secure build: the state of a slot (sync/slot_state.h) tells a block of
 *          the program from a cached one, so that the call itself knows whether a pointer is the
 *          program's; and a canary in the bytes between what was asked for and the end of the slot
 *          (BlockHeader of the model, row B3).
 * Owner:   slab. Used only when EMP_SECURE is 1.
 *
 *   USED --begin (malloc)--> LIVE + slack --end (free)--> USED (cached) --give--> FREE
 *                            LIVE + slack --begin (realloc in place)--> LIVE + other slack
 *
 * Threads: begin by the thread that took the block out of its cache, which nobody else has; end by
 *          any number of threads at once, of which one compare-and-swap wins.
 * Design:  [slab.req.canary] [slab.req.guard] [slab.proto.guard]
 * Cost:    begin: four loads, a multiplication, two stores. end: the same and one locked exchange.
 */
#ifndef EMP_SLAB_BLOCK_GUARD_H
#define EMP_SLAB_BLOCK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/config.h"
#include "monitor/report.h"
#include "slab/slab.h"
#include "sync/atomic.h"

/*
 * A live slot has EMP_SLOT_LIVE + slack: bytes of the slot behind those that were asked for; more
 * than EMP_GUARD_SLACK_MAX count as usable.
 */
enum { EMP_GUARD_LIVE = EMP_SLOT_LIVE, EMP_GUARD_SLACK_MAX = UINT8_MAX - EMP_SLOT_LIVE };

extern uint64_t emp_guard_key;

/* Sets the key, once, at start. */
void emp_block_guard_init(void);

/* The canary of a slot. Its first byte is no text and not zero: a string's end always shows. */
static inline uint64_t emp_guard_value(uintptr_t end)
{
    return (emp_guard_key ^ (end * 0xff51afd7ed558ccdu)) | 0x8080808080808080u;
}

/*
 * The eight bytes of the slot that hold its canary, and which of them: those behind slack > 0 up to
 * the end of the slot, or the first eight of these. Without a branch: sizes are not predictable.
 */
static inline char *emp_guard_place(uintptr_t end, size_t slack, uint64_t *mask)
{
    *mask = ~(uint64_t)0 << (64 - 8 * (slack < 8 ? slack : 8));
    return (char *)(end - (slack > 8 ? slack : 8));
}

static inline uint64_t emp_guard_load(const char *place)
{
    uint64_t value;

    memcpy(&value, place, sizeof(value));
    return value;
}

/* Descriptor of the unit that an address lies in; its guard and states are those of its slab. */
static inline const struct emp_slab *emp_guard_of(uintptr_t block)
{
    return emp_slab_at((block - emp_arena.base) >> EMP_UNIT_SHIFT);
}

/* State of the slot that starts at block, NULL when none starts there. In a slab. */
static inline uint8_t *emp_guard_slot(uintptr_t block, uint32_t *size)
{
    const struct emp_slab *unit = emp_guard_of(block);
    const struct emp_slab_guard *guard = &unit->guard;
    uint64_t offset = (block - emp_arena.base) & guard->slab_mask;
    uint64_t slot = (offset * guard->reciprocal) >> 32;

    *size = guard->size;
    if (emp_unlikely(slot * guard->size != offset || unit->states == NULL)) {
        return NULL; /* no states: a wild pointer meets a slab that is just being made */
    }
    return unit->states + slot;
}

/* A block of a slab becomes the program's: `requested` bytes of it; writes state and canary. */
static inline void emp_block_guard_begin(void *block, size_t requested)
{
    uintptr_t start = (uintptr_t)block;
    const struct emp_slab *unit = emp_guard_of(start);
    const struct emp_slab_guard *guard = &unit->guard;
    uint64_t offset = (start - emp_arena.base) & guard->slab_mask;
    uint32_t size = guard->size;
    size_t slack = size - requested;

    slack = slack > EMP_GUARD_SLACK_MAX ? EMP_GUARD_SLACK_MAX : slack;
    if (emp_likely(slack != 0)) {
        uint64_t mask = 0;
        char *place = emp_guard_place(start + size, slack, &mask);
        uint64_t value = emp_guard_load(place);

        value ^= (value ^ emp_guard_value(start + size)) & mask;
        memcpy(place, &value, sizeof(value));
    }
    /* order(slot-state): relaxed; the block reaches other threads by the program's own means */
    emp_store_relaxed(&unit->states[(offset * guard->reciprocal) >> 32],
                      (uint8_t)(EMP_GUARD_LIVE + slack));
}

/* False: the canary of a live block with this state, whose slot ends there, was written over. */
static inline bool emp_guard_is_whole(uintptr_t end, uint8_t state)
{
    if (emp_likely(state > EMP_GUARD_LIVE)) {
        uint64_t mask = 0;
        const char *place = emp_guard_place(end, state - EMP_GUARD_LIVE, &mask);

        return ((emp_guard_load(place) ^ emp_guard_value(end)) & mask) == 0;
    }
    return true;
}

/* What is wrong with a pointer whose state is not that of a live block. */
enum emp_report_code emp_block_guard_fault(const void *ptr);

/*
 * A block is freed. Exactly one of any number of calls gets EMP_REPORT_COUNT, "nothing is wrong";
 * all others the fault, and nothing has changed. alone: the process has no other thread, so there
 * is nobody to race with.
 */
static inline enum emp_report_code emp_block_guard_end(void *ptr, bool alone)
{
    uintptr_t start = (uintptr_t)ptr;
    uint32_t size = 0;
    uint8_t *state = emp_guard_slot(start, &size);
    /* order(slot-state): relaxed; who holds the block got it from the thread that wrote it */
    uint8_t found = emp_likely(state != NULL) ? emp_load_relaxed(state) : (uint8_t)EMP_SLOT_NONE;

    if (emp_unlikely(found < EMP_GUARD_LIVE)) {
        return emp_block_guard_fault(ptr);
    }
    if (emp_unlikely(!emp_guard_is_whole(start + size, found))) {
        return EMP_REPORT_CANARY;
    }
    if (alone) {
        /* order(slot-state): relaxed; one thread */
        emp_store_relaxed(state, (uint8_t)EMP_SLOT_USED);
        return EMP_REPORT_COUNT;
    }
    /* order(slot-state): relaxed; only who wins matters, the block itself is not touched */
    return emp_likely(emp_cas_relaxed(state, &found, (uint8_t)EMP_SLOT_USED))
               ? EMP_REPORT_COUNT
               : EMP_REPORT_DOUBLE_FREE;
}

/* False: something was written behind a live block; to be asked before its end moves. */
bool emp_block_guard_is_whole(const void *block);

/* Usable bytes of a live block; 0: *fault says what the pointer is instead. */
size_t emp_block_guard_usable(const void *ptr, enum emp_report_code *fault);

#endif
