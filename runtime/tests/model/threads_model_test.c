/*
 * What: the same model with several threads that hand blocks over to each other: no two blocks of
 *       any thread overlap, contents stay, and whenever all stand still, bits + live = slots in
 *       every class.
 * How:  each thread has a shadow; threads trade live blocks under a lock; at a barrier every thread
 *       empties its cache, and one compares all shadows with the allocator. Some threads end and
 *       are replaced.
 * Design: [slab.inv.counts] [core.req.audit]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/compiler.h"
#include "core/memory_monitor.h"
#include "support/random_stream.h"
#include "support/settled.h"
#include "support/shadow.h"

#define THREADS     4u
#define ROUNDS      (EMP_TSAN || EMP_ASAN ? 12u : 200u)
#define OPERATIONS  6000u /* per thread and round */
#define LIVE_EACH   1200u
#define TRADED      64u
#define POOL_OBJECT 72u

struct worker {
    pthread_t thread;
    struct random_stream random;
    struct shadow shadow;
    unsigned rounds; /* until this thread ends and another takes over */
};

static struct {
    struct worker workers[THREADS];
    pthread_barrier_t barrier;
    pthread_mutex_t lock;
    struct shadow_block traded[TRADED]; /* guarded by lock: live, of nobody else */
    size_t traded_count;                /* guarded by lock */
    struct emp_pool *pool;
} model = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t seed;

static size_t random_size(struct random_stream *random)
{
    uint32_t kind = random_below(random, 64);

    if (kind == 0) {
        return 32769 + random_below(random, 300000);
    }
    return kind < 4 ? 1 + random_below(random, 32768)
                    : 1 + random_below(random, 16u << random_below(random, 8));
}

static void make_block(struct worker *worker)
{
    bool of_pool = random_chance(&worker->random, 1, 5);
    size_t size = of_pool ? POOL_OBJECT : random_size(&worker->random);
    const struct shadow_block block = {
        .cookie = {of_pool ? emp_pool_alloc(model.pool) : emp_malloc(size), size,
                   random_next(&worker->random)},
        .pool = of_pool ? model.pool : NULL};

    if (block.cookie.ptr == NULL) {
        shadow_error(&worker->shadow, "an allocation was refused", NULL, size);
    } else {
        shadow_add(&worker->shadow, &block, 0);
    }
}

static void end_block(const struct shadow_block *block)
{
    if (block->pool != NULL) {
        emp_pool_free(block->pool, block->cookie.ptr);
    } else {
        emp_free(block->cookie.ptr);
    }
}

static size_t random_index(struct worker *worker)
{
    return random_below(&worker->random, (uint32_t)worker->shadow.count);
}

/* Puts a block of ours among the traded ones, and frees or keeps one of somebody else's. */
static void trade(struct worker *worker)
{
    struct shadow_block mine = shadow_take(&worker->shadow, random_index(worker));
    struct shadow_block other = {.usable = 0};

    pthread_mutex_lock(&model.lock);
    if (model.traded_count == TRADED) {
        size_t at = random_below(&worker->random, TRADED);

        other = model.traded[at];
        model.traded[at] = mine;
    } else {
        model.traded[model.traded_count++] = mine;
    }
    pthread_mutex_unlock(&model.lock);
    if (other.cookie.ptr != NULL) {
        worker->shadow.blocks[worker->shadow.count++] = other;
        other = shadow_take(&worker->shadow, worker->shadow.count - 1); /* checks it */
        end_block(&other);
    }
}

static void work(struct worker *worker)
{
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint32_t kind = random_below(&worker->random, 100);

        if (worker->shadow.count == 0 || (kind < 48 && worker->shadow.count < LIVE_EACH)) {
            make_block(worker);
        } else if (kind < 75) {
            struct shadow_block block = shadow_take(&worker->shadow, random_index(worker));

            end_block(&block);
        } else if (kind < 98) {
            trade(worker);
        } else if (random_chance(&worker->random, 1, 40)) {
            (void)emp_tick();
        }
    }
}

/* All threads stand at the barrier with empty caches: everything must add up. */
static void compare(struct worker *worker)
{
    static struct shadow traded;
    struct shadow *shadows[THREADS + 1];
    size_t found = emp_audit();

    traded.count = model.traded_count;
    for (size_t i = 0; i < model.traded_count; i++) {
        traded.blocks[i] = model.traded[i];
    }
    for (unsigned i = 0; i < THREADS; i++) {
        shadows[i] = &model.workers[i].shadow;
    }
    shadows[THREADS] = &traded;
    shadow_check_blocks(shadows, THREADS + 1);
    shadow_check_counts(shadows, THREADS + 1);
    if (found != 0) {
        shadow_error(&worker->shadow, "the audit found inconsistencies", NULL, found);
    }
    if (traded.error[0] != '\0') {
        shadow_error(&worker->shadow, traded.error, NULL, 0);
    }
}

static void *worker_body(void *arg)
{
    struct worker *worker = arg;

    while (worker->rounds-- > 0) {
        work(worker);
        emp_park();
        (void)pthread_barrier_wait(&model.barrier);
        if (worker == &model.workers[0]) {
            compare(worker);
        }
        (void)pthread_barrier_wait(&model.barrier);
    }
    return NULL;
}

/*
 * Two halves: in between all threads end with their blocks alive, and others take the shadows over.
 */
static void run_half(unsigned rounds)
{
    for (unsigned i = 0; i < THREADS; i++) {
        model.workers[i].rounds = rounds;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&model.workers[i].thread, NULL, worker_body,
                                        &model.workers[(i + 1) % THREADS]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(model.workers[i].thread, NULL);
    }
}

static void threads_that_trade_blocks_agree_with_the_model(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(POOL_OBJECT);
    size_t live = 0;

    (void)state;
    assert_int_equal(emp_option_set("background", "0"), EMP_OK);
    assert_int_equal(emp_pool_create(&config, &model.pool), EMP_OK);
    assert_int_equal(pthread_barrier_init(&model.barrier, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        model.workers[i].random.state = random_mix(seed + i);
    }
    run_half(ROUNDS / 2);
    run_half(ROUNDS / 2);
    for (unsigned i = 0; i < THREADS; i++) {
        struct shadow *shadow = &model.workers[i].shadow;

        if (shadow->error[0] != '\0') {
            fail_msg("TEST_SEED=%llu: %s", (unsigned long long)seed, shadow->error);
        }
        while (shadow->count != 0) {
            struct shadow_block block = shadow_take(shadow, shadow->count - 1);

            end_block(&block);
        }
    }
    while (model.traded_count != 0) {
        end_block(&model.traded[--model.traded_count]);
    }
    assert_int_equal(emp_pool_destroy(model.pool, &live), EMP_OK);
    assert_int_equal(live, 0);
    assert_int_equal(emp_audit(), 0);

    struct emp_stats stats;

    assert_int_equal(settled_stats_read(&stats), EMP_OK);
    assert_int_equal(stats.allocated, 0);
    assert_int_equal(stats.threads, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_trade_blocks_agree_with_the_model)};

    seed = random_seed("threads_model_test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
