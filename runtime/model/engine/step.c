/*
 * Purpose: one execution: asks every thread what it wants, lets one of them do it, until all are
 *          done, wait for ever, or something is wrong.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Reduction"
 */
#include "engine/step.h"

#include <string.h>

#include "engine/access.h"
#include "engine/engine.h"
#include "engine/search.h"

#define FUTEXES       8u
#define REREADS_USUAL 2u
#define UPDATES_MOST  5u /* by one thread at one place */

/* What the kernel knows of a word that threads sleep on; its lock orders the calls. */
struct futex {
    void *place;
    struct model_clock clock; /* of every call so far */
};

static struct futex futexes[FUTEXES];
static unsigned futex_count;
static unsigned spurious; /* wakes for no reason so far */

/* Options of the step at hand. */
static struct model_option options[MODEL_OPTIONS];
static unsigned option_count;
static bool is_stalled; /* a load has no option but to read the same once more */

static struct futex *futex_at(void *place)
{
    unsigned i = 0;
    while (i < futex_count && futexes[i].place != place) {
        i++;
    }
    if (i == futex_count && futex_count < FUTEXES) {
        futexes[futex_count++] = (struct futex){.place = place};
    }
    return &futexes[i < FUTEXES ? i : 0];
}

static void option_add(const struct model_option *option)
{
    if (option_count < MODEL_OPTIONS) {
        options[option_count++] = *option;
    } else {
        model_run.end = MODEL_CUT;
    }
}

/* How often the thread has updated the location at this place in the source. */
static unsigned updates_before(const struct model_location *location, unsigned actor,
                               const struct model_site *site)
{
    unsigned count = 0;
    for (uint16_t i = location->last_event; i != MODEL_NONE; i = model_run.event[i].previous) {
        const struct model_event *const event = &model_run.event[i];
        count += event->kind == MODEL_UPDATE && event->actor == actor && event->site == site;
    }
    return count;
}

/* How often the thread has read this message at this place in the source. */
static unsigned reads_before(const struct model_location *location, unsigned actor,
                             const struct model_site *site, uint16_t message)
{
    unsigned count = 0;
    for (uint16_t i = location->last_event; i != MODEL_NONE; i = model_run.event[i].previous) {
        const struct model_event *const event = &model_run.event[i];
        count += event->kind == MODEL_READ && event->actor == actor && event->site == site &&
                 event->read == message;
    }
    return count;
}

/* Whether the request may read this message and write behind it: a loop of updates ends here. */
static bool may_update(unsigned actor, const struct model_location *location,
                       struct model_option *option)
{
    const struct model_request *const request = &model_run.thread[actor].request;
    option->is_update = true;
    if (updates_before(location, actor, request->site) >= UPDATES_MOST) {
        is_stalled = true;
        return false;
    }
    return model_run.message[option->message].reader == MODEL_NONE;
}

/* Whether a request may read this message, and what that means. */
static bool may_read(unsigned actor, const struct model_location *location,
                     struct model_option *option)
{
    const struct model_request *const request = &model_run.thread[actor].request;
    const struct model_message *const message = &model_run.message[option->message];
    const bool is_expected = message->value == request->access.expected;
    const unsigned rereads = model_run.test->rereads != 0 ? model_run.test->rereads : REREADS_USUAL;
    if (request->kind == MODEL_REQUEST_AWAIT) {
        return is_expected;
    }
    if (request->kind == MODEL_REQUEST_AWAIT_NOT) {
        return !is_expected;
    }
    if (request->kind == MODEL_REQUEST_RMW || (request->kind == MODEL_REQUEST_CAS && is_expected)) {
        return may_update(actor, location, option);
    }
    if (reads_before(location, actor, request->site, option->message) >= rereads) {
        is_stalled = true;
        return false;
    }
    return true;
}

static bool is_local(enum model_request_kind kind)
{
    return kind == MODEL_REQUEST_STORE || kind == MODEL_REQUEST_FENCE ||
           kind == MODEL_REQUEST_CHOOSE;
}

/* Everything that the next step of a thread may read, newest first. */
static void options_of(unsigned actor)
{
    const struct model_thread *const thread = &model_run.thread[actor];
    const struct model_request *const request = &thread->request;
    if (request->kind == MODEL_REQUEST_SLEEP || request->kind == MODEL_REQUEST_WAKE ||
        is_local(request->kind)) {
        option_add(&(struct model_option){MODEL_NONE, (uint8_t)actor, false, true});
        return;
    }
    const struct model_location *const location =
        model_locate(request->access.place, request->access.bytes, request->site);
    const unsigned floor = model_floor(location, &thread->clock);
    for (unsigned rank = location->count; rank-- > floor;) {
        struct model_option option = {location->history[rank], (uint8_t)actor, false, false};
        if (may_read(actor, location, &option)) {
            option_add(&option);
        }
    }
}

/* A store at any place that coherence and atomicity leave it. */
static void store(unsigned actor)
{
    const struct model_request *const request = &model_run.thread[actor].request;
    const struct model_location *const location =
        model_locate(request->access.place, request->access.bytes, request->site);
    unsigned ranks[MODEL_HISTORY + 1];
    unsigned count = 0;
    const unsigned floor = model_floor(location, &model_run.thread[actor].clock);
    for (unsigned rank = location->count; rank > floor; rank--) {
        if (model_may_store(location, rank)) {
            ranks[count++] = rank;
        }
    }
    model_do_store(actor, ranks[model_search_number(count)]);
}

/* A step that no other thread's order matters for: it is taken at once. */
static void do_local(unsigned actor)
{
    struct model_request *const request = &model_run.thread[actor].request;
    if (request->kind == MODEL_REQUEST_STORE) {
        store(actor);
    } else if (request->kind == MODEL_REQUEST_FENCE) {
        model_do_fence(actor);
    } else {
        request->result = model_search_number((unsigned)request->access.operand);
    }
}

/* The kernel compares the word under its lock; equal: the thread sleeps, or wakes for no reason. */
static bool do_sleep(unsigned actor)
{
    struct model_thread *const thread = &model_run.thread[actor];
    struct futex *const futex = futex_at(thread->request.access.place);
    struct model_location *const location = model_locate(
        thread->request.access.place, thread->request.access.bytes, thread->request.site);
    struct model_clock now = thread->clock;
    model_join(&now, &futex->clock);
    const unsigned floor = model_floor(location, &now);
    const unsigned chosen = model_search_number(location->count - floor);
    model_do_load(actor, location->history[location->count - 1 - chosen], MODEL_RELAXED);
    model_join(&futex->clock, &thread->clock);
    if (thread->request.result != thread->request.access.expected) {
        return false;
    }
    if (spurious < model_run.test->spurious && model_search_number(2) != 0) {
        spurious++;
        return false;
    }
    thread->wait = MODEL_ASLEEP;
    model_event_add(actor, MODEL_SLEEP, thread->request.site)->clock = thread->clock;
    return true;
}

static void do_wake(unsigned actor)
{
    struct model_thread *const thread = &model_run.thread[actor];
    struct futex *const futex = futex_at(thread->request.access.place);
    uint64_t left = thread->request.access.operand;
    model_event_add(actor, MODEL_WAKE, thread->request.site)->clock = thread->clock;
    model_join(&futex->clock, &thread->clock);
    while (left-- > 0) {
        unsigned sleepers[MODEL_ACTORS];
        unsigned count = 0;
        for (unsigned i = 1; i < model_run.threads; i++) {
            if (model_run.thread[i].wait == MODEL_ASLEEP &&
                model_run.thread[i].request.access.place == thread->request.access.place) {
                sleepers[count++] = i;
            }
        }
        if (count == 0) {
            return;
        }
        const unsigned woken = sleepers[model_search_number(count)];
        struct model_thread *const sleeper = &model_run.thread[woken];
        sleeper->wait = MODEL_READY;
        model_event_add(woken, MODEL_WOKEN, sleeper->request.site)->clock = sleeper->clock;
        model_run.woken |= 1u << woken;
    }
}

/* The step of an option; false: the thread sleeps and must not go on. */
static bool do_option(const struct model_option *option)
{
    const unsigned actor = option->actor;
    struct model_request *const request = &model_run.thread[actor].request;
    if (request->kind == MODEL_REQUEST_SLEEP) {
        return !do_sleep(actor);
    }
    if (request->kind == MODEL_REQUEST_WAKE) {
        do_wake(actor);
        return true;
    }
    if (is_local(request->kind)) {
        do_local(actor);
        return true;
    }
    if (option->is_update) {
        const uint64_t before = model_run.message[option->message].value;
        model_do_update(actor, option->message, model_rmw_value(&request->access, before));
        return true;
    }
    const bool failed = request->kind == MODEL_REQUEST_CAS;
    model_do_load(actor, option->message,
                  failed ? request->site->failure_now : request->site->order_now);
    return true;
}

/* The lowest thread with a step that is local; 0: none. */
static unsigned local_actor(void)
{
    for (unsigned i = 1; i < model_run.threads; i++) {
        if (model_run.thread[i].wait == MODEL_READY && is_local(model_run.thread[i].request.kind)) {
            return i;
        }
    }
    return 0;
}

static bool all_done(void)
{
    for (unsigned i = 1; i < model_run.threads; i++) {
        if (model_run.thread[i].wait != MODEL_DONE) {
            return false;
        }
    }
    return true;
}

/* Nothing can be done: the threads wait for what nobody will do, unless a bound is the reason. */
static void no_options(void)
{
    if (is_stalled) {
        model_run.end = MODEL_CUT;
        return;
    }
    for (unsigned i = 1; i < model_run.threads; i++) {
        const struct model_thread *const thread = &model_run.thread[i];
        if (thread->wait != MODEL_DONE) {
            model_fail(MODEL_STUCK, "T%u %s at %s:%u, and nobody will change it", i,
                       thread->wait == MODEL_ASLEEP ? "sleeps" : "waits",
                       model_site_file(thread->request.site), thread->request.site->line);
            return;
        }
    }
}

/* After a step: the memory model may forbid it; if not, the thread goes on to its next request. */
static void go_on(unsigned actor, bool is_ready)
{
    if (model_run.sequential >= 2 && !model_sequential_holds()) {
        model_run.end = MODEL_INCONSISTENT;
    }
    if (model_run.end == MODEL_COMPLETE && is_ready) {
        model_actor_go(actor);
    }
    for (unsigned i = 1; i < model_run.threads; i++) {
        if (model_run.end == MODEL_COMPLETE && (model_run.woken >> i & 1) != 0) {
            model_actor_go(i);
        }
    }
    model_run.woken = 0;
}

static void step(void)
{
    const unsigned local = model_search_reduces() ? local_actor() : 0;
    if (local != 0) {
        model_run.current = (uint16_t)local;
        do_local(local);
        go_on(local, true);
        return;
    }
    option_count = 0;
    is_stalled = false;
    for (unsigned i = 1; i < model_run.threads; i++) {
        if (model_run.thread[i].wait == MODEL_READY) {
            options_of(i);
        }
    }
    if (model_run.end != MODEL_COMPLETE) {
        return;
    }
    if (option_count == 0) {
        no_options();
        return;
    }
    const struct model_option *const option = model_search_option(options, option_count);
    if (option == NULL) {
        model_run.end = MODEL_BLOCKED;
        return;
    }
    const struct model_option chosen = *option;
    model_run.current = chosen.actor;
    go_on(chosen.actor, do_option(&chosen));
}

enum model_end model_execute(const struct model_case *test)
{
    model_run.test = test;
    model_run.woken = 0;
    futex_count = 0;
    spurious = 0;
    model_memory_reset();
    model_plain_reset();
    model_search_restart();
    model_actors_start();
    while (model_run.end == MODEL_COMPLETE && !all_done()) {
        step();
    }
    if (model_run.end == MODEL_COMPLETE) {
        model_actors_finish();
    }
    if (model_run.end == MODEL_COMPLETE) {
        model_plain_finish();
    }
    return model_run.end;
}
