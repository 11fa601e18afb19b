/*
 * What: threads that use a typed pool for the first time at the same moment: one pool comes into
 *       being, and each thread finds its own bin as that pool made it.
 * How:  the pool is used by all, then ended, again and again; the threads have caches before, whose
 *       bins the creation closes. Meant for the thread sanitizer above all.
 * Shows: [core.proto.pool]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/typed_pool.h"

#define THREADS 4u
#define ROUNDS  (EMP_TSAN ? 200u : 1000u)
#define OBJECTS 20u

struct plum {
    uint64_t thread;
    char bytes[32];
};
EMP_POOL_DEFINE(plum, struct plum)

static pthread_barrier_t turn;
static uint64_t wrong[THREADS]; /* of each thread */

static void *use_at_once(void *arg)
{
    const uint64_t self = (uint64_t)(uintptr_t)arg;

    emp_free(emp_malloc(1)); /* its cache */
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct plum *plums[OBJECTS];

        (void)pthread_barrier_wait(&turn);
        for (unsigned i = 0; i < OBJECTS; i++) {
            plums[i] = plum_alloc();
            if (plums[i] != NULL) {
                plums[i]->thread = self;
            }
        }
        for (unsigned i = 0; i < OBJECTS; i++) {
            wrong[self] += plums[i] == NULL || plums[i]->thread != self;
            plum_free(plums[i]);
        }
        (void)pthread_barrier_wait(&turn);
    }
    return NULL;
}

static void the_first_users_of_a_typed_pool_share_one(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(pthread_barrier_init(&turn, NULL, THREADS + 1), 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_at_once, (void *)i), 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t live = 99;

        (void)pthread_barrier_wait(&turn);
        (void)pthread_barrier_wait(&turn);
        assert_int_equal(plum_destroy(&live), EMP_OK);
        assert_int_equal(live, 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
    assert_int_equal(pthread_barrier_destroy(&turn), 0);
    assert_int_equal(emp_audit(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_users_of_a_typed_pool_share_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
