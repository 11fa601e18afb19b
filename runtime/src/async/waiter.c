/*
 * Purpose: lists of waiters.
 * Owner:   async. Threads: whoever holds the list. Bounds: every loop ends with its list.
 * Design:  [async.proto.waiter]
 */
#include "async/waiter.h"

#include <stddef.h>

/* The link is the first field. */
static struct emp_waiter *waiter_of(struct emp_future_link *link)
{
    return (struct emp_waiter *)(void *)link;
}

static const struct emp_waiter *waiter_at(const struct emp_future_link *link)
{
    return (const struct emp_waiter *)(const void *)link;
}

struct emp_waiter *emp_waiter_new(struct emp_async_pool *pool, const struct emp_waker *waker)
{
    struct emp_waiter *waiter = emp_object_take(pool, EMP_OBJECT_WAITER);

    if (waiter != NULL) {
        *waiter = (struct emp_waiter){
            .waker = emp_waker_clone(waker), .count = 1, .limit = EMP_WAITER_LOOK};
    }
    return waiter;
}

void emp_waiter_drop(struct emp_waiter *waiter)
{
    struct emp_waker waker = waiter->waker;

    emp_object_give(waiter);
    emp_waker_drop(&waker);
}

/* Turns a list around, so that the oldest comes first. */
static struct emp_future_link *list_reverse(struct emp_future_link *list)
{
    struct emp_future_link *turned = NULL;

    while (list != NULL) {
        struct emp_future_link *older = list->next;

        list->next = turned;
        turned = list;
        list = older;
    }
    return turned;
}

void emp_waiters_wake(struct emp_future_link *list)
{
    for (list = list_reverse(list); list != NULL;) {
        struct emp_waiter *waiter = waiter_of(list);
        struct emp_waker waker = waiter->waker;

        list = list->next;
        emp_object_give(waiter);
        emp_waker_wake(&waker);
    }
}

void emp_waiters_drop(struct emp_future_link *list)
{
    while (list != NULL) {
        struct emp_waiter *waiter = waiter_of(list);

        list = list->next;
        emp_waiter_drop(waiter);
    }
}

bool emp_waiters_know(const struct emp_future_link *list, const struct emp_waker *waker)
{
    for (unsigned i = 0; i < EMP_WAITER_LOOK && list != NULL; i++, list = list->next) {
        if (emp_waker_same(&waiter_at(list)->waker, waker)) {
            return true;
        }
    }
    return false;
}

/* At how many a list of so many different ones is sifted: the work of that is paid by who came. */
static uint32_t limit_for(uint32_t count)
{
    return count * 2 > EMP_WAITER_LOOK ? count * 2 : EMP_WAITER_LOOK;
}

/* Whether a comes before b: by target, and of one target by age (count, set by list_sift). */
static bool comes_before(const struct emp_waiter *a, const struct emp_waiter *b, bool by_age)
{
    if (by_age || emp_waker_same(&a->waker, &b->waker)) {
        return a->count > b->count; /* newest first, as in every list */
    }
    if (a->waker.data != b->waker.data) {
        return (uintptr_t)a->waker.data < (uintptr_t)b->waker.data;
    }
    return (uintptr_t)a->waker.vt < (uintptr_t)b->waker.vt;
}

/* Cuts a list behind its first `length` links; returns the rest. */
static struct emp_future_link *list_cut(struct emp_future_link *list, size_t length)
{
    while (list != NULL && --length > 0) {
        list = list->next;
    }
    if (list == NULL) {
        return NULL;
    }
    struct emp_future_link *rest = list->next;

    list->next = NULL;
    return rest;
}

/* Merges two sorted lists behind *tail; returns the new tail. */
static struct emp_future_link **list_merge(struct emp_future_link **tail, struct emp_future_link *a,
                                           struct emp_future_link *b, bool by_age)
{
    while (a != NULL && b != NULL) {
        struct emp_future_link **first = comes_before(waiter_at(b), waiter_at(a), by_age) ? &b : &a;

        *tail = *first;
        tail = &(*first)->next;
        *first = *tail;
    }
    *tail = a != NULL ? a : b;
    while (*tail != NULL) {
        tail = &(*tail)->next;
    }
    return tail;
}

/* Sorts in place, runs of doubling length: no memory, no recursion. */
static struct emp_future_link *list_sort(struct emp_future_link *list, size_t count, bool by_age)
{
    for (size_t run = 1; run < count; run *= 2) {
        struct emp_future_link *rest = list;
        struct emp_future_link **tail = &list;

        while (rest != NULL) {
            struct emp_future_link *a = rest;
            struct emp_future_link *b = list_cut(a, run);

            rest = list_cut(b, run);
            tail = list_merge(tail, a, b, by_age);
        }
    }
    return list;
}

/* Of the waiters with one waker the oldest stays. O(n log n), at each doubling of a list. */
static struct emp_future_link *list_sift(struct emp_future_link *list,
                                         struct emp_future_link **dropped)
{
    uint32_t count = waiter_of(list)->count;
    uint32_t age = count;

    for (struct emp_future_link *at = list; at != NULL; at = at->next) {
        waiter_of(at)->count = age--;
    }
    list = list_sort(list, count, false);
    for (struct emp_future_link **at = &list; (*at)->next != NULL;) {
        struct emp_future_link *newer = *at;

        if (emp_waker_same(&waiter_of(newer)->waker, &waiter_of(newer->next)->waker)) {
            *at = newer->next;
            newer->next = *dropped;
            *dropped = newer;
            count--;
        } else {
            at = &newer->next;
        }
    }
    list = list_sort(list, count, true);
    waiter_of(list)->count = count;
    waiter_of(list)->limit = limit_for(count);
    return list;
}

struct emp_future_link *emp_waiters_add(struct emp_future_link *list, struct emp_waiter *waiter,
                                        struct emp_future_link **dropped)
{
    waiter->link.next = list;
    if (list != NULL) {
        waiter->count = waiter_of(list)->count + 1;
        waiter->limit = waiter_of(list)->limit;
    }
    return waiter->count > waiter->limit ? list_sift(&waiter->link, dropped) : &waiter->link;
}

struct emp_future_link *emp_waiters_join(struct emp_future_link *fresh,
                                         struct emp_future_link *list)
{
    uint32_t count = list == NULL ? 0 : waiter_of(list)->count;
    uint32_t limit = list == NULL ? EMP_WAITER_LOOK : waiter_of(list)->limit;
    struct emp_future_link *oldest = fresh;

    for (count++; oldest->next != NULL; oldest = oldest->next) {
        count++;
    }
    oldest->next = list;
    waiter_of(fresh)->count = count;
    waiter_of(fresh)->limit = limit;
    return fresh;
}

struct emp_future_link *emp_waiters_remove(struct emp_future_link *list,
                                           const struct emp_waker *waker,
                                           struct emp_future_link **dropped)
{
    uint32_t count = waiter_of(list)->count;
    uint32_t limit = waiter_of(list)->limit;

    for (struct emp_future_link **at = &list; *at != NULL;) {
        struct emp_future_link *link = *at;

        if (emp_waker_same(&waiter_of(link)->waker, waker)) {
            *at = link->next;
            link->next = *dropped;
            *dropped = link;
            count--;
        } else {
            at = &link->next;
        }
    }
    if (list != NULL) {
        uint32_t wanted = limit_for(count);

        waiter_of(list)->count = count;
        waiter_of(list)->limit = limit < wanted ? limit : wanted;
    }
    return list;
}
