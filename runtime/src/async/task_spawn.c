/*
 * Purpose: tasks in the making: object, body, join side, first submit.
 * Owner:   async. Design: [async.proto.task]
 */
#include <string.h>

#include "async/object.h"
#include "async/task.h"
#include "async/task_core.h"
#include "base/compiler.h"

_Static_assert(sizeof(struct emp_task) == 64, "a header is one line");

#define BODY_BYTES_MAX 65536u

static bool spawn_is_valid(const struct emp_spawn *spawn)
{
    const struct emp_task_type *type = spawn->type;

    return spawn->pool != NULL && spawn->pool->signature == EMP_ASYNC_POOL_SIGNATURE &&
           spawn->scheduler != NULL && type != NULL && type->poll != NULL &&
           type->body_bytes <= BODY_BYTES_MAX && type->body_align <= EMP_TASK_BODY_INLINE &&
           (type->body_align & (type->body_align - 1)) == 0 &&
           spawn->args_bytes <= type->body_bytes && (spawn->args != NULL || spawn->args_bytes == 0);
}

/* The object of a task with its body in place, both still to be filled; NULL: out of memory. */
static inline struct emp_task *task_take(const struct emp_spawn *spawn, uint64_t *flags)
{
    const size_t bytes = spawn->type->body_bytes;
    struct emp_task *task;

    if (emp_likely(bytes <= EMP_TASK_BODY_INLINE)) {
        task = emp_object_take(spawn->pool, EMP_OBJECT_TASK);
        if (emp_likely(task != NULL)) {
            task->body = task + 1;
        }
        return task;
    }
    task = emp_object_take(spawn->pool, EMP_OBJECT_HEADER);
    if (task == NULL) {
        return NULL;
    }
    /* Multiples of a line are aligned to one. */
    task->body = emp_object_hooks.memory_take(
        spawn->type->body_align > 16 ? (bytes + 63) & ~(size_t)63 : bytes);
    if (task->body == NULL) {
        emp_object_give(task);
        return NULL;
    }
    *flags |= EMP_TASK_BODY_SPLIT;
    return task;
}

static inline void body_fill(const struct emp_spawn *spawn, char *body)
{
    const size_t args = spawn->args_bytes;
    const size_t rest = spawn->type->body_bytes - args;

    if (args > 0) {
        memcpy(body, spawn->args, args);
    }
    if (rest > 0) {
        memset(body + args, 0, rest);
    }
}

/* Gives back what task_take took; the word says that it is dead. */
static void task_give(struct emp_task *task, uint64_t flags)
{
    if ((flags & EMP_TASK_BODY_SPLIT) != 0) {
        emp_object_hooks.memory_give(task->body);
    }
    task->state = EMP_TASK_COMPLETE;
    emp_object_give(task);
}

/* Makes a task; references of the caller besides the queue's in `handles`. */
static inline struct emp_task *task_make(const struct emp_spawn *spawn, uint64_t flags,
                                         struct emp_future **join, unsigned handles)
{
    struct emp_task *task = task_take(spawn, &flags);

    if (emp_unlikely(task == NULL)) {
        return NULL;
    }
    task->result = NULL;
    if (join != NULL) {
        task->result = emp_future_new(spawn->pool);
        if (emp_unlikely(task->result == NULL)) {
            task_give(task, flags);
            return NULL;
        }
        *join = task->result;
        flags |= EMP_TASK_JOIN_INTEREST;
    }
    task->type = spawn->type;
    task->next = NULL;
    task->scheduler = spawn->scheduler;
    task->id = 0;
    task->worker_hint = 0;
    task->site = emp_spawn_site_id(spawn->site);
    task->kind = 0;
    body_fill(spawn, task->body);
    task->state = emp_task_word_new(flags, 1u + handles);
    return task;
}

enum emp_status emp_task_make(const struct emp_spawn *spawn, uint64_t flags,
                              struct emp_future **join, struct emp_task **handle,
                              struct emp_task **made)
{
    if (spawn == NULL || !spawn_is_valid(spawn)) {
        return EMP_ERR_INVALID;
    }
    struct emp_task *task = task_make(spawn, flags, join, handle != NULL);

    if (task == NULL) {
        return EMP_ERR_NOMEM;
    }
    if (handle != NULL) {
        *handle = task;
    }
    *made = task;
    return EMP_OK;
}

void emp_task_discard(struct emp_task *task)
{
    if (task->result != NULL) {
        emp_promise_drop(task->result);
    }
    task_give(task, task->state);
}

enum emp_status emp_task_spawn(const struct emp_spawn *spawn, struct emp_future **join,
                               struct emp_task **task)
{
    if (emp_unlikely(spawn == NULL || !spawn_is_valid(spawn))) {
        return EMP_ERR_INVALID;
    }
    struct emp_task *made = task_make(spawn, 0, join, task != NULL);

    if (emp_unlikely(made == NULL)) {
        return EMP_ERR_NOMEM;
    }
    if (task != NULL) {
        *task = made;
    }
    spawn->scheduler->submit(spawn->scheduler, made, EMP_SUBMIT_SPAWN);
    return EMP_OK;
}

size_t emp_task_spawn_batch(const struct emp_spawn *spawn, size_t count)
{
    if (spawn == NULL || !spawn_is_valid(spawn)) {
        return 0;
    }
    struct emp_spawn one = *spawn;
    const char *args = spawn->args;

    for (size_t i = 0; i < count; i++) {
        one.args = args;
        struct emp_task *made = task_make(&one, 0, NULL, 0);

        if (made == NULL) {
            return i;
        }
        args = args != NULL ? args + spawn->args_bytes : NULL;
        spawn->scheduler->submit(spawn->scheduler, made, EMP_SUBMIT_SPAWN);
    }
    return count;
}
