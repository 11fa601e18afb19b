/*
 * Purpose: the state of a coroutine's stack in one word: who may touch it, how long it has slept,
 *          and whose it is. It lets a stack be copied away while its coroutine sleeps, at whatever
 *          moment the wake comes.
 * Owner:   sync. Roles: the runner (one thread at a time, ordered by the word of the task), the
 *          parker (any thread; of several one wins).
 *
 *   free --begin (taker)--> runs --sleep (runner)--> sleeps --wake (runner)--> runs --end--> free
 *                            ^                       |   ^
 *                            |       claim (parker)  |   | settle: not parked (parker)
 *                            |                       v   |
 *                            |                      busy-+
 *                            |                       | settle: parked (parker)
 *                            +---- wake (runner) -- parked
 *   grow_old (parker): sleeps with an age one higher; wake of busy does nothing: try again later.
 *   free --share (taker)--> shared --end--> free: no parker, no wake of this word.
 *
 * Invariants: I1 the stack is touched by the runner while it runs, by the parker while it is busy,
 *   by nobody otherwise. I2 what is saved beside it is written while busy, read after the wake.
 *   I3 a wake never waits: busy says so, and ends without anybody's help but the parker's.
 * Linearisation: sleep, settle: the store; wake, claim, grow_old: the compare-and-swap.
 * Order table: stack-word: sleep releases what the runner wrote on the stack, claim acquires it;
 *   settle releases what the parker read and wrote, wake acquires it; begin, end and grow_old pass
 *   nothing on: who takes a free stack is ordered by the lock of the pool, and the next runner by
 *   the word of the task.
 * Progress: wait-free; a failed compare-and-swap is an answer.
 * Does not promise: that a stack which sleeps long is parked.
 * Threads: any. Design: [sync.proto.stack-word]
 */
#ifndef EMP_SYNC_STACK_WORD_H
#define EMP_SYNC_STACK_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/atomic.h"

/* 63-6: the owner, an address of 64-byte alignment; of a free stack what its list wants
   5: bare, no guard | 4-3: age, of one that sleeps | 2-0: state */
#define EMP_STACK_STATE     0x07u
#define EMP_STACK_AGE_SHIFT 3u
#define EMP_STACK_AGE_MAX   3u
#define EMP_STACK_AGE       (EMP_STACK_AGE_MAX << EMP_STACK_AGE_SHIFT)
#define EMP_STACK_BARE      0x20u
#define EMP_STACK_OWNER     (~(uint64_t)0x3f)
#define EMP_STACK_SHIFT     6u

enum emp_stack_state {
    EMP_STACK_FREE = 0, /* with the pool */
    EMP_STACK_RUNS,     /* with a runner */
    EMP_STACK_SLEEPS,   /* with nobody, all of it in its slot */
    EMP_STACK_BUSY,     /* with a parker */
    EMP_STACK_PARKED,   /* with nobody, the live part saved beside it */
    EMP_STACK_SHARED    /* a run slot's until the end; its owner is the slot: sync/run_slot.h */
};

/* What a wake finds. */
enum emp_stack_wake {
    EMP_STACK_WOKE = 0,    /* as it was left */
    EMP_STACK_WOKE_PARKED, /* the live part must be brought back first; bare: and the guard */
    EMP_STACK_TRY_AGAIN,   /* a parker has it for a moment */
    EMP_STACK_WRONG        /* it runs, or is free: a misuse */
};

/* State of a value of the word. */
static inline enum emp_stack_state emp_stack_state_of(uint64_t seen)
{
    return (enum emp_stack_state)(seen & EMP_STACK_STATE);
}

/* The word as it was a moment ago. */
static inline uint64_t emp_stack_word_look(const uint64_t *word)
{
    /* order(stack-word): relaxed; a hint: who acts on it swaps, or owns the stack */
    return emp_load_relaxed(word);
}

/* Taker: the stack runs for this owner. */
static inline void emp_stack_word_begin(uint64_t *word, uint64_t owner)
{
    /* order(stack-word): relaxed; only the runner's sleep makes the stack known to others */
    emp_store_relaxed(word, owner | EMP_STACK_RUNS);
}

/* Taker: the stack is a run slot from now on; nobody but its taker ends that. */
static inline void emp_stack_word_share(uint64_t *word, uint64_t slot)
{
    /* order(stack-word): relaxed; parkers leave it alone, others find the slot by its table */
    emp_store_relaxed(word, slot | EMP_STACK_SHARED);
}

/* Runner: the stack sleeps from now on. */
static inline void emp_stack_word_sleep(uint64_t *word, uint64_t owner)
{
    /* order(stack-word): release; what lies on the stack, for a parker */
    emp_store_release(word, owner | EMP_STACK_SLEEPS);
}

/* Runner: wakes the stack; *seen receives the word before. */
static inline enum emp_stack_wake emp_stack_word_wake(uint64_t *word, uint64_t *seen)
{
    /* order(stack-word): relaxed; the compare-and-swap decides */
    uint64_t found = emp_load_relaxed(word);

    for (;;) {
        const enum emp_stack_state state = emp_stack_state_of(found);

        *seen = found;
        if (emp_unlikely(state == EMP_STACK_BUSY)) {
            return EMP_STACK_TRY_AGAIN;
        }
        if (emp_unlikely(state != EMP_STACK_SLEEPS && state != EMP_STACK_PARKED)) {
            return EMP_STACK_WRONG;
        }
        /* order(stack-word): acquire; a parker is done with the stack, what it saved is there */
        if (emp_cas_acquire(word, &found, (found & EMP_STACK_OWNER) | EMP_STACK_RUNS)) {
            return state == EMP_STACK_SLEEPS ? EMP_STACK_WOKE : EMP_STACK_WOKE_PARKED;
        }
    }
}

/* Parker: one that sleeps gets a year older; true: it was as old as can be, and is claimed. */
static inline bool emp_stack_word_claim_old(uint64_t *word, uint32_t age_limit)
{
    /* order(stack-word): relaxed; the compare-and-swap decides */
    uint64_t found = emp_load_relaxed(word);
    const uint32_t age = (uint32_t)(found & EMP_STACK_AGE) >> EMP_STACK_AGE_SHIFT;

    if (emp_stack_state_of(found) != EMP_STACK_SLEEPS) {
        return false;
    }
    if (age < age_limit) {
        /* order(stack-word): relaxed; the age alone; what was released before stays so */
        (void)emp_cas_relaxed(word, &found, found + (1u << EMP_STACK_AGE_SHIFT));
        return false;
    }
    const uint64_t next = (found & EMP_STACK_OWNER) | EMP_STACK_BUSY;

    /* order(stack-word): acquire; what the runner left on the stack */
    return emp_cas_acquire(word, &found, next);
}

/* Parker: claims one that is parked, to make it bare or to read it. False: it is not. */
static inline bool emp_stack_word_claim_parked(uint64_t *word, uint64_t *seen)
{
    /* order(stack-word): relaxed; the compare-and-swap decides */
    uint64_t found = emp_load_relaxed(word);

    *seen = found;
    if (emp_stack_state_of(found) != EMP_STACK_PARKED) {
        return false;
    }
    /* order(stack-word): acquire; what an earlier parker saved */
    return emp_cas_acquire(word, &found, (found & EMP_STACK_OWNER) | EMP_STACK_BUSY);
}

/* Parker: ends a claim; the state is SLEEPS or PARKED, with EMP_STACK_BARE when it has no guard. */
static inline void emp_stack_word_settle(uint64_t *word, uint64_t owner, uint64_t state)
{
    /* order(stack-word): release; what the parker read is over, what it saved is there */
    emp_store_release(word, owner | state);
}

/* Runner or taker: the stack is the pool's; value is what the pool keeps in the owner's place. */
static inline void emp_stack_word_end(uint64_t *word, uint64_t value)
{
    /* order(stack-word): relaxed; the lock of the pool hands it on */
    emp_store_relaxed(word, value << EMP_STACK_SHIFT | EMP_STACK_FREE);
}

#endif
