/*
 * What it is for: tasks, coroutines and timers on a libuv loop: a scheduler for one loop, with the
 *   memory of libuv itself from the pools when asked for.
 * When not to use it: without libuv; adapter/executor.h brings threads of its own.
 * Life cycle: emp_uv_create on the thread that will run the loop -> uv_run -> emp_uv_close, when no
 *   task is queued and no timer waits -> uv_run until the handles are closed. The loop stays alive
 *   until close. While there is work the loop calls emp_tick each 100 ms, so that sleeping stacks
 *   are parked and idle memory goes back; afterwards too, until nothing is left to give back.
 * Threads: one loop, one thread. Tasks may be spawned and woken by any thread.
 * Errors: enum emp_status.
 */
#ifndef EMP_ADAPTER_UV_ADAPTER_H
#define EMP_ADAPTER_UV_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

#include "async/scheduler.h"
#include "base/export.h"
#include "base/status_code.h"

struct uv_loop_s;
struct emp_uv;

/* What one loop has done. Counts since its creation. */
struct emp_uv_stats {
    uint64_t runs;         /* tasks run */
    uint64_t submits;      /* tasks queued by the loop's thread */
    uint64_t far_submits;  /* tasks queued by other threads */
    uint64_t far_wakes;    /* times the loop was woken for them */
    uint64_t timers_fired; /* timers whose time came */
    uint64_t timers;       /* that wait now */
    uint64_t queued;       /* tasks that wait for their turn now */
};

EMP_EXTERN_C_BEGIN

/**
 * Lets libuv take its own memory from the pools. To be called before anything else of libuv.
 * @returns EMP_OK, EMP_ERR_INVALID when libuv refused. Errors: as returned. Threads: one.
 * Cost: O(1). Since: 0.2. Source: row E8.
 */
EMP_API enum emp_status emp_uv_use_pools(void);

/**
 * Makes the scheduler of a loop.
 * @param loop initialised; outlives the scheduler. Its thread is the calling one.
 * @param out receives it; ended by emp_uv_close.
 * @returns EMP_OK, EMP_ERR_NOMEM, EMP_ERR_INVALID. Errors: as returned; nothing is left behind,
 * except handles that the next uv_run finishes closing. Threads: the one that runs the loop.
 * Cost: six handles, one descriptor. Since: 0.2. Source: row E8.
 */
EMP_API enum emp_status emp_uv_create(struct uv_loop_s *loop, struct emp_uv **out);

/**
 * The scheduler to spawn tasks with. @param uv as created. @returns it; lives as long as uv.
 * Errors: none. Threads: any. Cost: none. Since: 0.2. Source: row E8.
 */
EMP_API struct emp_scheduler *emp_uv_scheduler(struct emp_uv *uv);

/**
 * Runs the tasks that are queued, without waiting for events. The loop does so by itself after its
 * events; a program calls it when it has spawned tasks in a callback and wants them to go ahead.
 * @param uv the scheduler. @returns the number of tasks run; at most a few hundred a call.
 * Errors: none; 0 within a task. Threads: the loop's. Cost: that of the tasks. Since: 0.2.
 * Source: row E8.
 */
EMP_API size_t emp_uv_run_ready(struct emp_uv *uv);

/**
 * What the loop has done. @param uv the scheduler. @param out receives the numbers.
 * @returns EMP_OK or EMP_ERR_INVALID. Errors: as returned. Threads: the loop's. Cost: one lock.
 * Since: 0.2. Source: rows E8, F1.
 */
EMP_API enum emp_status emp_uv_get_stats(struct emp_uv *uv, struct emp_uv_stats *out);

/**
 * Ends the scheduler: its handles close during the next turns of the loop, then it is freed.
 * @param uv no task is spawned, woken or run on it any more. @param closed called when it is gone;
 * may be NULL. @param arg handed to closed.
 * @returns EMP_OK, EMP_ERR_INVALID, EMP_ERR_BUSY while tasks are queued or timers wait.
 * Errors: as returned; nothing happened then. Threads: the loop's. Cost: O(1). Since: 0.2.
 * Source: row E8.
 */
EMP_API enum emp_status emp_uv_close(struct emp_uv *uv, void (*closed)(void *arg), void *arg);

EMP_EXTERN_C_END

#endif
