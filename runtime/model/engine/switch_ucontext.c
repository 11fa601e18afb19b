/*
 * Purpose: switch.h for machines other than x86-64, by ucontext.
 * Owner:   model. Threads: as switch.h says.
 * Source:  POSIX.1-2001 makecontext, swapcontext.
 */
#include "engine/switch.h"

#include <ucontext.h>

#define CONTEXTS 16u

static ucontext_t kept[CONTEXTS];
static unsigned used;

/* The ucontext of a context, given at its first use. */
static ucontext_t *kept_for(struct model_context *context)
{
    if (context->top == NULL) {
        context->top = &kept[used++];
    }
    return context->top;
}

void model_switch(struct model_context *leave, const struct model_context *enter)
{
    swapcontext(kept_for(leave), enter->top);
}

void model_context_prepare(struct model_context *context, uint8_t *stack, size_t bytes,
                           void (*entry)(void))
{
    ucontext_t *const made = kept_for(context);
    getcontext(made);
    made->uc_stack.ss_sp = stack;
    made->uc_stack.ss_size = bytes;
    made->uc_link = NULL;
    makecontext(made, entry, 0);
}
