/*
 * What it is for: waits for the first of several sends and receives over channels; one of them
 *   happens, the others do not.
 * When not to use it: for one channel, use emp_channel_send_poll and emp_channel_recv_poll.
 * Life cycle: a zeroed emp_select_wait per select; polls until one does not say EMP_ERR_AGAIN, or
 *   emp_select_forget. The cases stay the same meanwhile, with a reference to each channel.
 * Threads: any, one at a time for one wait.
 * Errors: enum emp_status.
 */
#ifndef EMP_ASYNC_SELECT_H
#define EMP_ASYNC_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/channel.h"
#include "async/waker.h"
#include "base/export.h"
#include "base/status_code.h"

#define EMP_SELECT_MAX 16u /* cases of a select */

/* One send or receive; a channel may stand in several. */
struct emp_select_case {
    struct emp_channel *channel;
    void *value;  /* of the channel's element size: read by a send, written by a receive */
    bool is_send; /* false: receive */
};

/* The registrations of one select. Zero before the first poll, not copied while in use. */
struct emp_select_wait {
    void *group;
    uint32_t turn; /* which case is looked at first; moves on, so that all get their turn */
};

/* The cases of one select. */
struct emp_select {
    struct emp_select_case *cases;
    size_t count; /* 1..EMP_SELECT_MAX */
};

EMP_EXTERN_C_BEGIN

/**
 * Does the first case that can be done, or registers with all. A closed channel is a case that can
 * be done: its status is the result.
 * @param select the cases, the same in every poll of one wait. @param wait of this select.
 * @param waker cloned for each case; NULL: only tries. @param chosen receives the index of the case
 * when one was done. @returns EMP_OK: done; EMP_ERR_CLOSED: the chosen channel is closed;
 * EMP_ERR_AGAIN: registered; EMP_ERR_NOMEM: could not register, or an unbounded send could not be
 * made; EMP_ERR_INVALID: no case, or too many.
 * Errors: as returned. Threads: any, one at a time for one wait. Cost: the tries; to register, all
 * locks and a node for each case. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_select_poll(const struct emp_select *select,
                                        struct emp_select_wait *wait, const struct emp_waker *waker,
                                        size_t *chosen);

/**
 * Withdraws the registrations. A wake that one had got goes to the next who waits there, an element
 * that it had been handed to the next receiver.
 * @param select as in the polls. @param wait of the polls; unused again afterwards.
 * @param chosen receives the index of a send whose element had been taken.
 * @returns EMP_OK, or EMP_ERR_DONE: there was such a send. Errors: as returned.
 * Threads: any, one at a time for one wait. Cost: a lock per case. Since: 0.2. Source: row E5.
 */
EMP_API enum emp_status emp_select_forget(const struct emp_select *select,
                                          struct emp_select_wait *wait, size_t *chosen);

EMP_EXTERN_C_END

#endif
