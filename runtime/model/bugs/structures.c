/*
 * What: old bugs of lock-free structures, in our own words: a deque without its fence, a stack with
 *       ABA, queues that publish too weakly or too early, a half-linked node.
 * How:  each runs as it was wrong, where the checker must find the fault, and mended, where it must
 *       find none.
 * Design: docs/design/model.md, "Old bugs"
 * Source: Le, Pop, Cohen, Zappa Nardelli 2013 (deque); Treiber 1986 and Michael 2004 (ABA);
 *         rpmalloc #281 (counter before pointer); Vyukov's MPSC queue; mimalloc-mc 2020 (list of
 *         remote blocks taken without acquire).
 */
#include "bugs/bugs.h"
#include "cases.h"

/*
 * Work-stealing deque with two items; the owner takes at the bottom, without a swap when it
 * believes that there is more than one.
 */
static struct {
    uint32_t top, bottom; /* atomic */
    uint32_t got;         /* atomic: items taken */
} deque;

static void deque_set_up(void)
{
    deque.top = 0;
    deque.bottom = 2;
    deque.got = 0;
}

static void deque_take(void)
{
    const uint32_t bottom = MODEL_LOAD(&deque.bottom, RELAXED) - 1;
    uint32_t top = 0;
    MODEL_STORE(&deque.bottom, bottom, RELAXED);
    FENCE_IF(SEQ_CST);
    top = MODEL_LOAD(&deque.top, RELAXED);
    if ((int32_t)(bottom - top) > 0 ||
        (bottom == top && MODEL_CAS(&deque.top, &top, top + 1, SEQ_CST, RELAXED))) {
        MODEL_RMW(&deque.got, 1, ADD, RELAXED);
    }
}

static void deque_steal(void)
{
    uint32_t top = MODEL_LOAD(&deque.top, ACQUIRE);
    FENCE_IF(SEQ_CST);
    const uint32_t bottom = MODEL_LOAD(&deque.bottom, ACQUIRE);
    if ((int32_t)(bottom - top) > 0 && MODEL_CAS(&deque.top, &top, top + 1, SEQ_CST, RELAXED)) {
        MODEL_RMW(&deque.got, 1, ADD, RELAXED);
    }
}

static void deque_steal_two(void)
{
    deque_steal();
    deque_steal();
}

static void deque_finish(void)
{
    model_assert(deque.got <= 2);
}

/* Treiber's stack of numbered nodes 1..3; the tag in the upper half counts changes. */
static struct {
    uint32_t head;     /* atomic: tag << 16 | node */
    uint32_t next[4];  /* atomic */
    uint32_t owner[4]; /* atomic: who popped it */
} stack;

static void stack_set_up(void)
{
    stack.head = 1;
    stack.next[1] = 2;
    stack.next[2] = 0;
    for (unsigned i = 0; i < 4; i++) {
        stack.owner[i] = 0;
    }
}

static uint32_t stack_pop(void)
{
    uint32_t head = MODEL_LOAD(&stack.head, ACQUIRE);
    for (;;) {
        const uint32_t node = head & 0xffff;
        if (node == 0) {
            return 0;
        }
        const uint32_t next = MODEL_LOAD(&stack.next[node], RELAXED);
        const uint32_t tag = fixed ? (head >> 16) + 1 : 0;
        if (MODEL_CAS(&stack.head, &head, tag << 16 | next, ACQ_REL, ACQUIRE)) {
            model_assert(MODEL_RMW(&stack.owner[node], 1, EXCHANGE, RELAXED) == 0);
            return node;
        }
    }
}

static void stack_push(uint32_t node)
{
    uint32_t head = MODEL_LOAD(&stack.head, RELAXED);
    MODEL_STORE(&stack.owner[node], 0, RELAXED);
    do {
        MODEL_STORE(&stack.next[node], head & 0xffff, RELAXED);
    } while (!MODEL_CAS(&stack.head, &head, (fixed ? (head >> 16) + 1 : 0) << 16 | node, ACQ_REL,
                        RELAXED));
}

static void stack_popper(void)
{
    stack_pop();
}

/* Takes both, gives the first back: the head looks as before, what lies below is gone. */
static void stack_swapper(void)
{
    const uint32_t first = stack_pop();
    stack_pop();
    if (first != 0) {
        stack_push(first);
    }
}

/* No node is in the stack and with somebody. */
static void stack_finish(void)
{
    unsigned steps = 0;
    for (uint32_t node = stack.head & 0xffff; node != 0 && steps < 4; node = stack.next[node]) {
        model_assert(stack.owner[node] == 0);
        steps++;
    }
    model_assert(steps < 4);
}

/* Ring of one producer and one consumer. */
static struct {
    uint32_t tail, head; /* atomic */
    uint32_t item[2];
} spsc;

static void spsc_set_up(void)
{
    spsc.tail = 0;
    spsc.head = 0;
}

static void spsc_produce(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        if (i - MODEL_LOAD(&spsc.head, ACQUIRE) < 2) {
            spsc.item[i % 2] = i;
            STORE_IF(&spsc.tail, i + 1, RELEASE, RELAXED);
        } else {
            return;
        }
    }
}

static void spsc_consume(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (MODEL_LOAD(&spsc.tail, ACQUIRE) != i) {
            model_assert(spsc.item[i % 2] == i);
            MODEL_STORE(&spsc.head, i + 1, RELEASE);
        } else {
            return;
        }
    }
}

/* A table that grows: the count must not be seen before the pointer. */
static struct {
    uint32_t count;    /* atomic */
    uint32_t *pointer; /* atomic */
    uint32_t object;
} table;

static void table_set_up(void)
{
    table.count = 0;
    table.pointer = NULL;
    table.object = 0;
}

static void table_add(void)
{
    if (!fixed) {
        MODEL_RMW(&table.count, 1, ADD, RELEASE);
    }
    MODEL_STORE(&table.pointer, &table.object, RELEASE);
    if (fixed) {
        MODEL_RMW(&table.count, 1, ADD, RELEASE);
    }
}

static void table_look(void)
{
    if (MODEL_LOAD(&table.count, ACQUIRE) != 0) {
        model_assert(MODEL_LOAD(&table.pointer, ACQUIRE) != NULL);
    }
}

/* Queue of many producers: exchange of the tail, then the link; between them it looks empty. */
struct mpsc_node {
    struct mpsc_node *next; /* atomic */
};

static struct {
    struct mpsc_node *tail; /* atomic */
    struct mpsc_node stub, node[2];
    uint32_t waiting; /* atomic: the consumer sleeps */
    uint32_t received;
} mpsc;

static void mpsc_set_up(void)
{
    mpsc.stub.next = NULL;
    mpsc.node[0].next = NULL;
    mpsc.node[1].next = NULL;
    mpsc.tail = &mpsc.stub;
    mpsc.waiting = 0;
    mpsc.received = 0;
}

static void mpsc_push(void)
{
    struct mpsc_node *const node = &mpsc.node[model_self()];
    struct mpsc_node *const before = MODEL_RMW(&mpsc.tail, node, EXCHANGE, ACQ_REL);
    MODEL_STORE(&before->next, node, RELEASE);
}

/* Takes both nodes; the faulty form stops when a link is missing although the tail has moved. */
static void mpsc_pop(void)
{
    struct mpsc_node *at = &mpsc.stub;
    for (unsigned i = 0; i < 2; i++) {
        struct mpsc_node *next = MODEL_LOAD(&at->next, ACQUIRE);
        if (next == NULL && MODEL_LOAD(&mpsc.tail, ACQUIRE) != at) {
            if (!fixed) {
                model_assert(next != NULL); /* "not empty, so there is a next" */
                return;
            }
            model_await_other(&at->next, NULL, ACQUIRE);
            next = MODEL_LOAD(&at->next, ACQUIRE);
        }
        if (next == NULL) {
            return;
        }
        mpsc.received++;
        at = next;
    }
}

/* Remote blocks: a list pushed with release, taken whole without acquire. */
static struct {
    uint32_t *head; /* atomic */
    uint32_t block;
} remote;

static void remote_set_up(void)
{
    remote.head = NULL;
}

static void remote_free(void)
{
    uint32_t *below = NULL;
    remote.block = 1;
    MODEL_CAS(&remote.head, &below, &remote.block, RELEASE, RELAXED);
}

static void remote_take(void)
{
    uint32_t *const taken = fixed ? MODEL_RMW(&remote.head, NULL, EXCHANGE, ACQUIRE)
                                  : MODEL_RMW(&remote.head, NULL, EXCHANGE, RELAXED);
    if (taken != NULL) {
        *taken = 2;
    }
}

BUG_SET_UPS(deque)
BUG_SET_UPS(stack)
BUG_SET_UPS(spsc)
BUG_SET_UPS(table)
BUG_SET_UPS(mpsc)
BUG_SET_UPS(remote)

const struct model_case bug_structures[] = {
    BUG_AND_TWIN("deque-fence", deque, MODEL_ASSERTION, deque_finish,
                 "an item of the deque is taken once", deque_take, deque_steal_two),
    BUG_AND_TWIN("stack-aba", stack, MODEL_ASSERTION, stack_finish,
                 "a node of the stack is in one place", stack_popper, stack_swapper),
    BUG_AND_TWIN("spsc-publish", spsc, MODEL_RACE, NULL, "an item is seen when its position is",
                 spsc_produce, spsc_consume),
    BUG_AND_TWIN("count-before-pointer", table, MODEL_ASSERTION, NULL, "what is counted is there",
                 table_add, table_look),
    BUG_AND_TWIN("mpsc-half-linked", mpsc, MODEL_ASSERTION, NULL,
                 "a node that is not linked yet is not the end", mpsc_push, mpsc_push, mpsc_pop),
    BUG_AND_TWIN("list-without-acquire", remote, MODEL_RACE, NULL,
                 "who takes a list sees what its nodes hold", remote_free, remote_take),
    {.name = NULL},
};
