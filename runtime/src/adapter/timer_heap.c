/*
 * Purpose: the pairing heap of timers.
 * Owner:   adapter. Design: [adapter.proto.timers] [adapter.req.timers]
 */
#include "adapter/timer_heap.h"

static struct emp_timer *link_get(const struct emp_timer *timer, enum timer_link which)
{
    return timer->link[which];
}

static void link_set(struct emp_timer *timer, enum timer_link which, struct emp_timer *to)
{
    if (timer != NULL) {
        timer->link[which] = to;
    }
}

/* One of two trees becomes the first child of the other; either may be NULL. */
static struct emp_timer *heap_meld(struct emp_timer *a, struct emp_timer *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    if (b->deadline_ns < a->deadline_ns) {
        struct emp_timer *swap = a;

        a = b;
        b = swap;
    }
    struct emp_timer *child = link_get(a, TIMER_CHILD);

    link_set(b, TIMER_NEXT, child);
    link_set(child, TIMER_BACK, b);
    link_set(b, TIMER_BACK, a);
    link_set(a, TIMER_CHILD, b);
    return a;
}

/* Melds the children of a timer that leaves: in pairs from the left, then all from the right. */
static struct emp_timer *heap_meld_children(struct emp_timer *parent)
{
    struct emp_timer *child = link_get(parent, TIMER_CHILD);
    struct emp_timer *pairs = NULL;
    struct emp_timer *whole = NULL;

    while (child != NULL) {
        struct emp_timer *second = link_get(child, TIMER_NEXT);
        struct emp_timer *rest = second != NULL ? link_get(second, TIMER_NEXT) : NULL;

        link_set(child, TIMER_NEXT, NULL);
        link_set(second, TIMER_NEXT, NULL);
        struct emp_timer *pair = heap_meld(child, second);

        link_set(pair, TIMER_NEXT, pairs);
        pairs = pair;
        child = rest;
    }
    while (pairs != NULL) {
        struct emp_timer *next = link_get(pairs, TIMER_NEXT);

        link_set(pairs, TIMER_NEXT, NULL);
        whole = heap_meld(whole, pairs);
        pairs = next;
    }
    return whole;
}

static void heap_set_root(struct timer_heap *heap, struct emp_timer *root)
{
    heap->root = root;
    link_set(root, TIMER_NEXT, NULL);
    link_set(root, TIMER_BACK, root);
}

static void timer_clear(struct emp_timer *timer)
{
    timer->link[TIMER_CHILD] = NULL;
    timer->link[TIMER_NEXT] = NULL;
    timer->link[TIMER_BACK] = NULL;
}

bool timer_heap_add(struct timer_heap *heap, struct emp_timer *timer)
{
    timer_clear(timer);
    heap_set_root(heap, heap_meld(heap->root, timer));
    heap->count++;
    return heap->root == timer;
}

struct emp_timer *timer_heap_pop(struct timer_heap *heap)
{
    struct emp_timer *first = heap->root;

    if (first != NULL) {
        heap_set_root(heap, heap_meld_children(first));
        heap->count--;
        timer_clear(first);
    }
    return first;
}

bool timer_heap_remove(struct timer_heap *heap, struct emp_timer *timer)
{
    struct emp_timer *back = link_get(timer, TIMER_BACK);
    struct emp_timer *next = link_get(timer, TIMER_NEXT);

    if (back == NULL) {
        return false;
    }
    if (timer == heap->root) {
        (void)timer_heap_pop(heap);
        return true;
    }
    link_set(back, link_get(back, TIMER_CHILD) == timer ? TIMER_CHILD : TIMER_NEXT, next);
    link_set(next, TIMER_BACK, back);
    heap_set_root(heap, heap_meld(heap->root, heap_meld_children(timer)));
    heap->count--;
    timer_clear(timer);
    return true;
}
