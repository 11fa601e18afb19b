/*
 * Purpose: who takes part in async_bench: our library, malloc and the floor where only memory is
 *          compared, and the peer programs that were built.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_ASYNC_FIELD_H
#define BENCH_ASYNC_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "support/contestant.h"

#define ASYNC_PEER_ROWS 64u

/* What one peer program said of itself; parallel to the contestants of a field. */
struct async_peer {
    char program[600];              /* empty: this program */
    char rows[ASYNC_PEER_ROWS][40]; /* rows it runs */
    size_t row_count;
};

struct async_field {
    struct async_peer peers[BENCH_CONTESTANTS_MAX];
};

/*
 * Finds who takes part; wanted is a comma-separated list of names or NULL for everybody. Starts
 * each peer once and asks for its rows. Peers that were not built are absences, with the package
 * that brings them. Returns false, after a message, when a wanted name is unknown.
 */
bool async_field_gather(struct async_field *peers, struct bench_field *field, const char *wanted);

/* True when the contestant runs the row. */
bool async_field_runs(const struct async_field *peers, const struct bench_field *field,
                      size_t contestant, const char *row_name);

#endif
