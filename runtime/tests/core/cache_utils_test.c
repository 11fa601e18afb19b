/*
 * What: cache_utils: the line types keep two threads apart and carry a ring, the bitmap calls equal
 *       a naive model, the barriers order what they say, the NUMA queries answer or refuse.
 * How:  sizes and offsets; random operations against an array of bools from a printed seed; a ring
 *       between two threads; message passing and store buffering, many rounds on real threads.
 * Shows: [core.req.cache-utils]
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cache_utils.h"
#include "slab/bitmap_expand.h"

#define SEED          0x2545f4914f6cdd1du
#define BITS          1000u
#define OPERATIONS    200000u
#define RING_SLOTS    64u
#define RING_ITEMS    200000u
#define LITMUS_ROUNDS 50000u
#define SPINS         2000u

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void line_types_fill_whole_lines(void **state)
{
    struct {
        struct emp_producer_cache_line producer;
        struct emp_consumer_cache_line consumer;
        struct emp_cache_line other;
    } ring;
    char *base = (char *)&ring;

    (void)state;
    assert_int_equal((uintptr_t)base % EMP_CACHE_LINE_BYTES, 0);
    assert_int_equal(sizeof ring, 3 * EMP_CACHE_LINE_BYTES);
    assert_int_equal((char *)&ring.consumer.tail - (char *)&ring.producer.head, 64);
    assert_int_equal((char *)&ring.other - base, 2 * EMP_CACHE_LINE_BYTES);
}

/* A ring as the line types are meant to be used. */
struct ring {
    struct emp_producer_cache_line producer;
    struct emp_consumer_cache_line consumer;
    uint64_t slots[RING_SLOTS];
};

static bool ring_push(struct ring *ring, uint64_t item)
{
    struct emp_producer_cache_line *mine = &ring->producer;

    if (mine->head - mine->tail_seen == RING_SLOTS) {
        mine->tail_seen = emp_cache_line_observe(&ring->consumer.tail);
        if (mine->head - mine->tail_seen == RING_SLOTS) {
            mine->refused++;
            return false;
        }
    }
    ring->slots[mine->head % RING_SLOTS] = item;
    mine->pushed++;
    emp_cache_line_publish(&mine->head, mine->head + 1);
    return true;
}

static bool ring_pop(struct ring *ring, uint64_t *item)
{
    struct emp_consumer_cache_line *mine = &ring->consumer;

    if (mine->tail == mine->head_seen) {
        mine->head_seen = emp_cache_line_observe(&ring->producer.head);
        if (mine->tail == mine->head_seen) {
            mine->starved++;
            return false;
        }
    }
    *item = ring->slots[mine->tail % RING_SLOTS];
    mine->popped++;
    emp_cache_line_publish(&mine->tail, mine->tail + 1);
    return true;
}

static void *ring_produce(void *arg)
{
    for (uint64_t i = 0; i < RING_ITEMS;) {
        if (ring_push(arg, i * 3)) {
            i++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static void ring_of_the_line_types_loses_nothing(void **state)
{
    static struct ring ring;
    pthread_t producer;
    uint64_t item = 0;

    (void)state;
    assert_int_equal(pthread_create(&producer, NULL, ring_produce, &ring), 0);
    for (uint64_t i = 0; i < RING_ITEMS;) {
        if (ring_pop(&ring, &item)) {
            assert_int_equal(item, i * 3);
            i++;
        } else {
            sched_yield();
        }
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_false(ring_pop(&ring, &item));
    assert_int_equal(ring.producer.pushed, RING_ITEMS);
    assert_int_equal(ring.consumer.popped, RING_ITEMS);
}

static size_t model_find(const bool *model, size_t bits, size_t from, bool value)
{
    while (from < bits && model[from] != value) {
        from++;
    }
    return from < bits ? from : bits;
}

static void check_against_model(const struct emp_bitmap *map, const bool *model, size_t from)
{
    size_t count = 0;

    for (size_t i = 0; i < map->bits; i++) {
        count += model[i];
    }
    assert_int_equal(emp_bitmap_count(map), count);
    assert_int_equal(emp_bitmap_find_set(map, from), model_find(model, map->bits, from, true));
    assert_int_equal(emp_bitmap_find_clear(map, from), model_find(model, map->bits, from, false));
}

static void random_operations(size_t bits)
{
    uint64_t words[BITS / 64 + 1];
    bool model[BITS] = {false};
    struct emp_bitmap map = {.words = words, .bits = bits};

    memset(words, 0xff, sizeof words); /* what lies behind the bits must not count */
    for (size_t i = 0; i < bits; i++) {
        assert_true(emp_bitmap_clear(&map, i));
    }
    for (unsigned i = 0; i < OPERATIONS / 100; i++) {
        size_t index = bits == 0 ? 0 : random_next() % bits;
        bool to = random_next() % 8 < i % 9;

        if (bits > 0) {
            assert_int_equal(emp_bitmap_test(&map, index), model[index]);
            bool changed = to ? emp_bitmap_set(&map, index) : emp_bitmap_clear(&map, index);
            assert_int_equal(changed, model[index] != to);
            model[index] = to;
        }
        check_against_model(&map, model, index);
        check_against_model(&map, model, 0);
    }
}

static void bitmap_with_each_variant_equals_the_model(void **state)
{
    static const size_t sizes[] = {0, 1, 5, 63, 64, 65, 127, 128, 300, 512, BITS};

    (void)state;
    random_state = SEED;
    print_message("seed 0x%llx\n", (unsigned long long)random_state);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(emp_bitmap_dispatch_force("c"));
        random_operations(sizes[i]);
        emp_bitmap_dispatch_init();
        random_operations(sizes[i]);
    }
}

static void bitmap_index_out_of_range_is_refused(void **state)
{
    uint64_t words[2] = {~(uint64_t)0, ~(uint64_t)0};
    struct emp_bitmap map = {.words = words, .bits = 70};

    (void)state;
    assert_int_equal(emp_bitmap_words(0), 0);
    assert_int_equal(emp_bitmap_words(64), 1);
    assert_int_equal(emp_bitmap_words(65), 2);
    assert_false(emp_bitmap_test(&map, 70));
    assert_false(emp_bitmap_clear(&map, 70));
    words[1] = 0;
    assert_false(emp_bitmap_set(&map, 70));
    assert_int_equal(words[1], 0);
    assert_int_equal(emp_bitmap_find_set(&map, 70), 70);
    assert_int_equal(emp_bitmap_find_clear(&map, SIZE_MAX), 70);
}

static void bitmap_fill_leaves_the_rest_of_the_last_word_clear(void **state)
{
    uint64_t words[3] = {0, 0, 0x55};
    struct emp_bitmap map = {.words = words, .bits = 70};

    (void)state;
    emp_bitmap_fill(&map, true);
    assert_int_equal(words[1], 0x3f);
    assert_int_equal(words[2], 0x55);
    assert_int_equal(emp_bitmap_count(&map), 70);
    assert_int_equal(emp_bitmap_find_clear(&map, 0), 70);
    emp_bitmap_fill(&map, false);
    assert_int_equal(words[0] | words[1], 0);
    assert_int_equal(emp_bitmap_find_set(&map, 0), 70);
    map.bits = 128;
    emp_bitmap_fill(&map, true);
    assert_int_equal(words[2], 0x55);
    assert_int_equal(emp_bitmap_find_clear(&map, 3), 128);
}

/* Flags and values of the two litmus programs, each on a line of its own. */
struct litmus {
    struct {
        uint64_t value;
    } EMP_CACHE_ALIGNED cell[4];
};

static struct litmus litmus;

static void litmus_wait(uint64_t *cell, uint64_t value)
{
    for (unsigned spins = 1; emp_cache_line_observe(cell) < value; spins++) {
        if (spins % SPINS == 0) {
            sched_yield();
        }
    }
}

/* Message passing: data in cell 0, flag in cell 1, both relaxed; the reader answers in cell 2. */
static void *message_write(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i <= LITMUS_ROUNDS; i++) {
        EMP_PUBLIC_STORE_RELAXED(&litmus.cell[0].value, i);
        emp_barrier_release();
        EMP_PUBLIC_STORE_RELAXED(&litmus.cell[1].value, i);
        if (i % 64 == 0) {
            litmus_wait(&litmus.cell[2].value, i);
        }
    }
    return NULL;
}

static void release_and_acquire_barriers_pass_a_message(void **state)
{
    pthread_t writer;
    uint64_t flag = 0;

    (void)state;
    memset(&litmus, 0, sizeof litmus);
    assert_int_equal(pthread_create(&writer, NULL, message_write, NULL), 0);
    while (flag < LITMUS_ROUNDS) {
        flag = EMP_PUBLIC_LOAD_RELAXED(&litmus.cell[1].value);
        emp_barrier_acquire();
        assert_true(EMP_PUBLIC_LOAD_RELAXED(&litmus.cell[0].value) >= flag);
        emp_cache_line_publish(&litmus.cell[2].value, flag);
        if (flag % 64 == 0) {
            sched_yield();
        }
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
}

/* Store buffering: each side writes its own cell, passes the full barrier, reads the other's. */
static bool buffering_side(unsigned mine, uint64_t round)
{
    EMP_PUBLIC_STORE_RELAXED(&litmus.cell[mine].value, round);
    emp_barrier_full();
    return EMP_PUBLIC_LOAD_RELAXED(&litmus.cell[1 - mine].value) >= round;
}

static bool other_saw[LITMUS_ROUNDS + 1];

static void *buffering_other(void *arg)
{
    (void)arg;
    for (uint64_t round = 1; round <= LITMUS_ROUNDS; round++) {
        litmus_wait(&litmus.cell[2].value, round);
        other_saw[round] = buffering_side(1, round);
        emp_cache_line_publish(&litmus.cell[3].value, round);
    }
    return NULL;
}

static void full_barrier_lets_one_side_see_the_other(void **state)
{
    pthread_t other;

    (void)state;
    memset(&litmus, 0, sizeof litmus);
    assert_int_equal(pthread_create(&other, NULL, buffering_other, NULL), 0);
    for (uint64_t round = 1; round <= LITMUS_ROUNDS; round++) {
        emp_cache_line_publish(&litmus.cell[2].value, round);
        for (uint64_t delay = round % 100; delay > 0; delay--) {
            (void)emp_cache_line_observe(&litmus.cell[0].value); /* until the other has started */
        }
        bool saw = buffering_side(0, round);

        litmus_wait(&litmus.cell[3].value, round);
        assert_true(saw || other_saw[round]);
    }
    assert_int_equal(pthread_join(other, NULL), 0);
}

static void numa_queries_answer_or_refuse(void **state)
{
    static char page[2 * 65536] __attribute__((aligned(65536)));
    unsigned node = 12345;

    (void)state;
    assert_true(emp_numa_node_count() >= 1);
    assert_true(emp_numa_node_limit() >= emp_numa_node_count());
    assert_true(emp_numa_current_node() < emp_numa_node_limit());
    assert_int_equal(emp_numa_node_of_cpu(999998, &node), EMP_ERR_NOT_FOUND);
    assert_int_equal(emp_numa_node_of_address(NULL, &node), EMP_ERR_NOT_FOUND);
    assert_int_equal(node, 12345);
    assert_int_equal(emp_numa_node_of_cpu(0, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_numa_node_of_address(page, NULL), EMP_ERR_INVALID);
    assert_int_equal(emp_numa_node_of_cpu(0, &node), EMP_OK);
    assert_true(node < emp_numa_node_limit());
    page[0] = 1;
    assert_int_equal(emp_numa_prefer(NULL, 1, 0), EMP_ERR_INVALID);
    assert_int_equal(emp_numa_prefer(page, 0, 0), EMP_ERR_INVALID);
    assert_int_equal(emp_numa_prefer(page + 8, 4096, 0), EMP_ERR_INVALID);
    assert_int_equal(emp_numa_prefer(page, 65536, 4000), EMP_ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_types_fill_whole_lines),
        cmocka_unit_test(ring_of_the_line_types_loses_nothing),
        cmocka_unit_test(bitmap_with_each_variant_equals_the_model),
        cmocka_unit_test(bitmap_index_out_of_range_is_refused),
        cmocka_unit_test(bitmap_fill_leaves_the_rest_of_the_last_word_clear),
        cmocka_unit_test(release_and_acquire_barriers_pass_a_message),
        cmocka_unit_test(full_barrier_lets_one_side_see_the_other),
        cmocka_unit_test(numa_queries_answer_or_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
