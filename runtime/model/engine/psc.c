/*
 * Purpose: seq_cst: whether the events of an execution so far can stand in one order that every
 *          thread agrees with, as RC11 demands it (psc is acyclic).
 * Owner:   model. Threads: the checker's own.
 * Cost:    O(events^2) words per question; asked only when two seq_cst events exist.
 * Design:  docs/design/model.md, "Memory model"
 * Source:  Lahav and others 2017, section 3; the same relations as C++20 [atomics.order].
 */
#include "engine/engine.h"

#include <string.h>

#define WORDS      ((MODEL_EVENTS + 63u) / 64u)
#define SEQUENTIAL 64u /* seq_cst events looked at */

typedef uint64_t row_t[WORDS];

static row_t happens_before[MODEL_EVENTS];
static row_t po_elsewhere[MODEL_EVENTS]; /* later in the thread, at another location */
static row_t coherent[MODEL_EVENTS];     /* eco: from a write or read to what it comes before */
static row_t scb[MODEL_EVENTS];

static void row_set(row_t row, unsigned i)
{
    row[i / 64] |= (uint64_t)1 << (i % 64);
}

static bool row_has(const row_t row, unsigned i)
{
    return (row[i / 64] >> (i % 64) & 1) != 0;
}

static void row_join(row_t into, const row_t other)
{
    for (unsigned w = 0; w < WORDS; w++) {
        into[w] |= other[w];
    }
}

/* into: everything that one more step of `step` reaches from `from`. */
static void row_step(row_t into, const row_t from, const row_t *step)
{
    for (unsigned w = 0; w < WORDS; w++) {
        for (uint64_t left = from[w]; left != 0; left &= left - 1) {
            row_join(into, step[w * 64 + (unsigned)__builtin_ctzll(left)]);
        }
    }
}

static bool is_sequential(const struct model_event *event)
{
    return (event->order == MODEL_SEQ_CST || event->order == MODEL_LIGHT ||
            event->order == MODEL_HEAVY) &&
           event->kind <= MODEL_FENCED;
}

/* A light fence has a place in the order only beside heavy ones (P1202). */
static bool is_ordered(const struct model_event *a, const struct model_event *b)
{
    return (a->order != MODEL_LIGHT || b->order == MODEL_HEAVY) &&
           (b->order != MODEL_LIGHT || a->order == MODEL_HEAVY);
}

static bool is_fence(const struct model_event *event)
{
    return event->kind == MODEL_FENCED;
}

static int rank_of(uint16_t message)
{
    return message == MODEL_NONE ? -1 : (int)model_run.message[message].rank;
}

/* The relations between two different events. */
static void relate(unsigned i, unsigned j)
{
    const struct model_event *const a = &model_run.event[i];
    const struct model_event *const b = &model_run.event[j];
    const bool same = a->location != MODEL_NONE && a->location == b->location;
    const bool before = model_before(a->actor, a->clock.at[a->actor], &b->clock);
    if (before) {
        row_set(happens_before[i], j);
        if (a->actor == b->actor) {
            row_set(scb[i], j);
            if (!same) {
                row_set(po_elsewhere[i], j);
            }
        }
    }
    if (!same) {
        return;
    }
    const int wrote = rank_of(a->message);
    const int read = rank_of(a->read);
    const int writes = rank_of(b->message);
    const int reads = rank_of(b->read);
    const bool mo = wrote >= 0 && writes >= 0 && wrote < writes;
    const bool fr = read >= 0 && writes >= 0 && read < writes;
    if (before || mo || fr) {
        row_set(scb[i], j);
    }
    if (mo || fr || (wrote >= 0 && reads >= 0 && wrote <= reads) ||
        (read >= 0 && reads >= 0 && read < reads)) {
        row_set(coherent[i], j);
    }
}

static void relations(void)
{
    const unsigned n = model_run.events;
    memset(happens_before, 0, n * sizeof happens_before[0]);
    memset(po_elsewhere, 0, n * sizeof po_elsewhere[0]);
    memset(coherent, 0, n * sizeof coherent[0]);
    memset(scb, 0, n * sizeof scb[0]);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < n; j++) {
            if (i != j) {
                relate(i, j);
            }
        }
    }
    for (unsigned i = 0; i < n; i++) {
        row_t middle = {0};
        row_step(middle, po_elsewhere[i], happens_before);
        row_step(scb[i], middle, po_elsewhere);
    }
}

/* The events that a seq_cst event stands for on its left: itself; a fence: what follows it too. */
static void psc_row(unsigned i, row_t reached)
{
    row_t from = {0};
    row_t after = {0};
    row_set(from, i);
    if (is_fence(&model_run.event[i])) {
        row_join(from, happens_before[i]);
    }
    row_step(reached, from, scb);
    /* On the right of the base relation a fence stands for what happens before it. */
    row_join(after, reached);
    row_step(after, reached, happens_before);
    for (unsigned j = 0; j < model_run.events; j++) {
        if (is_fence(&model_run.event[j]) && row_has(after, j)) {
            row_set(reached, j);
        }
    }
    if (is_fence(&model_run.event[i])) {
        row_t seen = {0};
        row_t end = {0};
        row_step(seen, happens_before[i], coherent);
        row_step(end, seen, happens_before);
        row_join(end, happens_before[i]);
        for (unsigned j = 0; j < model_run.events; j++) {
            if (is_fence(&model_run.event[j]) && row_has(end, j)) {
                row_set(reached, j);
            }
        }
    }
}

bool model_sequential_holds(void)
{
    unsigned list[SEQUENTIAL];
    uint64_t edge[SEQUENTIAL];
    unsigned count = 0;
    relations();
    for (unsigned i = 0; i < model_run.events && count < SEQUENTIAL; i++) {
        if (is_sequential(&model_run.event[i])) {
            list[count++] = i;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        row_t reached = {0};
        psc_row(list[i], reached);
        edge[i] = 0;
        for (unsigned j = 0; j < count; j++) {
            if (is_ordered(&model_run.event[list[i]], &model_run.event[list[j]])) {
                edge[i] |= (uint64_t)row_has(reached, list[j]) << j;
            }
        }
    }
    for (unsigned k = 0; k < count; k++) {
        for (unsigned i = 0; i < count; i++) {
            edge[i] |= (edge[i] >> k & 1) != 0 ? edge[k] : 0;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if ((edge[i] >> i & 1) != 0) {
            return false;
        }
    }
    return true;
}
