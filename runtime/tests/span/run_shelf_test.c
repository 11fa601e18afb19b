/*
 * What:  a run on a shelf is no block any more: it has no pages, is not given back twice, and comes
 *        back for a request of its length; what nobody picked up becomes free pages by age, and at
 *        once when they are wanted: for a growing neighbour, or before a request fails.
 * How:   the shelf against a list of runs held, from a printed seed; threads that give the same
 *        runs at the same time, of whom one may succeed for each; aged by purges without a clock.
 * Shows: [span.proto.shelf] [span.inv.run-length] [sync.proto.parked-word]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "span/arena.h"
#include "span/run.h"
#include "span/run_shelf.h"
#include "support/random_stream.h"
#include "sync/atomic.h"

#define RUNS       24u
#define GIVERS     3u
#define RACE_TURNS 2000u
#define MIB        ((size_t)1 << 20)

static void *take(size_t pages)
{
    bool zero = false;
    bool limited = false;
    void *run = emp_run_take(pages, 1, &zero, &limited);

    assert_non_null(run);
    return run;
}

static struct emp_span_counts counts_now(void)
{
    struct emp_span_counts counts;

    emp_arena_read_counts(&counts);
    return counts;
}

static void audit(void)
{
    const void *broken = NULL;

    assert_int_equal(emp_run_audit(&broken), 0);
    assert_null(broken);
}

/* Nothing in use, nothing parked. */
static void expect_nothing_left(void)
{
    (void)emp_run_collect();
    (void)emp_run_purge(true);
    (void)emp_arena_purge(true);
    struct emp_span_counts counts = counts_now();

    assert_int_equal(counts.large_blocks, 0);
    assert_int_equal(counts.large_bytes, 0);
    assert_int_equal(counts.used_bytes, 0);
    assert_int_equal(counts.dirty_bytes, 0);
    audit();
}

static void a_run_comes_back_for_its_length_only(void **state)
{
    void *run = take(16);

    (void)state;
    assert_int_equal(emp_run_shelf_give(run), 16);
    assert_null(emp_run_shelf_take(15));
    assert_null(emp_run_shelf_take(17));
    assert_ptr_equal(emp_run_shelf_take(16), run);
    assert_null(emp_run_shelf_take(16));
    assert_int_equal(emp_run_pages(run), 16);
    assert_int_equal(emp_run_give(run), 16);
    expect_nothing_left();
}

static void a_parked_run_is_no_block_and_is_counted_as_free(void **state)
{
    void *neighbour = take(10);
    struct emp_span_counts before = counts_now();
    void *run = take(16);

    (void)state;
    assert_int_equal(counts_now().large_bytes, before.large_bytes + 16 * EMP_RUN_PAGE_BYTES);
    assert_int_equal(emp_run_shelf_give(run), 16);
    assert_int_equal(emp_run_pages(run), 0);
    assert_int_equal(emp_run_give(run), 0);
    assert_int_equal(emp_run_shelf_give(run), 0);
    assert_false(emp_run_resize(run, 8));
    struct emp_span_counts after = counts_now();

    assert_int_equal(after.large_blocks, before.large_blocks);
    assert_int_equal(after.large_bytes, before.large_bytes);
    assert_int_equal(after.used_bytes, before.used_bytes);
    assert_int_equal(after.free_bytes, before.free_bytes);
    assert_int_equal(after.dirty_bytes, before.dirty_bytes + 16 * EMP_RUN_PAGE_BYTES);
    audit();
    assert_int_equal(emp_run_give(neighbour), 10);
    expect_nothing_left();
}

static void what_is_no_run_is_refused(void **state)
{
    char *run = take(16);

    (void)state;
    assert_int_equal(emp_run_shelf_give(run + 4096), 0);
    assert_int_equal(emp_run_shelf_give(run + 64), 0);
    assert_int_equal(emp_run_shelf_give(run + 16 * 4096), 0);
    assert_int_equal(emp_run_shelf_give((char *)emp_arena.base + emp_arena.bytes - 4096), 0);
    assert_int_equal(emp_run_give(run), 16);
    assert_int_equal(emp_run_shelf_give(run), 0); /* its chunk holds no runs any more */
    expect_nothing_left();
}

static void a_parked_run_is_purged_at_the_second_round(void **state)
{
    void *neighbour = take(10);
    char *run = take(16);

    (void)state;
    memset(run, 1, 16 * EMP_RUN_PAGE_BYTES);
    assert_int_equal(emp_run_shelf_give(run), 16);
    assert_int_equal(emp_run_purge(false), 0);
    assert_int_equal(emp_run_purge(false), 16 * EMP_RUN_PAGE_BYTES);
    assert_null(emp_run_shelf_take(16)); /* the hint is old */
    assert_int_equal(emp_run_give(neighbour), 10);
    expect_nothing_left();
}

static void a_run_that_is_used_does_not_age(void **state)
{
    void *neighbour = take(10);
    void *run = take(16);

    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        assert_int_equal(emp_run_shelf_give(run), 16);
        assert_int_equal(emp_run_purge(false), 0);
        assert_ptr_equal(emp_run_shelf_take(16), run);
    }
    assert_int_equal(emp_run_give(run), 16);
    assert_int_equal(emp_run_give(neighbour), 10);
    expect_nothing_left();
}

/* Long runs do not pile up: those of an earlier length make room, and no shelf holds 4 MiB. */
static void a_shelf_holds_few_bytes(void **state)
{
    static void *runs[64];
    size_t parked = 0;

    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        runs[i] = take(i % 2 == 0 ? 256 : 16 + i);
    }
    for (unsigned i = 0; i < 64; i++) {
        assert_int_not_equal(emp_run_shelf_give(runs[i]), 0);
    }
    parked = emp_run_collect();
    assert_true(parked > 0);
    assert_true(parked <= 4 * 3 * MIB); /* the test may have been moved between processors */
    expect_nothing_left();
}

static void a_growing_run_takes_the_parked_one_behind_it(void **state)
{
    char *run = take(100);
    char *behind = take(16);
    char *last = take(16);

    (void)state;
    assert_ptr_equal(behind, run + 100 * EMP_RUN_PAGE_BYTES);
    assert_ptr_equal(last, behind + 16 * EMP_RUN_PAGE_BYTES);
    assert_int_equal(emp_run_shelf_give(behind), 16);
    assert_false(emp_run_resize(run, 117)); /* the last one is in use */
    assert_true(emp_run_resize(run, 116));
    assert_null(emp_run_shelf_take(16));
    assert_int_equal(emp_run_pages(run), 116);
    audit();
    assert_int_equal(emp_run_give(run), 116);
    assert_int_equal(emp_run_give(last), 16);
    expect_nothing_left();
}

static void parked_runs_give_way_before_a_request_fails(void **state)
{
    void *run = take(200);
    size_t limit = emp_arena_mapped();
    bool zero = false;
    bool limited = false;

    (void)state;
    assert_int_equal(emp_run_shelf_give(run), 200);
    emp_arena_set_limit(limit);
    size_t free_chunks = (limit - counts_now().used_bytes) / EMP_CHUNK_BYTES;
    size_t index = emp_arena_take(free_chunks, EMP_CHUNK_LARGE, &zero, &limited);

    assert_int_not_equal(index, SIZE_MAX); /* the chunk of the parked run is one of them */
    assert_int_equal(emp_arena_take(1, EMP_CHUNK_RUN, &zero, &limited), SIZE_MAX);
    assert_true(limited);
    emp_arena_set_limit(0);
    emp_arena_give(index, free_chunks, true);
    expect_nothing_left();
}

static void the_shelf_and_a_list_agree(void **state)
{
    static void *held[RUNS];
    static size_t pages[RUNS];
    struct random_stream random = {random_seed("span/run_shelf")};

    (void)state;
    for (unsigned step = 0; step < 60000; step++) {
        unsigned i = (unsigned)random_below(&random, RUNS);

        if (held[i] == NULL) {
            pages[i] = 9 + random_below(&random, random_chance(&random, 1, 4) ? 248 : 8);
            held[i] = emp_run_shelf_take(pages[i]);
            held[i] = held[i] != NULL ? held[i] : take(pages[i]);
            memset(held[i], (int)i + 1, 16);
        } else {
            const unsigned char *bytes = held[i];

            assert_true(bytes[0] == i + 1 && bytes[15] == i + 1);
            assert_int_equal(emp_run_pages(held[i]), pages[i]);
            assert_int_equal(emp_run_shelf_give(held[i]), pages[i]);
            assert_int_equal(emp_run_shelf_give(held[i]), 0);
            held[i] = NULL;
        }
        if (random_chance(&random, 1, 300)) {
            (void)emp_run_purge(random_chance(&random, 1, 3));
            audit();
        }
    }
    for (unsigned i = 0; i < RUNS; i++) {
        assert_true(held[i] == NULL || emp_run_shelf_give(held[i]) == pages[i]);
    }
    expect_nothing_left();
}

/* Runs that every giver tries to give; how often it went well. */
static struct {
    void *runs[8];
    uint32_t turn;  /* atomic: test-turn */
    uint32_t given; /* atomic: test-turn */
    uint32_t done;  /* atomic: test-turn */
} race;

static void *give_what_others_give(void *arg)
{
    (void)arg;
    for (uint32_t turn = 1; turn <= RACE_TURNS; turn++) {
        /* order(test-turn): acquire; the runs of this turn */
        while (emp_load_acquire(&race.turn) != turn) {
            sched_yield();
        }
        for (unsigned i = 0; i < 8; i++) {
            if (emp_run_shelf_give(race.runs[i]) != 0) {
                /* order(test-turn): relaxed; read after done */
                emp_fetch_add_relaxed(&race.given, 1);
            }
        }
        /* order(test-turn): acq_rel; the count before it */
        emp_fetch_add_acq_rel(&race.done, 1);
    }
    return NULL;
}

static void of_many_givers_one_succeeds(void **state)
{
    pthread_t threads[GIVERS];

    (void)state;
    for (unsigned i = 0; i < GIVERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, give_what_others_give, NULL), 0);
    }
    for (uint32_t turn = 1; turn <= RACE_TURNS; turn++) {
        for (unsigned i = 0; i < 8; i++) {
            void *parked = emp_run_shelf_take(9 + i);

            race.runs[i] = parked != NULL ? parked : take(9 + i);
        }
        race.given = 0;
        race.done = 0;
        /* order(test-turn): release; the runs */
        emp_store_release(&race.turn, turn);
        /* order(test-turn): acquire; what the givers counted */
        while (emp_load_acquire(&race.done) != GIVERS) {
            (void)emp_run_purge(false);
            sched_yield();
        }
        assert_int_equal(race.given, 8);
    }
    for (unsigned i = 0; i < GIVERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    expect_nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_comes_back_for_its_length_only),
        cmocka_unit_test(a_parked_run_is_no_block_and_is_counted_as_free),
        cmocka_unit_test(what_is_no_run_is_refused),
        cmocka_unit_test(a_parked_run_is_purged_at_the_second_round),
        cmocka_unit_test(a_run_that_is_used_does_not_age),
        cmocka_unit_test(a_shelf_holds_few_bytes),
        cmocka_unit_test(a_growing_run_takes_the_parked_one_behind_it),
        cmocka_unit_test(parked_runs_give_way_before_a_request_fails),
        cmocka_unit_test(the_shelf_and_a_list_agree),
        cmocka_unit_test(of_many_givers_one_succeeds),
    };

    return !emp_arena_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
