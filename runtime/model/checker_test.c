/*
 * What: the checker finds a fault seeded in each file of sync, and in each other file of the
 *       product that it runs; without one it finds nothing. Its reduction loses no outcome.
 * How:  the seed is one order, weakened by the table that the order mutants use; then the programs
 *       of that file are explored. The place is found by file and kind, so no line is written down.
 * Design: [sync.req.one-layer] docs/design/model.md
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/access.h"
#include "engine/search.h"
#include "engine/step.h"
#include "engine/verdict.h"

#define EXECUTIONS 400000u
#define FEW        6000u

static const struct model_limits limits = {.executions = EXECUTIONS, .shorter = 0};
static const struct model_limits small = {.executions = FEW, .shorter = FEW};
static struct model_verdict verdict;

/* Explores the programs whose name begins with the prefix; the first fault, or none. */
static enum model_fault explore(const char *prefix)
{
    unsigned seen = 0;
    for (unsigned g = 0; model_groups[g] != NULL; g++) {
        for (const struct model_case *test = model_groups[g]; test->name != NULL; test++) {
            if (!test->is_long && strncmp(test->name, prefix, strlen(prefix)) == 0) {
                seen++;
                model_judge(test, &limits, &verdict);
                if (verdict.fault != MODEL_NO_FAULT) {
                    return verdict.fault;
                }
            }
        }
    }
    assert_true(seen > 0);
    return MODEL_NO_FAULT;
}

/* Weakens each access of the file that has an order, one at a time; each must be found. */
static void every_seed_is_found(const char *file, const char *prefix)
{
    unsigned seeds = 0;
    assert_int_equal(explore(prefix), MODEL_NO_FAULT);
    for (const struct model_site *site = model_sites(); site != NULL; site = site->next) {
        const struct model_weakening seed = {.file = model_site_file(site),
                                             .line = site->line,
                                             .kind = site->kind,
                                             .order = MODEL_RELAXED};
        if (site->order == MODEL_RELAXED || site->uses == 0 || strcmp(seed.file, file) != 0) {
            continue;
        }
        model_weaken(&seed);
        const enum model_fault found = explore(prefix);
        model_weaken(NULL);
        if (found == MODEL_NO_FAULT) {
            fail_msg("%s:%u weakened to relaxed: nothing was found", seed.file, seed.line);
        }
        seeds++;
    }
    if (seeds == 0) {
        fail_msg("%s: no access with an order was reached", file);
    }
}

static void seeded_slot_state_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/sync/slot_state.h", "slot-state/");
}

static void seeded_parked_word_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/sync/parked_word.h", "parked-word/");
}

static void seeded_inbox_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/sync/inbox.h", "inbox/");
}

static void seeded_ring_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/sync/ring.h", "ring/");
}

static void seeded_claim_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/sync/claim.h", "claim/");
}

static void seeded_mutex_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/thread/mutex.h", "mutex/");
    every_seed_is_found("runtime/src/thread/linux/mutex.c", "mutex/");
}

static void seeded_callback_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/monitor/callback.c", "callback/");
}

static void seeded_slab_is_found(void **state)
{
    (void)state;
    every_seed_is_found("runtime/src/slab/slab.h", "slab/");
    every_seed_is_found("runtime/src/slab/slab.c", "slab/");
}

static void random_search_finds_store_buffering(void **state)
{
    (void)state;
    const struct model_limits random = {.executions = 1, .random = 500, .seed = 7};
    const struct model_case *const test = &model_groups[0][0];
    assert_string_equal(test->name, "litmus/sb-relaxed");
    model_judge(test, &random, &verdict);
    assert_false(verdict.is_exhausted);
    assert_int_equal(verdict.outcomes, 4);
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* With every interleaving tried, a program ends in no way that the reduced search has not seen. */
static void reduction_loses_no_outcome(void **state)
{
    (void)state;
    static struct model_verdict reduced;
    unsigned compared = 0;
    for (unsigned g = 0; model_groups[g] != NULL; g++) {
        for (const struct model_case *test = model_groups[g]; test->name != NULL; test++) {
            model_judge(test, &small, &reduced);
            if (!reduced.is_exhausted || test->is_protocol || test->is_long) {
                continue;
            }
            model_search_reduce(false);
            model_judge(test, &small, &verdict);
            model_search_reduce(true);
            if (!verdict.is_exhausted) {
                continue; /* too many interleavings to try them all */
            }
            qsort(reduced.outcome, reduced.outcomes, MODEL_OUTCOME_BYTES, compare);
            qsort(verdict.outcome, verdict.outcomes, MODEL_OUTCOME_BYTES, compare);
            compared++;
            assert_int_equal(reduced.fault, verdict.fault);
            assert_int_equal(reduced.outcomes, verdict.outcomes);
            assert_memory_equal(reduced.outcome, verdict.outcome,
                                reduced.outcomes * MODEL_OUTCOME_BYTES);
        }
    }
    print_message("%u programs compared\n", compared);
    assert_true(compared >= 100);
}

static void replay_repeats_the_fault(void **state)
{
    (void)state;
    for (unsigned g = 0; model_groups[g] != NULL; g++) {
        for (const struct model_case *test = model_groups[g]; test->name != NULL; test++) {
            if (test->fault == MODEL_NO_FAULT) {
                continue;
            }
            model_judge(test, &limits, &verdict);
            model_replay(test);
            assert_int_equal(model_run.end, MODEL_FAILED);
            assert_int_equal(model_run.fault, verdict.fault);
            assert_string_equal(model_run.text, verdict.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeded_slot_state_is_found),
        cmocka_unit_test(seeded_parked_word_is_found),
        cmocka_unit_test(seeded_inbox_is_found),
        cmocka_unit_test(seeded_ring_is_found),
        cmocka_unit_test(seeded_claim_is_found),
        cmocka_unit_test(seeded_mutex_is_found),
        cmocka_unit_test(seeded_callback_is_found),
        cmocka_unit_test(seeded_slab_is_found),
        cmocka_unit_test(random_search_finds_store_buffering),
        cmocka_unit_test(reduction_loses_no_outcome),
        cmocka_unit_test(replay_repeats_the_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
