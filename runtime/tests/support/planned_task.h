/*
 * What: tasks whose polls follow a plan, a queue to run them by hand, and a pool that must be empty
 *       after each test.
 * How:  the plan lies in the body; what happened is counted here. One test at a time.
 */
#ifndef EMP_TESTS_SUPPORT_PLANNED_TASK_H
#define EMP_TESTS_SUPPORT_PLANNED_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "async/task.h"
#include "core/async_memory_pool.h"
#include "support/task_queue.h"

#define RUNS 100u

/* What a poll does, in this order. */
enum deed {
    WAKE_SELF = 1,     /* by reference */
    KEEP_WAKER = 2,    /* a clone, in kept */
    KEEP_HANDLE = 4,   /* a reference, in held */
    ABORT_SELF = 8,    /* as somebody else might meanwhile */
    SET_RESULT = 16,   /* the number of polls */
    BE_READY = 32,     /* at once, else at the last of `pending` polls */
    LEAVE_HANDLE = 64, /* gives `held` back, while it runs */
    YIELD = 128        /* gives up its turn where it would stay pending */
};

struct plan {
    unsigned deeds;
    unsigned pending; /* polls that stay pending before one is ready */
};

extern struct emp_async_pool *planned_pool;
extern struct task_queue_test planned_queue;
extern struct emp_waker planned_kept;
extern struct emp_task *planned_held;
extern struct emp_task *planned_current; /* as the last poll saw it */
extern void *planned_body_seen;          /* as the last poll saw it */
extern unsigned planned_polls;
extern unsigned planned_drops;
extern bool planned_told; /* emp_task_is_cancelled at the end of the last poll */

extern const struct emp_task_type planned_small; /* 16 bytes */
extern const struct emp_task_type planned_exact; /* 64 bytes */
extern const struct emp_task_type planned_large; /* 65 bytes */
extern const struct emp_task_type planned_wide;  /* 1000 bytes, aligned to 64 */
extern const struct emp_task_type planned_plain; /* 16 bytes, without a drop function */

/* Before and after each test; the second fails when an object was left. */
int planned_begin(void **state);
int planned_end(void **state);

struct emp_spawn planned_spawn_of(const struct emp_task_type *type, const struct plan *plan);
struct emp_task *planned_spawn_held(const struct emp_task_type *type, struct plan plan,
                                    struct emp_future **join);
void planned_spawn_detached(const struct emp_task_type *type, struct plan plan);

#define TASK_TEST(name) cmocka_unit_test_setup_teardown(name, planned_begin, planned_end)

#endif
