/*
 * What: the heap of timers: always the earliest first, whatever is added and taken out in between;
 *       a million timers.
 * How:  random adds, removals and pops beside an array that is searched; the million in three
 *       orders, which a heap of linear steps would not finish in time.
 * Shows: [adapter.proto.timers]
 * ctest-timeout: 300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "adapter/timer_heap.h"
#include "support/random_stream.h"

#define TIMERS  200u
#define STEPS   200000u
#define MILLION 1000000u

static struct emp_timer timers[TIMERS];
static bool is_in[TIMERS];

static uint64_t earliest(void)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < TIMERS; i++) {
        if (is_in[i] && timers[i].deadline_ns < least) {
            least = timers[i].deadline_ns;
        }
    }
    return least;
}

static void random_steps_agree_with_a_search(void **state)
{
    (void)state;
    struct timer_heap heap = {NULL, 0};
    size_t count = 0;
    struct random_stream stream = {random_seed(__func__)};

    memset(is_in, 0, sizeof is_in);
    for (unsigned step = 0; step < STEPS; step++) {
        const unsigned which = random_below(&stream, TIMERS);
        const unsigned deed = random_below(&stream, 8);

        if (deed == 0) {
            const uint64_t least = earliest();
            struct emp_timer *first = timer_heap_pop(&heap);

            assert_int_equal(first == NULL, count == 0);
            if (first != NULL) {
                assert_int_equal(first->deadline_ns, least);
                is_in[first - timers] = false;
                count--;
            }
        } else if (deed < 4) {
            assert_int_equal(timer_heap_remove(&heap, &timers[which]), is_in[which]);
            count -= is_in[which];
            is_in[which] = false;
        } else if (!is_in[which]) {
            const uint64_t least = earliest();

            timers[which].deadline_ns = random_below(&stream, 1000);
            is_in[which] = true;
            count++;
            assert_true(timer_heap_add(&heap, &timers[which]) == (heap.root == &timers[which]));
            assert_true(heap.root->deadline_ns ==
                        (least < timers[which].deadline_ns ? least : timers[which].deadline_ns));
        }
        assert_int_equal(heap.count, count);
    }
}

/* The deadline of timer i of the million: rising, falling, or mixed. */
static uint64_t deadline_of(unsigned order, unsigned i)
{
    return order == 0 ? i : order == 1 ? MILLION - i : (uint64_t)i * 2654435761u % MILLION;
}

static void million_timers_come_out_in_order_and_half_of_them_are_stopped(void **state)
{
    (void)state;
    struct emp_timer *many = calloc(MILLION, sizeof *many);

    assert_non_null(many);
    for (unsigned order = 0; order < 3; order++) {
        struct timer_heap heap = {NULL, 0};
        uint64_t last = 0;

        for (unsigned i = 0; i < MILLION; i++) {
            many[i].deadline_ns = deadline_of(order, i);
            (void)timer_heap_add(&heap, &many[i]);
        }
        for (unsigned i = 0; i < MILLION; i += 2) {
            assert_true(timer_heap_remove(&heap, &many[i]));
        }
        for (unsigned left = MILLION / 2; left > 0; left--) {
            const struct emp_timer *first = timer_heap_pop(&heap);

            assert_true(first->deadline_ns >= last && (first - many) % 2 == 1);
            last = first->deadline_ns;
        }
        assert_null(timer_heap_pop(&heap));
    }
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_a_search),
        cmocka_unit_test(million_timers_come_out_in_order_and_half_of_them_are_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
