/*
 * What it is for: names for what a runtime hands to compiled programs. An id is a number for a task
 *   that never comes to mean another one; a handle is 8 bytes that hold a task, an id, a small
 *   value, a future or an error.
 * When not to use it: in C code that can hold a struct emp_task * or a struct emp_future *.
 * Life cycle: a task gets an id when somebody asks; the id ends when the task does. A handle of a
 *   task or a future owns a reference until emp_handle_drop; the other kinds own nothing.
 * Threads: any for every call.
 * Errors: an id that names nothing (any more) finds NULL. A task with an id can be reached through
 *   it, so it is not ended for want of wakers.
 */
#ifndef EMP_ASYNC_HANDLE_H
#define EMP_ASYNC_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "async/future.h"
#include "async/task.h"
#include "async/waker.h"
#include "base/export.h"
#include "base/status_code.h"

/* 63-32: generation, from 1 | 31-0: slot, from 1, below 2^29. 0: no id. */
typedef uint64_t emp_id;

/* What a handle is; the low three bits. */
enum emp_handle_kind {
    EMP_HANDLE_TASK = 0,   /* a reference of a task */
    EMP_HANDLE_ID = 1,     /* an id */
    EMP_HANDLE_VALUE = 2,  /* a number of 61 bits with sign: the task was over at once */
    EMP_HANDLE_FUTURE = 3, /* a consumer's reference of a future */
    EMP_HANDLE_ERROR = 4,  /* a status */
    EMP_HANDLE_INVALID = 7
};

/* A handle. Copying the struct moves it. */
struct emp_handle {
    uint64_t bits;
};

/* The numbers that a handle can hold. */
#define EMP_HANDLE_VALUE_MAX ((INT64_C(1) << 60) - 1)
#define EMP_HANDLE_VALUE_MIN (-EMP_HANDLE_VALUE_MAX - 1)

EMP_EXTERN_C_BEGIN

/**
 * The id of a task, given to it at the first call.
 * @param task a reference, which stays the caller's. @returns the id; 0: the task has ended, or no
 * memory. Errors: 0. Threads: any. Cost: a load; the first time some atomic operations.
 * Since: 0.2. Source: row E4.
 */
EMP_API emp_id emp_task_id(struct emp_task *task);

/**
 * The task of an id.
 * @param pool where its task came from. @param id any number.
 * @returns a reference that the caller releases, or NULL: the task has ended, or there never was
 * one. Errors: NULL. Threads: any. Cost: three atomic operations. Since: 0.2. Source: row E4.
 */
EMP_API struct emp_task *emp_task_find(struct emp_async_pool *pool, emp_id id);

/**
 * The short flavour of an id: 12 bits of generation, 20 of slot.
 * @param id of emp_task_id. @returns it; 0: there is none, because more than 2^20 tasks with ids
 * live. It names another task only when the table has been used through 4096 times, more than
 * 4 million ids later. Errors: 0. Threads: any. Cost: O(1). Since: 0.2. Source: row E4.
 */
EMP_API uint32_t emp_id_short(emp_id id);

/**
 * The task of a short id.
 * @param pool where its task came from. @param id32 any number.
 * @returns as emp_task_find. Errors: NULL. Threads: any. Cost: three atomic operations. Since: 0.2.
 * Source: row E4.
 */
EMP_API struct emp_task *emp_task_find_short(struct emp_async_pool *pool, uint32_t id32);

/**
 * Makes a waker that wakes the task of an id if it still lives, and keeps nothing alive.
 * @param pool where the task came from; outlives the waker. @param id of emp_task_id.
 * @param out receives the waker; empty on failure. @returns EMP_OK, EMP_ERR_NOMEM or
 * EMP_ERR_INVALID. Errors: as returned. Threads: any. Cost: one object. Since: 0.2.
 * Source: rows E3, E4.
 */
EMP_API enum emp_status emp_waker_of_id(struct emp_async_pool *pool, emp_id id,
                                        struct emp_waker *out);

/**
 * A second handle of the same.
 * @param handle any. @returns a handle that the caller drops. Errors: none. Threads: any.
 * Cost: one atomic operation for tasks and futures. Since: 0.2. Source: row E4.
 */
EMP_API struct emp_handle emp_handle_clone(struct emp_handle handle);

/**
 * Gives back what a handle owns.
 * @param handle any; invalid afterwards. Errors: none. Threads: any. Cost: one atomic operation for
 * tasks and futures. Since: 0.2. Source: row E4.
 */
EMP_API void emp_handle_drop(struct emp_handle *handle);

/**
 * The task that a handle names, by reference or by id.
 * @param pool where its task came from. @param handle any.
 * @returns a reference that the caller releases; NULL: another kind, or the task of the id has
 * ended. Errors: NULL. Threads: any. Cost: up to three atomic operations. Since: 0.2.
 * Source: row E4.
 */
EMP_API struct emp_task *emp_handle_find_task(struct emp_async_pool *pool,
                                              struct emp_handle handle);

EMP_EXTERN_C_END

/**
 * The handle of nothing. @returns it. Errors: none. Threads: any. Cost: none. Since: 0.2.
 * Source: row E4.
 */
EMP_INLINE struct emp_handle emp_handle_invalid(void)
{
    struct emp_handle handle = {EMP_HANDLE_INVALID};

    return handle;
}

/**
 * What a handle is. @param handle any. @returns its kind; numbers that are no handle: invalid.
 * Errors: none. Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE enum emp_handle_kind emp_handle_kind(struct emp_handle handle)
{
    unsigned tag = (unsigned)(handle.bits & 7u);

    return tag > EMP_HANDLE_ERROR || handle.bits == EMP_HANDLE_TASK ||
                   handle.bits == EMP_HANDLE_FUTURE
               ? EMP_HANDLE_INVALID
               : (enum emp_handle_kind)tag;
}

/**
 * A handle of a task. @param task a reference, which the handle takes over; NULL: invalid.
 * @returns the handle. Errors: none. Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE struct emp_handle emp_handle_of_task(struct emp_task *task)
{
    struct emp_handle handle = {(uint64_t)(uintptr_t)task | EMP_HANDLE_TASK};

    return handle;
}

/**
 * A handle of an id. @param id of emp_task_id. @returns the handle; of 0, or a number that is no
 * id: invalid. Errors: none. Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE struct emp_handle emp_handle_of_id(emp_id id)
{
    struct emp_handle handle = {((id >> 32 << 29) | (id & 0x1fffffffu)) << 3 | EMP_HANDLE_ID};

    return id == 0 || (id & 0xe0000000u) != 0 ? emp_handle_invalid() : handle;
}

/**
 * A handle of a number. @param value EMP_HANDLE_VALUE_MIN..EMP_HANDLE_VALUE_MAX.
 * @returns the handle; of a larger number: invalid. Errors: none. Threads: any. Cost: none.
 * Since: 0.2. Source: row E4.
 */
EMP_INLINE struct emp_handle emp_handle_of_value(int64_t value)
{
    struct emp_handle handle = {(uint64_t)value << 3 | EMP_HANDLE_VALUE};

    return value < EMP_HANDLE_VALUE_MIN || value > EMP_HANDLE_VALUE_MAX ? emp_handle_invalid()
                                                                        : handle;
}

/**
 * A handle of a future. @param future a consumer's reference, which the handle takes over; NULL:
 * invalid. @returns the handle. Errors: none. Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE struct emp_handle emp_handle_of_future(struct emp_future *future)
{
    struct emp_handle handle = {(uint64_t)(uintptr_t)future | EMP_HANDLE_FUTURE};

    return handle;
}

/**
 * A handle of an error. @param status why there is nothing else. @returns the handle.
 * Errors: none. Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE struct emp_handle emp_handle_of_error(enum emp_status status)
{
    struct emp_handle handle = {(uint64_t)status << 3 | EMP_HANDLE_ERROR};

    return handle;
}

/**
 * The task in a handle. @param handle any. @returns it, still the handle's; NULL: another kind.
 * Errors: NULL. Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE struct emp_task *emp_handle_task(struct emp_handle handle)
{
    return emp_handle_kind(handle) == EMP_HANDLE_TASK
               ? (struct emp_task *)(uintptr_t)(handle.bits - EMP_HANDLE_TASK)
               : (struct emp_task *)0;
}

/**
 * The id in a handle. @param handle any. @returns it; 0: another kind. Errors: 0. Threads: any.
 * Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE emp_id emp_handle_id(struct emp_handle handle)
{
    uint64_t bits = emp_handle_kind(handle) == EMP_HANDLE_ID ? handle.bits >> 3 : 0;

    return bits >> 29 << 32 | (bits & 0x1fffffffu);
}

/**
 * The number in a handle. @param handle any. @returns it; 0: another kind. Errors: 0. Threads: any.
 * Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE int64_t emp_handle_value(struct emp_handle handle)
{
    /* The shift of a negative number keeps its sign with every compiler that we support. */
    return emp_handle_kind(handle) == EMP_HANDLE_VALUE ? (int64_t)handle.bits >> 3 : 0;
}

/**
 * The future in a handle. @param handle any. @returns it, still the handle's; NULL: another kind.
 * Errors: NULL. Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE struct emp_future *emp_handle_future(struct emp_handle handle)
{
    return emp_handle_kind(handle) == EMP_HANDLE_FUTURE
               ? (struct emp_future *)(uintptr_t)(handle.bits - EMP_HANDLE_FUTURE)
               : (struct emp_future *)0;
}

/**
 * The error in a handle. @param handle any. @returns it; EMP_OK: another kind. Errors: none.
 * Threads: any. Cost: none. Since: 0.2. Source: row E4.
 */
EMP_INLINE enum emp_status emp_handle_error(struct emp_handle handle)
{
    return emp_handle_kind(handle) == EMP_HANDLE_ERROR ? (enum emp_status)(handle.bits >> 3)
                                                       : EMP_OK;
}

#endif
