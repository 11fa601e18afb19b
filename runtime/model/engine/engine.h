/*
 * Purpose: the state of one execution, shared by the checker's files: locations, messages, events,
 *          threads; and what these files offer each other.
 * Owner:   model; one execution at a time, all in static memory.
 * Threads: the checker's own, which run one at a time.
 * Design:  docs/design/model.md
 */
#ifndef EMP_MODEL_ENGINE_ENGINE_H
#define EMP_MODEL_ENGINE_ENGINE_H

#include "model.h"

#define MODEL_ACTORS     (MODEL_THREADS + 1) /* the threads, and 0: set_up */
#define MODEL_EVENTS     400u
#define MODEL_MESSAGES   500u
#define MODEL_LOCATIONS  256u
#define MODEL_HISTORY    64u  /* messages of one location */
#define MODEL_OPTIONS    128u /* alternatives of one choice */
#define MODEL_NONE       0xffffu
#define MODEL_TEXT_BYTES 400u

/* A vector clock: events of each actor that happen before. */
struct model_clock {
    uint16_t at[MODEL_ACTORS];
};

/* A value in a location's modification order. */
struct model_message {
    uint64_t value;
    struct model_clock release; /* what an acquire load of it synchronises with */
    uint16_t location;
    uint16_t rank;   /* place in the modification order, from 0 */
    uint16_t event;  /* that wrote it; MODEL_NONE: before the threads began */
    uint16_t reader; /* read-modify-write that read it, as an event; MODEL_NONE */
    uint8_t actor;   /* that wrote it */
    uint16_t clock;  /* of that actor */
};

enum model_event_kind {
    MODEL_READ,
    MODEL_WRITE,
    MODEL_UPDATE,
    MODEL_FENCED,
    MODEL_PLAIN_WRITE,
    MODEL_SLEEP,
    MODEL_WAKE,
    MODEL_WOKEN
};

struct model_event {
    struct model_clock clock; /* the actor's, this event included */
    const struct model_site *site;
    uint64_t value;    /* read, or written by a write */
    uint64_t written;  /* by an update */
    uint16_t read;     /* message read or MODEL_NONE */
    uint16_t message;  /* message written or MODEL_NONE */
    uint16_t location; /* or MODEL_NONE */
    uint16_t previous; /* event of the same location or MODEL_NONE */
    uint16_t newer;    /* messages behind the one read at that time */
    uint8_t actor;
    uint8_t kind;  /* enum model_event_kind */
    uint8_t order; /* in force */
};

/* Last accesses of each actor, as its clock: what a data race is found from. */
struct model_shadow {
    uint16_t plain_read[MODEL_ACTORS];
    uint16_t plain_write[MODEL_ACTORS];
    uint16_t atomic_read[MODEL_ACTORS];
    uint16_t atomic_write[MODEL_ACTORS];
    const void *where[MODEL_ACTORS]; /* code of the last plain access */
};

struct model_location {
    uint8_t *place;
    const struct model_site *site; /* first atomic site, for its name */
    uint32_t bytes;
    uint16_t history[MODEL_HISTORY]; /* messages in modification order */
    uint16_t count;                  /* of them; 0: only plain accesses so far */
    uint16_t last_event;             /* or MODEL_NONE */
    bool has_peers;                  /* other locations overlap it */
    struct model_shadow shadow;
};

enum model_wait { MODEL_READY, MODEL_ASLEEP, MODEL_DONE };

enum model_request_kind {
    MODEL_REQUEST_NONE,
    MODEL_REQUEST_LOAD,
    MODEL_REQUEST_STORE,
    MODEL_REQUEST_RMW,
    MODEL_REQUEST_CAS,
    MODEL_REQUEST_FENCE,
    MODEL_REQUEST_AWAIT,     /* a load that takes only `expected` */
    MODEL_REQUEST_AWAIT_NOT, /* a load that takes anything else */
    MODEL_REQUEST_SLEEP,
    MODEL_REQUEST_WAKE,
    MODEL_REQUEST_CHOOSE
};

/* What a thread wants to do next. */
struct model_request {
    enum model_request_kind kind;
    struct model_site *site;
    struct model_access access;
    uint64_t result;
    bool done; /* a compare-and-swap that wrote */
};

struct model_thread {
    struct model_clock clock;
    struct model_clock acquired; /* by relaxed loads, for an acquire fence */
    struct model_clock released; /* at the last release fence */
    struct model_request request;
    enum model_wait wait;
};

/* How an execution ended. */
enum model_end {
    MODEL_COMPLETE,     /* also while it goes on */
    MODEL_BLOCKED,      /* every continuation was explored elsewhere */
    MODEL_INCONSISTENT, /* the memory model forbids it */
    MODEL_CUT,          /* a bound was met */
    MODEL_FAILED
};

struct model_run {
    const struct model_case *test;
    struct model_thread thread[MODEL_ACTORS]; /* 0: set_up and finish */
    struct model_event event[MODEL_EVENTS];
    struct model_message message[MODEL_MESSAGES];
    struct model_location location[MODEL_LOCATIONS];
    uint16_t events;
    uint16_t messages;
    uint16_t locations;
    uint16_t sequential; /* seq_cst events so far */
    uint16_t threads;    /* actors, set_up included */
    uint16_t current;    /* actor that runs, or that the checker acts for */
    bool in_thread;      /* a coroutine runs, not the checker */
    uint8_t woken;       /* bit per actor that a futex call has just woken */
    const void *race_code[2];
    bool is_tracking; /* the threads run: accesses go through the model */
    enum model_end end;
    enum model_fault fault;
    char text[MODEL_TEXT_BYTES]; /* of the fault */
    char outcome[MODEL_TEXT_BYTES];
};

extern struct model_run model_run;

/* clock.h in spirit: small enough to stand here. */
static inline void model_join(struct model_clock *into, const struct model_clock *other)
{
    for (unsigned i = 0; i < MODEL_ACTORS; i++) {
        if (other->at[i] > into->at[i]) {
            into->at[i] = other->at[i];
        }
    }
}

/* True when event number `clock` of the actor happens before whoever has the clock `now`. */
static inline bool model_before(unsigned actor, uint16_t clock, const struct model_clock *now)
{
    return now->at[actor] >= clock;
}

/* memory.c: locations, messages, what a load may return and where a store may go. */
struct model_location *model_locate(void *place, uint32_t bytes, const struct model_site *site);
unsigned model_floor(const struct model_location *location, const struct model_clock *now);
bool model_may_store(const struct model_location *location, unsigned rank);
void model_do_load(unsigned actor, uint16_t message, uint8_t order);
void model_do_store(unsigned actor, unsigned rank);
void model_do_update(unsigned actor, uint16_t message, uint64_t value);
void model_do_fence(unsigned actor);
void model_do_plain_write(unsigned actor, struct model_location *location);
void model_memory_reset(void);
struct model_event *model_event_add(unsigned actor, enum model_event_kind kind,
                                    const struct model_site *site);

/* psc.c: true when the seq_cst events of the execution so far can be put in one order. */
bool model_sequential_holds(void);

/* plain.c: races and lifetimes of plain memory. */
void model_plain(void *place, uint32_t bytes, bool is_write, const void *where);
void model_atomic_shadow(struct model_location *location, bool is_write);
void model_plain_reset(void);
void model_plain_flush(void); /* before a thread's next request */
void model_plain_finish(void);

/* actor.c: the threads of a case as coroutines. */
void model_actors_start(void);
void model_actor_go(unsigned actor); /* until its next request, or its end */
void model_actor_ask(struct model_request *request);
void model_actor_leave(void);
void model_actors_finish(void);
bool model_on_stack(const void *place);

/* The fault of this execution; the first counts. Does not return when a thread runs. */
__attribute__((format(printf, 2, 3))) void model_fail(enum model_fault fault, const char *format,
                                                      ...);

#endif
