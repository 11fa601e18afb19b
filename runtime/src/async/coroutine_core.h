/*
 * Purpose: the control block of a coroutine, which is the body of its task: one line.
 * Owner:   async. The runner's while it runs; a parker's while the word of its stack is busy. A
 *          block in saved is freed by whoever brings the stack back, starts it or drops it.
 * Threads: see sync/stack_word.h.
 * Design:  [async.proto.coroutine] [async.inv.coroutine-line]
 */
#ifndef EMP_ASYNC_COROUTINE_CORE_H
#define EMP_ASYNC_COROUTINE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/stack_pool.h"
#include "async/task_core.h"
#include "base/align.h"

#define EMP_COROUTINE_INLINE_ARGS 32u

/* How far it is, the low bits of state. */
enum emp_coroutine_state {
    EMP_COROUTINE_UNSTARTED = 0, /* args hold the arguments, or saved does; no stack */
    EMP_COROUTINE_STARTED,
    EMP_COROUTINE_RETURNED /* entry has returned; the runner gives the stack back */
};

/* What is known of the stack, besides. */
enum emp_coroutine_note {
    EMP_COROUTINE_MEASURED = 1,   /* it was purged at the start: its pages tell the need */
    EMP_COROUTINE_PURGED = 2,     /* while parked: its pages went, so it must read as zero */
    EMP_COROUTINE_UNPINNABLE = 4, /* made with EMP_COROUTINE_SHARED */
    EMP_COROUTINE_YIELDS = 8      /* gives up its turn; the coroutine's, until the runner is back */
};

struct emp_coroutine {
    union {
        struct {
            void *sp;             /* context word: the coroutine's, while it runs the runner's */
            void *saved;          /* live part of a parked stack; NULL */
            uint32_t slot;        /* of the stack */
            uint32_t saved_bytes; /* length of saved; shared: the live part lies at its end */
            union {
                uint64_t *word;                   /* of the stack, in the table of its size */
                struct emp_coroutine *next_saved; /* shared, saved: the list of its home */
            };
        };
        unsigned char args[EMP_COROUTINE_INLINE_ARGS]; /* before the start */
    };
    struct emp_stack_manager *stacks;
    void (*entry)(void *args);
    union {
        /* before the start: arguments that do not fit, or that come with an abandon; NULL */
        struct emp_coroutine_args_block *args_block;
        struct emp_coroutine *prev_saved; /* shared, saved */
    };
    uint16_t args_bytes; /* on the stack they lie at the top */
    union {
        uint16_t pins;
        uint16_t home; /* shared: its run slot, from the start */
    };
    uint8_t state;   /* enum emp_coroutine_state */
    uint8_t size;    /* of the stack, by number; before the start: as wished */
    bool checks_low; /* its guard may be a word: look after every switch */
    uint8_t flags;   /* enum emp_coroutine_note */
};

_Static_assert(sizeof(struct emp_coroutine) == EMP_TASK_BODY_INLINE, "one line of the task");
_Static_assert(offsetof(struct emp_coroutine, stacks) == EMP_COROUTINE_INLINE_ARGS, "args fit");

/* Lowest address of the live part of one that sleeps. */
static inline char *emp_coroutine_live_low(const struct emp_coroutine *coroutine)
{
    return coroutine->sp;
}

/* The address behind the live part. */
static inline char *emp_coroutine_live_top(const struct emp_coroutine *coroutine)
{
    return emp_stack_begin(coroutine->stacks, coroutine->size, coroutine->slot);
}

/* Where its arguments lie while it runs; the first frame begins below. */
static inline char *emp_coroutine_args(const struct emp_coroutine *coroutine)
{
    return emp_coroutine_live_top(coroutine) - emp_align_up(coroutine->args_bytes, 16);
}

/* What makes a task a coroutine, with a stack of its own or with a run slot. */
extern const struct emp_task_type emp_coroutine_type;
extern const struct emp_task_type emp_coroutine_shared_type;

/* Tells whoever gave the arguments that entry will not run. */
EMP_COLD void emp_coroutine_abandon(struct emp_coroutine *coroutine);

/* Gives the stack its first frame, which calls main, with the arguments above. False: no stack. */
bool emp_coroutine_start(struct emp_coroutine *coroutine);

/* Gives a stack that is the coroutine's, for now or for life, its first frame and the arguments. */
void emp_coroutine_begin(struct emp_coroutine *coroutine, uint32_t slot);

/* What is left of one that has not started, when it ends. */
void emp_coroutine_drop_unstarted(struct emp_coroutine *coroutine);

/* The first frame of every coroutine. Never returns: the last switch goes to the runner for good.
   */
void emp_coroutine_main(void *arg);

/* The poll function of the type. */
enum emp_poll emp_coroutine_poll(struct emp_task *task, void *body);

/* Runner: brings the live part back; the stack has its guard. */
void emp_coroutine_restore(struct emp_coroutine *coroutine);

/* Parks stacks until the manager is not pressed any more, or a bound of work is met. */
void emp_stack_press(struct emp_stack_manager *stacks);

#endif
