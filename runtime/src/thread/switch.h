/*
 * Purpose: switches between stacks. A context is one word: the address of two words below the
 *          stack that sleeps, {frame pointer, where to go on}; everything else lies on that stack.
 * Owner:   thread. The word belongs to a pair of stacks of which one runs: the word names the
 *          other. emp_switch swaps: it stores the stack at hand and goes on with the one that was
 *          named.
 *
 *   prepared --emp_switch--> runs entry(arg) <--emp_switch--> sleeps        entry never returns
 *
 * Threads: one at a time per word; whoever runs a stack next must see what its last runner wrote.
 *          A stack may go on on another thread, so nothing thread-local is kept over a switch.
 * Design:  [thread.proto.switch] [thread.inv.switch-preserves]
 * Source:  System V ABI x86-64 3.2; AAPCS64 6.1. A jump instead of a return: a return into another
 *          stack is always predicted wrongly.
 * Cost:    emp_switch about twelve instructions, because the compiler saves only what lives.
 */
#ifndef EMP_THREAD_SWITCH_H
#define EMP_THREAD_SWITCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#if EMP_ARCH_X86_64
#include "thread/x86_64/switch_inline.h"
#else
#include "thread/aarch64/switch_inline.h"
#endif

/* The same as a function, which keeps all registers that a callee must keep: for plain callers. */
void emp_switch_call(void **word);

/* Where a prepared stack begins: calls entry(arg) and ends every walk over frames. Never called. */
void emp_switch_start(void);

/*
 * Makes the context of a stack that ends at top (16-aligned): its first switch calls entry(arg).
 * Writes the 32 bytes below top.
 */
static inline void *emp_switch_prepare(void *top, void (*entry)(void *arg), void *arg)
{
    void **words = (void **)top - 4;

    words[0] = NULL; /* frame pointer: the last frame */
    words[1] = (void *)(uintptr_t)emp_switch_start;
    words[2] = arg;
    words[3] = (void *)(uintptr_t)entry;
    return words;
}

#endif
