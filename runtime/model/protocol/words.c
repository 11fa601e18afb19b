/*
 * What: harnesses of sync/remote_word.h and sync/inbox.h, alone and together.
 * How:  publishers write plain memory before they publish a bit; the drainer writes it after it has
 *       drained the bit, so that a missing order is a race.
 * Design: [sync.proto.remote-word] [sync.proto.inbox]
 */
#include "cases.h"
#include "model.h"
#include "sync/inbox.h"
#include "sync/remote_word.h"

#define BLOCKS 4u

static uint64_t word;                  /* atomic: remote-word */
static uint32_t content[BLOCKS];       /* plain: belongs to who holds the block */
static uint64_t drained;               /* the drainer's */
static struct emp_inbox_link links[3]; /* of items 1 and 2 */
static uint64_t words[3];              /* atomic: remote-word. of items 1 and 2 */
static uint64_t second;                /* atomic: remote-word. item 1 has two words */
static uint32_t head;                  /* atomic: inbox-head */
static uint32_t twice;                 /* atomic: publishers that found their bit set */

static void set_up(void)
{
    word = 0;
    drained = 0;
    head = 0;
    twice = 0;
    second = 0;
    for (unsigned i = 0; i < 3; i++) {
        links[i] = (struct emp_inbox_link){0, 0};
        words[i] = 0;
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        content[i] = 0;
    }
}

/* Takes what the word holds; the blocks are ours then. */
static void drain(uint64_t *from)
{
    const uint64_t bits = emp_remote_drain(from);
    model_assert((drained & bits) == 0);
    drained |= bits;
    for (unsigned i = 0; i < BLOCKS; i++) {
        if ((bits >> i & 1) != 0) {
            model_assert(content[i] == i + 1);
            content[i] = 0;
        }
    }
}

static void publish_0(void)
{
    content[0] = 1;
    model_assert(emp_remote_publish(&word, 1) != 1);
}

static void publish_1_and_2(void)
{
    content[1] = 2;
    model_assert((emp_remote_publish(&word, 2) & 2) == 0);
    content[2] = 3;
    model_assert((emp_remote_publish(&word, 4) & 4) == 0);
}

static void drain_twice(void)
{
    drain(&word);
    drain(&word);
}

static void all_three(void)
{
    drain(&word);
    model_assert(drained == 7);
}

static void publish_0_and_3(void)
{
    content[0] = 1;
    model_assert((emp_remote_publish(&word, 1) & 1) == 0);
    content[3] = 4;
    model_assert((emp_remote_publish(&word, 8) & 8) == 0);
}

static void all_four(void)
{
    drain(&word);
    model_assert(drained == 15);
}

/* Two threads free one block: the second finds its bit, unless a drain came between. */
static void publish_same(void)
{
    if ((emp_remote_publish(&word, 1) & 1) != 0) {
        emp_fetch_add_relaxed(&twice, 1);
    }
}

static void count_drains(void)
{
    drained += emp_remote_drain(&word);
}

static void one_told(void)
{
    drained += emp_remote_drain(&word);
    model_assert(drained + twice == 2);
}

/* Publishes a bit of an item and tells the inbox, as a flush does. */
static void notify_word(uint32_t item, uint64_t *target, unsigned bit)
{
    content[bit] = bit + 1;
    if (emp_remote_publish(target, (uint64_t)1 << bit) == 0 && emp_inbox_mark(&links[item])) {
        emp_inbox_push(&head, &links[item], item);
    }
}

static void notify(uint32_t item, unsigned bit)
{
    notify_word(item, &words[item], bit);
}

/* The other word of item 1: whoever comes second finds the mark set and pushes nothing. */
static void notify_second_1(void)
{
    notify_word(1, &second, 1);
}

static void notify_1_0(void)
{
    notify(1, 0);
}

static void notify_1_1(void)
{
    notify(1, 1);
}

static void notify_2_2(void)
{
    notify(2, 2);
}

static void notify_1_1_and_2_2(void)
{
    notify(1, 1);
    notify(2, 2);
}

static void take(void)
{
    uint32_t item = emp_inbox_take(&head);
    for (unsigned steps = 0; item != 0; steps++) {
        const uint32_t this = item;
        model_assert(steps < 2 && this < 3);
        item = emp_inbox_next(&links[this]);
        emp_inbox_unmark(&links[this]);
        drain(&words[this]);
        if (this == 1) {
            drain(&second);
        }
    }
}

static void take_twice(void)
{
    take();
    take();
}

static void take_thrice(void)
{
    take();
    take();
    take();
}

/* What was published and not drained is announced: one more take finds everything. */
static void nothing_missed(void)
{
    take();
    model_assert(words[1] == 0 && words[2] == 0 && second == 0 && head == 0);
    model_assert(links[1].queued == 0 && links[2].queued == 0);
}

static void three_drained(void)
{
    nothing_missed();
    model_assert(drained == 7);
}

static void two_drained(void)
{
    nothing_missed();
    model_assert(drained == 3);
}

const struct model_case protocol_words[] = {
    {.name = "remote-word/publish-drain",
     .is_protocol = true,
     .property = "every block published is drained once, and its content is seen",
     .set_up = set_up,
     .thread = {publish_0, publish_1_and_2, drain_twice},
     .finish = all_three},
    {.name = "remote-word/two-by-two",
     .is_protocol = true,
     .property = "the same with two blocks of each publisher",
     .set_up = set_up,
     .thread = {publish_0_and_3, publish_1_and_2, drain_twice},
     .finish = all_four},
    {.name = "remote-word/double-free",
     .is_protocol = true,
     .property = "of two publications of one bit one is told, or each was drained",
     .set_up = set_up,
     .thread = {publish_same, publish_same, count_drains},
     .finish = one_told},
    {.name = "inbox/no-missed-publication",
     .is_protocol = true,
     .property = "a bit that is set is announced: the next take finds it",
     .set_up = set_up,
     .thread = {notify_1_0, notify_1_1, take_twice},
     .finish = two_drained},
    {.name = "inbox/two-words",
     .is_protocol = true,
     .property = "who finds the mark set relies on the taker, and the taker finds the bit",
     .set_up = set_up,
     .thread = {notify_1_0, notify_second_1, take_twice},
     .finish = two_drained},
    {.name = "inbox/two-items",
     .is_protocol = true,
     .property = "an item is on one stack, and the links of all items taken are seen",
     .set_up = set_up,
     .thread = {notify_1_0, notify_1_1_and_2_2, take_twice},
     .finish = three_drained},
    {.name = "inbox/three-notifiers",
     .is_protocol = true,
     .property = "three notifiers of two items and a taker: nothing is missed",
     .set_up = set_up,
     .thread = {notify_1_0, notify_1_1, notify_2_2, take_twice},
     .finish = three_drained},
    {.name = "inbox/three-takes",
     .is_protocol = true,
     .property = "the same when the taker comes three times, and one notifier has both items",
     .set_up = set_up,
     .thread = {notify_1_0, notify_1_1_and_2_2, take_thrice},
     .finish = three_drained},
    {.name = NULL},
};
