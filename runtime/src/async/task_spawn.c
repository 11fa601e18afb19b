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

static inline bool type_is_valid(const struct emp_task_type *type)
{
    const uint32_t align = type->body_align;

    return type->poll != NULL && type->body_bytes <= BODY_BYTES_MAX &&
           align <= EMP_TASK_BODY_INLINE && (align & (align - 1)) == 0;
}

static inline bool spawn_is_valid(const struct emp_spawn *spawn)
{
    return spawn != NULL && spawn->pool != NULL &&
           spawn->pool->signature == EMP_ASYNC_POOL_SIGNATURE && spawn->scheduler != NULL &&
           spawn->type != NULL && type_is_valid(spawn->type) &&
           spawn->args_bytes <= spawn->type->body_bytes &&
           (spawn->args != NULL || spawn->args_bytes == 0);
}

/* A header with its body in a block; NULL: out of memory. */
static EMP_NOINLINE struct emp_task *task_take_split(const struct emp_spawn *spawn)
{
    const size_t bytes = spawn->type->body_bytes;
    struct emp_task *task = emp_object_take(spawn->pool, EMP_OBJECT_HEADER);

    if (task == NULL) {
        return NULL;
    }
    /* Multiples of a line are aligned to one. */
    char *body = emp_object_hooks.memory_take(
        spawn->type->body_align > 16 ? (bytes + 63) & ~(size_t)63 : bytes);

    if (body == NULL) {
        emp_object_give(task);
        return NULL;
    }
    if (spawn->args_bytes > 0) {
        memcpy(body, spawn->args, spawn->args_bytes);
    }
    memset(body + spawn->args_bytes, 0, bytes - spawn->args_bytes);
    task->body = body;
    return task;
}

/* Fills a body in the object: in whole words, because a call would cost more than they do. */
static EMP_ALWAYS_INLINE void body_fill(const struct emp_spawn *spawn, char *body)
{
    const size_t args = spawn->args_bytes;
    const char *from = spawn->args;
    size_t at = 0;

    if (args < spawn->type->body_bytes) {
        memset(body, 0, EMP_TASK_BODY_INLINE);
    }
    for (; at + sizeof(uint64_t) <= args; at += sizeof(uint64_t)) {
        memcpy(body + at, from + at, sizeof(uint64_t));
    }
    for (; at < args; at++) {
        body[at] = from[at];
    }
}

/* The object of a task with its body filled, the header still empty; NULL: out of memory. */
static EMP_ALWAYS_INLINE struct emp_task *task_take(const struct emp_spawn *spawn, uint64_t *flags)
{
    if (emp_unlikely(spawn->type->body_bytes > EMP_TASK_BODY_INLINE)) {
        *flags |= EMP_TASK_BODY_SPLIT;
        return task_take_split(spawn);
    }
    struct emp_task *task = emp_object_take(spawn->pool, EMP_OBJECT_TASK);

    if (emp_likely(task != NULL)) {
        task->body = task + 1;
        body_fill(spawn, (char *)(task + 1));
    }
    return task;
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
static EMP_ALWAYS_INLINE struct emp_task *task_make(const struct emp_spawn *spawn, uint64_t flags,
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
    }
    task->type = spawn->type;
    task->next = NULL;
    task->scheduler = spawn->scheduler;
    task->id = 0;
    task->site = emp_spawn_site_id(spawn->site);
    task->kind = 0;
    task->state = emp_task_word_new(flags, 1u + handles);
    return task;
}

enum emp_status emp_task_make(const struct emp_spawn *spawn, uint64_t flags,
                              struct emp_future **join, struct emp_task **handle,
                              struct emp_task **made)
{
    if (!spawn_is_valid(spawn)) {
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

/* The same with whatever a task may have. */
static EMP_NOINLINE enum emp_status spawn_any(const struct emp_spawn *spawn,
                                              struct emp_future **join, struct emp_task **handle)
{
    struct emp_task *task = NULL;
    const enum emp_status status = emp_task_make(spawn, 0, join, handle, &task);

    if (status == EMP_OK) {
        spawn->scheduler->submit(spawn->scheduler, task, EMP_SUBMIT_SPAWN);
    }
    return status;
}

enum emp_status emp_task_spawn(const struct emp_spawn *spawn, struct emp_future **join,
                               struct emp_task **task)
{
    /* A detached task whose body fits is the one that is spawned by the million. */
    if (emp_unlikely(!spawn_is_valid(spawn) || join != NULL || task != NULL ||
                     spawn->type->body_bytes > EMP_TASK_BODY_INLINE)) {
        return spawn_any(spawn, join, task);
    }
    struct emp_task *made = task_make(spawn, 0, NULL, 0);

    if (emp_unlikely(made == NULL)) {
        return EMP_ERR_NOMEM;
    }
    spawn->scheduler->submit(spawn->scheduler, made, EMP_SUBMIT_SPAWN);
    return EMP_OK;
}

size_t emp_task_spawn_batch(const struct emp_spawn *spawn, size_t count)
{
    if (!spawn_is_valid(spawn)) {
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
