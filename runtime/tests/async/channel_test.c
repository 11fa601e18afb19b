/*
 * What: channels of every kind, one thread: order, full and empty, close, ends in any order, waits
 *       and their withdrawal, memory that fails.
 * How:  the public calls, and a waker that counts wakes and what it owes; the pool must be empty
 *       after each test.
 */
#include "async/channel_fixture.h"

static const uint32_t sizes[] = {1, 2, 7, 8, 9, 40, 41, 64, 88, 89, 100, 4095, 4096};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Room for 4 elements of any size in flight; unbounded ones take more. */
#define ROOM 4u

static void elements_come_out_in_order_for_every_kind_and_size(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned s = 0; s < SIZES; s++) {
            struct emp_channel *channel = channel_new(kind, sizes[s], ROOM);
            unsigned char element[EMP_CHANNEL_ELEMENT_MAX];
            uint32_t in = 0;
            uint32_t out = 0;

            while (out < 200) {
                for (unsigned i = 0; i < 1 + in % ROOM && in - out < ROOM; i++) {
                    element_make(element, sizes[s], in++);
                    assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
                }
                memset(element, 0, sizeof(element));
                assert_int_equal(emp_channel_try_recv(channel, element), EMP_OK);
                element_check(element, sizes[s], out++);
            }
            channel_end(channel);
        }
    }
}

static void batches_come_out_in_order(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct emp_channel *channel = channel_new(kind, 8, 64);
        uint64_t values[100];
        uint64_t next_in = 0;
        uint64_t next_out = 0;

        while (next_out < 3000) {
            size_t count = 1 + next_in % 70;
            size_t done = 0;

            for (size_t i = 0; i < count; i++) {
                values[i] = next_in + i;
            }
            enum emp_status status = emp_channel_try_send_batch(channel, values, count, &done);

            assert_int_equal(status, done == count ? EMP_OK : EMP_ERR_AGAIN);
            next_in += done;
            assert_int_equal(emp_channel_try_recv_batch(channel, values, 1 + next_out % 40, &done),
                             EMP_OK);
            for (size_t i = 0; i < done; i++) {
                assert_int_equal(values[i], next_out++);
            }
        }
        channel_end(channel);
    }
}

static void bounded_kinds_say_again_when_full_and_all_when_empty(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct emp_channel *channel = channel_new(kind, 8, ROOM);
        uint64_t value = 7;

        assert_int_equal(emp_channel_try_recv(channel, &value), EMP_ERR_AGAIN);
        for (unsigned i = 0; i < ROOM; i++) {
            assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        }
        assert_int_equal(emp_channel_try_send(channel, &value),
                         kind <= EMP_CHANNEL_BOUNDED ? EMP_ERR_AGAIN : EMP_OK);
        assert_int_equal(emp_channel_try_recv(channel, &value), EMP_OK);
        assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        channel_end(channel);
    }
}

static void receivers_drain_and_then_find_it_closed(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned s = 0; s < SIZES; s++) {
            struct emp_channel *channel = channel_new(kind, sizes[s], ROOM);
            unsigned char element[EMP_CHANNEL_ELEMENT_MAX];

            element_make(element, sizes[s], 3);
            assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
            emp_channel_close(channel);
            emp_channel_close(channel);
            assert_int_equal(emp_channel_try_send(channel, element), EMP_ERR_CLOSED);
            assert_int_equal(emp_channel_try_recv(channel, element), EMP_OK);
            element_check(element, sizes[s], 3);
            assert_int_equal(emp_channel_try_recv(channel, element), EMP_ERR_CLOSED);
            channel_end(channel);
        }
    }
}

static void queued_elements_are_dropped_once_by_the_receiving_side(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned first = 0; first < 2; first++) {
            struct emp_channel *channel = channel_new(kind, 100, ROOM);
            unsigned char element[100];

            element_make(element, 100, 1);
            dropped = 0;
            for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
            }
            assert_int_equal(emp_channel_try_recv(channel, element), EMP_OK);
            if (first == 0) {
                emp_channel_sender_release(channel);
                assert_int_equal(dropped, 0);
                emp_channel_receiver_release(channel);
            } else {
                emp_channel_receiver_release(channel);
                assert_int_equal(dropped, 2);
                assert_int_equal(emp_channel_try_send(channel, element), EMP_ERR_CLOSED);
                emp_channel_sender_release(channel);
            }
            assert_int_equal(dropped, 2);
        }
    }
}

static void ends_are_counted(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct emp_channel *channel = channel_new(kind, 8, ROOM);
        uint64_t value = 1;

        assert_ptr_equal(emp_channel_sender_retain(channel), channel);
        assert_ptr_equal(emp_channel_receiver_retain(channel), channel);
        emp_channel_sender_release(channel);
        emp_channel_receiver_release(channel);
        assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        assert_int_equal(emp_channel_try_recv(channel, &value), EMP_OK);
        emp_channel_sender_release(channel);
        assert_int_equal(emp_channel_try_recv(channel, &value), EMP_ERR_CLOSED);
        emp_channel_receiver_release(channel);
        emp_channel_sender_release(NULL);
        emp_channel_receiver_release(NULL);
    }
}

static void a_waiting_receiver_is_woken_once_and_gets_the_element(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned s = 0; s < SIZES; s++) {
            struct emp_channel *channel = channel_new(kind, sizes[s], ROOM);
            struct emp_channel_wait wait = {0};
            struct counted counted = {0};
            struct emp_waker waker = counted_waker(&counted);
            unsigned char element[EMP_CHANNEL_ELEMENT_MAX];

            assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, element), EMP_ERR_AGAIN);
            assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, element), EMP_ERR_AGAIN);
            assert_int_equal(counted.clones, 1);
            element_make(element, sizes[s], 9);
            assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
            assert_int_equal(counted.wakes, 1);
            assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
            assert_int_equal(counted.wakes, 1);
            memset(element, 0, sizeof(element));
            assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, element), EMP_OK);
            element_check(element, sizes[s], 9);
            assert_null(wait.node);
            assert_int_equal(counted.clones, 0);
            channel_end(channel);
        }
    }
}

static void a_waiting_sender_is_woken_when_there_is_room(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind <= EMP_CHANNEL_BOUNDED; kind++) {
        struct emp_channel *channel = channel_new(kind, 8, 1);
        struct emp_channel_wait wait = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        uint64_t value = 5;
        uint64_t got = 0;

        assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        value = 6;
        assert_int_equal(emp_channel_send_poll(channel, &wait, &waker, &value), EMP_ERR_AGAIN);
        assert_int_equal(counted.wakes, 0);
        assert_int_equal(emp_channel_try_recv(channel, &got), EMP_OK);
        assert_int_equal(got, 5);
        assert_int_equal(counted.wakes, 1);
        assert_int_equal(emp_channel_send_poll(channel, &wait, &waker, &value), EMP_OK);
        assert_int_equal(emp_channel_try_recv(channel, &got), EMP_OK);
        assert_int_equal(got, 6);
        assert_int_equal(counted.clones, 0);
        channel_end(channel);
    }
}

static void close_wakes_waiting_receivers_and_senders(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct emp_channel *channel = channel_new(kind, 8, 1);
        struct emp_channel_wait waits[40] = {{0}};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        uint64_t value = 5;
        /* SPSC and MPSC have one receiver. */
        unsigned count = kind == EMP_CHANNEL_SPSC || kind == EMP_CHANNEL_UNBOUNDED_MPSC ? 1 : 40;

        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(emp_channel_recv_poll(channel, &waits[i], &waker, &value),
                             EMP_ERR_AGAIN);
        }
        emp_channel_close(channel);
        assert_int_equal(counted.wakes, count);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(emp_channel_recv_poll(channel, &waits[i], &waker, &value),
                             EMP_ERR_CLOSED);
        }
        channel_end(channel);
    }
    for (unsigned kind = 0; kind <= EMP_CHANNEL_BOUNDED; kind++) {
        struct emp_channel *channel = channel_new(kind, 8, 1);
        struct emp_channel_wait wait = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        uint64_t value = 5;

        assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        assert_int_equal(emp_channel_send_poll(channel, &wait, &waker, &value), EMP_ERR_AGAIN);
        emp_channel_receiver_release(channel);
        assert_int_equal(counted.wakes, 1);
        assert_int_equal(emp_channel_send_poll(channel, &wait, &waker, &value), EMP_ERR_CLOSED);
        emp_channel_sender_release(channel);
        assert_int_equal(counted.clones, 0);
    }
}

static void a_cancelled_receiver_passes_its_wake_on(void **state)
{
    (void)state;
    static const enum emp_channel_kind kinds[] = {EMP_CHANNEL_COMPACT, EMP_CHANNEL_BOUNDED,
                                                  EMP_CHANNEL_UNBOUNDED};
    for (unsigned k = 0; k < 3; k++) {
        for (uint32_t bytes = 8; bytes <= 64; bytes += 56) {
            struct emp_channel *channel = channel_new(kinds[k], bytes, ROOM);
            struct emp_channel_wait waits[2] = {{0}};
            struct counted counted[2] = {{0}};
            unsigned char element[64];

            for (unsigned i = 0; i < 2; i++) {
                struct emp_waker waker = counted_waker(&counted[i]);

                assert_int_equal(emp_channel_recv_poll(channel, &waits[i], &waker, element),
                                 EMP_ERR_AGAIN);
            }
            element_make(element, bytes, 77);
            assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
            assert_int_equal(counted[0].wakes, 1);
            assert_int_equal(counted[1].wakes, 0);
            assert_int_equal(emp_channel_forget(channel, &waits[0]), EMP_OK);
            assert_int_equal(counted[1].wakes, 1);
            memset(element, 0, sizeof(element));
            assert_int_equal(emp_channel_recv_poll(channel, &waits[1], NULL, element), EMP_OK);
            element_check(element, bytes, 77);
            channel_end(channel);
        }
    }
}

static void a_handed_element_of_a_cancelled_receiver_is_received_first(void **state)
{
    (void)state;
    for (uint32_t capacity = 0; capacity < 3; capacity++) {
        struct emp_channel *channel = channel_new(EMP_CHANNEL_COMPACT, 8, capacity);
        struct emp_channel_wait wait = {0};
        struct emp_channel_wait sending = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        uint64_t value = 1;
        uint64_t got = 0;

        assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, &got), EMP_ERR_AGAIN);
        assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        for (value = 2; value < 2 + capacity; value++) {
            assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        }
        assert_int_equal(emp_channel_send_poll(channel, &sending, &waker, &value), EMP_ERR_AGAIN);
        assert_int_equal(emp_channel_forget(channel, &wait), EMP_OK);
        emp_channel_close(channel);
        assert_int_equal(emp_channel_send_poll(channel, &sending, &waker, &value), EMP_ERR_CLOSED);
        for (value = 1; value < 2 + capacity; value++) {
            assert_int_equal(emp_channel_try_recv(channel, &got), EMP_OK);
            assert_int_equal(got, value);
        }
        assert_int_equal(emp_channel_try_recv(channel, &got), EMP_ERR_CLOSED);
        channel_end(channel);
        assert_int_equal(counted.clones, 0);
    }
}

static void a_handed_element_that_nobody_receives_is_dropped(void **state)
{
    (void)state;
    struct emp_channel *channel = channel_new(EMP_CHANNEL_COMPACT, 64, 0);
    struct emp_channel_wait wait = {0};
    struct counted counted = {0};
    struct emp_waker waker = counted_waker(&counted);
    unsigned char element[64] = {9};

    dropped = 0;
    assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, element), EMP_ERR_AGAIN);
    assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
    assert_int_equal(emp_channel_forget(channel, &wait), EMP_OK);
    assert_int_equal(dropped, 0);
    channel_end(channel);
    assert_int_equal(dropped, 1);
}

static void a_rendezvous_needs_both(void **state)
{
    (void)state;
    struct emp_channel *channel = channel_new(EMP_CHANNEL_COMPACT, 64, 0);
    struct emp_channel_wait wait = {0};
    struct counted counted = {0};
    struct emp_waker waker = counted_waker(&counted);
    unsigned char element[64];

    element_make(element, 64, 5);
    assert_int_equal(emp_channel_try_send(channel, element), EMP_ERR_AGAIN);
    assert_int_equal(emp_channel_send_poll(channel, &wait, &waker, element), EMP_ERR_AGAIN);
    memset(element, 0, sizeof(element));
    assert_int_equal(emp_channel_try_recv(channel, element), EMP_OK);
    element_check(element, 64, 5);
    assert_int_equal(counted.wakes, 1);
    assert_int_equal(emp_channel_try_recv(channel, element), EMP_ERR_AGAIN);
    assert_int_equal(emp_channel_send_poll(channel, &wait, &waker, element), EMP_OK);
    channel_end(channel);
}

static void a_sender_that_forgets_learns_whether_its_element_was_taken(void **state)
{
    (void)state;
    for (unsigned taken = 0; taken < 2; taken++) {
        struct emp_channel *channel = channel_new(EMP_CHANNEL_COMPACT, 8, 0);
        struct emp_channel_wait wait = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        uint64_t value = 5;

        assert_int_equal(emp_channel_send_poll(channel, &wait, &waker, &value), EMP_ERR_AGAIN);
        if (taken != 0) {
            assert_int_equal(emp_channel_try_recv(channel, &value), EMP_OK);
        }
        assert_int_equal(emp_channel_forget(channel, &wait), taken != 0 ? EMP_ERR_DONE : EMP_OK);
        assert_int_equal(emp_channel_try_recv(channel, &value), EMP_ERR_AGAIN);
        assert_int_equal(counted.clones, 0);
        channel_end(channel);
    }
}

static void a_new_waker_takes_the_place_of_the_old_one(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct emp_channel *channel = channel_new(kind, 8, 1);
        struct emp_channel_wait wait = {0};
        struct counted counted[2] = {{0}};
        uint64_t value = 5;

        for (unsigned i = 0; i < 2; i++) {
            struct emp_waker waker = counted_waker(&counted[i]);

            assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, &value), EMP_ERR_AGAIN);
        }
        assert_int_equal(counted[0].clones, 0);
        assert_int_equal(emp_channel_try_send(channel, &value), EMP_OK);
        assert_int_equal(counted[0].wakes, 0);
        assert_int_equal(counted[1].wakes, 1);
        assert_int_equal(emp_channel_forget(channel, &wait), EMP_OK);
        assert_int_equal(emp_channel_forget(channel, &wait), EMP_OK);
        channel_end(channel);
    }
}

static void cells_are_written_and_read_in_their_place(void **state)
{
    (void)state;
    struct emp_channel *channel = channel_new(EMP_CHANNEL_SPSC, 4, 8);
    struct emp_channel *wrong = channel_new(EMP_CHANNEL_BOUNDED, 4, 8);
    uint32_t in = 0;
    uint32_t out = 0;
    void *cells = NULL;
    size_t count = 0;

    assert_int_equal(emp_channel_peek(channel, 8, &cells, &count), EMP_ERR_AGAIN);
    while (out < 100) {
        enum emp_status status = emp_channel_reserve(channel, 5, &cells, &count);

        assert_int_equal(status, count != 0 ? EMP_OK : EMP_ERR_AGAIN);
        for (size_t i = 0; i < count; i++) {
            ((uint32_t *)cells)[i] = in + (uint32_t)i;
        }
        assert_int_equal(emp_channel_commit(channel, count + 1), EMP_ERR_INVALID);
        assert_int_equal(emp_channel_commit(channel, count), EMP_OK);
        in += (uint32_t)count;
        assert_int_equal(emp_channel_peek(channel, 3, &cells, &count), EMP_OK);
        assert_in_range(count, 1, 3);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(((uint32_t *)cells)[i], out + i);
        }
        /* Nothing moves before the acknowledgement. */
        assert_int_equal(emp_channel_peek(channel, 1, &cells, &count), EMP_OK);
        assert_int_equal(((uint32_t *)cells)[0], out);
        assert_int_equal(emp_channel_ack(channel, 2), EMP_ERR_INVALID);
        assert_int_equal(emp_channel_ack(channel, 1), EMP_OK);
        out++;
    }
    /* What was not committed is not sent. */
    emp_channel_close(channel);
    assert_int_equal(emp_channel_reserve(channel, 1, &cells, &count), EMP_ERR_CLOSED);
    while (emp_channel_peek(channel, 1, &cells, &count) == EMP_OK) {
        assert_int_equal(((uint32_t *)cells)[0], out++);
        assert_int_equal(emp_channel_ack(channel, 1), EMP_OK);
    }
    assert_int_equal(out, in);
    assert_int_equal(emp_channel_reserve(wrong, 1, &cells, &count), EMP_ERR_UNSUPPORTED);
    assert_int_equal(emp_channel_peek(wrong, 1, &cells, &count), EMP_ERR_UNSUPPORTED);
    assert_int_equal(emp_channel_commit(wrong, 0), EMP_ERR_INVALID);
    assert_int_equal(emp_channel_ack(wrong, 0), EMP_ERR_INVALID);
    channel_end(channel);
    channel_end(wrong);
}

static void bad_configurations_are_refused(void **state)
{
    (void)state;
    struct emp_channel *channel = NULL;
    static const struct emp_channel_config bad[] = {
        {EMP_CHANNEL_COMPACT, 0, 0, NULL},   {EMP_CHANNEL_COMPACT, 4097, 0, NULL},
        {EMP_CHANNEL_COMPACT, 8, 256, NULL}, {EMP_CHANNEL_SPSC, 8, 0, NULL},
        {EMP_CHANNEL_BOUNDED, 8, 0, NULL},   {EMP_CHANNEL_BOUNDED, 8, (1u << 24) + 1, NULL},
        {EMP_CHANNEL_UNBOUNDED, 8, 1, NULL}, {(enum emp_channel_kind)9, 8, 1, NULL},
    };
    const struct emp_channel_config good = {EMP_CHANNEL_SPSC, 8, 4, NULL};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(emp_channel_create(pool, &bad[i], &channel), EMP_ERR_INVALID);
    }
    assert_int_equal(emp_channel_create(NULL, &good, &channel), EMP_ERR_INVALID);
    assert_int_equal(emp_channel_create(pool, NULL, &channel), EMP_ERR_INVALID);
    assert_int_equal(emp_channel_create(pool, &good, NULL), EMP_ERR_INVALID);
    assert_null(channel);
}

/* Creation with the n-th allocation failing, for every n; then nothing is left behind. */
static void creation_fails_cleanly_at_every_allocation(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (uint32_t bytes = 8; bytes <= 200; bytes += 96) {
            enum emp_status status = EMP_ERR_NOMEM;

            for (uint32_t left = 0; status != EMP_OK; left++) {
                struct emp_channel *channel = NULL;
                struct emp_channel_config config = {kind, bytes, kind <= 2 ? 4 : 0, NULL};

                assert_true(left < 8);
                memory_fails_after(left);
                status = emp_channel_create(pool, &config, &channel);
                memory_works();
                if (status == EMP_OK) {
                    channel_end(channel);
                } else {
                    assert_int_equal(status, EMP_ERR_NOMEM);
                    assert_null(channel);
                }
            }
        }
    }
}

static void a_wait_that_finds_no_memory_says_so_and_can_be_tried_again(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct emp_channel *channel = channel_new(kind, 64, 1);
        struct emp_channel_wait wait = {0};
        struct counted counted = {0};
        struct emp_waker waker = counted_waker(&counted);
        unsigned char element[64] = {0};
        uint32_t refusals = kind == EMP_CHANNEL_COMPACT ? 2 : 1; /* the node, and its box */

        for (uint32_t left = 0; left < refusals; left++) {
            memory_fails_after(left);
            assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, element), EMP_ERR_NOMEM);
            memory_works();
            assert_null(wait.node);
            assert_int_equal(counted.clones, 0);
        }
        assert_int_equal(emp_channel_recv_poll(channel, &wait, &waker, element), EMP_ERR_AGAIN);
        assert_int_equal(emp_channel_forget(channel, &wait), EMP_OK);
        channel_end(channel);
    }
}

static void an_unbounded_send_without_memory_keeps_what_was_sent(void **state)
{
    (void)state;
    for (unsigned kind = EMP_CHANNEL_UNBOUNDED_MPSC; kind < KINDS; kind++) {
        for (uint32_t bytes = 8; bytes <= 200; bytes += 96) {
            struct emp_channel *channel = channel_new(kind, bytes, 0);
            unsigned char elements[8 * 200];
            unsigned char element[200];
            uint32_t in = 0;
            uint32_t out = 0;
            size_t sent = 0;

            memory_fails_after(3);
            for (;;) {
                for (uint32_t i = 0; i < 8; i++) {
                    element_make(elements + (size_t)i * bytes, bytes, in + i);
                }
                enum emp_status status = emp_channel_try_send_batch(channel, elements, 8, &sent);

                in += (uint32_t)sent;
                if (status != EMP_OK) {
                    assert_int_equal(status, EMP_ERR_NOMEM);
                    break;
                }
            }
            assert_int_equal(in, bytes == 8 ? 4 * 56 : 3);
            memory_works();
            element_make(element, bytes, in++);
            assert_int_equal(emp_channel_try_send(channel, element), EMP_OK);
            while (emp_channel_try_recv(channel, element) == EMP_OK) {
                element_check(element, bytes, out++);
            }
            assert_int_equal(out, in);
            channel_end(channel);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_out_in_order_for_every_kind_and_size),
        cmocka_unit_test(batches_come_out_in_order),
        cmocka_unit_test(bounded_kinds_say_again_when_full_and_all_when_empty),
        cmocka_unit_test(receivers_drain_and_then_find_it_closed),
        cmocka_unit_test(queued_elements_are_dropped_once_by_the_receiving_side),
        cmocka_unit_test(ends_are_counted),
        cmocka_unit_test(a_waiting_receiver_is_woken_once_and_gets_the_element),
        cmocka_unit_test(a_waiting_sender_is_woken_when_there_is_room),
        cmocka_unit_test(close_wakes_waiting_receivers_and_senders),
        cmocka_unit_test(a_cancelled_receiver_passes_its_wake_on),
        cmocka_unit_test(a_handed_element_of_a_cancelled_receiver_is_received_first),
        cmocka_unit_test(a_handed_element_that_nobody_receives_is_dropped),
        cmocka_unit_test(a_rendezvous_needs_both),
        cmocka_unit_test(a_sender_that_forgets_learns_whether_its_element_was_taken),
        cmocka_unit_test(a_new_waker_takes_the_place_of_the_old_one),
        cmocka_unit_test(cells_are_written_and_read_in_their_place),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(creation_fails_cleanly_at_every_allocation),
        cmocka_unit_test(a_wait_that_finds_no_memory_says_so_and_can_be_tried_again),
        cmocka_unit_test(an_unbounded_send_without_memory_keeps_what_was_sent),
    };

    return cmocka_run_group_tests(tests, pool_start, pool_end);
}
