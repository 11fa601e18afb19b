/*
 * What: old bugs about when a thing begins and ends: a count dropped without acquire, an
 *       initialisation seen half, a seqlock without its fences, hazard pointer and epoch without
 *       the store-load fence, an object touched after it has said that it is done.
 * How:  as structures.c.
 * Design: docs/design/model.md, "Old bugs"
 * Source: Boost.Atomic (counts); Meyers and Alexandrescu 2004 (double-checked locking); Boehm 2012
 *         (seqlocks); Michael 2004 (hazard pointers); Fraser 2004 (epochs).
 */
#include "bugs/bugs.h"
#include "cases.h"

/* A counted object: the last one to let go frees it. */
static struct {
    uint32_t *object;
    uint32_t count; /* atomic */
} counted;

static void counted_set_up(void)
{
    counted.object = model_alloc(sizeof *counted.object);
    counted.count = 2;
}

static void counted_drop(void)
{
    *counted.object += model_self() == 0; /* the first writes, the second only looks */
    if (MODEL_RMW(&counted.count, 1, SUB, RELEASE) == 1) {
        FENCE_IF(ACQUIRE);
        model_free(counted.object);
    }
}

static void counted_look(void)
{
    if (MODEL_RMW(&counted.count, 1, SUB, RELEASE) == 1) {
        FENCE_IF(ACQUIRE);
        model_free(counted.object);
    }
}

/* Initialised once: the flag is looked at first without the lock. */
static struct {
    uint32_t flag; /* atomic */
    uint32_t lock; /* atomic */
    uint32_t value;
} once;

static void once_set_up(void)
{
    once.flag = 0;
    once.lock = 0;
    once.value = 0;
}

static void once_user(void)
{
    if (LOAD_IF(&once.flag, ACQUIRE, RELAXED) == 0) {
        if (MODEL_RMW(&once.lock, 1, EXCHANGE, ACQUIRE) != 0) {
            return;
        }
        if (MODEL_LOAD(&once.flag, RELAXED) == 0) {
            once.value = 7;
            MODEL_STORE(&once.flag, 1, RELEASE);
        }
        MODEL_STORE(&once.lock, 0, RELEASE);
    }
    model_assert(once.value == 7);
}

/* Seqlock over two words. */
static struct {
    uint32_t sequence, a, b; /* atomic */
} seqlock;

static void seqlock_set_up(void)
{
    seqlock.sequence = 0;
    seqlock.a = 0;
    seqlock.b = 0;
}

static void seqlock_write(void)
{
    const uint32_t sequence = MODEL_LOAD(&seqlock.sequence, RELAXED);
    MODEL_STORE(&seqlock.sequence, sequence + 1, RELAXED);
    FENCE_IF(RELEASE);
    MODEL_STORE(&seqlock.a, 1, RELAXED);
    MODEL_STORE(&seqlock.b, 1, RELAXED);
    MODEL_STORE(&seqlock.sequence, sequence + 2, RELEASE);
}

static void seqlock_read(void)
{
    const uint32_t before = MODEL_LOAD(&seqlock.sequence, ACQUIRE);
    const uint32_t a = MODEL_LOAD(&seqlock.a, RELAXED);
    const uint32_t b = MODEL_LOAD(&seqlock.b, RELAXED);
    FENCE_IF(ACQUIRE);
    if (before % 2 == 0 && MODEL_LOAD(&seqlock.sequence, RELAXED) == before) {
        model_assert(a == b);
    }
}

/* Hazard pointer of one reader; the writer takes the object away and frees it if not protected. */
static struct {
    uint32_t *object; /* atomic */
    uint32_t *hazard; /* atomic */
    uint32_t *first;
} hazard;

static void hazard_set_up(void)
{
    hazard.first = model_alloc(sizeof *hazard.first);
    hazard.object = hazard.first;
    hazard.hazard = NULL;
}

static void hazard_read(void)
{
    uint32_t *const object = MODEL_LOAD(&hazard.object, ACQUIRE);
    if (object == NULL) {
        return;
    }
    MODEL_STORE(&hazard.hazard, object, RELEASE);
    FENCE_IF(SEQ_CST);
    if (MODEL_LOAD(&hazard.object, ACQUIRE) == object) {
        model_assert(*object == 0);
    }
    MODEL_STORE(&hazard.hazard, NULL, RELEASE);
}

static void hazard_write(void)
{
    MODEL_STORE(&hazard.object, NULL, RELAXED);
    FENCE_IF(SEQ_CST);
    if (MODEL_LOAD(&hazard.hazard, ACQUIRE) == NULL) {
        model_free(hazard.first);
        hazard.first = NULL;
    }
}

static void hazard_finish(void)
{
    if (hazard.first != NULL) {
        model_free(hazard.first);
    }
}

/* Epochs: a reader says that it is inside; the writer frees what it took away when nobody is. */
static struct {
    uint32_t inside;  /* atomic */
    uint32_t *object; /* atomic */
    uint32_t *first;
} epoch;

static void epoch_set_up(void)
{
    epoch.first = model_alloc(sizeof *epoch.first);
    epoch.object = epoch.first;
    epoch.inside = 0;
}

static void epoch_read(void)
{
    MODEL_STORE(&epoch.inside, 1, RELAXED);
    FENCE_IF(SEQ_CST);
    uint32_t *const object = MODEL_LOAD(&epoch.object, ACQUIRE);
    if (object != NULL) {
        model_assert(*object == 0);
    }
    MODEL_STORE(&epoch.inside, 0, RELEASE);
}

static void epoch_write(void)
{
    MODEL_STORE(&epoch.object, NULL, RELAXED);
    FENCE_IF(SEQ_CST);
    model_await_equal(&epoch.inside, 0, ACQUIRE);
    model_free(epoch.first);
}

/* A future whose completer wakes through the object after it has said that it is done. */
static struct {
    uint32_t *object; /* atomic: done and waker */
} future;

static void future_set_up(void)
{
    future.object = model_alloc(2 * sizeof *future.object);
}

static void future_complete(void)
{
    uint32_t waker = 0;
    if (fixed) {
        waker = MODEL_LOAD(&future.object[1], RELAXED);
    }
    MODEL_STORE(&future.object[0], 1, RELEASE);
    if (!fixed) {
        waker = MODEL_LOAD(&future.object[1], RELAXED); /* its owner may have freed it */
    }
    model_assert(waker == 0);
}

static void future_wait(void)
{
    model_await_equal(&future.object[0], 1, ACQUIRE);
    model_free(future.object);
}

BUG_SET_UPS(counted)
BUG_SET_UPS(once)
BUG_SET_UPS(seqlock)
BUG_SET_UPS(hazard)
BUG_SET_UPS(epoch)
BUG_SET_UPS(future)

const struct model_case bug_lifetime[] = {
    BUG_AND_TWIN("count-without-acquire", counted, MODEL_LIFETIME, NULL,
                 "an object ends after its last use", counted_drop, counted_look),
    BUG_AND_TWIN("double-checked", once, MODEL_RACE, NULL, "who sees the flag sees the value",
                 once_user, once_user),
    BUG_AND_TWIN("seqlock-fences", seqlock, MODEL_ASSERTION, NULL, "no torn pair is accepted",
                 seqlock_write, seqlock_read),
    BUG_AND_TWIN("hazard-fence", hazard, MODEL_LIFETIME, hazard_finish, "what is protected stays",
                 hazard_read, hazard_write),
    BUG_AND_TWIN("epoch-fence", epoch, MODEL_LIFETIME, NULL, "who is inside finds no freed memory",
                 epoch_read, epoch_write),
    BUG_AND_TWIN("wake-after-done", future, MODEL_LIFETIME, NULL,
                 "a future is not touched after it is done", future_complete, future_wait),
    {.name = NULL},
};
