/*
 * Purpose: a slab: blocks of one class in a span, with its state out of band.
 * Owner:   slab. A slab belongs to one CPU shard; "the holder" is the thread that holds that
 *          shard's lock.
 *
 *   unused --create (any thread)--> detached --link (holder)--> empty <-> partial <-> full
 *   empty --retire (holder)--> detached --destroy--> unused        partial --adopt--> another shard
 *
 * Threads: creation and destruction by the one thread that has it; all else by the holder, except
 *          remote[] and the inbox link, which any thread that frees a block may touch.
 * Design:  [slab.inv.counts] [slab.inv.tag] [slab.proto.owner]
 */
#ifndef EMP_SLAB_SLAB_H
#define EMP_SLAB_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/unit.h"
#include "sync/atomic.h"
#include "sync/inbox.h"

#define EMP_SLAB_MAGIC  0x45434d53u /* "ECMS": the slab exists */
#define EMP_SLAB_ENDING 0x45434d45u /* "ECME": retired; only who retired it may touch it */

/* Where a slab is linked. Buckets count from the fullest. */
enum emp_slab_list {
    EMP_LIST_BUCKETS = 4, /* 0..3: some slots free */
    EMP_LIST_EMPTY = 4,   /* all slots free */
    EMP_LIST_COUNT = 5,
    EMP_LIST_FULL = 6,    /* no slot free, not linked */
    EMP_LIST_DETACHED = 7 /* not linked on purpose: being created, purged, offered or retired */
};

/*
 * Where the secure build finds the state byte of a slot ([slab.proto.guard]). Const while the slab
 * exists; the same in all of its units, so that an address leads to it without its class.
 */
struct emp_slab_guard {
    uint8_t *states;     /* a byte per slot, see block_guard.h; NULL outside the secure build */
    uint32_t slab_mask;  /* bytes of the slab - 1 */
    uint32_t size;       /* of a slot */
    uint32_t reciprocal; /* as in the geometry of the class */
};

/*
 * Descriptor, 128 bytes, out of band, one per unit of the arena (the first unit's is used).
 * The first eight bytes are read as one word by the flush path, which may not hold the lock: only
 * what is const while the slab exists, and the owner, stands there.
 * Invariants: free_count = set bits of free[]; free[] and remote[] of live blocks are 0;
 * magic is EMP_SLAB_MAGIC iff the slab exists.
 */
struct emp_slab {
    uint32_t magic;        /* set last at creation, cleared first at destruction */
    uint8_t class_id;      /* const while the slab exists */
    uint8_t owner;         /* atomic: slab-owner. shard; changed by the holder only */
    uint16_t slots;        /* const: blocks that may be handed out */
    uint8_t list;          /* holder: enum emp_slab_list */
    uint8_t idle_ticks;    /* holder: ticks without a change of free_count */
    uint16_t free_count;   /* holder */
    uint16_t high_word;    /* holder: highest word that blocks were ever taken from */
    uint16_t tick_count;   /* holder: free_count at the last tick */
    uint64_t *free;        /* atomic: slab-free. written by the holder, read by remote frees */
    uint64_t *remote;      /* atomic: remote-word */
    uint32_t prev;         /* holder: slab number + 1 */
    uint32_t next;         /* holder: slab number + 1 */
    uint64_t purged_pages; /* holder: 4 KiB pages given back while all their blocks were free */
    uint8_t offered;       /* holder: its number is in the ring of its class */
    uint8_t tick_round;    /* holder: the round of maintenance that saw it last */
    uint8_t rest[14];
    struct emp_inbox_link inbox; /* second line: any thread */
    struct emp_slab_guard guard; /* secure build: in the descriptor of every unit of the slab */
    uint32_t line_rest[8];
};

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

/* Told of a block that was freed twice; must not wait for anything. */
typedef void emp_slab_twice(void *block);

/* Ends a retired slab; the units go back. twice hears of blocks freed once more in the meantime. */
void emp_slab_destroy(struct emp_slab *slab, emp_slab_twice *twice);

/* Sets owner and tags; the caller holds the lock of the old owner. */
void emp_slab_set_owner(struct emp_slab *slab, uint8_t owner);

/* Moves remote[] into free[]; returns blocks moved. twice hears of those that were free already. */
unsigned emp_slab_drain(struct emp_slab *slab, emp_slab_twice *twice);

/* Pages of 4 KiB all of whose blocks are free and that were not given back yet, as a mask. */
uint64_t emp_slab_free_pages(const struct emp_slab *slab);

/* Takes every block that touches a page of mask out of free[]; returns how many. */
unsigned emp_slab_claim_pages(struct emp_slab *slab, uint64_t mask);

/*
 * Puts back what emp_slab_claim_pages took, and remembers that the pages were given back. twice
 * hears of blocks that were freed while they were claimed, although they were free.
 */
void emp_slab_restore_pages(struct emp_slab *slab, uint64_t mask, emp_slab_twice *twice);

/* Forgets that the pages under a word were given back; its blocks are about to be handed out. */
void emp_slab_touch_word(struct emp_slab *slab, unsigned word, uint32_t size);

/* Checks the invariants; returns NULL or what is broken. The holder calls it. */
const char *emp_slab_audit(const struct emp_slab *slab);

#endif
