/*
 * What it is for: sends, receives and selects that wait, for coroutines.
 * When not to use it: in a task with a poll function; use emp_channel_send_poll and the others.
 * Life cycle: a call registers, sleeps and withdraws by itself; nothing is left when it returns.
 * Threads: a coroutine. What need not wait is done for any caller.
 * Errors: enum emp_status; as the polls, and EMP_ERR_CANCELLED when the coroutine is cancelled,
 *   EMP_ERR_STATE when a caller that is no coroutine would have to wait.
 */
#ifndef EMP_ASYNC_CHANNEL_AWAIT_H
#define EMP_ASYNC_CHANNEL_AWAIT_H

#include <stddef.h>
#include <stdint.h>

#include "async/channel.h"
#include "async/select.h"
#include "base/export.h"
#include "base/status_code.h"

EMP_EXTERN_C_BEGIN

/**
 * Sends, waiting for room. @param channel the caller is a sender. @param value one element.
 * @returns EMP_OK, EMP_ERR_CLOSED, EMP_ERR_NOMEM, EMP_ERR_CANCELLED (not sent), EMP_ERR_STATE.
 * Errors: as returned. Threads: a coroutine. Cost: a send; two switches when it has to wait.
 * Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_send(struct emp_channel *channel, const void *value);

/**
 * Receives, waiting for an element. @param channel the caller is a receiver.
 * @param value receives it. @returns EMP_OK, EMP_ERR_CLOSED, EMP_ERR_NOMEM, EMP_ERR_CANCELLED,
 * EMP_ERR_STATE. Errors: as returned. Threads: a coroutine. Cost: a receive; two switches when it
 * has to wait. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_channel_recv(struct emp_channel *channel, void *value);

/**
 * As emp_channel_recv, until a moment at most. @param channel the caller is a receiver.
 * @param value receives the element. @param deadline_ns CLOCK_MONOTONIC.
 * @returns as emp_channel_recv; EMP_ERR_TIMED_OUT; EMP_ERR_UNSUPPORTED: the scheduler has no
 * timers.
 * Errors: as returned. Threads: a coroutine. Cost: as emp_channel_recv, and a timer. Since: 0.2.
 * Source: row E5.
 */
EMP_API enum emp_status emp_channel_recv_until(struct emp_channel *channel, void *value,
                                               uint64_t deadline_ns);

/**
 * Does the first case that can be done, waiting for it. @param cases the cases.
 * @param count 1..EMP_SELECT_MAX. @param chosen receives the index of the case that was done.
 * @returns as emp_select_poll, never EMP_ERR_AGAIN; EMP_ERR_CANCELLED, EMP_ERR_STATE.
 * Errors: as returned. Threads: a coroutine. Cost: as emp_select_poll; two switches when it has to
 * wait. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_select(struct emp_select_case *cases, size_t count, size_t *chosen);

EMP_EXTERN_C_END

#endif
