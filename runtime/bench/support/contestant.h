/*
 * Purpose: who takes part: our library, our typed pools, the floor, glibc, the allocators
 *          installed.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_SUPPORT_CONTESTANT_H
#define BENCH_SUPPORT_CONTESTANT_H

#include <stdbool.h>
#include <stddef.h>

#include "support/workload.h"

#define BENCH_CONTESTANTS_MAX 16u

enum bench_role {
    BENCH_ROLE_PEER,  /* decides "best peer": glibc and the distribution's allocators */
    BENCH_ROLE_EXTRA, /* a peer from ECHOMEM_BENCH_PEERS: reported beside */
    BENCH_ROLE_OWN,   /* our drop-in or our typed pools */
    BENCH_ROLE_FLOOR, /* the machine's floor */
    BENCH_ROLE_AGAIN  /* the first contestant a second time: the A/A noise line */
};

struct bench_contestant {
    char name[32];
    enum bench_role role;
    enum bench_api api;
    char preload[512]; /* LD_PRELOAD of its processes; empty: none */
    char library[512]; /* the file that must serve malloc there; empty: not checked */
    char version[64];  /* what the library says of itself, or empty */
};

/* A contestant that cannot take part. */
struct bench_absence {
    char name[32];
    char why[160];
};

struct bench_field {
    struct bench_contestant contestants[BENCH_CONTESTANTS_MAX];
    size_t count;
    struct bench_absence absences[BENCH_CONTESTANTS_MAX];
    size_t absence_count;
};

/*
 * Finds who takes part. wanted is a comma-separated list of names or NULL for everybody; the first
 * contestant served by malloc is entered twice. Starts one short process per contestant.
 * Returns false, after a message, when nobody is left or a wanted name is unknown.
 */
bool bench_field_gather(struct bench_field *field, const char *wanted);

/* The contestant of that name, or NULL. */
const struct bench_contestant *bench_field_find(const struct bench_field *field, const char *name);

/* Text of a role as JSON has it, and back. */
const char *bench_role_text(enum bench_role role);
bool bench_role_parse(const char *text, enum bench_role *role);

#endif
