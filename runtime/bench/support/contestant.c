/*
 * Purpose: finds the contestants by starting a process under each and asking who serves malloc.
 * Owner:   the parent process, one thread.
 */
#include "support/contestant.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/child.h"
#include "support/process.h"

#define PROBE_TIMEOUT_NS   10000000000u
#define PEERS_VARIABLE     "ECHOMEM_BENCH_PEERS"
#define DROPIN_NAME        "libechomem_malloc.so"
#define ECHOMEM_NAME       "echomem"
#define ECHOMEM_TYPED_NAME "echomem-typed"
#define AGAIN_SUFFIX       " again"

/* What a probe said. */
struct field_answer {
    char library[512];
    char version[64];
    char own_version[64];
};

/* Debian's allocators: the name the dynamic linker finds them by, and the package to install. */
static const struct {
    const char *name;
    const char *soname;
    const char *package;
} installed_peers[] = {
    {"mimalloc", "libmimalloc.so.2", "libmimalloc2.0"},
    {"jemalloc", "libjemalloc.so.2", "libjemalloc2"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"},
};

static const char *const role_texts[] = {"peer", "extra", "own", "floor", "again"};

const char *bench_role_text(enum bench_role role)
{
    return role_texts[role];
}

bool bench_role_parse(const char *text, enum bench_role *role)
{
    for (size_t i = 0; i < sizeof role_texts / sizeof role_texts[0]; i++) {
        if (strcmp(role_texts[i], text) == 0) {
            *role = (enum bench_role)i;
            return true;
        }
    }
    return false;
}

/* True when name stands in the comma-separated list, or the list is NULL. */
static bool field_is_wanted(const char *wanted, const char *name)
{
    size_t length = strlen(name);

    if (wanted == NULL) {
        return true;
    }
    for (const char *item = wanted; item != NULL; item = strchr(item, ',')) {
        item += *item == ',';
        if (strncmp(item, name, length) == 0 && (item[length] == ',' || item[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static void field_take_answer(void *context, char *line)
{
    struct field_answer *answer = context;
    char *value = strchr(line, '\t');

    if (value == NULL) {
        return;
    }
    *value++ = '\0';
    if (strcmp(line, "library") == 0) {
        snprintf(answer->library, sizeof answer->library, "%s", value);
    } else if (strcmp(line, "version") == 0) {
        snprintf(answer->version, sizeof answer->version, "%s", value);
    } else if (strcmp(line, "own version") == 0) {
        snprintf(answer->own_version, sizeof answer->own_version, "%s", value);
    }
}

/* Starts this program under preload and learns which library serves malloc there. */
static const char *field_probe(const char *preload, struct field_answer *answer)
{
    static const char *const arguments[] = {BENCH_CHILD_ARGUMENT, "probe", NULL};
    struct bench_command command = {.arguments = arguments, .preload = preload, .is_quiet = true};
    struct bench_process process;

    memset(answer, 0, sizeof *answer);
    if (!bench_process_start(&process, &command)) {
        return "no process";
    }
    return bench_process_finish(&process, PROBE_TIMEOUT_NS, field_take_answer, answer);
}

static void field_miss(struct bench_field *field, const char *name, const char *why)
{
    struct bench_absence *absence;

    if (field->absence_count < BENCH_CONTESTANTS_MAX) {
        absence = &field->absences[field->absence_count++];
        snprintf(absence->name, sizeof absence->name, "%s", name);
        snprintf(absence->why, sizeof absence->why, "%s", why);
    }
}

static struct bench_contestant *field_add(struct bench_field *field, const char *name,
                                          enum bench_role role, enum bench_api api)
{
    struct bench_contestant *contestant;

    if (field->count == BENCH_CONTESTANTS_MAX) {
        fprintf(stderr, "bench: more than %u contestants\n", BENCH_CONTESTANTS_MAX);
        exit(2);
    }
    contestant = &field->contestants[field->count++];
    memset(contestant, 0, sizeof *contestant);
    snprintf(contestant->name, sizeof contestant->name, "%s", name);
    contestant->role = role;
    contestant->api = api;
    return contestant;
}

/* True when the file that serves malloc is the one that was asked for, by name without version. */
static bool field_serves(const char *library, const char *preload)
{
    const char *slash = strrchr(preload, '/');
    const char *wanted = slash != NULL ? slash + 1 : preload;
    const char *last = strrchr(library, '/');
    const char *found = last != NULL ? last + 1 : library;
    char *resolved = realpath(preload, NULL);
    bool is_same = resolved != NULL && strcmp(resolved, library) == 0;
    size_t stem = strcspn(wanted, ".");

    free(resolved);
    return is_same || strncmp(wanted, found, stem + 1) == 0;
}

/* Adds a contestant that a library serves, when a probe shows that it does. */
static void field_add_library(struct bench_field *field, const struct bench_contestant *wish,
                              const char *advice)
{
    struct field_answer answer;
    struct bench_contestant *contestant;
    const char *failure = field_probe(wish->preload, &answer);
    char why[160];

    if (failure == NULL && !field_serves(answer.library, wish->preload)) {
        failure = "no such library, or one without malloc";
    }
    if (failure != NULL) {
        snprintf(why, sizeof why, "%.60s; %.90s", failure, advice);
        field_miss(field, wish->name, why);
        return;
    }
    contestant = field_add(field, wish->name, wish->role, BENCH_API_MALLOC);
    memcpy(contestant->preload, wish->preload, sizeof contestant->preload);
    memcpy(contestant->library, answer.library, sizeof contestant->library);
    memcpy(contestant->version, answer.version, sizeof contestant->version);
}

static void field_add_system(struct bench_field *field, const char *wanted)
{
    struct field_answer answer;
    struct bench_contestant *contestant;

    if (!field_is_wanted(wanted, "glibc")) {
        return;
    }
    if (field_probe("", &answer) != NULL || strstr(answer.library, "libc.so") == NULL) {
        field_miss(field, "glibc", "without LD_PRELOAD another library serves malloc");
        return;
    }
    contestant = field_add(field, "glibc", BENCH_ROLE_PEER, BENCH_API_MALLOC);
    memcpy(contestant->library, answer.library, sizeof contestant->library);
    memcpy(contestant->version, answer.version, sizeof contestant->version);
}

static void field_add_own(struct bench_field *field, const char *wanted)
{
    struct bench_contestant wish = {.name = ECHOMEM_NAME, .role = BENCH_ROLE_OWN};
    struct field_answer answer;

    if (field_is_wanted(wanted, ECHOMEM_NAME)) {
        snprintf(wish.preload, sizeof wish.preload, "%.480s/" DROPIN_NAME,
                 bench_program_directory());
        field_add_library(field, &wish, "build " DROPIN_NAME " beside this program");
    }
    if (field_is_wanted(wanted, ECHOMEM_TYPED_NAME) && field_probe("", &answer) == NULL) {
        memcpy(field_add(field, ECHOMEM_TYPED_NAME, BENCH_ROLE_OWN, BENCH_API_TYPED)->version,
               answer.own_version, sizeof answer.own_version);
    }
    if (field_is_wanted(wanted, "floor")) {
        field_add(field, "floor", BENCH_ROLE_FLOOR, BENCH_API_FLOOR);
    }
}

static void field_add_installed(struct bench_field *field, const char *wanted)
{
    for (size_t i = 0; i < sizeof installed_peers / sizeof installed_peers[0]; i++) {
        struct bench_contestant wish = {.role = BENCH_ROLE_PEER};
        char advice[64];

        if (!field_is_wanted(wanted, installed_peers[i].name)) {
            continue;
        }
        snprintf(wish.name, sizeof wish.name, "%s", installed_peers[i].name);
        snprintf(wish.preload, sizeof wish.preload, "%s", installed_peers[i].soname);
        snprintf(advice, sizeof advice, "apt-get install %s", installed_peers[i].package);
        field_add_library(field, &wish, advice);
    }
}

/* Adds name=path,name=path from the environment. */
static void field_add_extra(struct bench_field *field, const char *wanted)
{
    const char *peers = getenv(PEERS_VARIABLE);
    char *text = peers != NULL ? strdup(peers) : NULL;
    char *rest = NULL;

    if (text == NULL) {
        return;
    }
    for (char *item = strtok_r(text, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
        struct bench_contestant wish = {.role = BENCH_ROLE_EXTRA};
        char *equals = strchr(item, '=');

        if (equals == NULL) {
            field_miss(field, item, PEERS_VARIABLE " has no name=path here");
            continue;
        }
        *equals = '\0';
        snprintf(wish.name, sizeof wish.name, "%.31s", item);
        snprintf(wish.preload, sizeof wish.preload, "%s", equals + 1);
        if (field_is_wanted(wanted, wish.name)) {
            field_add_library(field, &wish, "see " PEERS_VARIABLE);
        }
    }
    free(text);
}

/* Enters the first contestant served by malloc a second time, right after everybody else. */
static void field_add_again(struct bench_field *field)
{
    for (size_t i = 0; i < field->count; i++) {
        if (field->contestants[i].api == BENCH_API_MALLOC) {
            struct bench_contestant first = field->contestants[i];
            struct bench_contestant *again =
                field_add(field, first.name, BENCH_ROLE_AGAIN, BENCH_API_MALLOC);

            memcpy(again, &first, sizeof first);
            again->role = BENCH_ROLE_AGAIN;
            snprintf(again->name, sizeof again->name, "%.24s" AGAIN_SUFFIX, first.name);
            return;
        }
    }
}

static bool field_knows(const struct bench_field *field, const char *name)
{
    for (size_t i = 0; i < field->absence_count; i++) {
        if (strcmp(field->absences[i].name, name) == 0) {
            return true;
        }
    }
    return bench_field_find(field, name) != NULL;
}

/* False, after a message, when a wanted name is nobody's. */
static bool field_check_wanted(const struct bench_field *field, const char *wanted)
{
    char *text = wanted != NULL ? strdup(wanted) : NULL;
    char *rest = NULL;
    bool is_known = true;

    if (text == NULL) {
        return true;
    }
    for (char *name = strtok_r(text, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        if (!field_knows(field, name)) {
            fprintf(stderr, "bench: no contestant is called '%s'\n", name);
            is_known = false;
        }
    }
    free(text);
    return is_known;
}

bool bench_field_gather(struct bench_field *field, const char *wanted)
{
    memset(field, 0, sizeof *field);
    field_add_system(field, wanted);
    field_add_installed(field, wanted);
    field_add_extra(field, wanted);
    field_add_own(field, wanted);
    if (!field_check_wanted(field, wanted)) {
        return false;
    }
    if (field->count == 0) {
        fprintf(stderr, "bench: no contestant is left\n");
        return false;
    }
    field_add_again(field);
    return true;
}

const struct bench_contestant *bench_field_find(const struct bench_field *field, const char *name)
{
    for (size_t i = 0; i < field->count; i++) {
        if (strcmp(field->contestants[i].name, name) == 0) {
            return &field->contestants[i];
        }
    }
    return NULL;
}
