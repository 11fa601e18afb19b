/*
 * Purpose: ids of tasks and the handles that hold them.
 * Owner:   async. Threads: any. The steps are those of id_table.h and sync/id_field.h; an id owns a
 *          reference of its task until that is complete.
 * Design:  [async.proto.id]
 */
#include "async/handle.h"

#include <stddef.h>
#include <string.h>

#include "async/id_table.h"
#include "async/object.h"
#include "async/task_id.h"
#include "base/check.h"
#include "sync/id_field.h"

/* Ends an id; the reference it had is given back by whoever is last. */
static void id_end(struct emp_id_table *table, emp_id id, struct emp_task *task)
{
    if (emp_id_end(table, id)) {
        emp_task_release(task);
    }
}

emp_id emp_task_id(struct emp_task *task)
{
    struct emp_id_table *table = emp_object_pool_of(task)->ids;
    emp_id found = emp_id_field_look(&task->id);

    if (found == EMP_ID_CLOSED) {
        return 0;
    }
    if (found != 0) {
        return found;
    }
    emp_id id = emp_id_begin(table, emp_task_retain(task));

    if (id == 0) {
        emp_task_release(task);
        return 0;
    }
    if (emp_id_field_set(&task->id, id)) {
        return id;
    }
    id_end(table, id, task);
    found = emp_id_field_look(&task->id);
    return found == EMP_ID_CLOSED ? 0 : found;
}

void emp_task_id_close(struct emp_task *task)
{
    emp_id id = emp_id_field_close(&task->id);

    if (id != 0) {
        id_end(emp_object_pool_of(task)->ids, id, task);
    }
}

/* Makes a reference of what was found, and leaves its slot. */
static struct emp_task *task_found(struct emp_id_table *table, struct emp_task *task, emp_id id)
{
    if (task == NULL) {
        return NULL;
    }
    (void)emp_task_retain(task);
    if (emp_id_leave(table, id)) {
        emp_task_release(task);
    }
    return task;
}

struct emp_task *emp_task_find(struct emp_async_pool *pool, emp_id id)
{
    return task_found(pool->ids, emp_id_find(pool->ids, id), id);
}

uint32_t emp_id_short(emp_id id)
{
    return emp_id_to_short(id);
}

struct emp_task *emp_task_find_short(struct emp_async_pool *pool, uint32_t id32)
{
    emp_id id = 0;
    struct emp_task *task = emp_id_find32(pool->ids, id32, &id);

    return task_found(pool->ids, task, id);
}

/* What the waker of an id holds. */
struct named {
    struct emp_async_pool *pool;
    emp_id id;
};

static void named_wake(void *copy)
{
    struct named named;

    memcpy(&named, copy, sizeof(named));
    struct emp_task *task = emp_task_find(named.pool, named.id);

    if (task != NULL) {
        struct emp_waker waker = emp_task_waker(task);

        emp_waker_wake_by_ref(&waker);
        emp_task_release(task);
    }
}

enum emp_status emp_waker_of_id(struct emp_async_pool *pool, emp_id id, struct emp_waker *out)
{
    static const struct emp_waker_calls calls = {.wake = named_wake};
    struct named named = {pool, id};

    return emp_waker_custom(pool, &calls, &named, sizeof(named), out);
}

struct emp_handle emp_handle_clone(struct emp_handle handle)
{
    switch (emp_handle_kind(handle)) {
    case EMP_HANDLE_TASK:
        (void)emp_task_retain(emp_handle_task(handle));
        break;
    case EMP_HANDLE_FUTURE:
        (void)emp_future_retain(emp_handle_future(handle));
        break;
    default:
        break;
    }
    return handle;
}

void emp_handle_drop(struct emp_handle *handle)
{
    emp_task_release(emp_handle_task(*handle));
    emp_future_drop(emp_handle_future(*handle));
    *handle = emp_handle_invalid();
}

struct emp_task *emp_handle_find_task(struct emp_async_pool *pool, struct emp_handle handle)
{
    switch (emp_handle_kind(handle)) {
    case EMP_HANDLE_TASK:
        return emp_task_retain(emp_handle_task(handle));
    case EMP_HANDLE_ID:
        return emp_task_find(pool, emp_handle_id(handle));
    default:
        return NULL;
    }
}
