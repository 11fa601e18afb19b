/*
 * What: the three lock-free protocols of the sync room under real threads: no released slot is
 *       lost after a count, none is handed out twice, no item is in two inboxes or listed while it
 *       is on its way, every item of a ring is popped exactly once.
 * How:  counting: what went in must come out, exactly, and the payload written before must be seen
 *       whole; TSan sees a missing order. The orders themselves are for the model checker.
 * Design: [sync.proto.inbox] [sync.proto.slot-state] [sync.proto.ring]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "slab/slab.h"
#include "support/random_stream.h"
#include "sync/atomic.h"
#include "sync/inbox.h"
#include "sync/ring.h"
#include "sync/slot_state.h"

#define RELEASERS    4u
#define ROUNDS       100000u
#define LOST_SECONDS 20
#define ITEMS        2u
#define SLOTS        64u
#define OWN_SLOTS    (SLOTS / RELEASERS)
#define RING_ITEMS   60000u

static uint64_t seed;

/* A slab of one word, as the shard and the threads that free its blocks use it. */
struct slab_like {
    struct emp_slab slab; /* states, inbox and list are used */
    uint8_t states[SLOTS] __attribute__((aligned(64)));
    uint64_t content[SLOTS]; /* plain: written by the releaser, read by the taker */
    uint32_t handed[SLOTS];  /* atomic: test-handed. 1: a releaser has the block */
};

static struct {
    struct slab_like items[ITEMS + 1];
    uint32_t inbox;
    uint32_t running; /* atomic: test-running. releasers at work */
    uint64_t taken;
    uint64_t wrong;
    uint64_t healed; /* slots that only a count found */
    uint32_t lost;   /* atomic: test-handed */
} shared;

/* Waits until the taker has handed the block out again; false: it is lost. */
static bool wait_for_block(const uint32_t *handed)
{
    time_t began = time(NULL);

    /* order(test-handed): acquire; the taker is done with the block */
    while (emp_load_acquire(handed) == 0) {
        sched_yield();
        if (time(NULL) - began > LOST_SECONDS) {
            return false;
        }
    }
    return true;
}

/* Every releaser has slots of its own in each eight, so that neighbours are written at once. */
static unsigned slot_of(unsigned releaser, unsigned i)
{
    return i * RELEASERS + releaser;
}

static void *releaser_body(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    struct random_stream random = {seed + me};

    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint32_t item = 1 + random_below(&random, ITEMS);
        unsigned slot = slot_of(me, random_below(&random, OWN_SLOTS));
        struct slab_like *like = &shared.items[item];

        if (!wait_for_block(&like->handed[slot])) {
            emp_fetch_add_relaxed(&shared.lost, 1); /* order(test-handed): relaxed; a count */
            break;
        }
        /* order(test-handed): relaxed; the block is ours */
        emp_store_relaxed(&like->handed[slot], 0);
        like->content[slot] = round;
        if (!emp_slot_release(&like->states[slot])) {
            emp_fetch_add_relaxed(&shared.lost, 1); /* order(test-handed): relaxed; a count */
        }
        if (emp_inbox_is_quiet(&like->slab.inbox) && emp_inbox_mark(&like->slab.inbox)) {
            emp_inbox_push(&shared.inbox, &like->slab.inbox, item);
        }
    }
    emp_fetch_sub_acq_rel(&shared.running, 1);
    return NULL;
}

/* Takes what is free in an item and hands it to its releasers again; returns how many. */
static unsigned take_item(struct slab_like *like)
{
    uint64_t bits = emp_slab_word(&like->slab, 0);
    unsigned count = 0;

    emp_slab_take_bits(&like->slab, 0, bits);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (((bits >> i) & 1) != 0) {
            shared.wrong += like->content[i] == 0 || like->content[i] > ROUNDS;
            like->content[i] = 0;
            count++;
            /* order(test-handed): release; our read of the content is over */
            emp_store_release(&like->handed[i], 1);
        }
    }
    shared.taken += count;
    return count;
}

/* The taker found nothing: quiet, and a second look, as emp_shard_quiet does it. */
static void quiet_item(struct slab_like *like)
{
    like->slab.list = EMP_LIST_FULL;
    emp_inbox_quiet(&like->slab.inbox);
    if (emp_slab_word(&like->slab, 0) != 0 && emp_inbox_mark(&like->slab.inbox)) {
        like->slab.list = 0;
    }
}

/* One refill: the inbox, then whatever is listed; returns slots taken. */
static unsigned take_once(void)
{
    uint32_t item = emp_inbox_take(&shared.inbox);
    unsigned count = 0;

    while (item != 0) {
        struct slab_like *like = &shared.items[item];

        item = emp_inbox_next(&like->slab.inbox);
        /* an item on its way is neither listed nor quiet */
        shared.wrong += like->slab.list != EMP_LIST_FULL || emp_inbox_is_quiet(&like->slab.inbox);
        like->slab.list = 0;
    }
    for (unsigned i = 1; i <= ITEMS; i++) {
        struct slab_like *like = &shared.items[i];

        if (like->slab.list == 0) {
            shared.wrong += emp_inbox_is_quiet(&like->slab.inbox);
            unsigned got = take_item(like);

            count += got;
            if (got == 0) {
                quiet_item(like);
            }
        }
    }
    return count;
}

/* What maintenance does: full items with free slots nobody told of are listed. */
static void count_once(void)
{
    for (unsigned i = 1; i <= ITEMS; i++) {
        struct slab_like *like = &shared.items[i];
        uint64_t word = emp_slab_word(&like->slab, 0);

        if (like->slab.list == EMP_LIST_FULL && word != 0 && emp_inbox_mark(&like->slab.inbox)) {
            like->slab.list = 0;
            shared.healed++;
        }
    }
}

static void prepare_items(void)
{
    memset(&shared, 0, sizeof(shared));
    shared.running = RELEASERS;
    for (unsigned i = 1; i <= ITEMS; i++) {
        struct slab_like *like = &shared.items[i];

        like->slab.states = like->states; /* all zero: in use */
        like->slab.list = EMP_LIST_FULL;
        emp_inbox_quiet(&like->slab.inbox);
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            like->handed[slot] = 1;
        }
    }
}

static void every_released_slot_reaches_the_taker(void **state)
{
    pthread_t threads[RELEASERS];

    (void)state;
    prepare_items();
    for (uintptr_t i = 0; i < RELEASERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, releaser_body, (void *)i), 0);
    }
    /* order(test-running): acquire; the last pushes of the releasers */
    for (unsigned idle = 0; emp_load_acquire(&shared.running) != 0;) {
        idle = take_once() == 0 ? idle + 1 : 0;
        if (idle != 0) {
            sched_yield();
        }
        if (idle % 1000 == 999) {
            count_once();
        }
    }
    for (unsigned i = 0; i < RELEASERS; i++) {
        pthread_join(threads[i], NULL);
    }
    count_once();
    while (take_once() != 0) {
    }
    print_message("%u slots were found by a count alone\n", (unsigned)shared.healed);
    assert_int_equal(shared.lost, 0);
    assert_int_equal(shared.taken, (uint64_t)RELEASERS * ROUNDS);
    assert_int_equal(shared.wrong, 0);
    assert_int_equal(shared.inbox, 0);
    for (unsigned i = 1; i <= ITEMS; i++) {
        assert_int_equal(emp_slab_word(&shared.items[i].slab, 0), 0);
        assert_int_equal(shared.items[i].slab.list, EMP_LIST_FULL);
        assert_true(emp_inbox_is_quiet(&shared.items[i].slab.inbox));
    }
}

static void a_slot_is_released_once_and_only_when_it_is_used(void **state)
{
    uint8_t states[3] = {EMP_SLOT_USED, EMP_SLOT_USED, EMP_SLOT_USED};

    (void)state;
    assert_false(emp_slot_is_free(&states[1]));
    assert_true(emp_slot_release(&states[1]));
    assert_true(emp_slot_is_free(&states[1]));
    assert_false(emp_slot_release(&states[1]));
    for (unsigned other = EMP_SLOT_FREE; other <= EMP_SLOT_NONE; other++) {
        emp_slot_set(&states[1], (enum emp_slot_state)other);
        assert_false(emp_slot_release(&states[1]));
        assert_int_equal(states[1], other);
        assert_int_equal(emp_slot_is_free(&states[1]), other == EMP_SLOT_FREE);
    }
    emp_slot_set(&states[1], EMP_SLOT_USED);
    assert_true(emp_slot_release(&states[1]));
    assert_int_equal(states[0], EMP_SLOT_USED); /* a byte is written alone */
    assert_int_equal(states[2], EMP_SLOT_USED);
}

static void an_item_is_quiet_until_the_first_who_has_news(void **state)
{
    struct emp_inbox_link link = {0, 0};

    (void)state;
    emp_inbox_start(&link);
    assert_false(emp_inbox_is_quiet(&link));
    assert_false(emp_inbox_mark(&link)); /* its maker has listed it */
    emp_inbox_quiet(&link);
    assert_true(emp_inbox_is_quiet(&link));
    assert_true(emp_inbox_mark(&link));
    assert_false(emp_inbox_is_quiet(&link));
    assert_false(emp_inbox_mark(&link));
}

static void an_inbox_gives_its_items_back_newest_first_and_each_once(void **state)
{
    struct emp_inbox_link links[4] = {{0, 0}};
    uint32_t head = 0;

    (void)state;
    assert_int_equal(emp_inbox_take(&head), 0);
    for (uint32_t i = 1; i < 4; i++) {
        assert_true(emp_inbox_mark(&links[i]));
        emp_inbox_push(&head, &links[i], i);
        assert_false(emp_inbox_mark(&links[i]));
    }
    assert_int_equal(emp_inbox_take(&head), 3);
    assert_int_equal(emp_inbox_next(&links[3]), 2);
    assert_int_equal(emp_inbox_next(&links[2]), 1);
    assert_int_equal(emp_inbox_next(&links[1]), 0);
    assert_int_equal(emp_inbox_take(&head), 0);
    emp_inbox_quiet(&links[2]);
    assert_true(emp_inbox_mark(&links[2]));
    emp_inbox_push(&head, &links[2], 2);
    assert_int_equal(emp_inbox_take(&head), 2);
    assert_int_equal(emp_inbox_next(&links[2]), 0);
}

static struct emp_ring ring;
static uint32_t ring_popped;                    /* atomic: test-ring */
static unsigned char ring_seen[RING_ITEMS + 1]; /* plain: an item has one popper */
static uint32_t ring_payload[RING_ITEMS + 1];   /* plain: written by the pusher of the item */
static uint32_t ring_wrong;                     /* atomic: test-ring */

static void *ring_pusher(void *arg)
{
    uint32_t first = (uint32_t)(uintptr_t)arg;

    for (uint32_t item = first; item <= RING_ITEMS; item += 2) {
        ring_payload[item] = ~item;
        while (!emp_ring_push(&ring, item)) {
            sched_yield();
        }
    }
    return NULL;
}

static void *ring_popper(void *arg)
{
    uint32_t item = 0;

    (void)arg;
    /* order(test-ring): relaxed; a count */
    while (emp_load_relaxed(&ring_popped) < RING_ITEMS) {
        if (!emp_ring_pop(&ring, &item)) {
            sched_yield();
            continue;
        }
        if (item == 0 || item > RING_ITEMS || ring_seen[item] != 0 || ring_payload[item] != ~item) {
            /* order(test-ring): relaxed; a count */
            emp_fetch_add_relaxed(&ring_wrong, 1);
        } else {
            ring_seen[item] = 1;
        }
        /* order(test-ring): relaxed; a count */
        emp_fetch_add_relaxed(&ring_popped, 1);
    }
    return NULL;
}

static void every_item_of_a_ring_is_popped_exactly_once(void **state)
{
    pthread_t threads[4];

    (void)state;
    ring = (struct emp_ring){0};
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ring_pusher, (void *)(i + 1)), 0);
        assert_int_equal(pthread_create(&threads[2 + i], NULL, ring_popper, NULL), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(ring_wrong, 0);
    for (uint32_t item = 1; item <= RING_ITEMS; item++) {
        assert_int_equal(ring_seen[item], 1);
    }
}

static void a_ring_refuses_when_full_and_when_empty(void **state)
{
    uint32_t item = 0;

    (void)state;
    ring = (struct emp_ring){0};
    ring.tail = UINT32_MAX - 7; /* positions wrap in the middle of the test */
    ring.head = ring.tail;
    for (uint32_t i = 0; i < EMP_RING_CELLS; i++) {
        uint32_t position = ring.tail + i;

        uint32_t index = position & (EMP_RING_CELLS - 1);

        ring.cells[index].seq = position - index;
    }
    for (unsigned round = 0; round < 3; round++) {
        assert_false(emp_ring_pop(&ring, &item));
        for (uint32_t i = 1; i <= EMP_RING_CELLS; i++) {
            assert_true(emp_ring_push(&ring, i));
        }
        assert_false(emp_ring_push(&ring, 99));
        for (uint32_t i = 1; i <= EMP_RING_CELLS; i++) {
            assert_true(emp_ring_pop(&ring, &item));
            assert_int_equal(item, i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_is_released_once_and_only_when_it_is_used),
        cmocka_unit_test(an_item_is_quiet_until_the_first_who_has_news),
        cmocka_unit_test(an_inbox_gives_its_items_back_newest_first_and_each_once),
        cmocka_unit_test(a_ring_refuses_when_full_and_when_empty),
        cmocka_unit_test(every_released_slot_reaches_the_taker),
        cmocka_unit_test(every_item_of_a_ring_is_popped_exactly_once),
    };

    emp_bitmap_dispatch_init();
    seed = random_seed("sync_protocol_test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
