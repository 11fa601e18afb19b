/*
 * Purpose: switches to stacks in turn and back, as a coroutine's resume and suspend do at their
 *          core; the stacks begin at the offsets that the library gives them.
 * Owner:   a child process, one thread.
 */
#include "micro/raw_switch.h"

#include "support/workload.h"
#include "thread/switch.h"

/* A function with emp_switch must call another one, see there. */
static __attribute__((noinline)) void raw_touch(void **word)
{
    bench_escape(word);
}

static void raw_entry(void *argument)
{
    void **word = argument;

    raw_touch(word);
    for (;;) {
        emp_switch(word);
    }
}

void bench_raw_switch_begin(struct bench_raw_switch *raw)
{
    for (size_t i = 0; i < raw->count; i++) {
        char *top = raw->stacks + (i + 1) * BENCH_RAW_STACK_BYTES - i % 16 * 64;

        raw->words[i] = emp_switch_prepare(top, raw_entry, &raw->words[i]);
    }
    bench_raw_switch_run(raw, 1);
}

void bench_raw_switch_run(struct bench_raw_switch *raw, size_t turns)
{
    raw_touch(raw->words);
    for (size_t turn = 0; turn < turns; turn++) {
        for (size_t i = 0; i < raw->count; i++) {
            emp_switch(&raw->words[i]);
        }
    }
}
