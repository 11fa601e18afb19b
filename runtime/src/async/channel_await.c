/*
 * Purpose: the waits of a coroutine for channels: poll, sleep, poll again, and withdraw when it is
 *          cancelled.
 * Owner:   async. The waits lie on the coroutine's stack, where nobody else looks at them: what is
 *          linked are their nodes.
 * Threads: a coroutine.
 * Design:  [async.proto.channel]
 * Cost:    two switches for each sleep.
 */
#include "async/channel_await.h"

#include "async/alarm.h"
#include "async/coroutine.h"
#include "async/task.h"

/* Whether the caller may sleep: EMP_OK, or why not. */
static enum emp_status may_wait(void)
{
    if (!emp_in_coroutine()) {
        return EMP_ERR_STATE;
    }
    return emp_task_is_cancelled(emp_task_current()) ? EMP_ERR_CANCELLED : EMP_OK;
}

enum emp_status emp_channel_send(struct emp_channel *channel, const void *value)
{
    struct emp_channel_wait wait = {0};
    enum emp_status found = emp_channel_try_send(channel, value);
    enum emp_status status = found == EMP_ERR_AGAIN ? may_wait() : EMP_OK;

    while (found == EMP_ERR_AGAIN && status == EMP_OK) {
        const struct emp_waker waker = emp_task_waker(emp_task_current());

        found = emp_channel_send_poll(channel, &wait, &waker, value);
        if (found == EMP_ERR_AGAIN) {
            status = emp_coroutine_suspend();
        }
    }
    if (found != EMP_ERR_AGAIN) {
        return found;
    }
    /* Cancelled, or never waited: what a receiver has taken meanwhile was sent. */
    return emp_channel_forget(channel, &wait) == EMP_ERR_DONE ? EMP_OK : status;
}

/* Receives until the alarm, if there is one, has gone off. */
static enum emp_status recv_waiting(struct emp_channel *channel, void *value,
                                    const struct emp_alarm *alarm)
{
    struct emp_channel_wait wait = {0};
    enum emp_status found = EMP_ERR_AGAIN;
    enum emp_status status = EMP_OK;

    while (status == EMP_OK) {
        const struct emp_waker waker = emp_task_waker(emp_task_current());
        const bool is_late = alarm != NULL && emp_alarm_is_over(alarm);

        found = emp_channel_recv_poll(channel, &wait, is_late ? NULL : &waker, value);
        if (found != EMP_ERR_AGAIN) {
            return found;
        }
        status = is_late ? EMP_ERR_TIMED_OUT : emp_coroutine_suspend();
    }
    (void)emp_channel_forget(channel, &wait);
    return status;
}

enum emp_status emp_channel_recv(struct emp_channel *channel, void *value)
{
    enum emp_status found = emp_channel_try_recv(channel, value);

    if (found != EMP_ERR_AGAIN) {
        return found;
    }
    enum emp_status status = may_wait();

    return status == EMP_OK ? recv_waiting(channel, value, NULL) : status;
}

enum emp_status emp_channel_recv_until(struct emp_channel *channel, void *value,
                                       uint64_t deadline_ns)
{
    enum emp_status found = emp_channel_try_recv(channel, value);
    struct emp_alarm *alarm = NULL;

    if (found != EMP_ERR_AGAIN) {
        return found;
    }
    enum emp_status status = may_wait();

    if (status == EMP_OK) {
        status = emp_alarm_start(emp_task_current(), deadline_ns, &alarm);
    }
    if (status == EMP_OK) {
        status = recv_waiting(channel, value, alarm);
        emp_alarm_end(emp_task_current(), alarm);
    }
    return status;
}

enum emp_status emp_select(struct emp_select_case *cases, size_t count, size_t *chosen)
{
    const struct emp_select select = {cases, count};
    struct emp_select_wait wait = {0};
    enum emp_status found = emp_select_poll(&select, &wait, NULL, chosen);
    enum emp_status status = found == EMP_ERR_AGAIN ? may_wait() : EMP_OK;

    while (found == EMP_ERR_AGAIN && status == EMP_OK) {
        const struct emp_waker waker = emp_task_waker(emp_task_current());

        found = emp_select_poll(&select, &wait, &waker, chosen);
        if (found == EMP_ERR_AGAIN) {
            status = emp_coroutine_suspend();
        }
    }
    if (found != EMP_ERR_AGAIN) {
        return found;
    }
    /* Cancelled, or never waited: a send that was taken meanwhile is the case that was done. */
    return emp_select_forget(&select, &wait, chosen) == EMP_ERR_DONE ? EMP_OK : status;
}
