/*
 * What:  metadata that nothing is in goes back to the system after it was free for a round, and
 *        what is in use never does; blocks of every size keep what is written to them, whatever is
 *        taken, freed and purged around them, by this thread, by others and after a fork; a purge
 *        that is refused is tried again.
 * How:   random requests against a list of blocks held, marked at their ends, from a printed seed;
 *        the pages the system says there are (mincore); the audit after every part.
 * Shows: [span.proto.meta] [span.inv.meta-mapped] [span.inv.meta-lines]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os_fault.h"
#include "span/arena.h"
#include "span/meta.h"
#include "span/meta_page.h"
#include "support/random_stream.h"
#include "sync/atomic.h"

#define SURGE   2000u
#define GROWTH  20000u /* a page each: 300 system calls that commit more */
#define HELD    400u
#define THREADS 3u
#define TURNS   4000u
#define PAGE    4096u
#define LARGEST ((size_t)1 << 20)

/* A block that a test holds. */
struct held {
    char *block;
    size_t bytes;
};

static pthread_barrier_t start;
static uint32_t finished; /* atomic: threads whose turns are over */

static void audit(void)
{
    const char *broken = emp_meta_audit();

    assert_string_equal(broken != NULL ? broken : "whole", "whole");
}

static struct emp_meta_counts counts_now(void)
{
    struct emp_meta_counts counts;

    emp_meta_read_counts(&counts);
    return counts;
}

/* Pages of a block that the system holds. */
static unsigned resident_pages(const void *block, size_t bytes)
{
    static unsigned char vector[LARGEST / PAGE + 1];
    uintptr_t first = (uintptr_t)block & ~(uintptr_t)(PAGE - 1);
    size_t pages = ((uintptr_t)block + bytes - first + PAGE - 1) / PAGE;
    unsigned count = 0;

    assert_int_equal(mincore((void *)first, pages * PAGE, vector), 0);
    for (size_t i = 0; i < pages; i++) {
        count += vector[i] & 1u;
    }
    return count;
}

/* Writes the block's address and size at its ends. */
static void mark(const struct held *held)
{
    const size_t word = (uintptr_t)held->block ^ held->bytes;

    memcpy(held->block, &word, sizeof(word));
    memcpy(held->block + held->bytes - sizeof(word), &word, sizeof(word));
}

/* True when the mark is whole. */
static int is_marked(const struct held *held)
{
    const size_t word = (uintptr_t)held->block ^ held->bytes;

    return memcmp(held->block, &word, sizeof(word)) == 0 &&
           memcmp(held->block + held->bytes - sizeof(word), &word, sizeof(word)) == 0;
}

/* Mostly states of slabs, sometimes more than a page. */
static size_t random_bytes(struct random_stream *random)
{
    if (random_chance(random, 1, 50)) {
        return (size_t)PAGE + 1 + random_below(random, (uint32_t)(LARGEST - PAGE));
    }
    return random_chance(random, 1, 10) ? PAGE + random_below(random, 4 * PAGE)
                                        : 16 + random_below(random, PAGE - 15);
}

/* Takes or frees one of `held`; false: a block lost its mark. */
static int random_turn(struct random_stream *random, struct held *held)
{
    if (held->block != NULL) {
        const int whole = is_marked(held);

        emp_meta_free(held->block, held->bytes);
        held->block = NULL;
        return whole;
    }
    held->bytes = random_bytes(random);
    held->block = emp_meta_alloc_uncleared(held->bytes);
    if (held->block == NULL) {
        return 0;
    }
    mark(held);
    return 1;
}

static void free_all(struct held *held, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (held[i].block != NULL) {
            assert_true(is_marked(&held[i]));
            emp_meta_free(held[i].block, held[i].bytes);
            held[i].block = NULL;
        }
    }
}

static void the_longest_run_of_a_page_is_found_as_by_looking(void **state)
{
    struct random_stream random = {random_seed("span/meta runs")};

    (void)state;
    for (unsigned step = 0; step < 20000; step++) {
        uint64_t free = random_next(&random) | random_next(&random);
        unsigned longest = 0;

        free &= random_chance(&random, 1, 2) ? ~(uint64_t)0 : random_next(&random);
        free = step % 64 == 0 ? ~((uint64_t)1 << random_below(&random, 64)) : free;
        for (unsigned i = 0, run = 0; i < 64; i++) {
            run = (free >> i & 1) != 0 ? run + 1 : 0;
            longest = run > longest ? run : longest;
        }
        assert_int_equal(emp_meta_longest(free), longest);
        for (unsigned lines = 1; lines <= longest; lines++) {
            unsigned first = 0;

            while ((free >> first & emp_bits_mask(lines)) != emp_bits_mask(lines)) {
                first++;
            }
            assert_int_equal(emp_meta_first_run(free, lines), first);
        }
        for (unsigned line = 0; line < 64; line++) {
            unsigned below = 0;
            unsigned above = 0;

            while (line + above < 64 && (free >> (line + above) & 1) != 0) {
                above++;
            }
            while (below <= line && (free >> (line - below) & 1) != 0) {
                below++;
            }
            if (above != 0) {
                assert_int_equal(emp_meta_run_around(free, line), above + below - 1);
            }
        }
    }
    assert_int_equal(emp_meta_longest(0), 0);
    assert_int_equal(emp_meta_first_run(EMP_META_EMPTY, 64), 0);
}

static void blocks_lie_on_lines_and_larger_ones_on_pages(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= LARGEST; bytes += bytes < 5000 ? 1 : bytes / 7) {
        char *block = emp_meta_alloc(bytes);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % (bytes < PAGE ? EMP_LINE_BYTES : PAGE), 0);
        if (bytes <= PAGE) {
            assert_int_equal((uintptr_t)block / PAGE, ((uintptr_t)block + bytes - 1) / PAGE);
        }
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(block[i], 0);
        }
        memset(block, 0x5a, bytes);
        emp_meta_free(block, bytes);
    }
    audit();
}

static void what_a_surge_leaves_goes_back_in_the_second_round(void **state)
{
    static const size_t sizes[] = {64, 832, 2048, 4096, 8192, 65536};

    (void)state;
    (void)emp_meta_purge(true);
    for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        static char *blocks[SURGE];
        const size_t bytes = sizes[s];
        const unsigned count = bytes > PAGE ? 50 : SURGE;
        unsigned resident = 0;

        for (unsigned i = 0; i < count; i++) {
            blocks[i] = emp_meta_alloc(bytes);
            assert_non_null(blocks[i]);
            memset(blocks[i], 0xff, bytes);
        }
        const struct emp_meta_counts used = counts_now();

        for (unsigned i = 0; i < count; i++) {
            emp_meta_free(blocks[i], bytes);
        }
        assert_int_equal(emp_meta_purge(false), 0); /* it was free for less than a round */
        const size_t freed = counts_now().dirty;

        assert_in_range(freed, (count * bytes + PAGE - 1) / PAGE * PAGE, LARGEST * 64);
        assert_int_equal(resident_pages(blocks[0], bytes), (bytes + PAGE - 1) / PAGE);
        assert_int_equal(emp_meta_purge(false), freed);
        for (unsigned i = 0; i < count; i++) {
            resident += resident_pages(blocks[i], bytes);
        }
        assert_int_equal(resident, 0);
        assert_int_equal(counts_now().dirty, 0);
        assert_int_equal(counts_now().clean, used.clean + freed);
        assert_int_equal(blocks[0][0], 0); /* readable all the same */
        audit();
    }
}

static void a_page_with_one_block_in_use_is_never_purged(void **state)
{
    static struct held held[SURGE];
    unsigned kept = 0;

    (void)state;
    for (unsigned i = 0; i < SURGE; i++) {
        held[i].bytes = 512;
        held[i].block = emp_meta_alloc(512);
        assert_non_null(held[i].block);
        mark(&held[i]);
    }
    for (unsigned i = 0; i < SURGE; i++) {
        if (i % 40 != 0) {
            emp_meta_free(held[i].block, held[i].bytes);
            held[i].block = NULL;
        }
    }
    assert_true(emp_meta_purge(true) > 0);
    for (unsigned i = 0; i < SURGE; i += 40) {
        kept += (unsigned)is_marked(&held[i]);
    }
    assert_int_equal(kept, SURGE / 40);
    free_all(held, SURGE);
    audit();
}

static void what_was_freed_is_taken_before_new_pages(void **state)
{
    static struct held held[SURGE];
    size_t committed = 0;

    (void)state;
    for (unsigned turn = 0; turn < 20; turn++) {
        for (unsigned i = 0; i < SURGE; i++) {
            held[i].bytes = 64 + (size_t)(i * 7 + turn) % 60 * 64;
            held[i].block = emp_meta_alloc_uncleared(held[i].bytes);
            assert_non_null(held[i].block);
            mark(&held[i]);
        }
        committed = turn < 2 ? counts_now().committed : committed;
        free_all(held, SURGE);
        if (turn % 3 == 0) {
            (void)emp_meta_purge(true);
        }
    }
    /* The order of sizes turns, so some pages more may be cut; a few parts in hundred, not more. */
    assert_in_range(counts_now().committed, committed, committed + committed / 10 + LARGEST);
    audit();
}

static void blocks_keep_their_marks_whatever_is_taken_freed_and_purged(void **state)
{
    static struct held held[HELD];
    struct random_stream random = {random_seed("span/meta blocks")};

    (void)state;
    for (unsigned step = 0; step < 40000; step++) {
        assert_true(random_turn(&random, &held[random_below(&random, HELD)]));
        if (random_chance(&random, 1, 100)) {
            (void)emp_meta_purge(random_chance(&random, 1, 3));
        }
        if (step % 500 == 0) {
            audit();
        }
    }
    free_all(held, HELD);
    (void)emp_meta_purge(true);
    assert_int_equal(counts_now().dirty, 0);
    audit();
}

#if EMP_FAULT
static void a_purge_that_is_refused_is_tried_again(void **state)
{
    (void)state;
    (void)emp_meta_purge(true);
    char *block = emp_meta_alloc(PAGE);
    char *large = emp_meta_alloc(4 * (size_t)PAGE);

    assert_non_null(block);
    assert_non_null(large);
    memset(block, 1, PAGE);
    memset(large, 1, 4 * (size_t)PAGE);
    emp_meta_free(block, PAGE);
    emp_meta_free(large, 4 * (size_t)PAGE);
    const size_t dirty = counts_now().dirty;

    for (unsigned nth = 1; nth <= 2; nth++) {
        emp_os_fault_arm(EMP_OS_CALL_PURGE, nth, EMP_OS_FAULT_FROM_ON, ENOMEM);
        const size_t given = emp_meta_purge(true);

        emp_os_fault_disarm();
        assert_int_equal(emp_os_fault_hits(), 1); /* one refusal is enough for a round */
        assert_int_equal(counts_now().dirty, dirty - given);
        assert_int_equal(given == 0, nth == 1);
        audit();
    }
    (void)emp_meta_purge(true);
    assert_int_equal(counts_now().dirty, 0);
    assert_int_equal(resident_pages(block, PAGE) + resident_pages(large, 4 * (size_t)PAGE), 0);
    audit();
}
#else
static void a_purge_that_is_refused_is_tried_again(void **state)
{
    (void)state;
    skip();
}
#endif

/* Bytes that are in no free page: blocks in use, and what start-up took. */
static size_t bytes_in_use(void)
{
    const struct emp_meta_counts counts = counts_now();

    return counts.committed - counts.dirty - counts.clean - counts.unused;
}

static void *thread_grows(void *arg)
{
    static struct held all[THREADS][GROWTH];
    struct held *held = all[*(const unsigned *)arg];
    uintptr_t refused = 0;

    (void)pthread_barrier_wait(&start);
    for (unsigned i = 0; i < GROWTH; i++) {
        held[i].bytes = 33 * EMP_LINE_BYTES; /* a page each */
        held[i].block = emp_meta_alloc_uncleared(held[i].bytes);
        refused += held[i].block == NULL;
    }
    for (unsigned i = 0; i < GROWTH; i++) {
        emp_meta_free(held[i].block, held[i].bytes);
    }
    return (void *)refused;
}

/* Runs first, so that every page is new: the lock is dropped to commit it. */
static void nothing_is_lost_when_threads_commit_at_the_same_time(void **state)
{
    static unsigned numbers[THREADS];
    pthread_t threads[THREADS];
    const size_t before = bytes_in_use();

    (void)state;
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, thread_grows, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *refused = NULL;

        assert_int_equal(pthread_join(threads[i], &refused), 0);
        assert_null(refused);
    }
    (void)emp_meta_purge(true); /* gives back the open run */
    (void)emp_meta_purge(true);
    assert_int_equal(bytes_in_use(), before);
    assert_int_equal(counts_now().dirty, 0);
    audit();
}

/* One thread's part: a seed, its bit of `finished`, blocks that lost their marks. */
struct turns {
    uint64_t seed;
    uint32_t bit;
    uint32_t broken;
};

static void *thread_turns(void *arg)
{
    struct turns *turns = arg;
    struct held held[HELD / 4] = {{0}};
    struct random_stream random = {turns->seed};

    for (unsigned step = 0; step < TURNS; step++) {
        turns->broken += !random_turn(&random, &held[random_below(&random, HELD / 4)]);
    }
    for (unsigned i = 0; i < HELD / 4; i++) {
        turns->broken += held[i].block != NULL && !random_turn(&random, &held[i]);
    }
    /* order(test-finished): release; the turns, for the thread that stops purging */
    emp_fetch_or_release(&finished, turns->bit);
    return NULL;
}

static void threads_take_and_free_while_others_purge(void **state)
{
    struct turns turns[THREADS];
    pthread_t threads[THREADS];
    uint64_t seed = random_seed("span/meta threads");

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        turns[i] = (struct turns){seed + i, 1u << i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, thread_turns, &turns[i]), 0);
    }
    /* order(test-finished): acquire; pairs with the end of the turns */
    for (unsigned round = 0; emp_load_acquire(&finished) != (1u << THREADS) - 1; round++) {
        (void)emp_meta_purge(round % 2 == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(turns[i].broken, 0);
    }
    (void)emp_meta_purge(true);
    assert_int_equal(counts_now().dirty, 0);
    audit();
}

/* What a child does with its copy: 0 when all is whole. */
static int child_turns(struct held *held, struct random_stream *random)
{
    int broken = emp_meta_audit() != NULL;

    for (unsigned step = 0; step < TURNS; step++) {
        broken += !random_turn(random, &held[random_below(random, HELD)]);
        if (step % 100 == 0) {
            (void)emp_meta_purge(step % 200 == 0);
        }
    }
    return broken + (emp_meta_audit() != NULL);
}

static void a_forked_child_goes_on_with_its_copy(void **state)
{
    static struct held held[HELD];
    struct random_stream random = {random_seed("span/meta fork")};

    (void)state;
    for (unsigned turn = 0; turn < 10; turn++) {
        int status = -1;

        assert_int_equal(child_turns(held, &random), 0);
        emp_meta_fork_prepare();
        pid_t child = fork();

        if (child == 0) {
            emp_meta_fork_child();
            _exit(child_turns(held, &random) != 0);
        }
        emp_meta_fork_parent();
        assert_true(child > 0);
        assert_int_equal(child_turns(held, &random), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    free_all(held, HELD);
    audit();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_when_threads_commit_at_the_same_time),
        cmocka_unit_test(the_longest_run_of_a_page_is_found_as_by_looking),
        cmocka_unit_test(blocks_lie_on_lines_and_larger_ones_on_pages),
        cmocka_unit_test(what_a_surge_leaves_goes_back_in_the_second_round),
        cmocka_unit_test(a_page_with_one_block_in_use_is_never_purged),
        cmocka_unit_test(what_was_freed_is_taken_before_new_pages),
        cmocka_unit_test(blocks_keep_their_marks_whatever_is_taken_freed_and_purged),
        cmocka_unit_test(a_purge_that_is_refused_is_tried_again),
        cmocka_unit_test(threads_take_and_free_while_others_purge),
        cmocka_unit_test(a_forked_child_goes_on_with_its_copy),
    };

    return !emp_arena_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
