/*
 * Purpose: an unbounded queue of words, many producers and one consumer, in blocks of 512 bytes of
 *          which the consumer gives back what it has emptied.
 * Owner:   sync; blocks come from and go to whoever calls. Roles: producers claim and publish; one
 *          grower or closer at a time (holds a lock of the owner's); one consumer at a time.
 *
 *   tail: address of the last block (128-aligned) | 6-1: slots claimed, 0..56 | 0: closed
 *
 *   {block, n} --claim (producer): cas--> {block, n+k} --> ... {block, 56}
 *   {block, 56} --grow (lock): block.next = new, then tail--> {new, 0}
 *   slot:  claimed --publish (producer): ready = 1--> full --take (consumer)--> empty
 *   block: last slot taken and next is there --consumer--> retired: kept as the spare, or returned
 *
 * Invariants: I1 the word tail is the whole truth: whoever swaps it has slots of the block it
 *   names, whatever that block has been through before (so there is no ABA). I2 a block lives until
 *   every slot of it was taken and its next is linked; a producer touches it only between its claim
 *   and its publication, a grower only before it is linked to: nobody touches a retired block. I3
 *   only a full block is grown from and only under the lock, so next is written once. I4 after
 *   closing nobody claims.
 * Linearisation: the successful swap of tail (send); the consumer's step to the next slot.
 * Order table: block-tail: grow releases the new block, claim acquires it; close releases, the
 *   consumer that finds it drained acquires. block-ready: publish releases the word, take acquires
 *   it. block-next: grow releases, the consumer acquires. block-spare: the consumer releases its
 *   last reads of a block, the grower that reuses it acquires them.
 * Progress: claims are lock-free; who finds the block full waits for the lock, once in 56. A
 *   producer stalled between claim and publish stops the consumer at its slot, which then says
 *   "empty". Memory: the blocks between consumer and tail, and one spare.
 * Does not promise: that take finds a word while a send before it is in progress.
 * Source: the shape is of tokio's and crossbeam's lists; the one-word tail is ours.
 * Threads: see the roles. Design: [sync.proto.block-list]
 */
#ifndef EMP_SYNC_BLOCK_LIST_H
#define EMP_SYNC_BLOCK_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "sync/atomic.h"
#include "sync/pace.h"

#ifndef EMP_BLOCK_SLOTS
#define EMP_BLOCK_SLOTS 56u /* the model checker has blocks of 2 */
#endif
#define EMP_BLOCK_ALIGN  128u
#define EMP_BLOCK_CLOSED ((uintptr_t)1)
#define EMP_BLOCK_CLAIM  ((uintptr_t)2) /* one slot in tail */

struct emp_block {
    struct emp_block *next;         /* atomic: block-next. written once by the grower */
    uint8_t ready[EMP_BLOCK_SLOTS]; /* atomic: block-ready. 1: the word is there */
    uint64_t word[EMP_BLOCK_SLOTS]; /* written by who claimed the slot, read by the consumer */
};

_Static_assert(EMP_BLOCK_SLOTS != 56u || sizeof(struct emp_block) == 512,
               "a block is one channel-block object");
_Static_assert(2 * EMP_BLOCK_SLOTS + 1 < EMP_BLOCK_ALIGN, "slots and flag fit below the address");

/* What the consumer knows; the owner keeps it on a line of its own. */
struct emp_block_cursor {
    struct emp_block *block;
    uint32_t taken;       /* slots of it */
    uint32_t seen;        /* slots of it that were ready at the last look */
    struct emp_pace pace; /* of the looks */
};

/* Why a claim got nothing. */
enum emp_block_claim { EMP_BLOCK_GOT = 0, EMP_BLOCK_FULL, EMP_BLOCK_IS_CLOSED };

static inline struct emp_block *emp_block_of(uintptr_t tail)
{
    return (struct emp_block *)(tail & ~(uintptr_t)(EMP_BLOCK_ALIGN - 1));
}

static inline uint32_t emp_block_claimed(uintptr_t tail)
{
    return (uint32_t)((tail & (EMP_BLOCK_ALIGN - 1)) / EMP_BLOCK_CLAIM);
}

/* A block before it is given to emp_block_grow or to emp_block_start: nothing in it. */
static inline void emp_block_clear(struct emp_block *block)
{
    /* order(block-next): relaxed; the block is published by tail */
    emp_store_relaxed(&block->next, (struct emp_block *)NULL);
    for (uint32_t i = 0; i < EMP_BLOCK_SLOTS; i++) {
        /* order(block-ready): relaxed; the block is published by tail */
        emp_store_relaxed(&block->ready[i], (uint8_t)0);
    }
}

/* Before it is shared. */
static inline void emp_block_start(uintptr_t *tail, struct emp_block_cursor *cursor,
                                   struct emp_block *block)
{
    emp_check(((uintptr_t)block & (EMP_BLOCK_ALIGN - 1)) == 0);
    *tail = (uintptr_t)block;
    *cursor = (struct emp_block_cursor){.block = block};
    /* The longest pause: what comes within it is less than a block. */
    emp_pace_init(&cursor->pace, 4 * EMP_PACE_FEW);
}

/* Producer: up to `wanted` slots of one block, from *first on; *count of them. */
static inline enum emp_block_claim emp_block_claim(uintptr_t *tail, uint32_t wanted,
                                                   uintptr_t *first, uint32_t *count)
{
    /* order(block-tail): relaxed; the swap decides */
    uintptr_t seen = emp_load_relaxed(tail);

    for (;;) {
        uint32_t room = EMP_BLOCK_SLOTS - emp_block_claimed(seen);

        if ((seen & EMP_BLOCK_CLOSED) != 0) {
            return EMP_BLOCK_IS_CLOSED;
        }
        if (room == 0) {
            return EMP_BLOCK_FULL;
        }
        *count = wanted < room ? wanted : room;
        *first = seen;
        /* order(block-tail): acquire; the block that its grower made */
        if (emp_cas_acquire(tail, &seen, seen + *count * EMP_BLOCK_CLAIM)) {
            return EMP_BLOCK_GOT;
        }
    }
}

/* Producer: writes the i-th claimed word; the block is not the producer's any more after the last.
 * */
static inline void emp_block_publish(uintptr_t first, uint32_t i, uint64_t word)
{
    struct emp_block *block = emp_block_of(first);
    uint32_t slot = emp_block_claimed(first) + i;

    block->word[slot] = word;
    /* order(block-ready): release; the word is visible to the consumer */
    emp_store_release(&block->ready[slot], (uint8_t)1);
}

/* Grower, lock held: a cleared block becomes the last; false: not needed, it stays the caller's. */
static inline bool emp_block_grow(uintptr_t *tail, struct emp_block *block)
{
    /* order(block-tail): relaxed; whoever grew it last held the same lock */
    uintptr_t seen = emp_load_relaxed(tail);

    emp_assert(((uintptr_t)block & (EMP_BLOCK_ALIGN - 1)) == 0);
    if ((seen & EMP_BLOCK_CLOSED) != 0 || emp_block_claimed(seen) != EMP_BLOCK_SLOTS) {
        return false;
    }
    /* order(block-next): release; the block is empty when the consumer gets to it */
    emp_store_release(&emp_block_of(seen)->next, block);
    /* order(block-tail): release; the block is empty when a producer claims of it */
    emp_store_release(tail, (uintptr_t)block);
    return true;
}

/* Closer, lock held: from now on nobody claims. */
static inline void emp_block_close(uintptr_t *tail)
{
    /* order(block-tail): release; what the closer did is visible to who finds it drained */
    (void)emp_fetch_or_release(tail, EMP_BLOCK_CLOSED);
}

/* Consumer: looks how many words of its block lie ready in a row. */
static inline void emp_block_look(struct emp_block_cursor *cursor)
{
    const uint32_t before = cursor->seen;

    emp_pace_wait(&cursor->pace);
    while (cursor->seen < EMP_BLOCK_SLOTS) {
        /* order(block-ready): acquire; the word that was published */
        if (emp_load_acquire(&cursor->block->ready[cursor->seen]) == 0) {
            break;
        }
        cursor->seen++;
    }
    /* To the end of a block is enough. */
    emp_pace_learn(&cursor->pace,
                   cursor->seen == EMP_BLOCK_SLOTS ? UINT32_MAX : cursor->seen - before);
}

/*
 * Consumer: how many words, at most `wanted`, lie ready in one block from the cursor on. A block
 * that was left behind is stored in *retired; the caller gives it back or keeps it.
 */
static inline uint32_t emp_block_ready(struct emp_block_cursor *cursor, uint32_t wanted,
                                       struct emp_block **retired)
{
    if (cursor->taken == EMP_BLOCK_SLOTS) {
        /* order(block-next): acquire; the block as its grower cleared it */
        struct emp_block *next = emp_load_acquire(&cursor->block->next);

        if (next == NULL) {
            return 0;
        }
        *retired = cursor->block;
        cursor->block = next;
        cursor->taken = 0;
        cursor->seen = 0;
    }
    if (cursor->seen - cursor->taken < wanted && cursor->seen < EMP_BLOCK_SLOTS) {
        emp_block_look(cursor);
    }
    const uint32_t ready = cursor->seen - cursor->taken;

    return ready < wanted ? ready : wanted;
}

/* Consumer: whether the next word is there; changes nothing. */
static inline bool emp_block_is_ready(const struct emp_block_cursor *cursor)
{
    const struct emp_block *block = cursor->block;
    uint32_t slot = cursor->taken;

    if (slot == EMP_BLOCK_SLOTS) {
        /* order(block-next): acquire; the block as its grower cleared it */
        block = emp_load_acquire(&block->next);
        slot = 0;
    }
    /* order(block-ready): relaxed; who takes the word acquires it */
    return block != NULL && emp_load_relaxed(&block->ready[slot]) != 0;
}

/* Consumer: true when nothing will ever come out again. */
static inline bool emp_block_is_drained(const uintptr_t *tail,
                                        const struct emp_block_cursor *cursor)
{
    /* order(block-tail): acquire; pairs with emp_block_close */
    uintptr_t seen = emp_load_acquire(tail);

    return seen == ((uintptr_t)cursor->block | cursor->taken * EMP_BLOCK_CLAIM | EMP_BLOCK_CLOSED);
}

/* Consumer: keeps one block for the next grower; false: there is one already. */
static inline bool emp_block_keep(struct emp_block **spare, struct emp_block *block)
{
    /* order(block-spare): relaxed; only the consumer fills it */
    if (emp_load_relaxed(spare) != NULL) {
        return false;
    }
    /* order(block-spare): release; our reads of the block are over before it is used again */
    emp_store_release(spare, block);
    return true;
}

/* The block that was kept, or NULL. */
static inline struct emp_block *emp_block_unkeep(struct emp_block **spare)
{
    /* order(block-spare): relaxed; most of the time there is none, the exchange decides */
    if (emp_load_relaxed(spare) == NULL) {
        return NULL;
    }
    /* order(block-spare): acquire; the consumer's reads of it are over */
    return emp_exchange_acquire(spare, (struct emp_block *)NULL);
}

#endif
