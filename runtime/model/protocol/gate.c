/*
 * What: harnesses of sync/gate.h, sync/ends.h and sync/choice.h.
 * How:  "published" stands for the queue. A parker that saw nothing and was not woken must not be
 *       left asleep with something published.
 * Design: [sync.proto.gate] [sync.proto.ends] [sync.proto.choice]
 */
#include "sync/gate.h"

#include "cases.h"
#include "model.h"
#include "protocol/world.h"
#include "sync/choice.h"
#include "sync/ends.h"
#include "thread/heavy_fence.h"

static struct emp_gate gate;
static struct emp_mutex lock;
static uint32_t published; /* atomic: items in the queue that there is not */
static uint32_t sleeping;  /* the lock's: somebody is on the list */
static uint32_t woken;     /* atomic: how often the sleeper was woken */

static void gate_open(void)
{
    world_set_up();
    world_set_cpus(1);
    emp_mutex_init(&lock, EMP_RANK_CHANNEL);
    emp_gate_init(&gate, true);
    published = 0;
    sleeping = 0;
    woken = 0;
}

static void gate_fenced(void)
{
    gate_open();
    gate.word = EMP_GATE_FENCED;
}

static void gate_without_heavy_fence(void)
{
    gate_open();
    emp_gate_init(&gate, false);
}

/* One signal more and the gate is opened. */
static void gate_almost_calm(void)
{
    gate_fenced();
    gate.calm = EMP_GATE_CALM - 1;
}

static void wake_sleeper(void)
{
    emp_mutex_lock(&lock);
    const bool found = sleeping != 0;
    if (found) {
        sleeping = 0;
        emp_gate_disarm(&gate);
    }
    emp_mutex_unlock(&lock);
    if (found) {
        emp_fetch_add_relaxed(&woken, 1);
    }
}

static void publish(void)
{
    emp_fetch_add_relaxed(&published, 1);
    const enum emp_gate_news news = emp_gate_signal(&gate);
    if (news == EMP_GATE_WAKE) {
        wake_sleeper();
    } else if (news == EMP_GATE_RELAX) {
        emp_mutex_lock(&lock);
        emp_gate_relax(&gate);
        emp_mutex_unlock(&lock);
    }
}

static void publish_twice(void)
{
    publish();
    publish();
}

static void park(void)
{
    emp_mutex_lock(&lock);
    sleeping = 1;
    if (emp_gate_arm(&gate)) {
        emp_fence_heavy();
    }
    emp_mutex_unlock(&lock);
    if (emp_load_relaxed(&published) == 0) {
        (void)model_await_other(&woken, 0, RELAXED);
    }
}

/* Parks, is woken or withdraws, and parks again. */
static void park_twice(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t seen = emp_load_relaxed(&woken);
        emp_mutex_lock(&lock);
        sleeping = 1;
        if (emp_gate_arm(&gate)) {
            emp_fence_heavy();
        }
        emp_mutex_unlock(&lock);
        if (emp_load_relaxed(&published) <= i) {
            (void)model_await_other(&woken, seen, RELAXED);
        }
        emp_mutex_lock(&lock);
        if (sleeping != 0) {
            sleeping = 0;
            emp_gate_disarm(&gate);
        }
        emp_mutex_unlock(&lock);
    }
}

/* ---- ends ---- */

static uint64_t ends;
static uint32_t body;       /* plain: what the channel consists of; its end is a write */
static uint32_t own[2];     /* plain: what all of one end use, and the last one puts away */
static uint32_t closer;     /* atomic: how many closed it */
static uint32_t freed;      /* atomic */
static uint32_t last_words; /* plain: written by a sender before it closes */

static void ends_start(void)
{
    ends = EMP_ENDS_START;
    body = 0;
    own[0] = 0;
    own[1] = 0;
    closer = 0;
    freed = 0;
    last_words = 0;
}

static void ends_two_senders(void)
{
    ends_start();
    emp_ends_retain(&ends, EMP_ENDS_SENDER);
}

static void leave(uint64_t unit)
{
    const unsigned end = unit == EMP_ENDS_SENDER ? 0 : 1;
    model_assert(body == 0 && own[end] == 0);
    if (emp_ends_release(&ends, unit)) {
        own[end] = 1;
        emp_fetch_add_relaxed(&closer, emp_ends_close(&ends) ? 1u : 0u);
        model_assert(body == 0);
        if (emp_ends_leave(&ends)) {
            body = 1;
            emp_fetch_add_relaxed(&freed, 1);
        }
    }
}

static void sender_leaves(void)
{
    leave(EMP_ENDS_SENDER);
}

static void receiver_leaves(void)
{
    leave(EMP_ENDS_RECEIVER);
}

static void sender_closes(void)
{
    last_words = 1;
    (void)emp_ends_close(&ends);
    sender_leaves();
}

static void receiver_looks(void)
{
    if (emp_ends_is_closed(&ends)) {
        model_assert(last_words == 1);
    }
    receiver_leaves();
}

static void sender_shares(void)
{
    emp_ends_retain(&ends, EMP_ENDS_SENDER);
    sender_leaves();
    sender_leaves();
}

static void ends_finish(void)
{
    model_assert(freed == 1 && closer <= 1 && body == 1);
    model_assert(ends == EMP_ENDS_CLOSED);
}

/* ---- choice ---- */

static uint32_t choice;
static uint32_t winners; /* atomic */

static void choice_start(void)
{
    choice = 0;
    winners = 0;
}

static void claim_0(void)
{
    emp_fetch_add_relaxed(&winners, emp_choice_claim(&choice, 0) ? 1u : 0u);
}

static void claim_1(void)
{
    emp_fetch_add_relaxed(&winners, emp_choice_claim(&choice, 1) ? 1u : 0u);
    model_assert(emp_choice_look(&choice) != 0);
}

static void choice_finish(void)
{
    model_assert(winners == 1 && (choice == 1 || choice == 2));
}

const struct model_case protocol_gate[] = {
    {.name = "gate/open",
     .is_protocol = true,
     .property = "who parks at an open gate sees what was published, or is woken",
     .set_up = gate_open,
     .thread = {publish, park}},
    {.name = "gate/fenced",
     .is_protocol = true,
     .property = "the same while the gate is fenced, without a heavy fence",
     .set_up = gate_fenced,
     .thread = {publish, park}},
    {.name = "gate/no-heavy-fence",
     .is_protocol = true,
     .property = "the same where the system has none",
     .set_up = gate_without_heavy_fence,
     .thread = {publish, park}},
    {.name = "gate/two-publishers",
     .is_protocol = true,
     .is_long = true,
     .property = "the same with two that publish",
     .set_up = gate_open,
     .thread = {publish, publish, park}},
    {.name = "gate/relax",
     .is_protocol = true,
     .property = "the same while the gate is opened again",
     .set_up = gate_almost_calm,
     .thread = {publish_twice, park}},
    {.name = "gate/relax-other",
     .is_protocol = true,
     .is_long = true,
     .property = "the same while another opens it",
     .set_up = gate_almost_calm,
     .thread = {publish, publish, park}},
    {.name = "gate/park-twice",
     .is_protocol = true,
     .is_long = true,
     .property = "a parker that comes back is woken as well",
     .set_up = gate_open,
     .thread = {publish_twice, park_twice}},
    {.name = "ends/both-leave",
     .is_protocol = true,
     .property = "one of both ends frees, after everything the other did",
     .set_up = ends_start,
     .thread = {sender_leaves, receiver_leaves},
     .finish = ends_finish},
    {.name = "ends/two-senders",
     .is_protocol = true,
     .property = "the last of two senders closes, and one of the ends frees",
     .set_up = ends_two_senders,
     .thread = {sender_leaves, sender_leaves, receiver_leaves},
     .finish = ends_finish},
    {.name = "ends/retain",
     .is_protocol = true,
     .property = "an end that is shared while others leave lives on",
     .set_up = ends_start,
     .thread = {sender_shares, receiver_leaves},
     .finish = ends_finish},
    {.name = "ends/close",
     .is_protocol = true,
     .property = "who finds it closed sees what was done before",
     .set_up = ends_start,
     .thread = {sender_closes, receiver_looks},
     .finish = ends_finish},
    {.name = "choice/two",
     .is_protocol = true,
     .property = "one of two claims wins",
     .set_up = choice_start,
     .thread = {claim_0, claim_1},
     .finish = choice_finish},
    {.name = NULL},
};
