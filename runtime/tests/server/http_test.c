/*
 * What: the echo server over real sockets: answers, keep-alive, pipelining, limits, garbage.
 * How:  the program is a child; each test that changes nothing for the others shares it. Every test
 *       runs against both builds, the one on pools and the one on malloc: they are one source and
 *       must answer alike. At the end each must exit with 0, which it does only when every object
 *       was given back.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/served.h"

#define MIB ((size_t)1 << 20)

static const char *const kinds[] = {"echo_server", "echo_server_malloc"};
static const char *const plain[] = {"--port=0", NULL};

static struct served servers[2];

static int start_both(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        servers[i] = server_start(kinds[i], plain, NULL);
    }
    return 0;
}

static int stop_both(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        server_stop(&servers[i]);
    }
    return 0;
}

static void get_answers_and_keeps_the_connection(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    char body[64];
    size_t bytes = 0;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        int fd = client_connect(&servers[i]);

        for (unsigned round = 0; round < 100; round++) {
            client_send(fd, request, sizeof(request) - 1);
            assert_int_equal(client_answer(fd, body, sizeof(body), &bytes), 200);
            assert_int_equal(bytes, 6);
            assert_memory_equal(body, "hello\n", 6);
        }
        close(fd);
    }
}

static void http_1_0_and_connection_close_end_after_the_answer(void **state)
{
    static const char *const requests[] = {"GET / HTTP/1.0\r\n\r\n",
                                           "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"};
    char body[64];
    size_t bytes = 0;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        int fd = client_connect(&servers[i / 2]);

        client_send(fd, requests[i % 2], strlen(requests[i % 2]));
        assert_int_equal(client_answer(fd, body, sizeof(body), &bytes), 200);
        assert_true(client_sees_end(fd, 0));
        close(fd);
    }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    enum { COUNT = 200 };
    char requests[COUNT * 64];
    char body[64];
    size_t length = 0;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        length += (size_t)snprintf(requests + length, sizeof(requests) - length,
                                   "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n%04u", i);
    }
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);

        client_send(fd, requests, length);
        for (unsigned i = 0; i < COUNT; i++) {
            size_t bytes = 0;

            assert_int_equal(client_answer(fd, body, sizeof(body) - 1, &bytes), 200);
            assert_int_equal(bytes, 4);
            body[4] = '\0';
            assert_int_equal(strtoul(body, NULL, 10), i);
        }
        close(fd);
    }
}

/* Sends a body of so many bytes and expects it back. */
static void post_round_trip(int fd, size_t size, char *data, char *back)
{
    char head[128];
    size_t bytes = 0;
    int length =
        snprintf(head, sizeof(head), "POST /x HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", size);

    for (size_t i = 0; i < size; i++) {
        data[i] = (char)(i * 31 + size);
    }
    client_send(fd, head, (size_t)length);
    client_send(fd, data, size);
    assert_int_equal(client_answer(fd, back, MIB, &bytes), 200);
    assert_int_equal(bytes, size);
    assert_memory_equal(back, data, size);
}

static void post_sends_the_body_back(void **state)
{
    /* Around the size of a buffer, of a head and a body in one buffer; the largest comes below. */
    static const size_t sizes[] = {0, 1, 100, 3900, 4050, 4095, 4096, 4097, 8192, 100000};
    char *data = malloc(MIB);
    char *back = malloc(MIB);

    (void)state;
    assert_non_null(data);
    assert_non_null(back);
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);

        for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            post_round_trip(fd, sizes[i], data, back);
        }
        close(fd);
    }
    free(back);
    free(data);
}

static void a_request_in_single_bytes_is_understood(void **state)
{
    static const char request[] = "POST /slow HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    char body[8];
    size_t bytes = 0;

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);

        for (size_t i = 0; i < sizeof(request) - 1; i++) {
            client_send(fd, request + i, 1);
            sleep_ms(1);
        }
        assert_int_equal(client_answer(fd, body, sizeof(body), &bytes), 200);
        assert_int_equal(bytes, 3);
        assert_memory_equal(body, "abc", 3);
        close(fd);
    }
}

static void what_is_wrong_gets_its_status_and_an_end(void **state)
{
    static const struct {
        const char *request;
        unsigned status;
    } rows[] = {
        {"GET\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / HTTP/1.1\n\n", 400},
        {"GET / HTTP/1.9\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"G\x01T / HTTP/1.1\r\n\r\n", 400},
        {"GET /\x02 HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: empty\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA : space\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: \x01\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        {"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", 413},
        {"GET /other HTTP/1.1\r\n\r\n", 404},
        {"DELETE / HTTP/1.1\r\n\r\n", 405},
    };
    char body[64];
    size_t bytes = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = client_connect(&servers[i % 2]);

        client_send(fd, rows[i / 2].request, strlen(rows[i / 2].request));
        unsigned status = client_answer(fd, body, sizeof(body), &bytes);

        if (status != rows[i / 2].status) {
            fail_msg("%s got %u, wanted %u", rows[i / 2].request, status, rows[i / 2].status);
        }
        assert_true(client_sees_end(fd, 0));
        close(fd);
    }
}

static void a_head_without_end_is_refused_when_the_buffer_is_full(void **state)
{
    char line[64];
    char body[8];
    size_t bytes = 0;

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);

        client_send(fd, "GET / HTTP/1.1\r\n", 16);
        for (unsigned i = 0; i < 200; i++) {
            int length = snprintf(line, sizeof(line), "Field-%u: a value of some length\r\n", i);

            if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length) {
                break; /* refused already */
            }
        }
        assert_int_equal(client_answer(fd, body, sizeof(body), &bytes), 431);
        close(fd);
    }
}

static void an_expected_continue_is_given(void **state)
{
    static const char head[] =
        "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char answer[64];
    size_t bytes = 0;

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);

        client_send(fd, head, sizeof(head) - 1);
        assert_int_equal(client_read(fd, answer, sizeof(proceed) - 1), sizeof(proceed) - 1);
        assert_memory_equal(answer, proceed, sizeof(proceed) - 1);
        client_send(fd, "ok", 2);
        assert_int_equal(client_answer(fd, answer, sizeof(answer), &bytes), 200);
        assert_int_equal(bytes, 2);
        close(fd);
    }
}

static void a_head_request_gets_the_length_and_no_body(void **state)
{
    static const char requests[] = "HEAD / HTTP/1.1\r\n\r\n";
    static const char want[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n";
    char answer[sizeof(want)];

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);

        for (unsigned round = 0; round < 2; round++) {
            client_send(fd, requests, sizeof(requests) - 1);
            assert_int_equal(client_read(fd, answer, sizeof(want) - 1), sizeof(want) - 1);
            assert_memory_equal(answer, want, sizeof(want) - 1);
        }
        close(fd);
    }
}

static void plain_bytes_come_back(void **state)
{
    char data[10000];
    char back[sizeof(data)];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (char)(i == 0 ? 'a' : i);
    }
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);

        for (size_t size = 1; size <= sizeof(data); size = size * 3 + 1) {
            client_send(fd, data, size);
            assert_int_equal(client_read(fd, back, size), size);
            assert_memory_equal(back, data, size);
        }
        close(fd);
    }
}

static void who_reads_late_gets_everything(void **state)
{
    enum { POSTS = 8 };
    static char data[MIB];
    static char back[MIB];
    char head[128];
    int length =
        snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", MIB);

    (void)state;
    memset(data, 'x', sizeof(data));
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = client_connect(&servers[kind]);
        pid_t sender = fork();

        assert_true(sender >= 0);
        if (sender == 0) {
            for (unsigned i = 0; i < POSTS; i++) {
                client_send(fd, head, (size_t)length);
                client_send(fd, data, sizeof(data));
            }
            _exit(0);
        }
        sleep_ms(300); /* both directions are full by now: the server waits in its write */
        for (unsigned i = 0; i < POSTS; i++) {
            size_t bytes = 0;

            assert_int_equal(client_answer(fd, back, sizeof(back), &bytes), 200);
            assert_int_equal(bytes, MIB);
            assert_memory_equal(back, data, MIB);
        }
        assert_int_equal(waitpid(sender, NULL, 0), sender);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_answers_and_keeps_the_connection),
        cmocka_unit_test(http_1_0_and_connection_close_end_after_the_answer),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(post_sends_the_body_back),
        cmocka_unit_test(a_request_in_single_bytes_is_understood),
        cmocka_unit_test(what_is_wrong_gets_its_status_and_an_end),
        cmocka_unit_test(a_head_without_end_is_refused_when_the_buffer_is_full),
        cmocka_unit_test(an_expected_continue_is_given),
        cmocka_unit_test(a_head_request_gets_the_length_and_no_body),
        cmocka_unit_test(plain_bytes_come_back),
        cmocka_unit_test(who_reads_late_gets_everything),
    };

    return cmocka_run_group_tests(tests, start_both, stop_both);
}
