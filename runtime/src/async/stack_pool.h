/*
 * Purpose: the stacks of one emp_async_pool: four sizes, each with its address space, its words of
 *          state and the ways a free stack goes.
 *
 *   fresh --take--> in use --give--> shelf of this processor --> warm (pages kept) --> cold
 *   (purged)
 *                     ^----------------------+-------------------------+-----------------+
 *
 * Owner:   async. The manager is made with its pool and ends with it.
 * Threads: any. A shelf is held by a claim, for some instructions; the lists of all managers by
 *          one mutex of rank STACKS, never across a system call but the opening of a size.
 * Design:  [async.proto.stack-pool] [async.inv.stack-once]
 */
#ifndef EMP_ASYNC_STACK_POOL_H
#define EMP_ASYNC_STACK_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/coroutine_memory.h"
#include "base/compiler.h"
#include "span/stack_map.h"
#include "sync/stack_word.h"
#include "thread/fiber.h"
#include "thread/mutex.h"

#define EMP_STACK_SIZES   4u
#define EMP_STACK_DEFAULT 1u /* 64 KiB */
#define EMP_SHELF_SLOTS   30u

/* What nobody may use: where a stack begins in its page, the tools' note, the first frames. */
#define EMP_STACK_OVERHEAD 1280u

/* Bytes of the largest stack: 1 MiB without its guard and the above. */
#define EMP_STACK_BYTES_MAX ((size_t)(960u << 10) - EMP_STACK_OVERHEAD)

/* Free stacks of one size near one processor. */
struct emp_stack_shelf {
    uint32_t taken; /* atomic: claim */
    uint32_t count; /* the holder's */
    uint32_t slots[EMP_SHELF_SLOTS];
};

_Static_assert(sizeof(struct emp_stack_shelf) == 128, "a shelf is two lines, and nobody else's");

struct emp_run_slots;

/* A list of free slots through their words. */
struct emp_stack_list {
    uint32_t head; /* slot + 1; 0: empty */
    uint32_t count;
};

/* The stacks of one size. */
struct emp_stack_size {
    struct emp_stack_map map; /* const once open */
    uint64_t *words;          /* atomic: stack-word. one per slot; const pointer once open */
    struct emp_stack_shelf *shelves;
    uint32_t is_open;           /* atomic: stack-size. map and words are there */
    uint32_t fresh;             /* atomic: stack-fresh. slots from here on were never used */
    struct emp_stack_list warm; /* guarded by emp_stack_lists */
    struct emp_stack_list cold; /* guarded by emp_stack_lists */
    uint32_t warm_least;        /* guarded by emp_stack_lists: fewest in warm since the last tick */
    uint32_t cold_slots;        /* atomic: stack-count. cold.count, for who has no lock */
    uint32_t parked;            /* atomic: stack-count. slots whose stack is parked */
    uint32_t hand;              /* the tick's: where the next sweep goes on */
};

/* All stacks of a pool. */
struct emp_stack_manager {
    const struct emp_async_pool *pool; /* const: where the objects of coroutines come from */
    struct emp_stack_size sizes[EMP_STACK_SIZES];
    struct emp_coroutine_policy policy; /* const but for emp_coroutine_set_policy */
    struct emp_run_slots *run_slots;    /* atomic: run-slots. NULL: nobody asked for them yet */
    uint32_t shelves;                   /* per size; a power of two */
    uint32_t ticking;                   /* atomic: claim. one sweep at a time */
    uint64_t sweep_ns;                  /* the tick's: when the last sweep began */
    bool is_sweeping;                   /* the tick's: that sweep is not at its end */
    bool is_aging;                      /* the tick's: it has met stacks that sleep, not yet long */
    uint64_t parks;                     /* atomic: stack-count */
    uint64_t unparks;                   /* atomic: stack-count */
    uint64_t refusals; /* atomic: stack-count. parks for which memory was missing */
};

/* The lock of all lists; one, so that a fork finds them whole. */
extern struct emp_mutex emp_stack_lists;

/*
 * Makes a manager known to the handler of faults and to emp_stack_tick_all; false: there are too
 * many. Unlisting waits until nobody walks over them.
 */
bool emp_stack_manager_list(struct emp_stack_manager *stacks);
void emp_stack_manager_unlist(const struct emp_stack_manager *stacks);

/* emp_coroutine_tick for one manager; *asleep is set when some may be due later. */
bool emp_stack_tick(struct emp_stack_manager *stacks, uint64_t now_ns, bool *asleep);

/* The smallest size with so many bytes; the largest when none has. */
unsigned emp_stack_size_for(size_t bytes);

/* Takes a guarded stack; its word is the taker's to begin. False: no address space, no memory. */
bool emp_stack_take(struct emp_stack_manager *stacks, unsigned number, uint32_t *slot);

/* Gives a stack back; its word is ended here. */
void emp_stack_give(struct emp_stack_manager *stacks, unsigned number, uint32_t slot);

/* Gives back pages of free stacks that were not needed since the last call. Bytes given back. */
size_t emp_stack_trim(struct emp_stack_manager *stacks, bool all);

/* In a forked child: what others had claimed is free; free stacks in their hands are lost. */
void emp_stack_reset_in_child(struct emp_stack_manager *stacks);

/* The part of the above for the stacks of coroutines, when a sweep or a walk went on. */
void emp_stack_let_go_in_child(struct emp_stack_size *size);

/* Whether free and sleeping stacks hold more pages than the policy allows. */
bool emp_stack_is_pressed(const struct emp_stack_manager *stacks);

/* Looks for an overflow in a stack whose guard may be a word. Does not return when there was one.
   */
EMP_COLD void emp_stack_check_word(const struct emp_stack_manager *stacks, unsigned size,
                                   uint32_t slot, const void *pointer);

/* What the above looks at, before a coroutine that it will be asked of. */
EMP_COLD void emp_stack_clear_word(const struct emp_stack_manager *stacks, unsigned size,
                                   uint32_t slot);

/* What the handler of faults asks: says all about an address in a guard of ours. False: it is not.
   */
bool emp_stack_explain_fault(const void *address);

/* The word of a slot. */
static inline uint64_t *emp_stack_word(const struct emp_stack_manager *stacks, unsigned size,
                                       uint32_t slot)
{
    return &stacks->sizes[size].words[slot];
}

/* The note for the tools, at the top of a slot. */
static inline struct emp_fiber *emp_stack_fiber(const struct emp_stack_manager *stacks,
                                                unsigned size, uint32_t slot)
{
    return (struct emp_fiber *)(void *)emp_stack_map_top(&stacks->sizes[size].map, slot) - 1;
}

/*
 * Where a coroutine's frames begin. Stacks of neighbouring slots would use the same sets of the
 * cache if all began at the same offset in their page (Photon, "Stackful Coroutine Made Fast").
 */
static inline char *emp_stack_begin(const struct emp_stack_manager *stacks, unsigned size,
                                    uint32_t slot)
{
    char *const top = emp_stack_map_top(&stacks->sizes[size].map, slot);

    if (emp_unlikely(emp_fiber_watched)) {
        return top - sizeof(struct emp_fiber);
    }
    return top - (size_t)(slot % 16u) * 64u;
}

#endif
