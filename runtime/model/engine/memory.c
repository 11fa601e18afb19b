/*
 * Purpose: the memory of an execution: per location a modification order of messages, and what the
 *          axioms of RC11 let a load return and a store do.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Memory model"
 * Source:  Lahav, Vafeiadis, Kang, Hur, Dreyer, "Repairing Sequential Consistency in C/C++11",
 *          2017; release sequences as C++20 has them (P0982).
 */
#include "engine/engine.h"

#include <string.h>

#define TABLE_SLOTS 1024u /* power of two, at least twice the locations */

/* Where a place is found; entries of earlier executions have an older round. */
static struct {
    uint32_t round;
    uint16_t location;
} table[TABLE_SLOTS];
static uint32_t table_round;

struct model_run model_run;

void model_memory_reset(void)
{
    model_run.events = 0;
    model_run.messages = 0;
    model_run.locations = 0;
    model_run.sequential = 0;
    table_round++;
}

static bool overlaps(const struct model_location *location, const uint8_t *place, uint32_t bytes)
{
    return location->place < place + bytes && place < location->place + location->bytes;
}

static uint64_t memory_value(const void *place, uint32_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, place, bytes <= sizeof value ? bytes : sizeof value);
    return value;
}

/* A location not met before; the others that it overlaps learn of it. */
static struct model_location *location_add(uint8_t *place, uint32_t bytes)
{
    static struct model_location overflow;
    if (model_run.locations == MODEL_LOCATIONS) {
        model_run.end = MODEL_CUT;
        return &overflow;
    }
    struct model_location *const location = &model_run.location[model_run.locations++];
    memset(location, 0, offsetof(struct model_location, history));
    memset(&location->shadow, 0, sizeof location->shadow);
    location->place = place;
    location->bytes = bytes;
    location->count = 0;
    location->last_event = MODEL_NONE;
    location->has_peers = false;
    for (unsigned i = 0; i + 1u < model_run.locations; i++) {
        if (overlaps(&model_run.location[i], place, bytes)) {
            location->has_peers = true;
            model_run.location[i].has_peers = true;
        }
    }
    return location;
}

static struct model_location *location_find(uint8_t *place, uint32_t bytes)
{
    uint32_t slot =
        (uint32_t)(((uintptr_t)place * 0x9e3779b97f4a7c15ull) >> 40) & (TABLE_SLOTS - 1);
    for (; table[slot].round == table_round; slot = (slot + 1) & (TABLE_SLOTS - 1)) {
        struct model_location *const found = &model_run.location[table[slot].location];
        if (found->place == place && found->bytes == bytes) {
            return found;
        }
    }
    struct model_location *const added = location_add(place, bytes);
    table[slot].round = table_round;
    table[slot].location = (uint16_t)(added - model_run.location);
    return added;
}

/* The first message: what memory holds when the first atomic access comes. */
static void location_begin(struct model_location *location, const struct model_site *site)
{
    struct model_message *const message = &model_run.message[model_run.messages];
    for (unsigned i = 0; location->has_peers && i < model_run.locations; i++) {
        const struct model_location *const peer = &model_run.location[i];
        if (peer != location && peer->count != 0 &&
            overlaps(peer, location->place, location->bytes)) {
            model_fail(MODEL_ASSERTION, "atomic accesses of different sizes to %s", site->what);
        }
    }
    memset(message, 0, sizeof *message);
    message->value = memory_value(location->place, location->bytes);
    message->location = (uint16_t)(location - model_run.location);
    message->event = MODEL_NONE;
    message->reader = MODEL_NONE;
    location->site = site;
    location->history[0] = model_run.messages++;
    location->count = 1;
}

struct model_location *model_locate(void *place, uint32_t bytes, const struct model_site *site)
{
    struct model_location *const location = location_find(place, bytes);
    if (site != NULL && location->count == 0) {
        location_begin(location, site);
    }
    return location;
}

/* Coherence: nothing older than what a write or a read that happens before has shown. */
unsigned model_floor(const struct model_location *location, const struct model_clock *now)
{
    unsigned floor = 0;
    for (uint16_t i = location->last_event; i != MODEL_NONE; i = model_run.event[i].previous) {
        const struct model_event *const event = &model_run.event[i];
        if (model_before(event->actor, event->clock.at[event->actor], now)) {
            const uint16_t known = event->message != MODEL_NONE ? event->message : event->read;
            const unsigned rank = model_run.message[known].rank;
            floor = rank > floor ? rank : floor;
        }
    }
    return floor;
}

/* Atomicity: nothing comes between a message and the read-modify-write that read it. */
bool model_may_store(const struct model_location *location, unsigned rank)
{
    return model_run.message[location->history[rank - 1]].reader == MODEL_NONE;
}

struct model_event *model_event_add(unsigned actor, enum model_event_kind kind,
                                    const struct model_site *site)
{
    static struct model_event overflow;
    struct model_event *event = &overflow;
    if (model_run.events + 1u < MODEL_EVENTS) {
        event = &model_run.event[model_run.events++];
    } else {
        model_run.end = MODEL_CUT;
    }
    memset(event, 0, sizeof *event);
    model_run.thread[actor].clock.at[actor]++;
    event->actor = (uint8_t)actor;
    event->kind = (uint8_t)kind;
    event->site = site;
    event->order = site != NULL ? site->order_now : MODEL_RELAXED;
    event->read = MODEL_NONE;
    event->message = MODEL_NONE;
    event->location = MODEL_NONE;
    event->previous = MODEL_NONE;
    return event;
}

static void note_order(uint8_t order)
{
    if (order == MODEL_SEQ_CST || order == MODEL_LIGHT || order == MODEL_HEAVY) {
        model_run.sequential++;
    }
}

static void event_at(struct model_event *event, struct model_location *location)
{
    event->location = (uint16_t)(location - model_run.location);
    event->previous = location->last_event;
    location->last_event = (uint16_t)(event - model_run.event);
}

static void acquire_from(struct model_thread *thread, const struct model_message *message,
                         uint8_t order)
{
    if ((order & MODEL_ACQUIRE) != 0) {
        model_join(&thread->clock, &message->release);
    }
    /* An acquire fence that follows synchronises with what relaxed loads have read. */
    model_join(&thread->acquired, &message->release);
}

void model_do_load(unsigned actor, uint16_t number, uint8_t order)
{
    struct model_thread *const thread = &model_run.thread[actor];
    const struct model_message *const message = &model_run.message[number];
    struct model_location *const location = &model_run.location[message->location];
    struct model_event *const event = model_event_add(actor, MODEL_READ, thread->request.site);
    acquire_from(thread, message, order);
    event->order = order;
    event->read = number;
    event->value = message->value;
    event->newer = (uint16_t)(location->count - 1 - message->rank);
    event->clock = thread->clock;
    event_at(event, location);
    note_order(order);
    thread->request.result = message->value;
    model_atomic_shadow(location, false);
}

/* Puts a message at a place of the modification order; memory shows the last one. */
static uint16_t message_insert(struct model_location *location, unsigned rank,
                               const struct model_event *event, uint64_t value)
{
    if (location->count == MODEL_HISTORY || model_run.messages == MODEL_MESSAGES) {
        model_run.end = MODEL_CUT;
        return location->history[0];
    }
    const uint16_t number = model_run.messages++;
    struct model_message *const message = &model_run.message[number];
    memset(message, 0, sizeof *message);
    message->value = value;
    message->location = (uint16_t)(location - model_run.location);
    message->event = (uint16_t)(event - model_run.event);
    message->reader = MODEL_NONE;
    message->actor = event->actor;
    message->clock = event->clock.at[event->actor];
    for (unsigned i = location->count; i > rank; i--) {
        location->history[i] = location->history[i - 1];
        model_run.message[location->history[i]].rank = (uint16_t)i;
    }
    location->history[rank] = number;
    location->count++;
    message->rank = (uint16_t)rank;
    if (rank + 1u == location->count) {
        memcpy(location->place, &value, location->bytes);
    }
    return number;
}

void model_do_store(unsigned actor, unsigned rank)
{
    struct model_thread *const thread = &model_run.thread[actor];
    const struct model_request *const request = &thread->request;
    struct model_location *const location =
        model_locate(request->access.place, request->access.bytes, request->site);
    struct model_event *const event = model_event_add(actor, MODEL_WRITE, request->site);
    event->clock = thread->clock;
    event->value = request->access.operand;
    event->message = message_insert(location, rank, event, request->access.operand);
    event_at(event, location);
    struct model_message *const message = &model_run.message[event->message];
    message->release = (event->order & MODEL_RELEASE) != 0 ? thread->clock : thread->released;
    note_order(event->order);
    model_atomic_shadow(location, true);
}

void model_do_update(unsigned actor, uint16_t number, uint64_t value)
{
    struct model_thread *const thread = &model_run.thread[actor];
    struct model_message *const before = &model_run.message[number];
    struct model_location *const location = &model_run.location[before->location];
    struct model_event *const event = model_event_add(actor, MODEL_UPDATE, thread->request.site);
    acquire_from(thread, before, event->order);
    event->clock = thread->clock;
    event->read = number;
    event->value = before->value;
    event->written = value;
    event->newer = (uint16_t)(location->count - 1 - before->rank);
    before->reader = (uint16_t)(event - model_run.event);
    event->message = message_insert(location, before->rank + 1u, event, value);
    event_at(event, location);
    struct model_message *const message = &model_run.message[event->message];
    message->release = (event->order & MODEL_RELEASE) != 0 ? thread->clock : thread->released;
    /* A read-modify-write continues the release sequence that it read from. */
    model_join(&message->release, &before->release);
    note_order(event->order);
    thread->request.result = before->value;
    model_atomic_shadow(location, true);
}

void model_do_fence(unsigned actor)
{
    struct model_thread *const thread = &model_run.thread[actor];
    const uint8_t order = thread->request.site->order_now;
    if (order == MODEL_DROPPED) {
        return;
    }
    struct model_event *const event = model_event_add(actor, MODEL_FENCED, thread->request.site);
    if ((order & MODEL_ACQUIRE) != 0) {
        model_join(&thread->clock, &thread->acquired);
    }
    if ((order & MODEL_RELEASE) != 0) {
        thread->released = thread->clock;
    }
    event->clock = thread->clock;
    note_order(order);
}

/* A plain write where atomics look too: the newest message, since it raced with nothing. */
void model_do_plain_write(unsigned actor, struct model_location *location)
{
    struct model_thread *const thread = &model_run.thread[actor];
    const uint64_t value = memory_value(location->place, location->bytes);
    struct model_event *const event = model_event_add(actor, MODEL_PLAIN_WRITE, location->site);
    event->clock = thread->clock;
    event->value = value;
    event->message = message_insert(location, location->count, event, value);
    event_at(event, location);
}
