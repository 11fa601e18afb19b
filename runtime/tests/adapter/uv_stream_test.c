/*
 * What: reads and writes of a libuv stream through futures (adapter/uv_stream.h).
 * How:  a socket pair; one end is the stream, the other is read and written directly. The memory
 *       that the stream asks for is counted: at the end of each test all of it is back, and the
 *       pool says that no future was left.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "adapter/uv_adapter.h"
#include "adapter/uv_stream.h"
#include "core/async_memory_pool.h"

#define NS_PER_MS    1000000u
#define BUFFER_BYTES 256u
#define BIG_BYTES    ((size_t)4 << 20)

static uv_loop_t loop;
static struct emp_async_pool *pool;
static uv_pipe_t handle;
static struct emp_uv_stream stream;
static int far_end;
static unsigned buffers_out;
static bool has_no_buffer;

static struct emp_uv_chunk give_buffer(struct emp_uv_stream *of)
{
    assert_ptr_equal(of, &stream);
    if (has_no_buffer) {
        return (struct emp_uv_chunk){NULL, 0};
    }
    buffers_out++;
    return (struct emp_uv_chunk){malloc(BUFFER_BYTES), BUFFER_BYTES};
}

static void take_buffer(struct emp_uv_stream *of, void *data)
{
    assert_ptr_equal(of, &stream);
    assert_non_null(data);
    buffers_out--;
    free(data);
}

static const struct emp_uv_stream_calls calls = {give_buffer, take_buffer};

static int begin_with(const struct emp_async_pool_config *config)
{
    int fds[2];

    buffers_out = 0;
    has_no_buffer = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    far_end = fds[1];
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_pipe_init(&loop, &handle, 0), 0);
    assert_int_equal(uv_pipe_open(&handle, fds[0]), 0);
    assert_int_equal(emp_async_pool_create(config, &pool), EMP_OK);
    emp_uv_stream_init(&stream, (uv_stream_t *)&handle, pool, &calls);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return begin_with(NULL);
}

static int begin_without_futures(void **state)
{
    struct emp_async_pool_config config = emp_async_pool_config_default();

    (void)state;
    config.future_pool.max_capacity = 1;
    return begin_with(&config);
}

static int end(void **state)
{
    (void)state;
    emp_uv_stream_end(&stream);
    emp_uv_stream_end(&stream); /* twice does no harm */
    if (!uv_is_closing((uv_handle_t *)&handle)) {
        uv_close((uv_handle_t *)&handle, NULL);
    }
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    if (far_end >= 0) {
        close(far_end);
    }
    assert_int_equal(buffers_out, 0);
    assert_int_equal(emp_async_pool_destroy(pool, NULL, NULL), EMP_OK);
    return 0;
}

/* Turns the loop until the future is complete; its chunk, and the future is dropped. */
static struct emp_uv_chunk chunk_of(struct emp_future *future)
{
    struct emp_uv_chunk chunk = {NULL, 0};
    uint64_t patience = uv_hrtime() + (uint64_t)20000 * NS_PER_MS;
    enum emp_status status;

    assert_non_null(future);
    while ((status = emp_future_take(future, NULL, &chunk, sizeof(chunk), NULL)) == EMP_ERR_AGAIN) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        assert_true(uv_hrtime() < patience);
    }
    assert_int_equal(status, EMP_OK);
    emp_future_drop(future);
    return chunk;
}

static void on_alarm(uv_timer_t *timer)
{
    (void)timer;
}

static void turn(void)
{
    for (unsigned i = 0; i < 10; i++) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static void expect_bytes(struct emp_uv_chunk chunk, const char *text)
{
    assert_int_equal(chunk.bytes, strlen(text));
    assert_memory_equal(chunk.data, text, strlen(text));
    take_buffer(&stream, chunk.data);
}

static void a_read_waits_for_bytes_and_holds_no_memory_meanwhile(void **state)
{
    struct emp_future *future = emp_uv_stream_read(&stream);

    (void)state;
    turn();
    assert_int_equal(emp_future_poll(future, NULL, NULL, 0, NULL), EMP_ERR_AGAIN);
    assert_int_equal(buffers_out, 0);
    assert_int_equal(write(far_end, "hello", 5), 5);
    expect_bytes(chunk_of(future), "hello");
}

static void reads_follow_each_other(void **state)
{
    char text[16];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        struct emp_future *future = emp_uv_stream_read(&stream);
        int length = snprintf(text, sizeof(text), "%u", i);

        assert_int_equal(write(far_end, text, (size_t)length), length);
        expect_bytes(chunk_of(future), text);
    }
}

static void a_second_read_beside_the_first_is_refused(void **state)
{
    struct emp_future *future = emp_uv_stream_read(&stream);

    (void)state;
    assert_non_null(future);
    assert_null(emp_uv_stream_read(&stream));
    assert_int_equal(write(far_end, "x", 1), 1);
    expect_bytes(chunk_of(future), "x");
}

static void reading_does_not_run_ahead_of_the_reader(void **state)
{
    static char text[20 * BUFFER_BYTES];
    size_t have = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)(i * 13 + (i >> 8));
    }
    struct emp_future *future = emp_uv_stream_read(&stream);

    assert_int_equal(write(far_end, text, sizeof(text)), sizeof(text));
    turn();
    assert_int_equal(buffers_out, 1);
    while (have < sizeof(text)) {
        struct emp_uv_chunk chunk = chunk_of(future);

        assert_in_range(chunk.bytes, 1, BUFFER_BYTES);
        assert_memory_equal(chunk.data, text + have, (size_t)chunk.bytes);
        have += (size_t)chunk.bytes;
        take_buffer(&stream, chunk.data);
        if (have % (2 * BUFFER_BYTES) == 0) {
            turn(); /* a reader that comes back late */
        }
        future = have < sizeof(text) ? emp_uv_stream_read(&stream) : NULL;
    }
}

static void a_stream_with_bytes_and_without_reader_lets_the_loop_wait(void **state)
{
    uv_timer_t timer;
    unsigned turns = 0;

    (void)state;
    struct emp_future *future = emp_uv_stream_read(&stream);

    assert_true(emp_uv_stream_interrupt(&stream, UV_ETIMEDOUT));
    assert_int_equal(chunk_of(future).bytes, UV_ETIMEDOUT);
    assert_int_equal(write(far_end, "late", 4), 4);
    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_alarm, 100, 0), 0);
    while (uv_is_active((uv_handle_t *)&timer)) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        turns++;
    }
    assert_in_range(turns, 1, 10);
    assert_int_equal(buffers_out, 0);
    uv_close((uv_handle_t *)&timer, NULL);
    turn();
    expect_bytes(chunk_of(emp_uv_stream_read(&stream)), "late");
}

static void after_an_interrupt_the_stream_reads_on(void **state)
{
    struct emp_future *future = emp_uv_stream_read(&stream);

    (void)state;
    assert_true(emp_uv_stream_interrupt(&stream, UV_ETIMEDOUT));
    assert_false(emp_uv_stream_interrupt(&stream, UV_ETIMEDOUT));
    assert_int_equal(chunk_of(future).bytes, UV_ETIMEDOUT);
    assert_int_equal(write(far_end, "more", 4), 4);
    expect_bytes(chunk_of(emp_uv_stream_read(&stream)), "more");
}

static void bytes_for_a_read_that_was_cancelled_wait_for_the_next(void **state)
{
    struct emp_future *future = emp_uv_stream_read(&stream);

    (void)state;
    assert_int_equal(emp_future_cancel(future), EMP_OK);
    emp_future_drop(future);
    assert_int_equal(write(far_end, "kept", 4), 4);
    turn();
    expect_bytes(chunk_of(emp_uv_stream_read(&stream)), "kept");
}

static void bytes_of_a_cancelled_read_go_back_when_the_stream_ends(void **state)
{
    struct emp_future *future = emp_uv_stream_read(&stream);

    (void)state;
    assert_int_equal(emp_future_cancel(future), EMP_OK);
    emp_future_drop(future);
    assert_int_equal(write(far_end, "late", 4), 4);
    turn();
    assert_int_equal(buffers_out, 1); /* end() of this test wants it back */
}

static void the_end_of_the_other_side_is_told_again_and_again(void **state)
{
    (void)state;
    close(far_end);
    far_end = -1;
    for (unsigned i = 0; i < 3; i++) {
        struct emp_uv_chunk chunk = chunk_of(emp_uv_stream_read(&stream));

        assert_null(chunk.data);
        assert_int_equal(chunk.bytes, UV_EOF);
    }
    assert_int_equal(buffers_out, 0);
}

static void the_end_of_the_stream_ends_the_read_that_waits(void **state)
{
    struct emp_future *future = emp_uv_stream_read(&stream);

    (void)state;
    emp_uv_stream_end(&stream);
    assert_int_equal(chunk_of(future).bytes, UV_ECANCELED);
}

static void a_read_without_memory_for_bytes_says_so(void **state)
{
    struct emp_future *future = emp_uv_stream_read(&stream);

    (void)state;
    has_no_buffer = true;
    assert_int_equal(write(far_end, "x", 1), 1);
    assert_int_equal(chunk_of(future).bytes, UV_ENOBUFS);
}

static void a_read_of_a_closed_handle_says_so(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&handle, NULL);
    assert_in_range(-chunk_of(emp_uv_stream_read(&stream)).bytes, 1, 4096);
}

static void without_memory_for_futures_nothing_happens(void **state)
{
    struct emp_future *held[4096];
    struct emp_future *rest = NULL;
    static char data[BIG_BYTES];
    unsigned count = 0;

    (void)state;
    while (count < 4096 && (held[count] = emp_future_new(pool)) != NULL) {
        count++;
    }
    assert_in_range(count, 1, 4095);
    assert_null(emp_uv_stream_read(&stream));
    assert_int_equal(emp_uv_stream_write(&stream, data, sizeof(data), &rest), EMP_ERR_NOMEM);
    assert_null(rest);
    while (count > 0) {
        count--;
        emp_promise_drop(held[count]);
        emp_future_drop(held[count]);
    }
    assert_int_equal(write(far_end, "now", 3), 3);
    expect_bytes(chunk_of(emp_uv_stream_read(&stream)), "now");
}

static void a_small_write_goes_out_at_once(void **state)
{
    struct emp_future *rest = (struct emp_future *)&stream;
    char text[] = "out";
    char got[8];

    (void)state;
    assert_int_equal(emp_uv_stream_write(&stream, text, 3, &rest), EMP_OK);
    assert_null(rest);
    assert_int_equal(read(far_end, got, sizeof(got)), 3);
    assert_memory_equal(got, "out", 3);
}

static void a_large_write_ends_when_the_other_side_has_read(void **state)
{
    char *data = malloc(BIG_BYTES);
    struct emp_future *rest = NULL;
    static char got[65536];
    size_t have = 0;

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        data[i] = (char)(i * 7 + (i >> 12));
    }
    assert_int_equal(emp_uv_stream_write(&stream, data, BIG_BYTES, &rest), EMP_ERR_AGAIN);
    turn();
    assert_int_equal(emp_future_poll(rest, NULL, NULL, 0, NULL), EMP_ERR_AGAIN);
    while (have < BIG_BYTES) {
        ssize_t part = read(far_end, got, sizeof(got));

        assert_true(part > 0);
        assert_memory_equal(got, data + have, (size_t)part);
        have += (size_t)part;
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(chunk_of(rest).bytes, 0);
    free(data);
}

static void a_write_to_nobody_says_closed(void **state)
{
    struct emp_future *rest = NULL;
    char text[] = "x";

    (void)state;
    close(far_end);
    far_end = -1;
    assert_int_equal(emp_uv_stream_write(&stream, text, 1, &rest), EMP_ERR_CLOSED);
    assert_null(rest);
}

static void closing_the_handle_ends_a_write_that_waits(void **state)
{
    char *data = calloc(1, BIG_BYTES);
    struct emp_future *rest = NULL;

    (void)state;
    assert_non_null(data);
    assert_int_equal(emp_uv_stream_write(&stream, data, BIG_BYTES, &rest), EMP_ERR_AGAIN);
    uv_close((uv_handle_t *)&handle, NULL);
    assert_int_equal(chunk_of(rest).bytes, UV_ECANCELED);
    free(data);
}

/* A length of which the lower 32 bits are few. */
static void a_write_of_more_than_32_bits_is_not_taken_for_a_small_one(void **state)
{
    const size_t bytes = ((size_t)4 << 30) + 10;
    char *const data =
        mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct emp_future *rest = NULL;

    (void)state;
    assert_true(data != MAP_FAILED);
    assert_int_equal(emp_uv_stream_write(&stream, data, bytes, &rest), EMP_ERR_AGAIN);
    assert_int_equal(close(far_end), 0);
    far_end = -1;
    assert_true(chunk_of(rest).bytes < 0);
    assert_int_equal(munmap(data, bytes), 0);
}

int main(void)
{
#define WITH_STREAM(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_STREAM(a_read_waits_for_bytes_and_holds_no_memory_meanwhile),
        WITH_STREAM(reads_follow_each_other),
        WITH_STREAM(a_second_read_beside_the_first_is_refused),
        WITH_STREAM(reading_does_not_run_ahead_of_the_reader),
        WITH_STREAM(a_stream_with_bytes_and_without_reader_lets_the_loop_wait),
        WITH_STREAM(bytes_of_a_cancelled_read_go_back_when_the_stream_ends),
        WITH_STREAM(after_an_interrupt_the_stream_reads_on),
        WITH_STREAM(bytes_for_a_read_that_was_cancelled_wait_for_the_next),
        WITH_STREAM(the_end_of_the_other_side_is_told_again_and_again),
        WITH_STREAM(the_end_of_the_stream_ends_the_read_that_waits),
        WITH_STREAM(a_read_without_memory_for_bytes_says_so),
        WITH_STREAM(a_read_of_a_closed_handle_says_so),
        cmocka_unit_test_setup_teardown(without_memory_for_futures_nothing_happens,
                                        begin_without_futures, end),
        WITH_STREAM(a_small_write_goes_out_at_once),
        WITH_STREAM(a_large_write_ends_when_the_other_side_has_read),
        WITH_STREAM(a_write_to_nobody_says_closed),
        WITH_STREAM(closing_the_handle_ends_a_write_that_waits),
        WITH_STREAM(a_write_of_more_than_32_bits_is_not_taken_for_a_small_one),
    };

    /* A write to a side that is gone must come back as an error, not as a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
