/*
 * What: harness of sync/run_slot.h: two coroutines that share one stack, run by up to three
 *       threads, one of them on two in turn; one ends, one finds no memory for a copy, a collector
 *       looks on.
 * How:  stack and copies are plain memory, so that two who have one at one time are a race. Each
 *       coroutine counts its turns on the stack and beside it. The exchange is that of
 *       async/run_slots.c; what the word of a task orders is a release and an acquire here.
 * Design: [sync.proto.run-slot]
 */
#include "cases.h"
#include "model.h"
#include "sync/claim.h"
#include "sync/run_slot.h"

#define FIRST  100u /* what lies on the stack of each at first */
#define SECOND 200u

struct sharer {
    _Alignas(64) uint32_t first; /* plain: const */
    uint32_t turns;              /* plain: the runner's */
    uint32_t saved;              /* plain: the copy */
    uint32_t is_saved;           /* plain: the list; the claim's */
};

static struct {
    struct sharer a;
    struct sharer b;
    uint64_t word;   /* atomic: run-slot */
    uint32_t listed; /* atomic: claim */
    uint32_t stack;  /* plain: the live part of who is kept or runs */
    uint32_t handed; /* atomic: stands for the word of a task */
} home;

static uint64_t word_of(const struct sharer *sharer)
{
    return (uint64_t)(uintptr_t)sharer;
}

static struct sharer *sharer_of(uint64_t word)
{
    return (struct sharer *)(uintptr_t)(word & EMP_RUN_SLOT_OWNER);
}

/* a lies on the stack, b is elsewhere. */
static void set_up(void)
{
    home.a = (struct sharer){.first = FIRST};
    home.b = (struct sharer){.first = SECOND, .saved = SECOND, .is_saved = 1};
    home.word = word_of(&home.a);
    home.listed = 0;
    home.stack = FIRST;
    home.handed = 0;
}

/* The slot is the caller's. False: a collector walks. */
static bool exchange(struct sharer *kept, struct sharer *back)
{
    if (!emp_claim_take(&home.listed)) {
        return false;
    }
    if (kept != NULL) {
        kept->saved = home.stack;
        kept->is_saved = 1;
    }
    model_assert(back->is_saved == 1);
    home.stack = back->saved;
    back->is_saved = 0;
    emp_claim_give_back(&home.listed);
    return true;
}

/* Takes the home, with its own live part on the stack. */
static bool enter(struct sharer *self)
{
    uint64_t kept = 0;

    if (!emp_run_slot_take(&home.word, word_of(self), &kept)) {
        return false;
    }
    model_assert((kept & EMP_RUN_SLOT_TAKEN) == 0);
    if (kept != word_of(self) && !exchange(sharer_of(kept), self)) {
        emp_run_slot_put(&home.word, kept);
        return false;
    }
    model_assert(home.stack == self->first + self->turns);
    return true;
}

static void run_once(struct sharer *self)
{
    if (enter(self)) {
        model_assert(emp_run_slot_look(&home.word) == (word_of(self) | EMP_RUN_SLOT_TAKEN));
        home.stack++;
        self->turns++;
        emp_run_slot_put(&home.word, word_of(self));
    }
}

static void run_a(void)
{
    run_once(&home.a);
}

static void run_b(void)
{
    run_once(&home.b);
}

static void run_b_twice(void)
{
    run_once(&home.b);
    run_once(&home.b);
}

static void run_a_and_hand_over(void)
{
    run_once(&home.a);
    emp_store_release(&home.handed, 1);
}

static void run_a_after(void)
{
    if (emp_load_acquire(&home.handed) == 1) {
        run_once(&home.a);
    }
}

/* Its last run: nothing of it is left. */
static void end_a(void)
{
    if (enter(&home.a)) {
        home.stack = 0;
        home.a.turns = 0;
        emp_run_slot_put(&home.word, 0);
    }
}

/* One that finds no memory for the other's copy: it has looked, and nothing has changed. */
static void refuse_b(void)
{
    uint64_t kept = 0;

    if (emp_run_slot_take(&home.word, word_of(&home.b), &kept)) {
        model_assert(sharer_of(kept) == &home.a);
        model_assert(home.stack == FIRST + home.a.turns);
        emp_run_slot_put(&home.word, kept);
    }
}

/* What a collector sees of one that is elsewhere; nothing comes back meanwhile. */
static uint32_t see_saved(const struct sharer *sharer)
{
    if (sharer->is_saved == 1) {
        model_assert(sharer->saved == sharer->first + sharer->turns);
    }
    return sharer->is_saved;
}

static void visit(void)
{
    uint64_t kept = 0;

    if (!emp_claim_take(&home.listed)) {
        return;
    }
    const uint32_t seen = see_saved(&home.a) + see_saved(&home.b);

    model_assert(seen == 1);
    if (emp_run_slot_take(&home.word, 0, &kept)) {
        const struct sharer *const sharer = sharer_of(kept);

        model_assert(sharer->is_saved == 0);
        model_assert(home.stack == sharer->first + sharer->turns);
        emp_run_slot_put(&home.word, kept);
    }
    emp_claim_give_back(&home.listed);
}

static void is_whole_each(const struct sharer *sharer)
{
    const uint32_t live = sharer->is_saved == 1 ? sharer->saved : home.stack;

    model_assert((sharer->is_saved == 0) == (home.word == word_of(sharer)));
    model_assert(live == sharer->first + sharer->turns);
}

/* Each live part is in one place, and nobody has the slot. */
static void is_whole(void)
{
    is_whole_each(&home.a);
    is_whole_each(&home.b);
}

/* The same when a may be over. */
static void is_whole_without_a(void)
{
    is_whole_each(&home.b);
    model_assert(home.word == 0 || sharer_of(home.word)->is_saved == 0);
}

const struct model_case protocol_run_slot[] = {
    {.name = "run-slot/two-in-turn",
     .is_protocol = true,
     .property = "what runs on a shared stack finds what it left, whoever was there in between",
     .set_up = set_up,
     .thread = {run_a_and_hand_over, run_a_after, run_b},
     .finish = is_whole},
    {.name = "run-slot/back-and-forth",
     .is_protocol = true,
     .property = "two that send each other away lose nothing",
     .set_up = set_up,
     .thread = {run_a, run_b_twice},
     .finish = is_whole},
    {.name = "run-slot/ended",
     .is_protocol = true,
     .property = "who comes to a stack that another has left for good comes after its last write",
     .set_up = set_up,
     .thread = {end_a, run_b_twice},
     .finish = is_whole_without_a},
    {.name = "run-slot/refused",
     .is_protocol = true,
     .property = "one that finds no memory has read before the other writes again",
     .set_up = set_up,
     .thread = {run_a_and_hand_over, run_a_after, refuse_b},
     .finish = is_whole},
    {.name = "run-slot/visited",
     .is_protocol = true,
     .property = "a collector sees each live part where it is, while two come and go",
     .set_up = set_up,
     .thread = {run_a, run_b, visit},
     .finish = is_whole},
    {.name = NULL},
};
