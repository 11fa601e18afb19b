/*
 * Purpose: the word of a future: whether its one result is there, and who waits for it. A list of
 *          links and four flags in one word, so that "register unless complete" is one step.
 * Owner:   sync. Roles: completers (any thread; one wins), waiters (any thread that holds a
 *          consumer's reference: push, edit), the last consumer (detach), takers.
 *
 *   63-4: newest link, each points to an older one | 3: EDIT, later TAKEN | 2: DETACHED
 *                                                  | 1: READY             | 0: CLAIMED
 *
 *   pending 0 --claim (the winner)--> CLAIMED --publish (the winner)--> CLAIMED READY, list gone
 *   list --push (waiter)--> longer list                while not READY; the winner does not matter
 *   list --edit_begin (one waiter)--> EDIT, list empty --edit_end--> list, no EDIT
 *                            publish meanwhile: the editor keeps its list, and wakes it
 *   pending --detach (last consumer)--> DETACHED, list empty         READY --take--> READY TAKEN
 *
 * Invariants: I1 CLAIMED, READY, DETACHED and TAKEN are only ever set: one winner, one
 *   publication. I2 a link belongs to one: its maker until the push, the word, then whoever took
 *   it out of the word in one step: the winner, the editor, or the last consumer. So nobody looks
 *   into a link that another may free, and a link that was pushed is woken or dropped once. I3
 *   while EDIT is set nobody else edits; what is pushed then is merged by the editor. I4 READY
 *   has no list and no EDIT.
 * Linearisation: the one read-modify-write of each arrow; publish decides push against complete.
 * Order table: future-word: publish releases the result and acquires links; who sees READY
 *   acquires the result. push and edit_end release links; edit_begin and merge acquire them;
 *   detach has them from the count of consumers. claim and take move a flag only: who was first
 *   is all that matters.
 * Progress: claim, publish, take wait-free; the rest lock-free. An editor that is stopped delays
 *   the wakes of the links that it holds; nobody waits for it.
 * ABA: none: links leave only all at once, and the flags that matter never go back.
 * Does not promise: that an edit finds every link: another editor may hold them.
 * Threads: any. Design: [sync.proto.future-word]
 */
#ifndef EMP_SYNC_FUTURE_WORD_H
#define EMP_SYNC_FUTURE_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/atomic.h"

#define EMP_FUTURE_CLAIMED  ((uintptr_t)1)
#define EMP_FUTURE_READY    ((uintptr_t)2)
#define EMP_FUTURE_DETACHED ((uintptr_t)4)
#define EMP_FUTURE_EDIT     ((uintptr_t)8) /* while not READY */
#define EMP_FUTURE_TAKEN    ((uintptr_t)8) /* once READY */
#define EMP_FUTURE_FLAGS    ((uintptr_t)15)

/* One registration, 16-aligned. Plain: belongs to one holder, see I2. */
struct emp_future_link {
    struct emp_future_link *next; /* the older one */
};

/* What became of a push. */
enum emp_future_push {
    EMP_FUTURE_PUSHED,
    EMP_FUTURE_IS_READY, /* nothing was linked */
    EMP_FUTURE_IS_LISTED /* nothing was linked: others are in the list, edit it */
};

/* The list in a value of the word. */
static inline struct emp_future_link *emp_future_word_list(uintptr_t seen)
{
    /* A value that is READY has no list: what is left of it is TAKEN. */
    return (struct emp_future_link *)(seen & ~EMP_FUTURE_FLAGS);
}

/* A future that nobody else knows yet. */
static inline void emp_future_word_start(uintptr_t *word)
{
    /* order(future-word): relaxed; the future is handed over by other means */
    emp_store_relaxed(word, 0);
}

/* The word now. READY in it: the result may be read. */
static inline uintptr_t emp_future_word_look(const uintptr_t *word)
{
    /* order(future-word): acquire; pairs with publish: the result */
    return emp_load_acquire(word);
}

/* True for the one who may write the result and must publish it. */
static inline bool emp_future_word_claim(uintptr_t *word)
{
    /* order(future-word): relaxed; decides who is first, nothing is read or shown */
    return (emp_fetch_or_relaxed(word, EMP_FUTURE_CLAIMED) & EMP_FUTURE_CLAIMED) == 0;
}

/* The winner shows the result; returns the word before: the list is the caller's. */
static inline uintptr_t emp_future_word_publish(uintptr_t *word)
{
    /* order(future-word): acq_rel; shows the result; sees the links that were pushed */
    return emp_exchange_acq_rel(word, EMP_FUTURE_READY | EMP_FUTURE_CLAIMED);
}

/* Registers a link, if the list is empty or in an editor's hands. */
static inline enum emp_future_push emp_future_word_push(uintptr_t *word,
                                                        struct emp_future_link *link)
{
    for (;;) {
        /* order(future-word): relaxed; who acts on it swaps, or looks again */
        uintptr_t seen = emp_load_relaxed(word);

        if ((seen & EMP_FUTURE_READY) != 0) {
            return EMP_FUTURE_IS_READY;
        }
        link->next = emp_future_word_list(seen);
        if (link->next != NULL && (seen & EMP_FUTURE_EDIT) == 0) {
            return EMP_FUTURE_IS_LISTED;
        }
        /* order(future-word): release; the link, and what it registers */
        if (emp_cas_release(word, &seen, (uintptr_t)link | (seen & EMP_FUTURE_FLAGS))) {
            return EMP_FUTURE_PUSHED;
        }
    }
}

/* Takes a list out to look into it; NULL: it is empty, in an editor's hands, or gone. */
static inline struct emp_future_link *emp_future_word_edit_begin(uintptr_t *word)
{
    for (;;) {
        /* order(future-word): relaxed; the swap decides */
        uintptr_t seen = emp_load_relaxed(word);

        if ((seen & (EMP_FUTURE_READY | EMP_FUTURE_EDIT)) != 0 ||
            emp_future_word_list(seen) == NULL) {
            return NULL;
        }
        uintptr_t wanted = (seen & EMP_FUTURE_FLAGS) | EMP_FUTURE_EDIT;
        uintptr_t expected = seen;

        /* order(future-word): acquire; the links */
        if (emp_cas_acquire(word, &expected, wanted)) {
            return emp_future_word_list(seen);
        }
    }
}

/* What became of an edit. */
enum emp_future_edit {
    EMP_FUTURE_EDITED,    /* the list is in the word again */
    EMP_FUTURE_EDIT_MORE, /* *fresh was pushed meanwhile: join it in front and call again */
    EMP_FUTURE_EDIT_READY /* the result came: the caller wakes its list */
};

/* Puts the list back; NULL: nothing is left of it. */
static inline enum emp_future_edit emp_future_word_edit_end(uintptr_t *word,
                                                            struct emp_future_link *list,
                                                            struct emp_future_link **fresh)
{
    for (;;) {
        /* order(future-word): relaxed; the swap decides; who is woken looks for himself */
        uintptr_t seen = emp_load_relaxed(word);

        if ((seen & EMP_FUTURE_READY) != 0) {
            return EMP_FUTURE_EDIT_READY;
        }
        *fresh = emp_future_word_list(seen);
        if (*fresh != NULL) {
            /* order(future-word): acquire; the links that came */
            if (emp_cas_acquire(word, &seen, seen & EMP_FUTURE_FLAGS)) {
                return EMP_FUTURE_EDIT_MORE;
            }
            continue;
        }
        uintptr_t wanted = (uintptr_t)list | (seen & EMP_FUTURE_FLAGS & ~EMP_FUTURE_EDIT);

        /* order(future-word): release; the links as they are now */
        if (emp_cas_release(word, &seen, wanted)) {
            return EMP_FUTURE_EDITED;
        }
    }
}

/* Whether an editor holds the list. A hint. */
static inline bool emp_future_word_is_edited(const uintptr_t *word)
{
    /* order(future-word): relaxed; a hint, whoever acts on it tries */
    uintptr_t seen = emp_load_relaxed(word);

    return (seen & (EMP_FUTURE_READY | EMP_FUTURE_EDIT)) == EMP_FUTURE_EDIT;
}

/*
 * The last consumer leaves. Returns the word before: READY: the result is the caller's to end;
 * else its list is the caller's, and the winner will end the result.
 */
static inline uintptr_t emp_future_word_detach(uintptr_t *word)
{
    for (;;) {
        uintptr_t seen = emp_future_word_look(word);
        uintptr_t expected = seen;

        if ((seen & EMP_FUTURE_READY) != 0) {
            return seen;
        }
        uintptr_t wanted = (seen & EMP_FUTURE_CLAIMED) | EMP_FUTURE_DETACHED;

        /* order(future-word): relaxed; who pushed has left before, which the last consumer saw */
        if (emp_cas_relaxed(word, &expected, wanted)) {
            return seen;
        }
    }
}

/* True for the one consumer who gets the result of a future that is READY; alone: of all. */
static inline bool emp_future_word_take(uintptr_t *word, bool is_alone)
{
    if (is_alone) {
        /* order(future-word): relaxed; who took it has left before, which the caller saw */
        const uintptr_t seen = emp_load_relaxed(word);

        /* order(future-word): relaxed; nobody but consumers changes a word that is READY */
        emp_store_relaxed(word, seen | EMP_FUTURE_TAKEN);
        return (seen & EMP_FUTURE_TAKEN) == 0;
    }
    /* order(future-word): relaxed; decides who is first; READY was acquired before */
    return (emp_fetch_or_relaxed(word, EMP_FUTURE_TAKEN) & EMP_FUTURE_TAKEN) == 0;
}

#endif
