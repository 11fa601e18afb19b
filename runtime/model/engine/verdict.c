/*
 * Purpose: see verdict.h.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Bounds"
 */
#include "engine/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/search.h"
#include "engine/step.h"

#define PROGRESS_EVERY 200000u

const char *model_fault_name(enum model_fault fault)
{
    static const char *const names[MODEL_FAULTS] = {"nothing",  "assertion", "race",
                                                    "lifetime", "leak",      "stuck"};
    return names[fault];
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void outcome_note(struct model_verdict *verdict)
{
    if (model_run.outcome[0] == '\0') {
        return;
    }
    for (unsigned i = 0; i < verdict->outcomes; i++) {
        if (strcmp(verdict->outcome[i], model_run.outcome) == 0) {
            return;
        }
    }
    if (verdict->outcomes < MODEL_OUTCOMES) {
        snprintf(verdict->outcome[verdict->outcomes++], MODEL_OUTCOME_BYTES, "%.*s",
                 (int)MODEL_OUTCOME_BYTES - 1, model_run.outcome);
    }
}

static int outcome_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Counts an execution; true when it is the shortest with a fault so far. */
static bool note(struct model_verdict *verdict, unsigned *shortest)
{
    verdict->events += model_run.events;
    verdict->complete += model_run.end == MODEL_COMPLETE;
    verdict->blocked += model_run.end == MODEL_BLOCKED;
    verdict->inconsistent += model_run.end == MODEL_INCONSISTENT;
    verdict->cut += model_run.end == MODEL_CUT;
    if (model_run.end == MODEL_COMPLETE) {
        outcome_note(verdict);
    }
    if (model_run.end != MODEL_FAILED || model_run.events >= *shortest) {
        return false;
    }
    *shortest = model_run.events;
    verdict->fault = model_run.fault;
    memcpy(verdict->text, model_run.text, sizeof verdict->text);
    model_search_keep();
    return true;
}

static uint64_t executions(const struct model_verdict *verdict)
{
    return verdict->complete + verdict->blocked + verdict->inconsistent + verdict->cut;
}

/* Executions of one mode until there are no more, or the limit is met. */
static bool explore(const struct model_case *test, const struct model_limits *limits,
                    struct model_verdict *verdict, uint64_t count)
{
    unsigned shortest = verdict->fault != MODEL_NO_FAULT ? 0 : MODEL_EVENTS + 1u;
    for (uint64_t i = 0; i < count; i++) {
        model_execute(test);
        if (note(verdict, &shortest) && count > i + limits->shorter) {
            count = i + limits->shorter;
        }
        if (limits->is_noisy && (i + 1) % PROGRESS_EVERY == 0) {
            fprintf(stderr, "model: %s: %llu executions\n", test->name,
                    (unsigned long long)executions(verdict));
        }
        if (!model_search_next()) {
            return true;
        }
    }
    return false;
}

/* True when the outcomes found, in order, are the ones the case names. */
static bool outcomes_agree(const struct model_case *test, struct model_verdict *verdict)
{
    char found[MODEL_OUTCOMES * MODEL_OUTCOME_BYTES] = "";
    size_t used = 0;
    if (test->outcomes == NULL) {
        return true;
    }
    qsort(verdict->outcome, verdict->outcomes, MODEL_OUTCOME_BYTES, outcome_compare);
    for (unsigned i = 0; i < verdict->outcomes; i++) {
        used += (size_t)snprintf(found + used, sizeof found - used, "%s%s", i == 0 ? "" : "|",
                                 verdict->outcome[i]);
    }
    if (strcmp(found, test->outcomes) == 0) {
        return true;
    }
    snprintf(verdict->text, sizeof verdict->text, "outcomes %.150s, expected %.150s", found,
             test->outcomes);
    return false;
}

void model_judge(const struct model_case *test, const struct model_limits *limits,
                 struct model_verdict *verdict)
{
    const double begin = seconds_now();
    memset(verdict, 0, sizeof *verdict);
    model_search_begin(MODEL_EXHAUSTIVE, 0);
    verdict->is_exhausted = explore(test, limits, verdict, limits->executions);
    if (!verdict->is_exhausted && verdict->fault == MODEL_NO_FAULT && limits->random > 0) {
        const uint64_t before = executions(verdict);
        model_search_begin(MODEL_RANDOM, limits->seed);
        explore(test, limits, verdict, limits->random);
        verdict->random = executions(verdict) - before;
    }
    verdict->passed = verdict->fault == test->fault &&
                      (verdict->fault != MODEL_NO_FAULT || outcomes_agree(test, verdict));
    verdict->seconds = seconds_now() - begin;
}

void model_replay(const struct model_case *test)
{
    model_search_begin(MODEL_REPLAY, 0);
    model_execute(test);
}
