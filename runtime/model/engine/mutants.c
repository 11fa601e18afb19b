/*
 * Purpose: see mutants.h.
 * Owner:   model. Threads: the checker's own.
 * Cost:    per mutant the programs that reach its place, until one notices; no new build.
 * Design:  docs/design/model.md, "Order mutants"
 */
#include "engine/mutants.h"

#include <stdio.h>
#include <string.h>

#include "engine/access.h"
#include "engine/verdict.h"

#define PLACES          1024u
#define PROGRAMS        512u
#define EXECUTIONS_MOST 400000u
#define PERCENT_LEAST   95u
#define CHANGES         3u

/* An access in the product, and which programs reach it. */
struct place {
    const struct model_site *site;
    bool is_reached[PROGRAMS];
};

static struct place places[PLACES];
static unsigned place_count;
static const struct model_case *programs[PROGRAMS];
static unsigned program_count;
static struct model_verdict verdict;
static const struct model_limits limits = {.executions = EXECUTIONS_MOST, .shorter = 0};

static bool is_product(const struct model_site *site)
{
    return strncmp(model_site_file(site), "runtime/src/", 12) == 0;
}

/* Programs of the product's protocols that the filter leaves; false: there is no room for all. */
static bool programs_collect(const char *filter)
{
    for (unsigned g = 0; model_groups[g] != NULL; g++) {
        for (const struct model_case *test = model_groups[g]; test->name != NULL; test++) {
            if (test->is_protocol && !test->is_long &&
                (filter == NULL || strstr(test->name, filter) != NULL)) {
                if (program_count == PROGRAMS) {
                    return false;
                }
                programs[program_count++] = test;
            }
        }
    }
    return true;
}

/* The place of an access; NULL: there is no room for more. */
static struct place *place_of(const struct model_site *site)
{
    for (unsigned i = 0; i < place_count; i++) {
        const struct model_site *const known = places[i].site;
        if (known->line == site->line && known->kind == site->kind &&
            strcmp(model_site_file(known), model_site_file(site)) == 0) {
            return &places[i];
        }
    }
    if (place_count == PLACES) {
        return NULL;
    }
    places[place_count].site = site;
    return &places[place_count++];
}

/* Runs every program unchanged and notes which places it reaches; false: one does not pass. */
static bool places_collect(void)
{
    for (unsigned i = 0; i < program_count; i++) {
        model_sites_forget_uses();
        model_judge(programs[i], &limits, &verdict);
        if (!verdict.passed) {
            fprintf(stderr, "model: %s does not pass unchanged\n", programs[i]->name);
            return false;
        }
        for (const struct model_site *site = model_sites(); site != NULL; site = site->next) {
            if (site->uses == 0 || !is_product(site)) {
                continue;
            }
            struct place *const place = place_of(site);
            if (place == NULL) {
                fprintf(stderr, "model: more than %u accesses\n", PLACES);
                return false;
            }
            place->is_reached[i] = true;
        }
    }
    return true;
}

/* The orders one step weaker; returns how many. */
static unsigned weaker(uint8_t kind, uint8_t order, uint8_t *out)
{
    unsigned count = 0;
    if (kind == MODEL_KIND_FENCE) {
        if (order == MODEL_HEAVY) {
            out[count++] = MODEL_SEQ_CST;
        } else if (order == MODEL_SEQ_CST) {
            out[count++] = MODEL_ACQ_REL;
        }
        out[count++] = MODEL_DROPPED;
    } else if (order == MODEL_SEQ_CST) {
        out[count++] = kind == MODEL_KIND_LOAD    ? MODEL_ACQUIRE
                       : kind == MODEL_KIND_STORE ? MODEL_RELEASE
                                                  : MODEL_ACQ_REL;
    } else if (order == MODEL_ACQ_REL) {
        out[count++] = MODEL_ACQUIRE;
        out[count++] = MODEL_RELEASE;
    } else if (order != MODEL_RELAXED) {
        out[count++] = MODEL_RELAXED;
    }
    return count;
}

/* Tries one weakening; true when a program notices. */
static bool try_change(const struct place *place, const struct model_weakening *change)
{
    const struct model_case *killer = NULL;
    model_weaken(change);
    for (unsigned i = 0; i < program_count && killer == NULL; i++) {
        if (place->is_reached[i]) {
            model_judge(programs[i], &limits, &verdict);
            killer = verdict.passed ? NULL : programs[i];
        }
    }
    model_weaken(NULL);
    printf("%s %s:%u: %s%s of %s instead of %s%s%s\n", killer != NULL ? "killed  " : "survived",
           change->file, change->line, model_order_name(change->order),
           change->is_failure ? " on failure" : "",
           place->site->what[0] != '\0' ? place->site->what : "fence",
           model_order_name(change->is_failure ? place->site->failure_order : place->site->order),
           killer != NULL ? " by " : "", killer != NULL ? killer->name : "");
    fflush(stdout);
    return killer != NULL;
}

/* Every mutant of one place. */
static void try_place(const struct place *place, unsigned *killed, unsigned *survived)
{
    const struct model_site *const site = place->site;
    uint8_t orders[CHANGES];
    for (unsigned failure = 0; failure < 2; failure++) {
        const uint8_t order = failure != 0 ? site->failure_order : site->order;
        const unsigned count =
            weaker(failure != 0 ? (uint8_t)MODEL_KIND_LOAD : site->kind, order, orders);
        for (unsigned i = 0; i < count; i++) {
            const struct model_weakening change = {.file = model_site_file(site),
                                                   .line = site->line,
                                                   .kind = site->kind,
                                                   .is_failure = failure != 0,
                                                   .order = orders[i]};
            const bool noticed = try_change(place, &change);
            *killed += noticed;
            *survived += !noticed;
        }
    }
}

int model_mutants(const char *filter)
{
    unsigned killed = 0;
    unsigned survived = 0;
    if (!programs_collect(filter)) {
        fprintf(stderr, "model: more than %u programs\n", PROGRAMS);
        return 1;
    }
    if (!places_collect()) {
        return 1;
    }
    for (unsigned i = 0; i < place_count; i++) {
        try_place(&places[i], &killed, &survived);
    }
    const unsigned tried = killed + survived;
    const unsigned percent = tried != 0 ? 100 * killed / tried : 0;
    printf("order mutants: %u killed, %u survived, %u %% (at least %u %%)\n", killed, survived,
           percent, PERCENT_LEAST);
    return percent >= PERCENT_LEAST ? 0 : 1;
}
