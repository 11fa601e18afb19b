/*
 * What it is for: tasks: a state machine of the caller that is polled whenever somebody wakes it.
 *   One object of 128 bytes holds header and a body of up to 64; larger bodies lie apart and go
 *   back at completion, so a handle that is kept pins 64 bytes.
 * When not to use it: for code that wants to wait in the middle; use emp_coroutine_spawn.
 * Life cycle: spawn -> submit -> run -> ... -> complete or cancelled; the body ends there, the
 *   object with its last reference (handles, wakers, the queue).
 * Threads: a task runs on one thread at a time, whichever calls emp_task_run. Handles may be used
 *   by any thread.
 * Errors: enum emp_status; a misuse that is seen (second run, too many references) is reported.
 */
#ifndef EMP_ASYNC_TASK_H
#define EMP_ASYNC_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/future.h"
#include "async/scheduler.h"
#include "async/waker.h"
#include "base/export.h"
#include "base/status_code.h"

struct emp_async_pool;

/* What a poll says. */
enum emp_poll {
    EMP_POLL_PENDING = 0,
    EMP_POLL_READY = 1,
    EMP_POLL_YIELD = 2 /* gives up its turn: is polled again behind the others, without a wake */
};

/* What emp_task_run says. */
enum emp_run {
    EMP_RUN_PENDING = 0, /* waits for a wake */
    EMP_RUN_AGAIN,       /* gave up its turn or was woken meanwhile, and has been submitted again */
    EMP_RUN_DONE         /* complete or cancelled; the caller's reference is gone */
};

/* A kind of task. Static storage. */
struct emp_task_type {
    const char *name;
    uint32_t body_bytes; /* 0..65536; up to 64 lie in the task object */
    uint32_t body_align; /* power of two, up to 64 */
    /*
     * Goes on with the work. Before it returns PENDING it has arranged for a wake, through a clone
     * of emp_task_waker. Never called again after READY.
     */
    enum emp_poll (*poll)(struct emp_task *task, void *body);
    /* Ends the body, once, on a thread that runs tasks: after READY, or instead when cancelled. */
    void (*drop)(void *body); /* may be NULL */
};

/* Where tasks come from: one static object per place in the source, made by EMP_SPAWN_SITE. */
struct emp_spawn_site {
    const char *file;
    const char *function;
    uint32_t line;
    uint32_t id; /* set by the library at the first spawn; 0: none yet */
};

/* Names the place it stands at; the value is a struct emp_spawn_site *. */
#define EMP_SPAWN_SITE()                                                                \
    (__extension__({                                                                    \
        static struct emp_spawn_site emp_site_here = {__FILE__, __func__, __LINE__, 0}; \
        &emp_site_here;                                                                 \
    }))

/* How a task is made. Start from a zeroed struct. */
struct emp_spawn {
    struct emp_async_pool *pool;
    struct emp_scheduler *scheduler;
    const struct emp_task_type *type;
    const void *args;            /* copied to the start of the body, the rest is zeroed */
    size_t args_bytes;           /* 0..type->body_bytes */
    struct emp_spawn_site *site; /* may be NULL */
};

/* The header. Schedulers may use next, between submit and run; all else is the library's. */
struct emp_task {
    uint64_t state;                   /* flags, references */
    const struct emp_task_type *type; /* const */
    struct emp_task *next;            /* owned by whoever was given the task by submit */
    struct emp_scheduler *scheduler;  /* const */
    void *body;                       /* in the object, or a block of its own */
    uint64_t id;                      /* 0: none was asked for */
    struct emp_future *result;        /* the join side; NULL: nobody asked */
    uint16_t site;                    /* number of the spawn site, 0: unknown */
    uint16_t kind;                    /* the library's; behind it four bytes are free */
};

EMP_EXTERN_C_BEGIN

/**
 * Makes a task and submits it.
 * @param spawn how. @param join receives a future for the result that the caller drops; NULL: none.
 * @param task receives a reference that the caller releases; NULL: none, the task is detached.
 * @returns EMP_OK, EMP_ERR_NOMEM, EMP_ERR_INVALID. Errors: as returned; then nothing happened.
 * Threads: any. Cost: one or two objects and a submit. Since: 0.2. Source: row E2.
 */
EMP_API enum emp_status emp_task_spawn(const struct emp_spawn *spawn, struct emp_future **join,
                                       struct emp_task **task);

/**
 * Makes up to count tasks of one kind, with consecutive args, and submits them (BatchAlloc).
 * @param spawn how; args is an array of count elements of args_bytes. @param count tasks.
 * @returns the number of tasks made. Errors: fewer when memory ended. Threads: any.
 * Cost: less than single spawns. Since: 0.2. Source: rows B10, E2.
 */
EMP_API size_t emp_task_spawn_batch(const struct emp_spawn *spawn, size_t count);

/**
 * Runs a task that was submitted, once. Called by schedulers.
 * @param task given by submit; belongs to the library again.
 * @returns what happened. Errors: none. Threads: any; no lock held. Cost: the poll and two atomic
 * operations. Since: 0.2. Source: row E2.
 */
EMP_API enum emp_run emp_task_run(struct emp_task *task);

/**
 * Cancels a task: its next run ends it, with its body dropped there and the join future cancelled.
 * @param task a reference. @returns true unless it was complete or cancelled before; true means
 * that the join future is cancelled, even if poll is just setting a result. Errors: none.
 * Threads: any, also the task itself. Cost: one atomic operation, perhaps a submit. Since: 0.2.
 * Source: row E2.
 */
EMP_API bool emp_task_abort(struct emp_task *task);

/**
 * Whether the task being run has been asked to end; for long polls.
 * @param task the task. @returns true when cancelled. Errors: none. Threads: any.
 * Cost: one load. Since: 0.2. Source: row E2.
 */
EMP_API bool emp_task_is_cancelled(const struct emp_task *task);

/**
 * Whether the task has ended. @param task a reference. @returns true when complete or cancelled.
 * Errors: none. Threads: any. Cost: one load. Since: 0.2. Source: row E2.
 */
EMP_API bool emp_task_is_complete(const struct emp_task *task);

/**
 * A second reference. @param task a reference. @returns task. Errors: overflow ends the process.
 * Threads: any. Cost: one atomic operation. Since: 0.2. Source: row E2.
 */
EMP_API struct emp_task *emp_task_retain(struct emp_task *task);

/**
 * Gives a reference back. The task goes on; the object ends with its last reference.
 * @param task a reference or NULL. Errors: none. Threads: any. Cost: one atomic operation.
 * Since: 0.2. Source: row E2.
 */
EMP_API void emp_task_release(struct emp_task *task);

/**
 * The waker of a task, not owned: valid while the task runs; clone it to keep it.
 * @param task the task that is being polled. @returns a waker. Errors: none.
 * Threads: the running one. Cost: none. Since: 0.2. Source: row E3.
 */
EMP_API struct emp_waker emp_task_waker(struct emp_task *task);

/**
 * The task that the calling thread runs right now.
 * @returns it, not owned, or NULL. Errors: none. Threads: any. Cost: one call. Since: 0.2.
 * Source: row E2.
 */
EMP_API struct emp_task *emp_task_current(void);

/**
 * Stores the result before poll returns READY; without it the join future gets no bytes. It is seen
 * when the task has ended, and dropped when the task is cancelled.
 * @param task the task that is being polled. @param value copied.
 * @param bytes up to 16 lie in the future.
 * @returns EMP_OK, also when nobody asked for it; EMP_ERR_NOMEM, EMP_ERR_TOO_BIG (65536 bytes are
 * the most), EMP_ERR_STATE (a second time). Errors: as returned.
 * Threads: the running one. Cost: a copy. Since: 0.2. Source: rows E1, E2.
 */
EMP_API enum emp_status emp_task_set_result(struct emp_task *task, const void *value, size_t bytes);

EMP_EXTERN_C_END

#endif
