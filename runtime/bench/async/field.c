/*
 * Purpose: finds the peers by asking each program that was built what it runs.
 * Owner:   the parent process, one thread.
 */
#include "async/field.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "async/row.h"
#include "core/memory_monitor.h"
#include "support/process.h"

#define PROBE_TIMEOUT_NS 10000000000u
#define AGAIN_NAME       "echomem again"

/* The peers: the program is peers/async_peer_<name> beside this one. */
static const struct {
    const char *name;
    const char *package;
} known_peers[] = {
    {"boost-context", "libboost-context-dev"},
    {"boost-fiber", "libboost-fiber-dev"},
    {"ck", "libck-dev"},
    {"urcu", "liburcu-dev"},
    {"moodycamel", "libconcurrentqueue-dev"},
    {"readerwriter", "libreaderwriterqueue-dev"},
    {"go", "golang-go"},
    {"tokio", "librust-tokio-dev"},
    {"crossbeam", "librust-crossbeam-channel-dev"},
};

#define KNOWN_PEERS (sizeof known_peers / sizeof known_peers[0])

/* Ours, and what serves memory in rows that only compare memory. */
static const struct {
    const char *name;
    enum bench_role role;
    enum bench_api api;
} own_sides[] = {
    {"echomem", BENCH_ROLE_OWN, BENCH_API_TYPED},
    {"malloc", BENCH_ROLE_PEER, BENCH_API_MALLOC},
    {"floor", BENCH_ROLE_FLOOR, BENCH_API_FLOOR},
    {AGAIN_NAME, BENCH_ROLE_AGAIN, BENCH_API_TYPED},
};

#define OWN_SIDES (sizeof own_sides / sizeof own_sides[0])

_Static_assert(KNOWN_PEERS + OWN_SIDES <= BENCH_CONTESTANTS_MAX, "everybody has a place");

/* True when name stands in the comma-separated list, or the list is NULL. */
static bool field_wants(const char *wanted, const char *name)
{
    size_t length = strlen(name);

    for (const char *item = wanted; item != NULL && *item != '\0';) {
        size_t item_length = strcspn(item, ",");

        if (item_length == length && strncmp(item, name, length) == 0) {
            return true;
        }
        item += item_length + (item[item_length] == ',');
    }
    return wanted == NULL;
}

static bool field_knows(const char *name, size_t length)
{
    for (size_t i = 0; i < KNOWN_PEERS; i++) {
        if (strlen(known_peers[i].name) == length &&
            strncmp(known_peers[i].name, name, length) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < OWN_SIDES; i++) {
        if (strlen(own_sides[i].name) == length && strncmp(own_sides[i].name, name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Where one peer's answers go. */
struct field_probe {
    struct bench_contestant *contestant;
    struct async_peer *peer;
};

static void field_take(void *context, char *line)
{
    struct field_probe *probe = context;
    char *value = strchr(line, '\t');

    if (value == NULL) {
        return;
    }
    *value++ = '\0';
    if (strcmp(line, "row") == 0 && probe->peer->row_count < ASYNC_PEER_ROWS) {
        snprintf(probe->peer->rows[probe->peer->row_count++], sizeof probe->peer->rows[0], "%s",
                 value);
    } else if (strcmp(line, "version") == 0) {
        snprintf(probe->contestant->version, sizeof probe->contestant->version, "%s", value);
    }
}

static void field_miss(struct bench_field *field, const char *name, const char *why)
{
    struct bench_absence *absence = &field->absences[field->absence_count++];

    snprintf(absence->name, sizeof absence->name, "%s", name);
    snprintf(absence->why, sizeof absence->why, "%s", why);
}

/* Adds a peer when its program is there and answers; notes why not otherwise. */
static void field_add_peer(struct async_field *peers, struct bench_field *field, size_t index)
{
    static const char *const arguments[] = {"--rows", NULL};
    struct bench_contestant *contestant = &field->contestants[field->count];
    struct async_peer *peer = &peers->peers[field->count];
    struct field_probe probe = {contestant, peer};
    struct bench_command command = {.arguments = arguments, .preload = ""};
    struct bench_process process;
    char why[160];

    snprintf(peer->program, sizeof peer->program, "%.500s/peers/async_peer_%s",
             bench_program_directory(), known_peers[index].name);
    if (access(peer->program, X_OK) != 0) {
        snprintf(why, sizeof why, "not built: install %s and configure again",
                 known_peers[index].package);
        field_miss(field, known_peers[index].name, why);
        return;
    }
    snprintf(contestant->name, sizeof contestant->name, "%s", known_peers[index].name);
    contestant->role = BENCH_ROLE_PEER;
    command.program = peer->program;
    if (bench_process_start(&process, &command) &&
        bench_process_finish(&process, PROBE_TIMEOUT_NS, field_take, &probe) == NULL &&
        peer->row_count > 0) {
        field->count++;
    } else {
        memset(peer, 0, sizeof *peer);
        memset(contestant, 0, sizeof *contestant);
        field_miss(field, known_peers[index].name, "its program does not say what it runs");
    }
}

static void field_add_own(struct bench_field *field, size_t index)
{
    struct bench_contestant *contestant = &field->contestants[field->count++];

    snprintf(contestant->name, sizeof contestant->name, "%s", own_sides[index].name);
    contestant->role = own_sides[index].role;
    contestant->api = own_sides[index].api;
    if (own_sides[index].api == BENCH_API_TYPED) {
        snprintf(contestant->version, sizeof contestant->version, "%s", emp_version());
    }
}

bool async_field_gather(struct async_field *peers, struct bench_field *field, const char *wanted)
{
    memset(peers, 0, sizeof *peers);
    memset(field, 0, sizeof *field);
    for (const char *item = wanted; item != NULL && *item != '\0';) {
        size_t length = strcspn(item, ",");

        if (!field_knows(item, length)) {
            fprintf(stderr, "async_bench: no contestant is called '%.*s'\n", (int)length, item);
            return false;
        }
        item += length + (item[length] == ',');
    }
    for (size_t i = 0; i < OWN_SIDES; i++) {
        const char *name =
            own_sides[i].role == BENCH_ROLE_AGAIN ? own_sides[0].name : own_sides[i].name;

        if (field_wants(wanted, name)) {
            field_add_own(field, i);
        }
    }
    for (size_t i = 0; i < KNOWN_PEERS; i++) {
        if (field_wants(wanted, known_peers[i].name)) {
            field_add_peer(peers, field, i);
        }
    }
    return true;
}

bool async_field_runs(const struct async_field *peers, const struct bench_field *field,
                      size_t contestant, const char *row_name)
{
    const struct async_peer *peer = &peers->peers[contestant];
    const struct async_row *row = async_row_find(row_name);

    if (peer->program[0] == '\0') {
        return row != NULL && (row->apis & (1u << field->contestants[contestant].api)) != 0;
    }
    for (size_t i = 0; i < peer->row_count; i++) {
        if (strcmp(peer->rows[i], row_name) == 0) {
            return true;
        }
    }
    return false;
}
