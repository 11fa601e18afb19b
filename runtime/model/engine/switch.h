/*
 * Purpose: changing from one stack to another.
 * Owner:   model. Threads: one; a context is left and entered by turns.
 * Design:  docs/design/model.md, "Threads"
 */
#ifndef EMP_MODEL_ENGINE_SWITCH_H
#define EMP_MODEL_ENGINE_SWITCH_H

#include <stddef.h>
#include <stdint.h>

/* Where a stack was left: its stack pointer, or with ucontext where that is kept. */
struct model_context {
    void *top;
};

/* Leaves one context and enters the other. */
void model_switch(struct model_context *leave, const struct model_context *enter);

/* Makes a context that begins in entry, which never returns. */
void model_context_prepare(struct model_context *context, uint8_t *stack, size_t bytes,
                           void (*entry)(void));

#endif
