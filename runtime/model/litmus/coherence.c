/*
 * What: litmus tests of one location: coherence in its four forms, atomicity of updates, failed
 *       compare-and-swap; and the checker's futex, plain memory and life of memory.
 * How:  as two_threads.c.
 * Design: docs/design/model.md, "Litmus tests"
 */
#include "cases.h"
#include "litmus/litmus.h"

/* clang-format off */
THREAD(put_1, PUT(x, 1, RELAXED))
THREAD(put_2, PUT(x, 2, RELAXED))
THREAD(put_1_2, PUT(x, 1, RELAXED); PUT(x, 2, RELAXED))
THREAD(get_get, r[0] = GET(x, RELAXED); r[1] = GET(x, RELAXED))
THREAD(get_put, r[0] = GET(x, RELAXED); PUT(x, 2, RELAXED))
THREAD(put_get, PUT(x, 1, RELAXED); r[0] = GET(x, RELAXED))
THREAD(readers_agree_0, r[0] = GET(x, RELAXED); r[1] = GET(x, RELAXED))
THREAD(readers_agree_1, r[2] = GET(x, RELAXED); r[3] = GET(x, RELAXED))
THREAD(add_1, ADD(x, 1, RELAXED))
THREAD(cas_0, r[0] = MODEL_CAS(&x, &(uint32_t){0}, 1, RELAXED, RELAXED))
THREAD(cas_1, r[1] = MODEL_CAS(&x, &(uint32_t){0}, 2, RELAXED, RELAXED))
THREAD(cas_2, r[2] = MODEL_CAS(&x, &(uint32_t){0}, 3, RELAXED, RELAXED))
THREAD(cas_stale, r[0] = GET(x, RELAXED); r[1] = MODEL_CAS(&x, &r[0], 5, RELAXED, RELAXED))
THREAD(await_then_read, model_await_equal(&y, 1, ACQUIRE); r[0] = GET(x, RELAXED))
THREAD(await_relaxed, model_await_other(&y, 0, RELAXED); r[0] = GET(x, RELAXED))
THREAD(publish, PUT(x, 1, RELAXED); PUT(y, 1, RELEASE))
THREAD(sleep_on_x, if (GET(x, RELAXED) == 0) { model_futex_wait(&x, 0); } r[0] = 1)
THREAD(wake_x, PUT(x, 1, RELAXED); model_futex_wake(&x, 1))
THREAD(set_x, PUT(x, 1, RELAXED))
THREAD(plain_put, y = 1; PUT(x, 1, RELEASE))
THREAD(plain_put_late, PUT(x, 1, RELEASE); y = 1)
THREAD(plain_get, if (GET(x, ACQUIRE) == 1) { r[0] = y; })
THREAD(plain_get_weak, if (GET(x, RELAXED) == 1) { r[0] = y; })
THREAD(plain_any, r[0] = y)
THREAD(atomic_put, PUT(y, 1, RELAXED))
THREAD(wait_for_ever, model_await_equal(&x, 7, RELAXED))
/* clang-format on */

static uint32_t *block;

static void set_up_block(void)
{
    set_up();
    block = model_alloc(sizeof *block);
}

THREAD(free_block, model_free(block))
THREAD(use_block, *block = 1)
THREAD(
    free_after, if (GET(x, ACQUIRE) == 1) { model_free(block); })
THREAD(use_before, *block = 1; PUT(x, 1, RELEASE))

static void say_one(void)
{
    model_outcome("%u", r[0]);
}

static void say_x(void)
{
    model_outcome("%u", x);
}

/* Two readers of two stores see them in one order. */
static void agree(void)
{
    model_assert(!(r[0] == 1 && r[1] == 2 && r[2] == 2 && r[3] == 1));
    model_assert(!(r[0] == 2 && r[1] == 1 && r[2] == 1 && r[3] == 2));
    model_outcome("agree");
}

#define FAULT(name_, text, fault_, set_up_, ...)                                                   \
    {                                                                                              \
        .name = "litmus/" name_, .property = (text), .set_up = (set_up_), .thread = {__VA_ARGS__}, \
        .fault = (fault_)                                                                          \
    }

const struct model_case litmus_coherence[] = {
    LITMUS("corr", say_two, "0 0|0 1|0 2|1 1|1 2|2 1|2 2", "no reader goes back", put_1, put_2,
           get_get),
    LITMUS("corr-readers", agree, "agree", "two readers see one order", put_1, put_2,
           readers_agree_0, readers_agree_1),
    LITMUS("coww", say_x, "2", "a thread's stores stay in order", put_1_2),
    LITMUS("corw", say_with_x, "0 1|0 2|1 2", "a store behind a load is later", put_1, get_put),
    LITMUS("cowr", say_with_x, "1 1|1 2|2 2", "a thread sees its own store or a later one", put_get,
           put_2),
    LITMUS("update-two", say_x, "2", "no update is lost", add_1, add_1),
    LITMUS("update-four", say_x, "4", "of four neither", add_1, add_1, add_1, add_1),
    LITMUS("cas-one-winner", say_three, "0 0 1|0 1 0|1 0 0", "one of three swaps wins", cas_0,
           cas_1, cas_2),
    LITMUS("cas-after-load", say_two, "0 1|1 0|1 1|2 0|2 1",
           "a swap may miss what came between, or find it", cas_stale, put_1_2),
    LITMUS("await-acquire", say_one, "1", "who waited sees the data", publish, await_then_read),
    LITMUS("await-relaxed", say_one, "0|1", "not without acquire", publish, await_relaxed),
    LITMUS("futex", say_one, "1", "a futex compares under its lock: no wake is lost", sleep_on_x,
           wake_x),
    FAULT("futex-no-wake", "a sleeper that nobody wakes is found", MODEL_STUCK, set_up, sleep_on_x,
          set_x),
    FAULT("await-never", "a wait that never ends is found", MODEL_STUCK, set_up, wait_for_ever),
    LITMUS("plain-ordered", say_one, "0|1", "plain memory behind an acquire is no race", plain_put,
           plain_get),
    FAULT("plain-relaxed", "behind a relaxed load it is one", MODEL_RACE, set_up, plain_put,
          plain_get_weak),
    FAULT("plain-late", "what comes after a release is not released", MODEL_RACE, set_up,
          plain_put_late, plain_get),
    FAULT("plain-alone", "a plain read beside an atomic store is a race", MODEL_RACE, set_up,
          plain_any, atomic_put),
    FAULT("life-race", "an end beside a use is found", MODEL_LIFETIME, set_up_block, use_block,
          free_block),
    FAULT("life-twice", "an end twice is found", MODEL_LIFETIME, set_up_block, free_block,
          free_block),
    FAULT("life-left", "memory left is found", MODEL_LEAK, set_up_block, use_before, free_after),
    {.name = NULL},
};
