/*
 * Purpose: the threads of a case as coroutines, each on a stack of its own; a thread runs until its
 *          next request and the checker decides when it is answered.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Threads"
 */
#include "engine/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/switch.h"

#define STACK_BYTES (64u << 10)

static uint8_t stacks[MODEL_ACTORS][STACK_BYTES] __attribute__((aligned(64)));
static struct model_context contexts[MODEL_ACTORS];
static struct model_context checker;
static void (*body[MODEL_ACTORS])(void);

bool model_on_stack(const void *place)
{
    return (const uint8_t *)place >= &stacks[0][0] &&
           (const uint8_t *)place < &stacks[0][0] + sizeof stacks;
}

void model_actor_leave(void)
{
    for (;;) { /* once: the checker never comes back to a thread that has left */
        model_switch(&contexts[model_run.current], &checker);
    }
}

static void actor_entry(void)
{
    const unsigned actor = model_run.current;
    body[actor]();
    model_plain_flush();
    model_run.thread[actor].wait = MODEL_DONE;
    model_actor_leave();
}

static void actor_prepare(unsigned actor, void (*function)(void))
{
    body[actor] = function;
    model_context_prepare(&contexts[actor], stacks[actor], STACK_BYTES, actor_entry);
}

void model_actor_go(unsigned actor)
{
    model_run.current = (uint16_t)actor;
    model_run.in_thread = true;
    model_switch(&checker, &contexts[actor]);
    model_run.in_thread = false;
}

void model_actor_ask(struct model_request *request)
{
    const unsigned actor = model_run.current;
    model_plain_flush();
    model_run.thread[actor].request = *request;
    model_switch(&contexts[actor], &checker);
    *request = model_run.thread[actor].request;
    model_run.thread[actor].request.kind = MODEL_REQUEST_NONE;
}

/* Runs set_up or finish, outside the model: accesses go straight to memory. */
static void run_alone(void (*function)(void))
{
    if (function != NULL) {
        actor_prepare(0, function);
        model_run.is_tracking = false;
        model_actor_go(0);
        model_run.is_tracking = true;
    }
}

void model_actors_start(void)
{
    const struct model_case *const test = model_run.test;
    memset(model_run.thread, 0, sizeof model_run.thread);
    model_run.end = MODEL_COMPLETE;
    model_run.fault = MODEL_NO_FAULT;
    model_run.outcome[0] = '\0';
    model_run.threads = 1;
    model_run.thread[0].wait = MODEL_DONE;
    run_alone(test->set_up);
    for (unsigned i = 0; i < MODEL_THREADS && test->thread[i] != NULL; i++) {
        actor_prepare(i + 1, test->thread[i]);
        model_run.threads++;
    }
    for (unsigned i = 1; i < model_run.threads && model_run.end == MODEL_COMPLETE; i++) {
        model_actor_go(i);
    }
}

void model_actors_finish(void)
{
    run_alone(model_run.test->finish);
}

void model_fail(enum model_fault fault, const char *format, ...)
{
    if (model_run.fault == MODEL_NO_FAULT) {
        va_list list;
        va_start(list, format);
        vsnprintf(model_run.text, sizeof model_run.text, format, list);
        va_end(list);
        model_run.fault = fault;
        model_run.end = MODEL_FAILED;
    }
    if (model_run.in_thread) {
        model_actor_leave();
    }
}
