/*
 * What: the three lock-free protocols of the sync room under real threads: no published bit is
 *       lost, no item is in two inboxes, every item of a ring is popped exactly once.
 * How:  counting: what went in must come out, exactly, and the payload written before must be seen
 *       whole; TSan sees a missing order. The orders themselves are for the model checker.
 * Design: [sync.proto.inbox] [sync.proto.remote-word] [sync.proto.ring]
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

#include "support/random_stream.h"
#include "sync/atomic.h"
#include "sync/inbox.h"
#include "sync/remote_word.h"
#include "sync/ring.h"

#define PUBLISHERS   4u
#define ROUNDS       100000u
#define LOST_SECONDS 20
#define ITEMS        2u
#define RING_ITEMS   60000u

static uint64_t seed;

/* The remote word and its inbox together, as slabs use them: a block per publisher and item. */
struct slab_like {
    struct emp_inbox_link link;
    uint64_t word;
    uint64_t content[PUBLISHERS]; /* plain: written by the publisher, read by the drainer */
    uint32_t free[PUBLISHERS];    /* atomic: test-free. 1: the publisher may use the block again */
};

static struct {
    struct slab_like items[ITEMS + 1];
    uint32_t inbox;
    uint32_t running; /* atomic: test-running. publishers at work */
    uint64_t drained[PUBLISHERS];
    uint64_t wrong;
    uint32_t lost; /* atomic: test-free */
} shared;

/* Waits until the drainer has given the block back; false: it is lost. */
static bool wait_for_block(const uint32_t *is_free)
{
    time_t began = time(NULL);

    /* order(test-free): acquire; the drainer is done with the block */
    while (emp_load_acquire(is_free) == 0) {
        sched_yield();
        if (time(NULL) - began > LOST_SECONDS) {
            return false;
        }
    }
    return true;
}

static void *publisher_body(void *arg)
{
    uint64_t me = (uint64_t)(uintptr_t)arg;
    struct random_stream random = {seed + me};

    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint32_t item = 1 + random_below(&random, ITEMS);
        struct slab_like *slab = &shared.items[item];

        if (!wait_for_block(&slab->free[me])) {
            emp_fetch_add_relaxed(&shared.lost, 1); /* order(test-free): relaxed; a count */
            break;
        }
        /* order(test-free): relaxed; the block is ours */
        emp_store_relaxed(&slab->free[me], 0);
        slab->content[me] = round;
        if (emp_remote_publish(&slab->word, (uint64_t)1 << me) == 0 &&
            emp_inbox_mark(&slab->link)) {
            emp_inbox_push(&shared.inbox, &slab->link, item);
        }
    }
    emp_fetch_sub_acq_rel(&shared.running, 1);
    return NULL;
}

/* Takes the inbox and every bit of the items in it; returns items seen. */
static unsigned drain_once(void)
{
    uint32_t item = emp_inbox_take(&shared.inbox);
    unsigned seen = 0;

    for (; item != 0; seen++) {
        struct slab_like *slab = &shared.items[item];

        item = emp_inbox_next(&slab->link);
        emp_inbox_unmark(&slab->link);
        uint64_t bits = emp_remote_drain(&slab->word);

        for (uint64_t p = 0; p < PUBLISHERS; p++) {
            if (((bits >> p) & 1) != 0) {
                shared.wrong += slab->content[p] == 0 || slab->content[p] > ROUNDS;
                slab->content[p] = 0;
                shared.drained[p]++;
                /* order(test-free): release; our read of the content is over */
                emp_store_release(&slab->free[p], 1);
            }
        }
    }
    return seen;
}

static void every_published_bit_reaches_the_drainer(void **state)
{
    pthread_t threads[PUBLISHERS];
    uint64_t drained = 0;

    (void)state;
    memset(&shared, 0, sizeof(shared));
    shared.running = PUBLISHERS;
    for (unsigned i = 1; i <= ITEMS; i++) {
        for (unsigned p = 0; p < PUBLISHERS; p++) {
            shared.items[i].free[p] = 1;
        }
    }
    for (uintptr_t i = 0; i < PUBLISHERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, publisher_body, (void *)i), 0);
    }
    /* order(test-running): acquire; the last pushes of the publishers */
    while (emp_load_acquire(&shared.running) != 0) {
        if (drain_once() == 0) {
            sched_yield();
        }
    }
    (void)drain_once();
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        pthread_join(threads[i], NULL);
        drained += shared.drained[i];
    }
    assert_int_equal(shared.lost, 0);
    assert_int_equal(drained, (uint64_t)PUBLISHERS * ROUNDS);
    assert_int_equal(shared.wrong, 0);
    for (unsigned i = 1; i <= ITEMS; i++) {
        assert_int_equal(shared.items[i].word, 0);
        assert_int_equal(shared.items[i].link.queued, 0);
    }
}

static void a_second_publication_of_a_bit_shows_the_first(void **state)
{
    uint64_t word = 0;

    (void)state;
    assert_int_equal(emp_remote_publish(&word, 0x5), 0);
    assert_int_equal(emp_remote_publish(&word, 0x6), 0x5);
    assert_int_equal(emp_remote_drain(&word), 0x7);
    assert_int_equal(emp_remote_drain(&word), 0);
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
    emp_inbox_unmark(&links[2]);
    assert_true(emp_inbox_mark(&links[2]));
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
        cmocka_unit_test(a_second_publication_of_a_bit_shows_the_first),
        cmocka_unit_test(an_inbox_gives_its_items_back_newest_first_and_each_once),
        cmocka_unit_test(a_ring_refuses_when_full_and_when_empty),
        cmocka_unit_test(every_published_bit_reaches_the_drainer),
        cmocka_unit_test(every_item_of_a_ring_is_popped_exactly_once),
    };

    seed = random_seed("sync_protocol_test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
