/*
 * Purpose: a slab: blocks of one class in a span, with its state out of band.
 * Owner:   slab. A slab belongs to one CPU shard; "the holder" is the thread that holds that
 *          shard's lock.
 *
 *   unused --create (any thread)--> detached --link (holder)--> empty <-> partial <-> full
 *   empty --retire (holder)--> detached --destroy--> unused        partial --adopt--> another shard
 *
 * Threads: creation and destruction by the one thread that has it; all else by the holder, except
 *          the states and the inbox link, which any thread that frees a block may touch.
 * Design:  [slab.inv.counts] [slab.inv.tag] [slab.proto.owner]
 */
#ifndef EMP_SLAB_SLAB_H
#define EMP_SLAB_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/config.h"
#include "slab/bitmap_expand.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/unit.h"
#include "sync/atomic.h"
#include "sync/inbox.h"
#include "sync/slot_state.h"

#define EMP_SLAB_MAGIC  0x45434d53u /* "ECMS": the slab exists */
#define EMP_SLAB_ENDING 0x45434d45u /* "ECME": retired; only who retired it may touch it */

/* Where a slab is linked. Buckets count from the fullest. */
enum emp_slab_list {
    EMP_LIST_BUCKETS = 4, /* 0..3: some slots free, as of the last count */
    EMP_LIST_EMPTY = 4,   /* all slots free */
    EMP_LIST_OPEN = 5,    /* lists whose slabs have free slots: 0..4 */
    EMP_LIST_FULL = 5,    /* no slot free when last looked at */
    EMP_LIST_COUNT = 6,
    EMP_LIST_DETACHED = 7 /* not linked on purpose: being created, purged, offered or retired */
};

/*
 * How the secure build finds the state of a slot ([slab.proto.guard]). Const while the slab exists;
 * the same in all of its units, so that an address leads to it without its class.
 */
struct emp_slab_guard {
    uint32_t slab_mask;  /* bytes of the slab - 1 */
    uint32_t size;       /* of a slot; 0 outside the secure build */
    uint32_t reciprocal; /* as in the geometry of the class */
};

/*
 * Descriptor, 128 bytes, out of band, one per unit of the arena (the first unit's is used). The
 * first line is what every thread that frees a block reads; it changes when the slab becomes full
 * or has news, not with each block. The second line is the holder's.
 * Invariants: free_count is a lower bound of the FREE states, exact after a count; in FULL it is 0
 * unless the slab is on its way through the inbox;
 * magic is EMP_SLAB_MAGIC iff the slab exists.
 */
struct emp_slab {
    uint32_t magic;              /* set last at creation, cleared first at destruction */
    uint8_t class_id;            /* const while the slab exists */
    uint8_t owner;               /* atomic: slab-owner. shard; changed by the holder only */
    uint16_t slots;              /* const: blocks that may be handed out */
    uint8_t *states;             /* const: a byte per slot, in whole lines. atomic: slot-state */
    struct emp_inbox_link inbox; /* told: 0 when full and nobody has told the shard of news */
    /* const: that of the class when a slab is one unit; 0 for wide slabs, and in no slab */
    uint32_t reciprocal;
    struct emp_slab_guard guard; /* secure build: in the descriptor of every unit, as are states */
    uint32_t line_rest[6];
    uint8_t list;          /* holder: enum emp_slab_list */
    uint8_t idle_ticks;    /* holder: ticks without a change of free_count */
    uint16_t free_count;   /* holder */
    uint16_t tick_count;   /* holder: free_count at the last tick */
    uint16_t touched;      /* holder: slots before this one were handed out once, none behind */
    uint8_t offered;       /* holder: its number is in the ring of its class */
    uint8_t tick_round;    /* holder: the round of maintenance that saw it last */
    uint32_t prev;         /* holder: slab number + 1 */
    uint32_t next;         /* holder: slab number + 1 */
    uint32_t counted;      /* holder: the round of maintenance that counted it last */
    uint64_t purged_pages; /* holder: 4 KiB pages given back while all their blocks were free */
    uint32_t holder_rest[8];
};

/* True when no block of the slot's word was ever handed out. For reports: no lock is needed. */
static inline bool emp_slab_is_never_used(const struct emp_slab *slab, size_t slot)
{
    uint32_t highest = slab->touched != 0 ? slab->touched - 1u : 0;

    return slot / EMP_WORD_BITS > highest / EMP_WORD_BITS;
}

/* True when the slab exists; what its creator wrote is visible then. */
static inline bool emp_slab_exists(const struct emp_slab *slab)
{
    /* order(slab-magic): acquire; pairs with the release at creation */
    return emp_load_acquire(&slab->magic) == EMP_SLAB_MAGIC;
}

/* Shard of a slab. Equal to a shard whose lock is held: what earlier holders wrote is visible. */
static inline uint32_t emp_slab_owner(const struct emp_slab *slab)
{
    /* order(slab-owner): acquire; pairs with the release of emp_slab_set_owner */
    return emp_load_acquire(&slab->owner);
}

/* Slab by number (the number of its first unit). */
static inline struct emp_slab *emp_slab_at(size_t number)
{
    return (struct emp_slab *)(void *)(emp_arena.slab_descriptors +
                                       number * EMP_SLAB_DESCRIPTOR_BYTES);
}

/* Number of a slab. */
static inline size_t emp_slab_number(const struct emp_slab *slab)
{
    return (size_t)((const char *)slab - emp_arena.slab_descriptors) / EMP_SLAB_DESCRIPTOR_BYTES;
}

/* First byte of the slab's blocks. */
static inline uintptr_t emp_slab_base(const struct emp_slab *slab)
{
    return (uintptr_t)emp_unit_base(emp_slab_number(slab));
}

/* Number of the slab of class that an arena address would belong to. */
static inline size_t emp_slab_number_of(uintptr_t address, const struct emp_class *class_info)
{
    return ((address - emp_arena.base) >> EMP_UNIT_SHIFT) & ~(size_t)(class_info->units - 1u);
}

/*
 * Makes a detached slab on units just taken, all of its first `slots` blocks free, for shard owner.
 * False: no memory for its bitmaps; the units still belong to the caller.
 */
bool emp_slab_create(size_t unit, uint32_t class_id, uint8_t owner, uint16_t slots);

/* Takes a detached slab out of the world, under the lock of its owner: nobody else touches it
   again. */
void emp_slab_retire(struct emp_slab *slab);

/* Ends a retired slab; the units go back. */
void emp_slab_destroy(struct emp_slab *slab);

/* Sets owner and tags; the caller holds the lock of the old owner. */
void emp_slab_set_owner(struct emp_slab *slab, uint8_t owner);

/* The free slots among 64, word by word, as a bitmap; what their last users wrote is visible. */
static inline uint64_t emp_slab_word(const struct emp_slab *slab, unsigned word)
{
    return emp_bitmap_ops.gather(slab->states + (size_t)word * EMP_WORD_BITS);
}

/*
 * Frees the block at an offset of the arena without its class. False: nothing was done, because it
 * is not the start of a block in use, or its slab is wide. *slab receives what it lies in.
 */
static inline bool emp_slab_release(char *descriptors, uintptr_t offset, struct emp_slab **slab)
{
    struct emp_slab *found =
        (struct emp_slab *)(void *)(descriptors +
                                    (offset >> EMP_UNIT_SHIFT) * EMP_SLAB_DESCRIPTOR_BYTES);
    /* order(slab-magic): relaxed; who holds a block has the slab's creation behind him */
    uint32_t reciprocal = emp_load_relaxed(&found->reciprocal);
    uint64_t product = (offset & (EMP_UNIT_BYTES - 1)) * reciprocal;

    *slab = found;
    /* The fraction is below one part in `size` exactly for multiples of it: [slab.inv.fraction] */
    return emp_likely((uint32_t)product < reciprocal) &&
           emp_slot_release(&found->states[product >> 32]);
}

/* True when a slot is free; ends at the first and is less work than a count. Holder. */
static inline bool emp_slab_has_free(const struct emp_slab *slab)
{
    unsigned words = emp_classes[slab->class_id].words;
    uint64_t word = 0;

    return emp_bitmap_ops.next(slab->states, words, 0, &word) < words;
}

/* Counts the free slots; returns how many more there are than was known. Holder. */
unsigned emp_slab_count(struct emp_slab *slab);

/* Most bytes of states that are written at once. */
#define EMP_STATES_AT_ONCE 16u

/*
 * Takes `count` slots side by side, 8 to 64, all of them free, for the holder: whole stores, of
 * which the last may reach back over slots that those before it took.
 */
static inline void emp_slab_take_run(struct emp_slab *slab, unsigned slot, unsigned count)
{
    uint8_t *states = slab->states + slot;

    if (count < EMP_STATES_AT_ONCE) {
        memset(states, EMP_SLOT_USED, 8);
        memset(states + count - 8, EMP_SLOT_USED, 8);
        return;
    }
    for (unsigned i = EMP_STATES_AT_ONCE; i < count; i += EMP_STATES_AT_ONCE) {
        memset(states + i - EMP_STATES_AT_ONCE, EMP_SLOT_USED, EMP_STATES_AT_ONCE);
    }
    memset(states + count - EMP_STATES_AT_ONCE, EMP_SLOT_USED, EMP_STATES_AT_ONCE);
}

/* Takes the slots of one word, all of them free, for the holder. */
void emp_slab_take_bits(struct emp_slab *slab, unsigned word, uint64_t bits);

/* Pages of 4 KiB all of whose blocks are free and that were not given back yet, as a mask. */
uint64_t emp_slab_free_pages(const struct emp_slab *slab);

/* Free blocks that touch a page of mask. Holder. */
unsigned emp_slab_page_blocks(const struct emp_slab *slab, uint64_t mask);

/*
 * Keeps the blocks of pages that emp_slab_free_pages found back (HELD); returns how many. Counts
 * first: *news receives how many more free blocks there were than was known.
 */
unsigned emp_slab_claim_pages(struct emp_slab *slab, uint64_t mask, unsigned *news);

/* Puts back what emp_slab_claim_pages took, and remembers that the pages were given back. */
void emp_slab_restore_pages(struct emp_slab *slab, uint64_t mask);

/* Forgets that the pages under a word were given back; its blocks are about to be handed out. */
void emp_slab_touch_word(struct emp_slab *slab, unsigned word, uint32_t size);

/* Checks the invariants; returns NULL or what is broken. The holder calls it. */
const char *emp_slab_audit(const struct emp_slab *slab);

#endif
