/*
 * What: the wheel of timers: nothing early, nothing later than a tick, nothing lost or twice,
 *       whatever is added, taken out and popped in between; near, far and farthest deadlines; a
 *       million timers, also all due together.
 * How:  random steps of time and random deeds beside an array that is searched; the next time that
 *       the wheel names is never after the first deadline.
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

#include "adapter/timer_wheel.h"
#include "support/random_stream.h"

#define TIMERS  200u
#define STEPS   200000u
#define MILLION 1000000u
#define TICK    ((uint64_t)1 << TIMER_TICK_SHIFT)

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

/* Pops all that is due; what is left afterwards is due later than a tick ago. */
static size_t pop_all(struct timer_wheel *wheel, uint64_t now_ns)
{
    size_t popped = 0;

    while (timer_wheel_next_ns(wheel) <= now_ns) {
        const struct emp_timer *timer = timer_wheel_pop(wheel, now_ns);

        if (timer != NULL) {
            assert_true(timer->deadline_ns <= now_ns);
            assert_true(is_in[timer - timers]);
            is_in[timer - timers] = false;
            popped++;
        }
    }
    (void)timer_wheel_pop(wheel, now_ns);
    assert_true(earliest() > now_ns - TICK);
    return popped;
}

static void random_steps_agree_with_a_search(void **state)
{
    (void)state;
    static struct timer_wheel wheel;
    struct random_stream stream = {random_seed(__func__)};
    uint64_t now_ns = 1000 * TICK + random_below(&stream, UINT32_MAX);
    size_t count = 0;

    memset(&wheel, 0, sizeof wheel);
    memset(is_in, 0, sizeof is_in);
    for (unsigned step = 0; step < STEPS; step++) {
        const unsigned which = random_below(&stream, TIMERS);
        const unsigned deed = random_below(&stream, 8);

        if (deed == 0) {
            now_ns += random_next(&stream) >> (24 + random_below(&stream, 40));
            count -= pop_all(&wheel, now_ns);
        } else if (deed < 4) {
            assert_int_equal(timer_wheel_remove(&wheel, &timers[which]), is_in[which]);
            count -= is_in[which];
            is_in[which] = false;
        } else if (!is_in[which]) {
            timers[which].deadline_ns =
                now_ns + (random_next(&stream) >> (20 + random_below(&stream, 44)));
            timer_wheel_add(&wheel, &timers[which]);
            is_in[which] = true;
            count++;
        }
        assert_int_equal(wheel.count, count);
        assert_true(timer_wheel_next_ns(&wheel) < earliest() + TICK || count == 0);
    }
}

static void last_moment_of_the_clock_is_a_deadline_like_others(void **state)
{
    (void)state;
    static struct timer_wheel wheel;
    static struct emp_timer last = {.deadline_ns = UINT64_MAX};
    static struct emp_timer first = {.deadline_ns = 0};

    memset(&wheel, 0, sizeof wheel);
    assert_true(timer_wheel_next_ns(&wheel) == UINT64_MAX);
    assert_null(timer_wheel_pop(&wheel, 5 * TICK));
    timer_wheel_add(&wheel, &last);
    assert_true(timer_wheel_next_ns(&wheel) < UINT64_MAX);
    timer_wheel_add(&wheel, &first);
    assert_true(timer_wheel_next_ns(&wheel) == 0);
    assert_ptr_equal(timer_wheel_pop(&wheel, 5 * TICK), &first);
    assert_null(timer_wheel_pop(&wheel, UINT64_MAX - TICK));
    assert_true(timer_wheel_remove(&wheel, &last));
    assert_false(timer_wheel_remove(&wheel, &last));
    assert_true(timer_wheel_next_ns(&wheel) == UINT64_MAX);
}

static void deadline_inside_a_tick_is_not_early(void **state)
{
    (void)state;
    static struct timer_wheel wheel;
    static struct emp_timer timer = {.deadline_ns = 10 * TICK + 1};

    memset(&wheel, 0, sizeof wheel);
    timer_wheel_add(&wheel, &timer);
    assert_null(timer_wheel_pop(&wheel, 10 * TICK));
    assert_null(timer_wheel_pop(&wheel, 11 * TICK - 1));
    assert_ptr_equal(timer_wheel_pop(&wheel, 11 * TICK), &timer);
}

/* The deadline of timer i of the million: rising, falling, mixed, or all the same. */
static uint64_t deadline_of(unsigned order, unsigned i)
{
    const uint64_t place = order == 0   ? i
                           : order == 1 ? MILLION - i
                           : order == 2 ? (uint64_t)i * 2654435761u % MILLION
                                        : MILLION / 2;

    return (MILLION + place) * 1000 * 60;
}

static void million_timers_come_out_in_order_and_half_of_them_are_stopped(void **state)
{
    (void)state;
    struct emp_timer *many = calloc(MILLION, sizeof *many);
    static struct timer_wheel wheel;

    assert_non_null(many);
    for (unsigned order = 0; order < 4; order++) {
        uint64_t last = 0;
        unsigned left = MILLION / 2;

        memset(&wheel, 0, sizeof wheel);
        for (unsigned i = 0; i < MILLION; i++) {
            many[i].deadline_ns = deadline_of(order, i);
            timer_wheel_add(&wheel, &many[i]);
        }
        for (unsigned i = 0; i < MILLION; i += 2) {
            assert_true(timer_wheel_remove(&wheel, &many[i]));
        }
        while (timer_wheel_next_ns(&wheel) < UINT64_MAX) {
            const struct emp_timer *first = timer_wheel_pop(&wheel, 3 * MILLION * 60000ull);

            if (first != NULL) {
                assert_true(first->deadline_ns + TICK > last && (first - many) % 2 == 1);
                last = first->deadline_ns;
                left--;
            }
        }
        assert_int_equal(left, 0);
        assert_int_equal(wheel.count, 0);
    }
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_a_search),
        cmocka_unit_test(last_moment_of_the_clock_is_a_deadline_like_others),
        cmocka_unit_test(deadline_inside_a_tick_is_not_early),
        cmocka_unit_test(million_timers_come_out_in_order_and_half_of_them_are_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
