/*
 * Purpose: the run slots of one emp_async_pool: some stacks that many coroutines share. Each of
 *          them has one home, so its addresses stay; what runs there sends what sleeps there to a
 *          block of the heap first.
 *
 *   home of three:   stack: live part of B     copies: A, C (a list)
 *   A is to run:     B's live part goes to A's block, if it fits well, else to a new one; A's to
 *                    the stack
 *
 * Owner:   async. The table is made at the first spawn of a shared coroutine and ends with its
 *          manager. A copy is freed by who brings it back, or with the table.
 * Threads: any; the word of a slot says who has stack and copies, a claim who has the list.
 * Design:  [async.proto.run-slots] [async.inv.run-slot-home]
 */
#ifndef EMP_ASYNC_RUN_SLOTS_H
#define EMP_ASYNC_RUN_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emp_coroutine;
struct emp_coroutine_stats;
struct emp_stack_manager;
struct emp_stack_range;

#define EMP_RUN_SLOT_SIZE      2u /* of its stack, by number: 256 KiB */
#define EMP_RUN_SLOTS_MAX      4096u
#define EMP_RUN_SLOT_BYTES_MAX ((size_t)(192u << 10) - 2048u) /* less guard, note and offset */

/* One stack and its sleepers. */
struct emp_run_slot {
    uint64_t word;               /* atomic: run-slot */
    struct emp_coroutine *saved; /* first of those whose live part is elsewhere; the claim's */
    uint64_t saves;              /* atomic: stack-count. total; written under the claim */
    uint32_t listed;             /* atomic: claim. who changes or walks the list */
    uint32_t saved_count;        /* atomic: stack-count. length of the list */
    uint32_t slot;               /* const: number of the stack */
    uint16_t index;              /* const: in the table */
    uint16_t rest[13];
};

_Static_assert(sizeof(struct emp_run_slot) == 64, "neighbours do not share a line");

/* All of a pool. */
struct emp_run_slots {
    uint32_t count;    /* const */
    uint32_t next;     /* atomic: run-slots. where the next first run looks */
    uint64_t waits;    /* atomic: stack-count. runs that were put off */
    uint64_t refusals; /* atomic: stack-count. of them for want of memory */
    uint64_t rest[5];
    struct emp_run_slot slots[];
};

_Static_assert(offsetof(struct emp_run_slots, slots) == 64, "slots are lines");

/* The table, made now if there is none; NULL: no memory, no address space. */
struct emp_run_slots *emp_run_slots_open(struct emp_stack_manager *stacks);

/* Ends the table, and the copies of coroutines that never ended. NULL is fine. */
void emp_run_slots_end(struct emp_run_slots *slots);

/* Takes any slot for a coroutine that has no home yet; NULL: not now. */
struct emp_run_slot *emp_run_slots_take(struct emp_coroutine *coroutine);

/* Takes the home of a coroutine that sleeps, its live part on the stack. False: not now. */
bool emp_run_slots_enter(struct emp_coroutine *coroutine);

/* The home of a coroutine that has one. */
struct emp_run_slot *emp_run_slots_home(const struct emp_coroutine *coroutine);

/* Adds to a snapshot. */
void emp_run_slots_stats(struct emp_stack_manager *stacks, struct emp_coroutine_stats *out);

/* emp_stack_each for these stacks and all copies. */
void emp_run_slots_each(struct emp_stack_manager *stacks,
                        void (*visit)(const struct emp_stack_range *range, void *arg), void *arg);

/* In a forked child: what other threads had is vacant; what the caller runs on stays its own. */
void emp_run_slots_reset_in_child(struct emp_run_slots *slots);

#endif
