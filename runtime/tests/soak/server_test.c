/*
 * What: ten minutes of the echo server under load, with clients beside that vanish, send garbage or
 *       stall, all the time: no request of a good client fails, memory stays flat, and at the end
 *       every object has been given back (the server's exit code says so).
 * How:  rounds of 20 seconds. After each the clients are gone, and the resident memory is read.
 *       SOAK_SECONDS in the environment changes the length.
 * ctest-timeout: 1200
 * ctest-serial
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/served.h"
#include "support/process_memory.h"

#define SECONDS_DEFAULT 600
#define ROUND_SECONDS   20
#define ROUNDS_MIN      6
#define ROUNDS_MAX      1000
#define SETTLE_MS       2500 /* the connections of stalled clients end, idle memory goes back */
#define CROWD           4

/* Who comes at the same time; the first are the good ones. */
static const char *const behaviours[CROWD] = {"--behave=well", "--behave=vanish",
                                              "--behave=garbage", "--behave=stall"};

static struct served crowd_member(const struct served *server, unsigned member, unsigned round)
{
    char port[32];
    char seconds[32];
    char seed[32];

    snprintf(port, sizeof(port), "--port=%u", server->port);
    snprintf(seconds, sizeof(seconds), "--seconds=%u", ROUND_SECONDS);
    snprintf(seed, sizeof(seed), "--seed=%u", round * CROWD + member + 1);
    const char *const arguments[] = {port,     behaviours[member], seconds,
                                     seed,     "--body=1000",      "--connections=16",
                                     "--json", "--quiet",          NULL};

    return program_start("load_generator", arguments, NULL);
}

/* Everybody comes, and everybody ends in order: exit code 0 says that every request that was sent
   whole had its answer. */
static void crowd_round(const struct served *server, unsigned round)
{
    struct served crowd[CROWD];
    char line[OUTPUT_BYTES];

    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = crowd_member(server, i, round);
    }
    sleep_ms(ROUND_SECONDS * 1000);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)output_line(&crowd[i], line);
        int code = program_wait(&crowd[i]);

        if (code != 0) {
            fail_msg("round %u, %s ended with %d: %s", round, behaviours[i], code, line);
        }
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void a_server_under_a_bad_crowd_stays_as_it_was(const char *kind)
{
    static const char *const arguments[] = {"--port=0", "--workers=2", "--idle-timeout=2",
                                            "--stats", NULL};
    const char *text = getenv("SOAK_SECONDS");
    unsigned rounds =
        (unsigned)(text != NULL ? strtoul(text, NULL, 10) : SECONDS_DEFAULT) / ROUND_SECONDS;
    struct served server = server_start(kind, arguments, NULL);
    size_t early = 0;
    size_t late = 0;

    rounds = rounds < ROUNDS_MIN ? ROUNDS_MIN : rounds;
    rounds = rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    for (unsigned round = 0; round < rounds; round++) {
        crowd_round(&server, round);
        sleep_ms(SETTLE_MS);
        size_t resident = process_status_bytes_of(server.pid, "VmRSS") >> 10;

        print_message("round %u of %u: %zu KiB resident\n", round + 1, rounds, resident);
        if (round >= rounds * 2 / 3) {
            late = larger(late, resident);
        } else if (round >= rounds / 3) { /* the first third warms up */
            early = larger(early, resident);
        }
    }
    server_stop(&server);
    /* A leak of 5 KiB a second would show: 1 MiB between the thirds of ten minutes. */
    if (late > early + early / 16 + 512) {
        fail_msg("resident %zu KiB in the last third, %zu in the second", late, early);
    }
}

static void the_server_on_pools_stays_as_it_was(void **state)
{
    (void)state;
    a_server_under_a_bad_crowd_stays_as_it_was("echo_server");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_on_pools_stays_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
