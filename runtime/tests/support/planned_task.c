/*
 * What: see support/planned_task.h.
 */
#include "support/planned_task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/async_pool.h"

struct emp_async_pool *planned_pool;
struct task_queue_test planned_queue;
struct emp_waker planned_kept;
struct emp_task *planned_held;
struct emp_task *planned_current; /* as the last poll saw it */
void *planned_body_seen;          /* as the last poll saw it */
unsigned planned_polls;
unsigned planned_drops;
bool planned_told; /* emp_task_is_cancelled at the end of the last poll */

static enum emp_poll follow_plan(struct emp_task *task, void *body)
{
    struct plan *plan = body;
    const unsigned deeds = plan->deeds;

    planned_polls++;
    planned_current = emp_task_current();
    planned_body_seen = body;
    if ((deeds & KEEP_WAKER) != 0 && planned_kept.vt == NULL) {
        struct emp_waker own = emp_task_waker(task);

        planned_kept = emp_waker_clone(&own);
    }
    if ((deeds & KEEP_HANDLE) != 0 && planned_held == NULL) {
        planned_held = emp_task_retain(task);
    }
    if ((deeds & WAKE_SELF) != 0) {
        struct emp_waker own = emp_task_waker(task);

        emp_waker_wake_by_ref(&own);
        emp_waker_wake_by_ref(&own);
    }
    if ((deeds & SET_RESULT) != 0) {
        assert_int_equal(emp_task_set_result(task, &planned_polls, sizeof planned_polls), EMP_OK);
        assert_int_equal(emp_task_set_result(task, &planned_polls, sizeof planned_polls),
                         EMP_ERR_STATE);
    }
    if ((deeds & ABORT_SELF) != 0) {
        assert_true(emp_task_abort(task));
        assert_false(emp_task_abort(task));
    }
    if ((deeds & LEAVE_HANDLE) != 0) {
        emp_task_release(planned_held);
        planned_held = NULL;
    }
    planned_told = emp_task_is_cancelled(task);
    if ((deeds & BE_READY) != 0 || plan->pending == 0) {
        return EMP_POLL_READY;
    }
    plan->pending--;
    return (deeds & YIELD) != 0 ? EMP_POLL_YIELD : EMP_POLL_PENDING;
}

static void count_drop(void *body)
{
    assert_ptr_equal(body, planned_body_seen != NULL ? planned_body_seen : body);
    planned_drops++;
}

const struct emp_task_type planned_small = {"small", 16, 8, follow_plan, count_drop};
const struct emp_task_type planned_exact = {"exact", 64, 64, follow_plan, count_drop};
const struct emp_task_type planned_large = {"large", 65, 8, follow_plan, count_drop};
const struct emp_task_type planned_wide = {"wide", 1000, 64, follow_plan, count_drop};
const struct emp_task_type planned_plain = {"plain", 16, 0, follow_plan, NULL};
int planned_begin(void **state)
{
    (void)state;
    planned_kept = (struct emp_waker){NULL, NULL};
    planned_held = NULL;
    planned_current = NULL;
    planned_body_seen = NULL;
    planned_polls = 0;
    planned_drops = 0;
    planned_told = false;
    task_queue_init(&planned_queue);
    return emp_async_pool_create(NULL, &planned_pool) == EMP_OK ? 0 : -1;
}

/* Everything came back. */
int planned_end(void **state)
{
    (void)state;
    const uint64_t left =
        async_pool_in_use(planned_pool, "task") + async_pool_in_use(planned_pool, "task-header") +
        async_pool_in_use(planned_pool, "future") + async_pool_in_use(planned_pool, "waiter");

    return left == 0 && emp_async_pool_destroy(planned_pool, NULL, NULL) == EMP_OK ? 0 : -1;
}

struct emp_spawn planned_spawn_of(const struct emp_task_type *type, const struct plan *plan)
{
    return (struct emp_spawn){.pool = planned_pool,
                              .scheduler = &planned_queue.scheduler,
                              .type = type,
                              .args = plan,
                              .args_bytes = sizeof *plan};
}

struct emp_task *planned_spawn_held(const struct emp_task_type *type, struct plan plan,
                                    struct emp_future **join)
{
    struct emp_spawn spawn = planned_spawn_of(type, &plan);
    struct emp_task *task = NULL;

    assert_int_equal(emp_task_spawn(&spawn, join, &task), EMP_OK);
    assert_non_null(task);
    return task;
}

void planned_spawn_detached(const struct emp_task_type *type, struct plan plan)
{
    struct emp_spawn spawn = planned_spawn_of(type, &plan);

    assert_int_equal(emp_task_spawn(&spawn, NULL, NULL), EMP_OK);
}
