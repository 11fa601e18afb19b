/*
 * Purpose: the state of a task in one word: who runs it, whether it was woken, how it ends, and how
 *          many hold it.
 * Owner:   sync. Roles: the runner (one thread that was given the task by its queue), wakers,
 *          aborters and holders (any threads; each holds a reference of its own).
 *
 *            +------------------ pend, not woken: gives its reference back ------------------+
 *            v                                                                               |
 *   idle --wake, abort: +1 or the waker's own reference--> notified --run (runner)--> running
 *    |                                                        ^                       |  |
 *    |                                                        +- pend: woken, yields -+  |
 *    +--last reference: with CANCELLED, keeps it--> notified                             |
 *                              complete <--finish-- ending <--decide: ready or cancelled-+
 *   wake of notified or running: sets NOTIFIED; of ending or complete: nothing but the reference.
 *
 * Invariants: I1 a task is in one queue or with one runner, or neither: NOTIFIED without RUNNING
 *   stands for the queue, RUNNING for the runner, and either owns one reference. I2 who touches the
 *   word holds a reference; so one reference means that nobody else can, and plain steps do. I3 a
 *   wake that finds the task not complete is followed by a poll that begins after it. I4 of abort
 *   and ready one wins: `decide` says which. I5 the body ends between decide and finish, with its
 *   runner; the object ends with the step that drops the last reference, once.
 * Linearisation: the one successful update of each step.
 * Order table: task-word: wake and abort release what their caller wrote, also when nothing
 *   changes, because the poll into which a wake merges reads it (tokio #7622); they acquire what
 *   the last run wrote before it went idle, because the queue link is written next. run acquires
 *   the wakes; pend releases the run, and acquires the wakes of those who have left; decide
 *   acquires the abort; each drop of a reference releases the holder's accesses, and the last
 *   acquires them all before the object ends.
 * Progress: run, finish and drop are wait-free; a loop repeats only when another's step succeeded.
 * Does not promise: detection of a use after the end once the object is used again.
 * Threads: any. Design: [sync.proto.task-word] [async.proto.task]
 * Source:  tokio, runtime/task/state.rs; async-task, raw.rs.
 */
#ifndef EMP_SYNC_TASK_WORD_H
#define EMP_SYNC_TASK_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/atomic.h"

/* 63-8: references | 7-0: flags */
#define EMP_TASK_RUNNING    0x01u /* with a runner */
#define EMP_TASK_COMPLETE   0x02u /* decided how it ends; with RUNNING: ending */
#define EMP_TASK_NOTIFIED   0x04u /* woken since it began to run; in a queue unless running */
#define EMP_TASK_CANCELLED  0x08u /* is to end without a result */
#define EMP_TASK_BODY_SPLIT 0x10u /* the body is a block of its own; const */
#define EMP_TASK_STACKFUL   0x20u /* told of its cancellation by a last run; const */
#define EMP_TASK_REF_SHIFT  8u
#define EMP_TASK_REF        ((uint64_t)1 << EMP_TASK_REF_SHIFT)
#define EMP_TASK_REFS_MAX   ((uint64_t)1 << 55) /* more is a leak in a loop */

/* What a step leaves to its caller. */
enum emp_task_step {
    EMP_TASK_NOTHING = 0, /* no more */
    EMP_TASK_SUBMIT,      /* the task is notified, with a reference for the queue: submit it */
    EMP_TASK_END,         /* pend: still running, and is to end now */
    EMP_TASK_FREE,        /* that was the last reference of a complete task */
    EMP_TASK_BROKEN       /* no such step is possible: a misuse; nothing was done */
};

/* References in a state. */
static inline uint64_t emp_task_refs(uint64_t state)
{
    return state >> EMP_TASK_REF_SHIFT;
}

/* The state of a new task that is about to be submitted; references include the queue's. */
static inline uint64_t emp_task_word_new(uint64_t flags, uint64_t references)
{
    return flags | EMP_TASK_NOTIFIED | references << EMP_TASK_REF_SHIFT;
}

/* The state as it was a moment ago. */
static inline uint64_t emp_task_word_look(const uint64_t *word)
{
    /* order(task-word): acquire; who sees complete sees what the end of the body wrote */
    return emp_load_acquire(word);
}

/* True for a state whose task has ended. */
static inline bool emp_task_word_is_over(uint64_t state)
{
    return (state & (EMP_TASK_COMPLETE | EMP_TASK_RUNNING)) == EMP_TASK_COMPLETE;
}

/* What a wake makes of a state; by_value says that the waker's reference goes with it. */
static inline uint64_t emp_task_word_woken(uint64_t seen, bool by_value)
{
    if ((seen & EMP_TASK_COMPLETE) != 0) {
        return seen - (by_value ? EMP_TASK_REF : 0);
    }
    if ((seen & (EMP_TASK_NOTIFIED | EMP_TASK_RUNNING)) != 0) {
        return (seen | EMP_TASK_NOTIFIED) - (by_value ? EMP_TASK_REF : 0);
    }
    return (seen | EMP_TASK_NOTIFIED) + (by_value ? 0 : EMP_TASK_REF);
}

/* Wakes the task. NOTHING, SUBMIT, FREE (by value only) or BROKEN. */
static inline enum emp_task_step emp_task_word_wake(uint64_t *word, bool by_value)
{
    /* order(task-word): relaxed; the compare-and-swap decides */
    uint64_t seen = emp_load_relaxed(word);

    for (;;) {
        if (emp_unlikely(emp_task_refs(seen) == 0)) {
            return EMP_TASK_BROKEN;
        }
        if (!by_value && (seen & EMP_TASK_COMPLETE) != 0) {
            return EMP_TASK_NOTHING;
        }
        const uint64_t next = emp_task_word_woken(seen, by_value);

        /* order(task-word): acq_rel; what the waker wrote, for the poll, even if next is seen; what
           the last run wrote, for the queue's link */
        if (emp_cas_acq_rel_relaxed(word, &seen, next)) {
            if (emp_task_refs(next) == 0) {
                return EMP_TASK_FREE;
            }
            return (seen & (EMP_TASK_COMPLETE | EMP_TASK_NOTIFIED | EMP_TASK_RUNNING)) == 0
                       ? EMP_TASK_SUBMIT
                       : EMP_TASK_NOTHING;
        }
    }
}

/* Asks the task to end. SUBMIT or END: it will, on a runner; NOTHING: it has, or was asked. */
static inline enum emp_task_step emp_task_word_abort(uint64_t *word)
{
    /* order(task-word): relaxed; the compare-and-swap decides */
    uint64_t seen = emp_load_relaxed(word);

    for (;;) {
        if (emp_unlikely(emp_task_refs(seen) == 0)) {
            return EMP_TASK_BROKEN;
        }
        if ((seen & (EMP_TASK_COMPLETE | EMP_TASK_CANCELLED)) != 0) {
            return EMP_TASK_NOTHING;
        }
        const bool is_idle = (seen & (EMP_TASK_NOTIFIED | EMP_TASK_RUNNING)) == 0;
        const uint64_t next =
            (seen | EMP_TASK_CANCELLED | EMP_TASK_NOTIFIED) + (is_idle ? EMP_TASK_REF : 0);

        /* order(task-word): acq_rel; as for a wake, with the end of the body in the poll's place */
        if (emp_cas_acq_rel_relaxed(word, &seen, next)) {
            return is_idle ? EMP_TASK_SUBMIT : EMP_TASK_END;
        }
    }
}

/* True for a state from which a run may begin. */
static inline bool emp_task_word_may_run(uint64_t seen)
{
    return (seen & (EMP_TASK_NOTIFIED | EMP_TASK_RUNNING | EMP_TASK_COMPLETE)) ==
               EMP_TASK_NOTIFIED &&
           seen >= EMP_TASK_REF;
}

/* Begins a run, with the queue's reference. The state before; no step unless it may run. */
static inline uint64_t emp_task_word_run(uint64_t *word)
{
    for (;;) {
        /* order(task-word): acquire; one reference: each waker is done, what it wrote is polled */
        uint64_t seen = emp_load_acquire(word);
        const uint64_t next = seen ^ (EMP_TASK_NOTIFIED | EMP_TASK_RUNNING);

        if (emp_unlikely(!emp_task_word_may_run(seen))) {
            return seen;
        }
        if (emp_likely(emp_task_refs(seen) == 1)) {
            /* order(task-word): relaxed; nobody else holds the task */
            emp_store_relaxed(word, next);
            return seen;
        }
        /* order(task-word): acquire; what each waker wrote whose wake this run takes */
        if (emp_cas_acquire(word, &seen, next)) {
            return seen;
        }
    }
}

/*
 * Ends a run that is pending, or yields its turn. NOTHING: the task is idle and may be gone;
 * SUBMIT: it yields or was woken, or a stack must be told that nobody is left who could wake it;
 * END: it was cancelled, or nobody is.
 */
static inline enum emp_task_step emp_task_word_pend(uint64_t *word, bool yields)
{
    for (;;) {
        /* order(task-word): acquire; one reference: each waker is done, the queue hands it on */
        uint64_t seen = emp_load_acquire(word);
        const uint64_t fate = seen & (EMP_TASK_CANCELLED | EMP_TASK_STACKFUL);
        const bool is_woken = yields || (seen & EMP_TASK_NOTIFIED) != 0;
        const bool is_left = !is_woken && emp_task_refs(seen) == 1;

        if (fate == EMP_TASK_CANCELLED || (is_left && fate != EMP_TASK_STACKFUL)) {
            return EMP_TASK_END;
        }
        if (emp_task_refs(seen) == 1) {
            /* order(task-word): relaxed; nobody else holds the task; the queue hands it over */
            emp_store_relaxed(word, (seen ^ EMP_TASK_RUNNING) | EMP_TASK_NOTIFIED |
                                        (is_left ? EMP_TASK_CANCELLED : 0));
            return EMP_TASK_SUBMIT;
        }
        const uint64_t next = is_woken ? (seen ^ EMP_TASK_RUNNING) | EMP_TASK_NOTIFIED
                                       : seen - EMP_TASK_RUNNING - EMP_TASK_REF;

        /* order(task-word): release; what the run wrote, for the next one */
        if (emp_cas_release(word, &seen, next)) {
            return is_woken ? EMP_TASK_SUBMIT : EMP_TASK_NOTHING;
        }
    }
}

/* The runner: from now on the task is over for wakers. CANCELLED in the result: aborted in time. */
static inline uint64_t emp_task_word_decide(uint64_t *word)
{
    for (;;) {
        /* order(task-word): acquire; what an aborter wrote, for the end of the body */
        uint64_t seen = emp_load_acquire(word);

        if (emp_likely(emp_task_refs(seen) == 1)) {
            /* order(task-word): relaxed; nobody else holds the task */
            emp_store_relaxed(word, seen | EMP_TASK_COMPLETE);
            return seen;
        }
        /* order(task-word): relaxed; the load has acquired what an aborter wrote */
        if (emp_cas_relaxed(word, &seen, seen | EMP_TASK_COMPLETE)) {
            return seen;
        }
    }
}

/* The runner's last step, when the body has ended. True: the object ends now. */
static inline bool emp_task_word_finish(uint64_t *word)
{
    /* order(task-word): acquire; what the others did with the object is over */
    const uint64_t seen = emp_load_acquire(word);

    if (emp_likely(emp_task_refs(seen) == 1)) {
        /* order(task-word): relaxed; nobody else holds the task; a stale holder may find it dead */
        emp_store_relaxed(word, seen - EMP_TASK_REF - EMP_TASK_RUNNING);
        return true;
    }
    /* order(task-word): acq_rel; the end of the body, for who sees complete or frees; as above */
    return emp_task_refs(emp_fetch_sub_acq_rel(word, EMP_TASK_REF + EMP_TASK_RUNNING)) == 1;
}

/* One more reference, of one. False: there was none, or there are too many. */
static inline bool emp_task_word_retain(uint64_t *word)
{
    /* order(task-word): relaxed; the holder of one reference hands the other over by other means */
    const uint64_t before = emp_task_refs(emp_fetch_add_relaxed(word, EMP_TASK_REF));

    return before - 1 < EMP_TASK_REFS_MAX - 1;
}

/* Gives a reference back. NOTHING, SUBMIT (nobody is left: a runner must end it), FREE, BROKEN. */
static inline enum emp_task_step emp_task_word_drop(uint64_t *word)
{
    /* order(task-word): acquire; one reference: what the others did is over */
    uint64_t seen = emp_load_acquire(word);

    if (emp_unlikely(emp_task_refs(seen) == 0)) {
        return EMP_TASK_BROKEN;
    }
    if (emp_task_refs(seen) != 1) {
        /* order(task-word): acq_rel; this holder's accesses, for the last; the last one: theirs */
        seen = emp_fetch_sub_acq_rel(word, EMP_TASK_REF);
        if (emp_likely(emp_task_refs(seen) != 1)) {
            return EMP_TASK_NOTHING;
        }
    }
    if ((seen & EMP_TASK_COMPLETE) != 0) {
        /* order(task-word): relaxed; nobody else holds the task; a stale holder may find it dead */
        emp_store_relaxed(word, seen - EMP_TASK_REF);
        return EMP_TASK_FREE;
    }
    if (emp_unlikely((seen & (EMP_TASK_NOTIFIED | EMP_TASK_RUNNING)) != 0)) {
        /* order(task-word): relaxed; the reference was the queue's or the runner's: it stays */
        emp_store_relaxed(word, seen);
        return EMP_TASK_BROKEN;
    }
    /* order(task-word): relaxed; nobody else holds the task; the queue hands it over */
    emp_store_relaxed(word, seen | EMP_TASK_NOTIFIED | EMP_TASK_CANCELLED);
    return EMP_TASK_SUBMIT;
}

#endif
