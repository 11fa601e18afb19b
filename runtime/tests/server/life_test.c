/*
 * What: the life of the echo server and of its connections: clients that vanish, send garbage or
 *       stall, silence, SIGTERM under load, several workers, no malloc in the steady state.
 * How:  server and load generator are children; the generator's exit code 0 says that every request
 *       was answered; the server's says that it stopped in order and that every object of its pools
 *       was given back. Builds on pools and on malloc alike.
 * ctest-timeout: 300
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/served.h"

/* Sanitizers take malloc for themselves, so that nothing is left to count. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_MALLOC false
#else
#define COUNTS_MALLOC true
#endif

static const char *const kinds[] = {"echo_server", "echo_server_malloc"};
/* Silence that a client is never stopped for, not even on a busy machine. */
static const char *const quick[] = {"--port=0", "--idle-timeout=2", "--workers=2", "--stats", NULL};
static const char *const two[] = {"--port=0", "--workers=2", "--stats", NULL};
static const char *const plain[] = {"--port=0", "--stats", NULL};
/* The next request of a client that goes on is waited for, however late it comes. */
static const char *const patient[] = {"--port=0", "--drain-quiet=20", "--drain-timeout=60",
                                      "--stats", NULL};

/* Starts the load generator against a server with some further options. */
static struct served load_start(const struct served *server, const char *const *options)
{
    static char port[32];
    const char *arguments[ARGUMENTS] = {port, "--quiet", "--json"};

    snprintf(port, sizeof(port), "--port=%u", server->port);
    for (unsigned i = 0; options[i] != NULL; i++) {
        arguments[3 + i] = options[i];
    }
    return program_start("load_generator", arguments, NULL);
}

/* Reads the numbers that a program prints in a line of JSON. */
static uint64_t number_of(const char *line, const char *name)
{
    char key[64];

    snprintf(key, sizeof(key), "\"%s\": ", name);
    const char *at = strstr(line, key);

    if (at == NULL) {
        fail_msg("no %s in: %s", name, line);
    }
    return strtoull(at + strlen(key), NULL, 10);
}

/* Runs the generator to its end and expects success. */
static void load_run(const struct served *server, const char *const *options, char *line)
{
    struct served load = load_start(server, options);

    (void)output_line(&load, line);
    int code = program_wait(&load);

    if (code != 0) {
        fail_msg("the load generator ended with %d: %s", code, line);
    }
}

/* A behaviour of clients, then good clients as if nothing had been, then an end in order. */
static void bad_clients(const char *const *arguments, const char *behave, const char *limit)
{
    const char *const bad[] = {behave, limit, "--body=1000", "--seconds=60", NULL};
    const char *const good[] = {"--requests=200", "--connections=4", "--seconds=60", NULL};
    char line[OUTPUT_BYTES];

    for (unsigned kind = 0; kind < 2; kind++) {
        struct served server = server_start(kinds[kind], arguments, NULL);

        load_run(&server, bad, line);
        assert_true(number_of(line, "cycles") > 0);
        load_run(&server, good, line);
        assert_int_equal(number_of(line, "answered"), 200);
        server_stop(&server);
    }
}

static void clients_that_vanish_leave_nothing_behind(void **state)
{
    (void)state;
    bad_clients(two, "--behave=vanish", "--requests=300");
}

static void clients_that_send_garbage_leave_nothing_behind(void **state)
{
    (void)state;
    bad_clients(two, "--behave=garbage", "--requests=300");
}

static void clients_that_stall_are_ended_by_the_timeout(void **state)
{
    (void)state;
    bad_clients(quick, "--behave=stall", "--requests=2");
}

static void a_silent_connection_ends_and_a_busy_one_stays(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct served server = server_start(kinds[kind], quick, NULL);
        int silent = client_connect(&server);
        int busy = client_connect(&server);

        for (unsigned i = 0; i < 30; i++) { /* 3 s, while 2 s of silence are allowed */
            (void)server_count(busy, "requests");
            sleep_ms(100);
        }
        assert_true(client_sees_end(silent, 0));
        (void)server_count(busy, "requests");
        close(silent);
        close(busy);
        server_stop(&server);
    }
}

/*
 * Waits on a connection to the first worker, the first there is, until that has its share of the
 * load's connections and has answered a few requests. Returns how many were the caller's.
 */
static uint64_t wait_for_load(int fd, unsigned share)
{
    uint64_t asked = 1;

    while (server_count(fd, "accepted") < 1 + share) {
        asked++;
        sleep_ms(1);
    }
    do {
        asked++;
    } while (server_count(fd, "requests") < asked + 500);
    return asked;
}

static void sigterm_under_load_loses_no_request(void **state)
{
    static const char *const workers[] = {"--workers=1", "--workers=2"};
    static const char *const options[] = {"--connections=16", "--seconds=60", NULL};
    char line[OUTPUT_BYTES];
    char counts[OUTPUT_BYTES];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        const char *const arguments[] = {workers[i / 2], patient[0], patient[1],
                                         patient[2],     patient[3], NULL};
        struct served server = server_start(kinds[i % 2], arguments, NULL);
        int own = client_connect(&server);

        (void)server_count(own, "requests"); /* accepted: the load's connections come behind it */
        struct served load = load_start(&server, options);
        uint64_t asked = 1 + wait_for_load(own, i < 2 ? 16 : 8);

        close(own);
        assert_int_equal(kill(server.pid, SIGTERM), 0);
        (void)output_line(&load, line);
        (void)output_line(&server, counts);
        int load_code = program_wait(&load);
        int server_code = program_wait(&server);

        if (load_code != 0 || server_code != 0) {
            fail_msg("generator %d: %s; server %d: %s", load_code, line, server_code, counts);
        }
        assert_true(number_of(line, "answered") > 0);
        assert_int_equal(number_of(line, "lost"), 0);
        assert_int_equal(number_of(line, "closed"), 16);
        assert_int_equal(number_of(counts, "requests"), number_of(line, "answered") + asked);
    }
}

static void sigint_ends_idle_connections(void **state)
{
    enum { COUNT = 50 };
    int fds[COUNT];

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct served server = server_start(kinds[kind], plain, NULL);

        for (unsigned i = 0; i < COUNT; i++) {
            fds[i] = client_connect(&server);
        }
        (void)server_count(fds[COUNT - 1], "requests");
        assert_int_equal(kill(server.pid, SIGINT), 0);
        for (unsigned i = 0; i < COUNT; i++) {
            assert_true(client_sees_end(fds[i], 0));
            close(fds[i]);
        }
        assert_int_equal(program_wait(&server), 0);
    }
}

static void a_request_sent_after_sigterm_is_answered_and_the_last(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    char body[16];
    size_t bytes = 0;

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct served server = server_start(kinds[kind], patient, NULL);
        int fd = client_connect(&server);

        (void)server_count(fd, "requests");
        client_send(fd, request, 10);
        sleep_ms(20);
        assert_int_equal(kill(server.pid, SIGTERM), 0);
        sleep_ms(50);
        client_send(fd, request + 10, sizeof(request) - 11);
        assert_int_equal(client_answer(fd, body, sizeof(body), &bytes), 200);
        assert_true(client_sees_end(fd, 0));
        close(fd);
        assert_int_equal(program_wait(&server), 0);
    }
}

static void who_does_not_read_cannot_stop_the_end(void **state)
{
    static const char *const arguments[] = {"--port=0", "--drain-timeout=0.3", NULL};
    static char data[1 << 16];

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct served server = server_start(kinds[kind], arguments, NULL);
        int fd = client_connect(&server);

        memset(data, 'x', sizeof(data));
        while (send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 || errno != EAGAIN) {
        }
        sleep_ms(100);
        server_stop(&server);
        close(fd);
    }
}

static void workers_take_turns(void **state)
{
    static const char *const arguments[] = {"--port=0", "--workers=2", NULL};
    enum { COUNT = 10 };
    int fds[COUNT];

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct served server = server_start(kinds[kind], arguments, NULL);

        for (unsigned i = 0; i < COUNT; i++) {
            fds[i] = client_connect(&server);
        }
        /* Each answers for its own worker. Those behind the connection have been handed over by the
           time the last two were served; five to each. */
        (void)server_count(fds[COUNT - 2], "accepted");
        (void)server_count(fds[COUNT - 1], "accepted");
        assert_int_equal(server_count(fds[0], "accepted"), COUNT / 2);
        assert_int_equal(server_count(fds[1], "accepted"), COUNT / 2);
        for (unsigned i = 0; i < COUNT; i++) {
            close(fds[i]);
        }
        server_stop(&server);
    }
}

/* Calls to malloc of the process for `requests` requests, after as many to warm up. */
static uint64_t mallocs_for(const struct served *server, const char *requests, const char *body)
{
    const char *const options[] = {"--connections=8", "--seconds=60", requests, body, NULL};
    char line[OUTPUT_BYTES];
    int fd = client_connect(server);

    load_run(server, options, line);
    load_run(server, options, line);
    uint64_t before = server_count(fd, "mallocs");

    assert_true(before > 0);
    load_run(server, options, line);
    uint64_t after = server_count(fd, "mallocs");

    close(fd);
    return after - before;
}

static void the_build_on_pools_calls_no_malloc_for_a_request(void **state)
{
    static const char *const bodies[] = {"--body=0", "--body=3000"};
    char counter[PATH_BYTES];

    (void)state;
    if (!COUNTS_MALLOC) {
        skip();
    }
    program_path(counter, "libmalloc_counter.so");
    for (unsigned i = 0; i < 2; i++) {
        struct served pool = server_start(kinds[0], plain, counter);
        struct served plain_malloc = server_start(kinds[1], plain, counter);

        /* Eight connections are made in a run, too: not for them either. */
        assert_int_equal(mallocs_for(&pool, "--requests=2000", bodies[i]), 0);
        assert_true(mallocs_for(&plain_malloc, "--requests=2000", bodies[i]) >= 2000);
        server_stop(&pool);
        server_stop(&plain_malloc);
    }
}

static void the_command_line_is_checked(void **state)
{
    static const char *const rows[][2] = {{"--workers=0", NULL}, {"--port=65536", NULL},
                                          {"--nonsense", NULL},  {"--allocator=other", NULL},
                                          {"extra", NULL},       {"--idle-timeout=0", NULL}};
    static const char *const help[] = {"--help", NULL};
    char line[OUTPUT_BYTES];

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct served server = program_start(kinds[0], rows[i], NULL);

        assert_int_equal(program_wait(&server), 2);
    }
    struct served server = program_start(kinds[0], help, NULL);

    (void)output_line(&server, line);
    assert_non_null(strstr(line, "usage: echo_server"));
    assert_int_equal(program_wait(&server), 0);
}

static void the_allocator_option_goes_to_the_other_build(void **state)
{
    static const char *const options[] = {"--allocator=malloc", "--allocator=pool"};
    static const char *const names[] = {"\"malloc\"", "\"pool\""};
    char line[OUTPUT_BYTES];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        const char *const arguments[] = {"--stats", options[i % 2], NULL};
        struct served server = server_start(kinds[i / 2], arguments, NULL);

        assert_int_equal(kill(server.pid, SIGTERM), 0);
        (void)output_line(&server, line);
        assert_non_null(strstr(line, names[i % 2]));
        assert_int_equal(program_wait(&server), 0);
    }
}

static void a_port_in_use_is_said(void **state)
{
    char port[32];
    struct served server = server_start(kinds[0], plain, NULL);

    (void)state;
    snprintf(port, sizeof(port), "--port=%u", server.port);
    const char *const arguments[] = {port, NULL};
    struct served second = program_start(kinds[0], arguments, NULL);

    assert_int_equal(program_wait(&second), 1);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_that_vanish_leave_nothing_behind),
        cmocka_unit_test(clients_that_send_garbage_leave_nothing_behind),
        cmocka_unit_test(clients_that_stall_are_ended_by_the_timeout),
        cmocka_unit_test(a_silent_connection_ends_and_a_busy_one_stays),
        cmocka_unit_test(sigterm_under_load_loses_no_request),
        cmocka_unit_test(sigint_ends_idle_connections),
        cmocka_unit_test(a_request_sent_after_sigterm_is_answered_and_the_last),
        cmocka_unit_test(who_does_not_read_cannot_stop_the_end),
        cmocka_unit_test(workers_take_turns),
        cmocka_unit_test(the_build_on_pools_calls_no_malloc_for_a_request),
        cmocka_unit_test(the_command_line_is_checked),
        cmocka_unit_test(the_allocator_option_goes_to_the_other_build),
        cmocka_unit_test(a_port_in_use_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
