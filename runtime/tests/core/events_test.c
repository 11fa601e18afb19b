/*
 * What: PoolExpanded and AllocationFailed reach the callback with all their fields and with no lock
 *       held; a callback can be replaced and removed; misuse callbacks too.
 * How:  a callback that allocates, frees, creates and looks up pools; pools that grow, hit their
 *       limit, or ask for more than there can be.
 * Shows: [core.req.events]
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"

#define EVENTS_MAX 64u

/* Copies of events: their strings live during the callback only. */
struct seen_event {
    struct emp_event event;
    char type_name[40];
    char pool_id[40];
    char reason[40];
};

static struct {
    unsigned count;
    unsigned trouble; /* calls inside the callback that failed */
    struct seen_event events[EVENTS_MAX];
} seen;

static void remember(const struct emp_event *event, void *arg)
{
    struct seen_event *copy = &seen.events[seen.count < EVENTS_MAX ? seen.count : 0];

    seen.trouble += arg != &seen;
    copy->event = *event;
    (void)snprintf(copy->type_name, sizeof(copy->type_name), "%s", event->type_name);
    (void)snprintf(copy->pool_id, sizeof(copy->pool_id), "%s", event->pool_id);
    (void)snprintf(copy->reason, sizeof(copy->reason), "%s", event->reason);
    seen.count++;
}

/* Everything that takes a lock of ours. */
static void remember_and_use_the_library(const struct emp_event *event, void *arg)
{
    struct emp_pool_config config = emp_pool_config_default(40);
    struct emp_pool *pool = NULL;
    struct emp_stats stats;
    unsigned before = seen.count;

    remember(event, arg);
    if (before >= 4) {
        return; /* what follows expands pools itself: once is enough */
    }
    void *small = emp_malloc(64);
    void *large = emp_malloc((size_t)1 << 21);

    seen.trouble += small == NULL || large == NULL;
    emp_free(small);
    emp_free(large);
    seen.trouble += emp_pool_create(&config, &pool) != EMP_OK;
    emp_pool_free(pool, emp_pool_alloc(pool));
    seen.trouble += emp_pool_find_id(emp_pool_id(pool)) != pool;
    seen.trouble += emp_pool_destroy(pool, NULL) != EMP_OK;
    seen.trouble += emp_stats_read(&stats) != EMP_OK;
    seen.trouble += emp_option_set("background", "1") != EMP_OK;
    (void)emp_tick();
    (void)emp_purge();
    seen.trouble += emp_audit() != 0;
}

static int forget(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    return 0;
}

static int remove_callback(void **state)
{
    (void)state;
    (void)emp_event_set_callback(NULL, NULL);
    return emp_audit() == 0 ? 0 : -1;
}

/* The first event of a type about a pool, or NULL. */
static const struct seen_event *find_event(enum emp_event_type type, const char *pool_id)
{
    for (unsigned i = 0; i < seen.count && i < EVENTS_MAX; i++) {
        if (seen.events[i].event.type == type && strcmp(seen.events[i].pool_id, pool_id) == 0) {
            return &seen.events[i];
        }
    }
    return NULL;
}

static void an_expansion_tells_everything(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(600);
    struct emp_pool_stats stats;
    struct emp_pool *pool = NULL;

    (void)state;
    config.name = "grower";
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    assert_int_equal(emp_event_set_callback(remember, &seen), EMP_OK);
    void *first = emp_pool_alloc(pool);

    assert_non_null(first);
    assert_int_equal(emp_pool_get_stats(pool, &stats), EMP_OK);
    const struct seen_event *one = find_event(EMP_EVENT_POOL_EXPANDED, "grower");

    assert_non_null(one);
    assert_string_equal(one->type_name, "memory.pool.expanded");
    assert_int_equal(one->event.old_capacity, 0);
    assert_int_equal(one->event.new_capacity, stats.capacity);
    assert_int_equal(one->event.expansion_bytes, 65536);
    assert_int_equal(one->event.requested_bytes, 600);
    assert_string_equal(one->reason, "refill");
    assert_true(one->event.timestamp_ns > 0);
    uint64_t first_time = one->event.timestamp_ns;
    uint64_t first_capacity = one->event.new_capacity;

    memset(&seen, 0, sizeof(seen));
    while (find_event(EMP_EVENT_POOL_EXPANDED, "grower") == NULL) {
        assert_non_null(emp_pool_alloc(pool));
    }
    one = find_event(EMP_EVENT_POOL_EXPANDED, "grower");
    assert_int_equal(one->event.old_capacity, first_capacity);
    assert_int_equal(one->event.new_capacity, 2 * first_capacity);
    assert_true(one->event.timestamp_ns >= first_time);
    assert_int_equal(seen.trouble, 0);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_ERR_BUSY);
}

static void a_reserve_says_so(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(600);
    struct emp_pool *pool = NULL;

    (void)state;
    assert_int_equal(emp_event_set_callback(remember, &seen), EMP_OK);
    config.name = "reserved";
    config.initial_capacity = 1000;
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    const struct seen_event *one = find_event(EMP_EVENT_POOL_EXPANDED, "reserved");

    assert_non_null(one);
    assert_string_equal(one->reason, "reserve");
    assert_int_equal(one->event.old_capacity, 0);
    assert_true(one->event.new_capacity >= 1000);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_OK);
}

static void a_class_of_the_heap_is_named_by_its_size(void **state)
{
    static void *blocks[400];
    unsigned count = 0;

    (void)state;
    assert_int_equal(emp_event_set_callback(remember, &seen), EMP_OK);
    size_t bytes = emp_good_size(20000);

    while (seen.count == 0 && count < 400) {
        blocks[count++] = emp_malloc(20000);
    }
    char name[40];
    struct emp_size_class_info info = {0};

    for (uint32_t c = 1; info.block_bytes < bytes; c++) {
        assert_int_equal(emp_size_class_describe(c, &info), EMP_OK);
    }
    (void)snprintf(name, sizeof(name), "class-%u", info.block_bytes);
    assert_non_null(find_event(EMP_EVENT_POOL_EXPANDED, name));
    for (unsigned i = 0; i < count; i++) {
        emp_free(blocks[i]);
    }
}

static void a_failure_at_the_limit_tells_everything(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(100);
    struct emp_pool *pool = NULL;

    (void)state;
    config.name = "bounded";
    config.max_capacity = 10;
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    for (unsigned i = 0; i < 10; i++) {
        assert_non_null(emp_pool_alloc(pool));
    }
    assert_int_equal(emp_event_set_callback(remember, &seen), EMP_OK);
    errno = 0;
    assert_null(emp_pool_alloc(pool));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.events[0].event.type, EMP_EVENT_ALLOCATION_FAILED);
    assert_string_equal(seen.events[0].type_name, "memory.allocation.failed");
    assert_string_equal(seen.events[0].pool_id, "bounded");
    assert_string_equal(seen.events[0].reason, "limit");
    assert_int_equal(seen.events[0].event.requested_bytes, 100);
    assert_int_equal(seen.events[0].event.old_capacity, 10);
    assert_int_equal(seen.events[0].event.new_capacity, 10);
    assert_int_equal(seen.events[0].event.expansion_bytes, 0);
    assert_true(seen.events[0].event.timestamp_ns > 0);
    assert_int_equal(emp_pool_destroy(pool, NULL), EMP_ERR_BUSY);
}

static void a_request_that_can_never_be_served_says_so(void **state)
{
    (void)state;
    assert_int_equal(emp_event_set_callback(remember, &seen), EMP_OK);
    assert_null(emp_malloc(SIZE_MAX - 100));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.events[0].event.type, EMP_EVENT_ALLOCATION_FAILED);
    assert_string_equal(seen.events[0].reason, "too large");
    assert_string_equal(seen.events[0].pool_id, "large");
    assert_true(seen.events[0].event.requested_bytes == SIZE_MAX - 100);
    assert_null(emp_malloc((size_t)1 << 60));
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.events[1].reason, "out of memory");
}

static void the_callback_may_use_the_whole_library(void **state)
{
    struct emp_pool_config config = emp_pool_config_default(300);
    struct emp_pool *pool = NULL;

    (void)state;
    config.name = "inside";
    config.max_capacity = 1000;
    assert_int_equal(emp_event_set_callback(remember_and_use_the_library, &seen), EMP_OK);
    assert_int_equal(emp_pool_create(&config, &pool), EMP_OK);
    while (emp_pool_alloc(pool) != NULL) {
    }
    assert_null(emp_malloc(SIZE_MAX));
    assert_int_equal(seen.trouble, 0);
    assert_non_null(find_event(EMP_EVENT_POOL_EXPANDED, "inside"));
    assert_non_null(find_event(EMP_EVENT_ALLOCATION_FAILED, "inside"));
    size_t live = 0;

    assert_int_equal(emp_pool_destroy(pool, &live), EMP_ERR_BUSY);
    assert_int_equal(live, 1000);
}

static void count_other(const struct emp_event *event, void *arg)
{
    (void)event;
    ++*(unsigned *)arg;
}

static void a_callback_is_replaced_and_removed(void **state)
{
    unsigned other = 0;

    (void)state;
    assert_int_equal(emp_event_set_callback(remember, &seen), EMP_OK);
    assert_null(emp_malloc(SIZE_MAX));
    assert_int_equal(emp_event_set_callback(count_other, &other), EMP_OK);
    assert_null(emp_malloc(SIZE_MAX));
    assert_null(emp_malloc(SIZE_MAX));
    assert_int_equal(emp_event_set_callback(NULL, NULL), EMP_OK);
    assert_null(emp_malloc(SIZE_MAX));
    assert_int_equal(seen.count, 1);
    assert_int_equal(other, 2);
}

static uint32_t stop; /* atomic, relaxed: the setter has finished */

static void *fail_all_the_time(void *arg)
{
    while (__atomic_load_n(&stop, __ATOMIC_RELAXED) == 0) {
        if (emp_malloc(SIZE_MAX) != NULL) {
            return arg;
        }
    }
    return NULL;
}

static void callbacks_are_replaced_while_events_happen(void **state)
{
    static unsigned counts[2];
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, fail_all_the_time, &stop), 0);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(emp_event_set_callback(i % 3 == 2 ? NULL : count_other, &counts[i % 2]),
                         EMP_OK);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    void *wrong = NULL;

    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_expansion_tells_everything, forget, remove_callback),
        cmocka_unit_test_setup_teardown(a_reserve_says_so, forget, remove_callback),
        cmocka_unit_test_setup_teardown(a_class_of_the_heap_is_named_by_its_size, forget,
                                        remove_callback),
        cmocka_unit_test_setup_teardown(a_failure_at_the_limit_tells_everything, forget,
                                        remove_callback),
        cmocka_unit_test_setup_teardown(a_request_that_can_never_be_served_says_so, forget,
                                        remove_callback),
        cmocka_unit_test_setup_teardown(the_callback_may_use_the_whole_library, forget,
                                        remove_callback),
        cmocka_unit_test_setup_teardown(a_callback_is_replaced_and_removed, forget,
                                        remove_callback),
        cmocka_unit_test_setup_teardown(callbacks_are_replaced_while_events_happen, forget,
                                        remove_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
