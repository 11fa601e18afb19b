/*
 * Purpose: CompactFuture: completion, polling, references. The steps of the word are in
 *          sync/future_word.h, those of the counts in sync/future_refs.h, lists in waiter.c.
 * Owner:   async. Threads: any; foreign functions (wakers, drop) are called with nothing half done.
 * Design:  [async.proto.future]
 */
#include "async/future.h"

#include <string.h>

#include "async/future_object.h"
#include "async/object.h"
#include "async/value_type.h"
#include "async/waiter.h"
#include "base/check.h"
#include "base/compiler.h"
#include "monitor/report.h"
#include "sync/future_refs.h"
#include "sync/future_word.h"

/* A value on its way into a future. */
struct passed {
    const void *value;
    size_t bytes;
    uint16_t type;
};

/* How often a withdrawal looks again while another thread edits the list. */
#define FORGET_TRIES 128u

struct emp_future *emp_future_new(struct emp_async_pool *pool)
{
    struct emp_future *future = emp_object_take(pool, EMP_OBJECT_FUTURE);

    if (future != NULL) {
        emp_future_word_start(&future->word);
        emp_future_refs_start(&future->refs);
    }
    return future;
}

/* Where the value lies. */
static void *value_of(struct emp_future *future)
{
    return future->length == EMP_FUTURE_BOXED ? future->value.boxed.box : future->value.bytes;
}

static size_t value_bytes(const struct emp_future *future)
{
    return future->length == EMP_FUTURE_BOXED ? future->value.boxed.length : future->length;
}

/* Gives the block of a value back that nobody reads any more. */
static void value_unbox(struct emp_future *future)
{
    if (future->length == EMP_FUTURE_BOXED && future->value.boxed.box != NULL) {
        emp_object_hooks.memory_give(future->value.boxed.box);
        future->value.boxed.box = NULL;
    }
}

/* Ends the value of a future without consumers. */
static void value_end(struct emp_future *future, bool taken)
{
    const struct emp_value_type *type = taken ? NULL : emp_value_type_of(future->type);

    if (type != NULL && type->drop != NULL) {
        type->drop(value_of(future));
    }
    value_unbox(future);
}

/* Copies a value; a word without a call. */
static EMP_ALWAYS_INLINE void bytes_copy(void *to, const void *from, size_t bytes)
{
    if (emp_likely(bytes == 8)) {
        memcpy(to, from, 8);
    } else if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

/* Writes the result; the caller has won the claim. box: for values that are not inline. */
static void value_write(struct emp_future *future, enum emp_future_kind kind,
                        const struct passed *passed, void *box)
{
    future->kind = (uint8_t)kind;
    future->type = passed->type;
    if (box != NULL) {
        future->length = EMP_FUTURE_BOXED;
        future->value.boxed.box = box;
        future->value.boxed.length = passed->bytes;
    } else {
        future->length = (uint8_t)passed->bytes;
    }
    bytes_copy(value_of(future), passed->value, passed->bytes);
}

/* Claims the future and writes its result. */
static enum emp_status future_prepare(struct emp_future *future, enum emp_future_kind kind,
                                      const struct passed *passed)
{
    void *box = NULL;

    if (passed->bytes > EMP_FUTURE_VALUE_BYTES_MAX) {
        return EMP_ERR_TOO_BIG;
    }
    if (passed->bytes > EMP_FUTURE_INLINE_BYTES) {
        /* A claim cannot be undone, so the block comes first; a look saves it where it is vain. */
        if ((emp_future_word_look(&future->word) & EMP_FUTURE_CLAIMED) != 0) {
            return EMP_ERR_DONE;
        }
        box = emp_object_hooks.memory_take(passed->bytes);
        if (box == NULL) {
            return EMP_ERR_NOMEM;
        }
    }
    if (!emp_future_word_claim(&future->word)) {
        if (box != NULL) {
            emp_object_hooks.memory_give(box);
        }
        return EMP_ERR_DONE;
    }
    value_write(future, kind, passed, box);
    return EMP_OK;
}

/* Shows the result and wakes. The caller's reference keeps the future meanwhile. */
static void future_publish(struct emp_future *future)
{
    uintptr_t seen = emp_future_word_publish(&future->word);

    if ((seen & EMP_FUTURE_DETACHED) != 0) {
        value_end(future, false);
    }
    emp_waiters_wake(emp_future_word_list(seen));
}

static enum emp_status future_complete(struct emp_future *future, enum emp_future_kind kind,
                                       const struct passed *passed)
{
    enum emp_status status = future_prepare(future, kind, passed);

    if (status == EMP_OK) {
        future_publish(future);
    }
    return status;
}

enum emp_status emp_future_prepare(struct emp_future *future, const void *value, size_t bytes)
{
    return future_prepare(future, EMP_FUTURE_OK, &(struct passed){value, bytes, 0});
}

void emp_future_announce(struct emp_future *future, bool cancelled)
{
    if (cancelled) {
        value_end(future, false);
        value_write(future, EMP_FUTURE_CANCELLED, &(struct passed){0}, NULL);
    }
    future_publish(future);
}

enum emp_status emp_future_resolve(struct emp_future *future, const void *value, size_t bytes)
{
    return future_complete(future, EMP_FUTURE_OK, &(struct passed){value, bytes, 0});
}

enum emp_status emp_future_resolve_typed(struct emp_future *future, struct emp_value_type *type,
                                         const void *value)
{
    struct passed passed = {value, type->bytes, (uint16_t)emp_value_type_number(type)};

    return passed.type == 0 ? EMP_ERR_LIMIT : future_complete(future, EMP_FUTURE_OK, &passed);
}

enum emp_status emp_future_reject(struct emp_future *future, const void *value, size_t bytes)
{
    return future_complete(future, EMP_FUTURE_ERROR, &(struct passed){value, bytes, 0});
}

enum emp_status emp_future_cancel(struct emp_future *future)
{
    return future_complete(future, EMP_FUTURE_CANCELLED, &(struct passed){0});
}

enum emp_status emp_future_expire(struct emp_future *future)
{
    return future_complete(future, EMP_FUTURE_EXPIRED, &(struct passed){0});
}

/* Puts an edited list back, whatever comes meanwhile; with the result it is woken here. */
static void list_return(struct emp_future *future, struct emp_future_link *list)
{
    struct emp_future_link *fresh = NULL;
    enum emp_future_edit done = EMP_FUTURE_EDIT_MORE;

    while ((done = emp_future_word_edit_end(&future->word, list, &fresh)) == EMP_FUTURE_EDIT_MORE) {
        list = emp_waiters_join(fresh, list);
    }
    if (done == EMP_FUTURE_EDIT_READY) {
        emp_waiters_wake(list);
    }
}

/* Registers beside others; true when it is done, false: the list was not to be had. */
static bool register_by_edit(struct emp_future *future, struct emp_waiter *waiter)
{
    struct emp_future_link *list = emp_future_word_edit_begin(&future->word);
    struct emp_future_link *dropped = NULL;

    if (list == NULL) {
        return false;
    }
    if (emp_waiters_know(list, &waiter->waker)) {
        waiter->link.next = NULL;
        dropped = &waiter->link;
    } else {
        list = emp_waiters_add(list, waiter, &dropped);
    }
    list_return(future, list);
    emp_waiters_drop(dropped);
    return true;
}

/* Registers a waker: EMP_ERR_AGAIN, EMP_ERR_NOMEM, or EMP_OK: the result has come. */
static enum emp_status future_register(struct emp_future *future, const struct emp_waker *waker)
{
    struct emp_waiter *waiter = emp_waiter_new(emp_object_pool_of(future), waker);

    if (waiter == NULL) {
        return EMP_ERR_NOMEM;
    }
    for (;;) {
        switch (emp_future_word_push(&future->word, &waiter->link)) {
        case EMP_FUTURE_PUSHED:
            return EMP_ERR_AGAIN;
        case EMP_FUTURE_IS_READY:
            emp_waiter_drop(waiter);
            return EMP_OK;
        case EMP_FUTURE_IS_LISTED:
            if (register_by_edit(future, waiter)) {
                return EMP_ERR_AGAIN;
            }
        }
    }
}

/* What a complete future says. */
static enum emp_status status_of(const struct emp_future *future)
{
    static const enum emp_status statuses[] = {
        [EMP_FUTURE_OK] = EMP_OK,
        [EMP_FUTURE_ERROR] = EMP_ERR_REJECTED,
        [EMP_FUTURE_CANCELLED] = EMP_ERR_CANCELLED,
        [EMP_FUTURE_EXPIRED] = EMP_ERR_TIMED_OUT,
    };

    return statuses[future->kind];
}

/* The word once it is READY, or why not. */
static enum emp_status future_await(struct emp_future *future, const struct emp_waker *waker,
                                    uintptr_t *seen)
{
    *seen = emp_future_word_look(&future->word);
    if (emp_likely((*seen & EMP_FUTURE_READY) != 0)) {
        return EMP_OK;
    }
    if (waker == NULL || waker->vt == NULL) {
        return EMP_ERR_AGAIN;
    }
    enum emp_status status = future_register(future, waker);

    *seen = status == EMP_OK ? emp_future_word_look(&future->word) : 0;
    return status;
}

/* Copies what fits of the value. */
static void value_copy(struct emp_future *future, void *value, size_t capacity, size_t *bytes)
{
    size_t length = value_bytes(future);

    if (bytes != NULL) {
        *bytes = length;
    }
    length = length < capacity ? length : capacity;
    if (value != NULL) {
        bytes_copy(value, value_of(future), length);
    }
}

enum emp_status emp_future_poll(struct emp_future *future, const struct emp_waker *waker,
                                void *value, size_t capacity, size_t *bytes)
{
    uintptr_t seen = 0;
    enum emp_status status = future_await(future, waker, &seen);

    if (status != EMP_OK) {
        return status;
    }
    if ((seen & EMP_FUTURE_TAKEN) != 0) {
        return EMP_ERR_DONE;
    }
    value_copy(future, value, capacity, bytes);
    return status_of(future);
}

enum emp_status emp_future_take(struct emp_future *future, const struct emp_waker *waker,
                                void *value, size_t capacity, size_t *bytes)
{
    uintptr_t seen = 0;
    enum emp_status status = future_await(future, waker, &seen);

    if (status != EMP_OK) {
        return status;
    }
    if ((seen & EMP_FUTURE_TAKEN) != 0) {
        return EMP_ERR_DONE;
    }
    if (value_bytes(future) > capacity) {
        return EMP_ERR_TOO_BIG;
    }
    const bool is_alone = emp_future_refs_is_alone(&future->refs, EMP_FUTURE_CONSUMER);

    if (!emp_future_word_take(&future->word, is_alone)) {
        return EMP_ERR_DONE;
    }
    value_copy(future, value, capacity, bytes);
    /* Other consumers may be reading the block at this moment. */
    if (is_alone) {
        value_unbox(future);
    }
    return status_of(future);
}

bool emp_future_forget(struct emp_future *future, const struct emp_waker *waker)
{
    struct emp_future_link *list = NULL;
    struct emp_future_link *dropped = NULL;

    for (unsigned i = 0; i < FORGET_TRIES; i++) {
        list = emp_future_word_edit_begin(&future->word);
        if (list != NULL || !emp_future_word_is_edited(&future->word)) {
            break;
        }
        emp_cpu_relax();
    }
    if (list == NULL) {
        return false;
    }
    list_return(future, emp_waiters_remove(list, waker, &dropped));
    bool found = dropped != NULL;

    emp_waiters_drop(dropped);
    return found;
}

static EMP_COLD void report_dead(const struct emp_future *future, const char *call)
{
    const struct emp_report report = {
        .code = EMP_REPORT_FUTURE_DEAD, .pointer = future, .block = future, .call = call};

    emp_report_misuse(&report);
}

struct emp_future *emp_future_retain(struct emp_future *future)
{
    if (emp_unlikely(!emp_future_refs_retain(&future->refs, EMP_FUTURE_CONSUMER))) {
        report_dead(future, "emp_future_retain");
    }
    return future;
}

/* No consumer is left: the value ends here, or with its completion; nobody waits any more. */
static void consumers_end(struct emp_future *future)
{
    uintptr_t seen = emp_future_word_detach(&future->word);

    if ((seen & EMP_FUTURE_READY) != 0) {
        value_end(future, (seen & EMP_FUTURE_TAKEN) != 0);
    } else {
        emp_waiters_drop(emp_future_word_list(seen));
    }
}

void emp_future_drop(struct emp_future *future)
{
    enum emp_future_leave leave = EMP_FUTURE_LEFT;

    if (future == NULL) {
        return;
    }
    leave = emp_future_refs_leave(&future->refs, EMP_FUTURE_CONSUMER);
    if (leave == EMP_FUTURE_LEFT) {
        return;
    }
    if (emp_unlikely(leave == EMP_FUTURE_NOT_HELD)) {
        report_dead(future, "emp_future_drop");
        return;
    }
    consumers_end(future);
    if (leave == EMP_FUTURE_LAST_OF_ALL ||
        emp_future_refs_leave_last(&future->refs, EMP_FUTURE_CONSUMER)) {
        emp_object_give(future);
    }
}

struct emp_future *emp_promise_retain(struct emp_future *future)
{
    if (emp_unlikely(!emp_future_refs_retain(&future->refs, EMP_FUTURE_PRODUCER))) {
        report_dead(future, "emp_promise_retain");
    }
    return future;
}

void emp_promise_drop(struct emp_future *future)
{
    enum emp_future_leave leave = EMP_FUTURE_LEFT;

    if (future == NULL) {
        return;
    }
    leave = emp_future_refs_leave(&future->refs, EMP_FUTURE_PRODUCER);
    if (leave == EMP_FUTURE_LEFT) {
        return;
    }
    if (emp_unlikely(leave == EMP_FUTURE_NOT_HELD)) {
        report_dead(future, "emp_promise_drop");
        return;
    }
    if (leave == EMP_FUTURE_LAST_OF_SIDE) {
        if ((emp_future_word_look(&future->word) & EMP_FUTURE_READY) == 0) {
            (void)emp_future_cancel(future);
        }
        if (!emp_future_refs_leave_last(&future->refs, EMP_FUTURE_PRODUCER)) {
            return;
        }
    }
    emp_object_give(future);
}
