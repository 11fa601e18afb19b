/*
 * The load generator: what a run is asked for, what it found, and the parts it is made of.
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

#define PIPELINE_MAX 64u
#define BODY_MAX     (1u << 20)

/* How the clients behave. */
enum behaviour {
    BEHAVE_WELL,
    BEHAVE_VANISH,  /* half a request, then gone; every second time with a reset */
    BEHAVE_GARBAGE, /* random bytes; an answer or an end is expected */
    BEHAVE_STALL    /* half a request, then silence until the server ends it */
};

/* The command line. */
struct options {
    const char *host;
    uint16_t port;
    unsigned connections;
    unsigned pipeline; /* requests in flight on a connection, closed loop only */
    double rate;       /* requests a second in all; 0: closed loop */
    double seconds;    /* length of the run */
    uint64_t requests; /* ends the run earlier; 0: no limit */
    unsigned idle;     /* connections that only stand there */
    double hold;       /* seconds to hold them; 0: until standard input ends */
    size_t body;       /* bytes of a POST, or of a message in echo mode; 0: GET */
    enum behaviour behaviour;
    bool is_echo; /* plain echo instead of HTTP */
    bool is_json;
    bool is_quiet; /* no progress */
    uint64_t seed;
};

/* What a run found. */
struct result {
    struct histogram latency; /* ns */
    uint64_t sent;
    uint64_t answered;
    uint64_t wrong;   /* answers with another status or length than expected */
    uint64_t lost;    /* requests sent in whole on connections that ended before the answer */
    uint64_t refused; /* connections that could not be made */
    uint64_t closed;  /* connections that the server ended in order */
    uint64_t cycles;  /* lives of badly behaved clients */
    double seconds;
};

uint64_t now_ns(void);

/* True from the first SIGINT or SIGTERM on. */
bool is_stopped(void);

/* A connected, non-blocking socket to the server, or -1. `number` picks the loopback address that
   it comes from, since one address has ports for some 28,000 connections only. */
int connect_to(const struct options *options, unsigned number);

/* Makes and waits for one connection; non-blocking afterwards. -1: refused. */
int connect_and_wait(const struct options *options, unsigned number);

/* The bytes of one request; *bytes is set. Lives as long as the program. NULL: out of memory. */
const char *request_make(const struct options *options, size_t *bytes);

/* Both loops, closed and open. False: nothing could be connected. */
bool run_load(const struct options *options, struct result *result);

/* Opens the idle connections, one answered request on each, says "idle <n>", holds them. */
bool run_idle(const struct options *options, struct result *result);

/* Badly behaved clients until the time is over. */
bool run_bad(const struct options *options, struct result *result);

#endif
