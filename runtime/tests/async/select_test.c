/*
 * What: select, one thread: which case is done, one winner, losers gone, withdrawal, close, memory
 *       that fails; over channels of every kind.
 * How:  the public calls and a waker that counts; the pool must be empty after each test.
 */
#include "async/channel_fixture.h"
#include "async/select.h"

static struct emp_channel *channels[3];
static uint64_t values[3];
static struct emp_select_case cases[3];
static struct emp_select receive_any = {cases, 3};

/* Three channels of a kind, and a select that receives from any. */
static void make(enum emp_channel_kind kind, uint32_t capacity)
{
    for (unsigned i = 0; i < 3; i++) {
        channels[i] = channel_new(kind, 8, capacity);
        values[i] = 0;
        cases[i] = (struct emp_select_case){channels[i], &values[i], false};
    }
}

static void end(void)
{
    for (unsigned i = 0; i < 3; i++) {
        channel_end(channels[i]);
    }
}

static void the_case_that_is_ready_is_done(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (size_t ready = 0; ready < 3; ready++) {
            struct emp_select_wait wait = {0};
            size_t chosen = 9;
            uint64_t value = 40 + ready;

            make(kind, 4);
            assert_int_equal(emp_select_poll(&receive_any, &wait, NULL, &chosen), EMP_ERR_AGAIN);
            assert_int_equal(emp_channel_try_send(channels[ready], &value), EMP_OK);
            assert_int_equal(emp_select_poll(&receive_any, &wait, NULL, &chosen), EMP_OK);
            assert_int_equal(chosen, ready);
            assert_int_equal(values[ready], 40 + ready);
            assert_null(wait.group);
            end();
        }
    }
}

static void one_wake_wins_and_the_losers_are_gone(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (size_t first = 0; first < 3; first++) {
            struct emp_select_wait wait = {0};
            struct counted counted = {0};
            struct emp_waker waker = counted_waker(&counted);
            size_t chosen = 9;

            make(kind, 4);
            assert_int_equal(emp_select_poll(&receive_any, &wait, &waker, &chosen), EMP_ERR_AGAIN);
            assert_int_equal(counted.clones, 3);
            for (size_t i = 0; i < 3; i++) {
                uint64_t value = 70 + i;

                assert_int_equal(emp_channel_try_send(channels[(first + i) % 3], &value), EMP_OK);
            }
            assert_int_equal(counted.wakes, 1);
            assert_int_equal(emp_select_poll(&receive_any, &wait, &waker, &chosen), EMP_OK);
            assert_int_equal(chosen, first);
            assert_int_equal(values[first], 70);
            assert_int_equal(counted.clones, 0);
            for (size_t i = 1; i < 3; i++) {
                uint64_t value = 0;

                assert_int_equal(emp_channel_try_recv(channels[(first + i) % 3], &value), EMP_OK);
                assert_int_equal(value, 70 + i);
            }
            end();
        }
    }
}

static void a_select_that_lost_leaves_the_element_to_others(void **state)
{
    (void)state;
    make(EMP_CHANNEL_COMPACT, 0);
    struct emp_select_wait wait = {0};
    struct emp_channel_wait plain = {0};
    struct counted counted[2] = {{0}};
    struct emp_waker wakers[2] = {counted_waker(&counted[0]), counted_waker(&counted[1])};
    uint64_t value = 1;
    uint64_t got = 0;
    size_t chosen = 9;

    assert_int_equal(emp_select_poll(&receive_any, &wait, &wakers[0], &chosen), EMP_ERR_AGAIN);
    assert_int_equal(emp_channel_recv_poll(channels[1], &plain, &wakers[1], &got), EMP_ERR_AGAIN);
    assert_int_equal(emp_channel_try_send(channels[0], &value), EMP_OK);
    value = 2;
    assert_int_equal(emp_channel_try_send(channels[1], &value), EMP_OK);
    assert_int_equal(counted[1].wakes, 1);
    assert_int_equal(emp_channel_recv_poll(channels[1], &plain, &wakers[1], &got), EMP_OK);
    assert_int_equal(got, 2);
    /* Channel 2 has only the dead node left. */
    assert_int_equal(emp_channel_try_send(channels[2], &value), EMP_ERR_AGAIN);
    assert_int_equal(emp_select_poll(&receive_any, &wait, &wakers[0], &chosen), EMP_OK);
    assert_int_equal(chosen, 0);
    assert_int_equal(values[0], 1);
    end();
}

static void two_selects_meet(void **state)
{
    (void)state;
    make(EMP_CHANNEL_COMPACT, 0);
    uint64_t sent = 5;
    uint64_t got = 0;
    struct emp_select_case left[2] = {{channels[0], &sent, true}, {channels[1], &got, false}};
    struct emp_select_case right[2] = {{channels[1], &sent, true}, {channels[0], &got, false}};
    struct emp_select selects[2] = {{left, 2}, {right, 2}};
    struct emp_select_wait waits[2] = {{0}};
    struct counted counted = {0};
    struct emp_waker waker = counted_waker(&counted);
    size_t chosen[2] = {9, 9};

    assert_int_equal(emp_select_poll(&selects[0], &waits[0], &waker, &chosen[0]), EMP_ERR_AGAIN);
    assert_int_equal(emp_select_poll(&selects[1], &waits[1], &waker, &chosen[1]), EMP_OK);
    assert_int_equal(counted.wakes, 1);
    assert_int_equal(emp_select_poll(&selects[0], &waits[0], &waker, &chosen[0]), EMP_OK);
    /* One sent where the other received. */
    assert_int_equal(chosen[0] + chosen[1], 1);
    assert_int_equal(got, 5);
    assert_int_equal(counted.clones, 0);
    end();
}

static void a_closed_channel_is_a_case_that_is_done(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct emp_select_wait wait = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        size_t chosen = 9;

        make(kind, 1);
        assert_int_equal(emp_select_poll(&receive_any, &wait, &waker, &chosen), EMP_ERR_AGAIN);
        emp_channel_close(channels[2]);
        assert_int_equal(counted.wakes, 1);
        assert_int_equal(emp_select_poll(&receive_any, &wait, &waker, &chosen), EMP_ERR_CLOSED);
        assert_int_equal(chosen, 2);
        assert_int_equal(counted.clones, 0);
        end();
    }
}

static void a_forgotten_select_passes_its_wake_or_element_on(void **state)
{
    (void)state;
    static const enum emp_channel_kind kinds[] = {EMP_CHANNEL_COMPACT, EMP_CHANNEL_BOUNDED,
                                                  EMP_CHANNEL_UNBOUNDED};
    for (unsigned k = 0; k < 3; k++) {
        struct emp_select_wait wait = {0};
        struct emp_channel_wait plain = {0};
        struct counted counted[2] = {{0}};
        struct emp_waker wakers[2] = {counted_waker(&counted[0]), counted_waker(&counted[1])};
        uint64_t value = 8;
        uint64_t got = 0;
        size_t chosen = 9;

        make(kinds[k], 4);
        assert_int_equal(emp_select_poll(&receive_any, &wait, &wakers[0], &chosen), EMP_ERR_AGAIN);
        assert_int_equal(emp_channel_recv_poll(channels[1], &plain, &wakers[1], &got),
                         EMP_ERR_AGAIN);
        assert_int_equal(emp_channel_try_send(channels[1], &value), EMP_OK);
        assert_int_equal(counted[0].wakes, 1);
        assert_int_equal(counted[1].wakes, 0);
        assert_int_equal(emp_select_forget(&receive_any, &wait, &chosen), EMP_OK);
        assert_int_equal(emp_select_forget(&receive_any, &wait, &chosen), EMP_OK);
        assert_int_equal(counted[1].wakes, 1);
        assert_int_equal(emp_channel_recv_poll(channels[1], &plain, NULL, &got), EMP_OK);
        assert_int_equal(got, 8);
        assert_int_equal(counted[0].clones, 0);
        end();
    }
}

static void a_forgotten_send_says_whether_it_was_taken(void **state)
{
    (void)state;
    for (unsigned taken = 0; taken < 2; taken++) {
        make(EMP_CHANNEL_COMPACT, 0);
        cases[1].is_send = true;
        values[1] = 3;
        struct emp_select_wait wait = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        uint64_t got = 0;
        size_t chosen = 9;

        assert_int_equal(emp_select_poll(&receive_any, &wait, &waker, &chosen), EMP_ERR_AGAIN);
        if (taken != 0) {
            assert_int_equal(emp_channel_try_recv(channels[1], &got), EMP_OK);
            assert_int_equal(got, 3);
        }
        assert_int_equal(emp_select_forget(&receive_any, &wait, &chosen),
                         taken ? EMP_ERR_DONE : EMP_OK);
        assert_int_equal(chosen, taken ? 1 : 9);
        assert_int_equal(emp_channel_try_recv(channels[1], &got), EMP_ERR_AGAIN);
        end();
    }
}

static void one_channel_may_stand_in_several_cases(void **state)
{
    (void)state;
    make(EMP_CHANNEL_BOUNDED, 1);
    uint64_t value = 4;
    size_t chosen = 9;
    struct emp_select_wait wait = {0};
    struct counted counted = {0};
    struct emp_waker waker = counted_waker(&counted);

    cases[1].channel = channels[0];
    cases[2].channel = channels[0];
    assert_int_equal(emp_select_poll(&receive_any, &wait, &waker, &chosen), EMP_ERR_AGAIN);
    assert_int_equal(emp_channel_try_send(channels[0], &value), EMP_OK);
    assert_int_equal(counted.wakes, 1);
    assert_int_equal(emp_select_poll(&receive_any, &wait, &waker, &chosen), EMP_OK);
    assert_int_equal(values[chosen], 4);
    end();
}

static void too_few_and_too_many_cases_are_refused(void **state)
{
    (void)state;
    struct emp_select_wait wait = {0};
    size_t chosen = 0;
    struct emp_select none = {cases, 0};
    struct emp_select many = {cases, EMP_SELECT_MAX + 1};

    assert_int_equal(emp_select_poll(&none, &wait, NULL, &chosen), EMP_ERR_INVALID);
    assert_int_equal(emp_select_poll(&many, &wait, NULL, &chosen), EMP_ERR_INVALID);
}

static void registration_fails_cleanly_at_every_allocation(void **state)
{
    (void)state;
    enum emp_status status = EMP_ERR_NOMEM;

    for (uint32_t left = 0; status != EMP_ERR_AGAIN; left++) {
        struct emp_select_wait wait = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        size_t chosen = 9;

        assert_true(left < 6);
        make(EMP_CHANNEL_COMPACT, 0);
        memory_fails_after(left);
        status = emp_select_poll(&receive_any, &wait, &waker, &chosen);
        memory_works();
        assert_int_equal(status, left < 4 ? EMP_ERR_NOMEM : EMP_ERR_AGAIN);
        assert_int_equal(counted.clones, left < 4 ? 0 : 3);
        assert_int_equal(emp_select_forget(&receive_any, &wait, &chosen), EMP_OK);
        assert_int_equal(counted.clones, 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_case_that_is_ready_is_done),
        cmocka_unit_test(one_wake_wins_and_the_losers_are_gone),
        cmocka_unit_test(a_select_that_lost_leaves_the_element_to_others),
        cmocka_unit_test(two_selects_meet),
        cmocka_unit_test(a_closed_channel_is_a_case_that_is_done),
        cmocka_unit_test(a_forgotten_select_passes_its_wake_or_element_on),
        cmocka_unit_test(a_forgotten_send_says_whether_it_was_taken),
        cmocka_unit_test(one_channel_may_stand_in_several_cases),
        cmocka_unit_test(too_few_and_too_many_cases_are_refused),
        cmocka_unit_test(registration_fails_cleanly_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, pool_start, pool_end);
}
