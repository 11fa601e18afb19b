/*
 * What:  fork while 16 threads allocate, free, make pools, purge and receive events: every child
 *        can allocate, free, make pools and threads, finds a sound heap and ends; what the caches
 *        of threads held that do not exist in the child is given back there; every block that the
 *        parent has freed is free in the child, known to be so or not.
 * How:   many forks beside busy threads; one fork beside threads that stand still, for exact
 *        counts.
 * Shows: [core.proto.fork]
 * ctest-timeout: 300
 * ctest-not-under: address emulator
 *       (locks of their own in a child of busy threads)
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/typed_pool.h"
#include "support/settled.h"

#define THREADS       16u
#define FORKS         100u
#define FORK_SECONDS  10
#define PAUSE_NS      200000
#define CHILD_SECONDS 60u

struct fig {
    char bytes[40];
};
EMP_POOL_DEFINE(fig, struct fig)

static uint32_t stop; /* atomic, relaxed: the threads may end */

static bool is_stopped(void)
{
    return __atomic_load_n(&stop, __ATOMIC_RELAXED) != 0;
}

static void on_event(const struct emp_event *event, void *arg)
{
    (void)arg;
    emp_free(emp_malloc(event->requested_bytes % 1000));
}

/* Each thread does mainly one thing, so that forks meet all locks. */
static void *work(void *arg)
{
    unsigned kind = (unsigned)(uintptr_t)arg;
    void *blocks[64] = {NULL};

    for (unsigned i = 0; !is_stopped(); i++) {
        const struct timespec pause = {0, PAUSE_NS};
        unsigned at = i % 64;

        if (i % 200 == 0) {
            (void)nanosleep(&pause, NULL); /* two processors for all of them */
        }
        emp_free(blocks[at]);
        blocks[at] = emp_malloc(kind % 4 == 0   ? 40000 + i % 100000
                                : kind % 4 == 1 ? 1 + i % 20000
                                                : 1 + i % 500);
        if (kind == 5 && i % 50 == 0) {
            struct emp_pool_config config = emp_pool_config_default(24 + i % 300);
            struct emp_pool *pool = NULL;

            if (emp_pool_create(&config, &pool) == EMP_OK) {
                emp_pool_free(pool, emp_pool_alloc(pool));
                (void)emp_pool_destroy(pool, NULL);
            }
        } else if (kind == 6 && i % 100 == 0) {
            (void)emp_purge();
        } else if (kind == 7 && i % 50 == 0) {
            (void)emp_option_set("purge_delay", i % 100 == 0 ? "1s" : "10ms");
            (void)emp_event_set_callback(on_event, NULL);
        } else if (kind == 8 && i % 20 == 0) {
            emp_free(emp_malloc((size_t)40 << 20));
        } else if (kind == 9 && i % 50 == 0) {
            fig_free(fig_alloc());
            (void)emp_tick();
        } else if (kind == 10 && i % 200 == 0) {
            emp_free(emp_malloc(SIZE_MAX)); /* an event */
        }
    }
    for (unsigned at = 0; at < 64; at++) {
        emp_free(blocks[at]);
    }
    return NULL;
}

static void *work_in_child(void *arg)
{
    for (unsigned i = 0; i < 2000; i++) {
        void *block = emp_malloc(i % 3000);

        if (block == NULL) {
            return arg;
        }
        emp_free(block);
    }
    return NULL;
}

/* 0: all well in the child, else the step that failed. */
static int child_works(char *inherited)
{
    struct emp_pool_config config = emp_pool_config_default(100);
    struct emp_pool *pool = NULL;
    pthread_t thread;
    void *wrong = NULL;

    (void)alarm(CHILD_SECONDS); /* a lock that nobody will ever give back */
    if (inherited[4999] != 77) {
        return 1;
    }
    emp_free(inherited);
    if (work_in_child(&config) != NULL) {
        return 2;
    }
    if (emp_pool_create(&config, &pool) != EMP_OK || emp_pool_alloc(pool) == NULL ||
        emp_pool_destroy(pool, NULL) != EMP_ERR_BUSY) {
        return 3;
    }
    fig_free(fig_alloc());
    if (emp_option_set("background", EMP_TSAN ? "0" : "1") != EMP_OK ||
        emp_event_set_callback(on_event, NULL) != EMP_OK || emp_malloc(SIZE_MAX) != NULL) {
        return 4;
    }
    /*
     * The thread sanitizer keeps the threads of the parent in the child, where the C library gives
     * their places to new ones: "ThreadSanitizer: dup thread with used id".
     */
    if (!EMP_TSAN && (pthread_create(&thread, NULL, work_in_child, &config) != 0 ||
                      pthread_join(thread, &wrong) != 0 || wrong != NULL)) {
        return 5;
    }
    (void)emp_purge();
    return emp_audit() == 0 ? 0 : 6;
}

static void children_of_a_busy_process_work(void **state)
{
    const time_t end = time(NULL) + FORK_SECONDS;
    pthread_t threads[THREADS];
    unsigned forks = 0;

    (void)state;
    fig_free(fig_alloc());
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i), 0);
    }
    for (; forks < FORKS && (forks < 5 || time(NULL) < end); forks++) {
        char *inherited = emp_malloc(5000);
        int status = 0;

        inherited[4999] = 77;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            _exit(child_works(inherited));
        }
        emp_free(inherited);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0) {
            fail_msg("fork %u: status 0x%x", forks, (unsigned)status);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    (void)emp_event_set_callback(NULL, NULL);
    assert_int_equal(emp_audit(), 0);
    print_message("%u forks\n", forks);
}

static struct {
    pthread_barrier_t turn;
    struct emp_pool *pool;
} still;

static void *cache_and_stand(void *arg)
{
    void *objects[20];

    for (unsigned i = 0; i < 20; i++) {
        objects[i] = emp_pool_alloc(still.pool);
    }
    for (unsigned i = 0; i < 20; i++) {
        emp_pool_free(still.pool, objects[i]);
    }
    (void)pthread_barrier_wait(&still.turn);
    (void)pthread_barrier_wait(&still.turn);
    return arg;
}

/* 0: the child has one cache and every object of the pool is back. */
static int caches_are_reclaimed(void)
{
    struct emp_pool_stats pool_stats;
    struct emp_stats stats;

    emp_free(emp_malloc(1)); /* the child's own cache */
    emp_park();
    if (emp_audit() != 0 || settled_stats_read(&stats) != EMP_OK ||
        settled_pool_stats(still.pool, &pool_stats) != EMP_OK) {
        return 1;
    }
    if (stats.threads != 1) {
        return 2;
    }
    return pool_stats.total_allocated == 0 ? 0 : 3;
}

static void caches_of_threads_that_are_gone_come_back_in_the_child(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(96);
    pthread_t threads[THREADS];
    int status = 0;

    (void)state;
    assert_int_equal(emp_pool_create(&config, &still.pool), EMP_OK);
    assert_int_equal(pthread_barrier_init(&still.turn, NULL, THREADS + 1), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, cache_and_stand, NULL), 0);
    }
    (void)pthread_barrier_wait(&still.turn);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        _exit(caches_are_reclaimed());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)pthread_barrier_wait(&still.turn);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(emp_pool_destroy(still.pool, NULL), EMP_OK);
}

/* A, its child B, and B's child C, as daemons start; A forks D meanwhile. */
static void grandchildren_work(void **state)
{
    char *inherited = emp_malloc(5000);
    int status = 0;

    (void)state;
    inherited[4999] = 77;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        emp_free(emp_malloc(3000));
        pid_t grandchild = fork();

        if (grandchild == 0) {
            _exit(child_works(inherited));
        }
        if (grandchild < 0 || waitpid(grandchild, &status, 0) != grandchild || status != 0) {
            _exit(100);
        }
        _exit(child_works(inherited));
    }
    pid_t other = fork();

    if (other == 0) {
        _exit(child_works(inherited));
    }
    emp_free(inherited);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
}

#define LIMITED 3000u

static struct emp_pool *limited;
static void *objects[LIMITED];

/* 0: the child gets as many objects as its parent has freed, each once, and not one more. */
static int gets_what_is_free(unsigned count)
{
    static void *again[LIMITED];

    (void)alarm(CHILD_SECONDS);
    for (unsigned i = 0; i < count; i++) {
        again[i] = emp_pool_alloc(limited);
        if (again[i] == NULL) {
            return 1;
        }
        memset(again[i], (int)(i % 251), 200);
    }
    if (emp_pool_alloc(limited) != NULL) {
        return 2;
    }
    for (unsigned i = 0; i < count; i++) {
        if (((unsigned char *)again[i])[0] != i % 251 ||
            ((unsigned char *)again[i])[199] != i % 251) {
            return 3;
        }
    }
    return emp_audit() == 0 ? 0 : 4;
}

static void *free_a_part(void *arg)
{
    unsigned part = (unsigned)(uintptr_t)arg;

    for (unsigned i = part; i < LIMITED; i += 4) {
        emp_pool_free(limited, objects[i]);
    }
    return NULL;
}

/* How much of what was freed is known when the parent forks. */
enum known { KNOWN_NOTHING, KNOWN_BY_STATISTICS, KNOWN_BY_A_ROUND, KNOWN_KINDS };

/* A pool at its limit, every slab full; some of its objects freed by this thread and others. */
static void a_child_finds_every_block_that_its_parent_freed(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(200);

    (void)state;
    config.max_capacity = LIMITED;
    config.l1_cache_size = 1;
    assert_int_equal(emp_pool_create(&config, &limited), EMP_OK);
    for (unsigned kind = 0; kind < 3u * KNOWN_KINDS; kind++) {
        unsigned parts = 1 + kind / KNOWN_KINDS;
        unsigned count = 0;
        int status = 0;

        for (unsigned i = 0; i < LIMITED; i++) {
            objects[i] = emp_pool_alloc(limited);
            assert_non_null(objects[i]);
        }
        assert_null(emp_pool_alloc(limited));
        for (unsigned part = 0; part < parts; part++) {
            pthread_t thread;

            count += (LIMITED - part + 3) / 4;
            if (part == 0) {
                (void)free_a_part((void *)(uintptr_t)part);
                emp_park();
                continue;
            }
            assert_int_equal(pthread_create(&thread, NULL, free_a_part, (void *)(uintptr_t)part),
                             0);
            assert_int_equal(pthread_join(thread, NULL), 0);
        }
        if (kind % KNOWN_KINDS == KNOWN_BY_STATISTICS) {
            struct emp_pool_stats stats;

            assert_int_equal(settled_pool_stats(limited, &stats), EMP_OK);
            assert_int_equal(stats.total_free, count);
            assert_int_equal(stats.total_allocated, LIMITED - count);
        } else if (kind % KNOWN_KINDS == KNOWN_BY_A_ROUND) {
            (void)emp_purge();
        }
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            _exit(gets_what_is_free(count));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        for (unsigned part = parts; part < 4; part++) {
            (void)free_a_part((void *)(uintptr_t)part);
        }
        emp_park();
    }
    assert_int_equal(emp_pool_destroy(limited, NULL), EMP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caches_of_threads_that_are_gone_come_back_in_the_child),
        cmocka_unit_test(a_child_finds_every_block_that_its_parent_freed),
        cmocka_unit_test(children_of_a_busy_process_work),
        cmocka_unit_test(grandchildren_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
