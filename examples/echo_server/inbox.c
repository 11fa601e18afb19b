/* Handing sockets over; see inbox.h. A lock and a list, and a future for the worker that waits. */
#include "inbox.h"

#include <stdlib.h>
#include <uv.h>

#include "adapter/uv_stream.h"
#include "core/advanced_memory_pool.h"
#include "fiber.h"

struct item {
    struct item *next;
    int fd;
};

struct inbox {
    uv_mutex_t lock;
    struct emp_async_pool *pool;
    struct item *first;
    struct item *last;
    struct emp_future *waiting; /* the producer's reference of the worker that waits */
    bool is_closed;
};

struct inbox *inbox_new(struct emp_async_pool *pool)
{
    struct inbox *inbox = emp_calloc(1, sizeof(*inbox));

    if (inbox != NULL && uv_mutex_init(&inbox->lock) != 0) {
        emp_free(inbox);
        return NULL;
    }
    if (inbox != NULL) {
        inbox->pool = pool;
    }
    return inbox;
}

/* Wakes the worker; called without the lock. */
static void waiting_end(struct emp_future *waiting)
{
    struct emp_uv_chunk nothing = {NULL, 0};

    if (waiting != NULL) {
        (void)emp_future_resolve(waiting, &nothing, sizeof(nothing));
        emp_promise_drop(waiting);
    }
}

static struct emp_future *waiting_take(struct inbox *inbox)
{
    struct emp_future *waiting = inbox->waiting;

    inbox->waiting = NULL;
    return waiting;
}

bool inbox_send(struct inbox *inbox, int fd)
{
    struct item *item = emp_malloc(sizeof(*item));

    if (item == NULL) {
        return false;
    }
    *item = (struct item){NULL, fd};
    uv_mutex_lock(&inbox->lock);
    if (inbox->first == NULL) {
        inbox->first = item;
    } else {
        inbox->last->next = item;
    }
    inbox->last = item;
    struct emp_future *waiting = waiting_take(inbox);

    uv_mutex_unlock(&inbox->lock);
    waiting_end(waiting);
    return true;
}

int inbox_receive(struct inbox *inbox)
{
    for (;;) {
        struct emp_future *future = NULL;

        uv_mutex_lock(&inbox->lock);
        struct item *item = inbox->first;

        if (item != NULL) {
            inbox->first = item->next;
        } else if (!inbox->is_closed) {
            future = inbox->waiting = emp_future_new(inbox->pool);
        }
        uv_mutex_unlock(&inbox->lock);
        if (item != NULL) {
            int fd = item->fd;

            emp_free(item);
            return fd;
        }
        if (future == NULL) {
            return -1;
        }
        (void)fiber_wait(future);
    }
}

void inbox_close(struct inbox *inbox)
{
    uv_mutex_lock(&inbox->lock);
    inbox->is_closed = true;
    struct emp_future *waiting = waiting_take(inbox);

    uv_mutex_unlock(&inbox->lock);
    waiting_end(waiting);
}

void inbox_free(struct inbox *inbox)
{
    if (inbox != NULL) {
        uv_mutex_destroy(&inbox->lock);
        emp_free(inbox);
    }
}
