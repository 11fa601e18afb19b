/*
 * Purpose: lets one side of a queue sleep without a fence in every operation of the other: a word
 *          that the sleepers' side writes under a lock and the other side looks at after each
 *          operation.
 * Owner:   sync. Roles: a parker (holds the lock that guards the list of sleepers) arms, then looks
 *          at the queue once more; a signaller (any thread) publishes, asks emp_gate_signal, and
 *          takes the lock when told to.
 *
 *   open 0 --arm (parker): heavy fence--> waiting, fenced --disarm (lock)--> fenced
 *   fenced --arm (parker): full fence--> waiting, fenced
 *   fenced --relax (lock; after many signals for nobody)--> open 0
 *
 * Invariants: I1 the word changes only under the lock. I2 a signaller that found the gate open had
 *   published before the parker's heavy fence or sees the word that was written before it; one that
 *   found it fenced has a full fence between its publication and its second look. So either the
 *   signaller sees WAITING or the parker's second look sees what was published.
 * Linearisation: the parker's fence.
 * Order table: gate: all relaxed; the fences order: light beside heavy while the gate is open, full
 *   beside full while it is fenced. What is published travels by the queue's own orders, the list
 *   of sleepers by the lock.
 * Progress: wait-free but for the lock. ABA: none, the word has no history.
 * Does not promise: that a wake finds an item; that a signal finds a sleeper.
 * Why: a full fence in each send and receive waits for the line of the item to arrive; see
 *   docs/design/channel.md for the numbers. Threads: any. Design: [sync.proto.gate]
 * Source: P1202 "Asymmetric fences"; Dice, "Asymmetric Dekker synchronization", 2001.
 */
#ifndef EMP_SYNC_GATE_H
#define EMP_SYNC_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/atomic.h"

/* 2: for ever fenced, there is no heavy fence | 1: fenced | 0: somebody waits */
#define EMP_GATE_WAITING 1u
#define EMP_GATE_FENCED  2u
#define EMP_GATE_ALWAYS  4u

/* Signals for nobody, in a row, after which the gate may be opened again. */
#define EMP_GATE_CALM 1024u

struct emp_gate {
    uint32_t word; /* atomic: gate. bits above */
    uint32_t calm; /* atomic: gate. signals for nobody since somebody waited, about */
};

/* What a signaller has to do. */
enum emp_gate_news { EMP_GATE_NOTHING = 0, EMP_GATE_WAKE, EMP_GATE_RELAX };

/* Before it is shared. */
static inline void emp_gate_init(struct emp_gate *gate, bool has_heavy_fence)
{
    gate->word = has_heavy_fence ? 0 : EMP_GATE_FENCED | EMP_GATE_ALWAYS;
    gate->calm = 0;
}

/* The part of a signal behind a gate that is not open. */
static inline enum emp_gate_news emp_gate_signal_fenced(struct emp_gate *gate)
{
    /* order(gate): seq_cst; what was published comes before the look, as for the parker's fence */
    emp_fence_seq_cst();
    /* order(gate): relaxed; the list of sleepers travels by the lock */
    uint32_t word = emp_load_relaxed(&gate->word);

    if ((word & EMP_GATE_WAITING) != 0) {
        return EMP_GATE_WAKE;
    }
    /* order(gate): relaxed; a rough count, lost steps only put the opening off */
    uint32_t calm = emp_load_relaxed(&gate->calm) + 1;

    /* order(gate): relaxed; as above */
    emp_store_relaxed(&gate->calm, calm);
    return calm % EMP_GATE_CALM == 0 && (word & EMP_GATE_ALWAYS) == 0 ? EMP_GATE_RELAX
                                                                      : EMP_GATE_NOTHING;
}

/* After something was published: whether somebody must be woken, under the lock. */
static inline enum emp_gate_news emp_gate_signal(struct emp_gate *gate)
{
    /* order(gate): light; pairs with the heavy fence of who arms an open gate */
    emp_fence_light();
    /* order(gate): relaxed; see emp_gate_signal_fenced */
    if (emp_likely(emp_load_relaxed(&gate->word) == 0)) {
        return EMP_GATE_NOTHING;
    }
    return emp_gate_signal_fenced(gate);
}

/*
 * Lock held: somebody is about to sleep. True: the caller must call emp_fence_heavy before it looks
 * at the queue and before it gives the lock back. False: it may look.
 */
EMP_NODISCARD static inline bool emp_gate_arm(struct emp_gate *gate)
{
    /* order(gate): relaxed; only written under the lock */
    uint32_t word = emp_load_relaxed(&gate->word);

    /* order(gate): relaxed; the fence that follows orders it */
    emp_store_relaxed(&gate->word, word | EMP_GATE_WAITING | EMP_GATE_FENCED);
    /* order(gate): relaxed; a rough count */
    emp_store_relaxed(&gate->calm, 0u);
    if ((word & EMP_GATE_FENCED) == 0) {
        return true;
    }
    /* order(gate): seq_cst; the word is written before the second look at the queue */
    emp_fence_seq_cst();
    return false;
}

/* Lock held: nobody sleeps any more. */
static inline void emp_gate_disarm(struct emp_gate *gate)
{
    /* order(gate): relaxed; only written under the lock */
    uint32_t word = emp_load_relaxed(&gate->word);

    /* order(gate): relaxed; who still sees the old word only takes the lock for nothing */
    emp_store_relaxed(&gate->word, word & ~EMP_GATE_WAITING);
}

/* Lock held, after EMP_GATE_RELAX: opens the gate unless somebody waits. */
static inline void emp_gate_relax(struct emp_gate *gate)
{
    /* order(gate): relaxed; only written under the lock */
    uint32_t word = emp_load_relaxed(&gate->word);

    if (word == EMP_GATE_FENCED) {
        /* order(gate): relaxed; who arms it next has the heavy fence */
        emp_store_relaxed(&gate->word, 0u);
    }
}

#endif
