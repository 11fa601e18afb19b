/*
 * Purpose: what the tests of channels share: a pool, channels of every kind, a waker that counts,
 *          and memory that fails.
 * Owner:   test support; included once by each test program that uses it. Threads: any.
 */
#ifndef EMP_TESTS_ASYNC_CHANNEL_FIXTURE_H
#define EMP_TESTS_ASYNC_CHANNEL_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "async/channel.h"
#include "async/object.h"
#include "core/async_memory_pool.h"
#include "support/async_pool.h"
#include "sync/atomic.h"

static struct emp_async_pool *pool;

static inline int pool_start(void **state)
{
    (void)state;
    return emp_async_pool_create(NULL, &pool) == EMP_OK ? 0 : -1;
}

/* Nothing of a test may be left in the pool. */
static inline int pool_end(void **state)
{
    (void)state;
    enum emp_status status = emp_async_pool_destroy(pool, NULL, NULL);

    if (status != EMP_OK) {
        print_error("objects were left in the pool: status %d\n", (int)status);
    }
    return status == EMP_OK ? 0 : -1;
}

/* A waker that counts; `clones` is what it owes at the end. */
struct counted {
    uint32_t wakes;  /* atomic: test. */
    uint32_t clones; /* atomic: test. */
};

static inline void *counted_clone(void *data)
{
    emp_fetch_add_relaxed(&((struct counted *)data)->clones, 1);
    return data;
}

static inline void counted_wake(void *data)
{
    emp_fetch_add_acq_rel(&((struct counted *)data)->wakes, 1);
    emp_fetch_sub_acq_rel(&((struct counted *)data)->clones, 1);
}

static inline void counted_wake_by_ref(void *data)
{
    emp_fetch_add_acq_rel(&((struct counted *)data)->wakes, 1);
}

static inline void counted_drop(void *data)
{
    emp_fetch_sub_acq_rel(&((struct counted *)data)->clones, 1);
}

static const struct emp_waker_vtable counted_vt = {counted_clone, counted_wake, counted_wake_by_ref,
                                                   counted_drop};

static inline struct emp_waker counted_waker(struct counted *counted)
{
    return (struct emp_waker){&counted_vt, counted};
}

static uint32_t dropped;       /* atomic: test. elements given to drop_counted */
static uint64_t dropped_first; /* first 8 bytes of the last one */

static inline void drop_counted(void *element)
{
    memcpy(&dropped_first, element, 1);
    emp_fetch_add_relaxed(&dropped, 1);
}

static const char *const kind_names[] = {"compact", "spsc", "bounded", "unbounded-mpsc",
                                         "unbounded"};
#define KINDS 5u

static inline struct emp_channel *channel_new(enum emp_channel_kind kind, uint32_t bytes,
                                              uint32_t capacity)
{
    struct emp_channel *channel = NULL;
    struct emp_channel_config config = {.kind = kind,
                                        .element_bytes = bytes,
                                        .capacity = kind <= EMP_CHANNEL_BOUNDED ? capacity : 0,
                                        .drop = drop_counted};

    assert_int_equal(emp_channel_create(pool, &config, &channel), EMP_OK);
    return channel;
}

static inline void channel_end(struct emp_channel *channel)
{
    emp_channel_sender_release(channel);
    emp_channel_receiver_release(channel);
}

/* An element whose every byte tells its number. */
static inline void element_make(unsigned char *element, uint32_t bytes, uint32_t number)
{
    for (uint32_t i = 0; i < bytes; i++) {
        element[i] = (unsigned char)(number * 31u + i);
    }
}

static inline void element_check(const unsigned char *element, uint32_t bytes, uint32_t number)
{
    for (uint32_t i = 0; i < bytes; i++) {
        assert_int_equal(element[i], (unsigned char)(number * 31u + i));
    }
}

/* Memory that fails: after `memory_left` more blocks and objects, all are refused. */
static struct emp_object_hooks real_hooks;
static uint32_t memory_left;
static bool is_emptying;
static void *kept_objects[8192];
static uint32_t kept_count;

/* Empties the bin of this thread, so that the next object comes through the hook. */
static inline void bin_empty(enum emp_object_kind kind)
{
    void *object = NULL;

    is_emptying = true;
    while ((object = emp_object_take(pool, kind)) != NULL) {
        assert_true(kept_count < sizeof(kept_objects) / sizeof(kept_objects[0]));
        kept_objects[kept_count++] = object;
    }
    is_emptying = false;
}

static inline void *failing_take(const struct emp_async_pool *from, enum emp_object_kind kind)
{
    if (is_emptying || memory_left == 0) {
        return NULL;
    }
    memory_left--;
    void *object = real_hooks.take(from, kind);

    bin_empty(kind);
    return object;
}

static inline void *failing_memory_take(size_t bytes)
{
    if (memory_left == 0) {
        return NULL;
    }
    memory_left--;
    return real_hooks.memory_take(bytes);
}

static inline void memory_fails_after(uint32_t left)
{
    real_hooks = emp_object_hooks;
    emp_object_hooks.take = failing_take;
    emp_object_hooks.memory_take = failing_memory_take;
    memory_left = left;
    kept_count = 0;
    bin_empty(EMP_OBJECT_CHANNEL);
    bin_empty(EMP_OBJECT_NODE);
    bin_empty(EMP_OBJECT_BLOCK);
    bin_empty(EMP_OBJECT_WAITER);
}

static inline void memory_works(void)
{
    emp_object_hooks = real_hooks;
    while (kept_count != 0) {
        emp_object_give(kept_objects[--kept_count]);
    }
}

#endif
