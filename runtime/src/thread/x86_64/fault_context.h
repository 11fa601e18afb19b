/*
 * Purpose: where the stack of a thread was when a signal came, on x86-64.
 * Owner:   thread; no state. Threads: a handler of a signal.
 * Design:  [thread.proto.fault]
 * Source:  ucontext.h of the C library, which wants _GNU_SOURCE for the names; Intel SDM 6.15,
 *          vector 13.
 */
#ifndef EMP_THREAD_X86_64_FAULT_CONTEXT_H
#define EMP_THREAD_X86_64_FAULT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* The stack pointer that the signal has interrupted. */
static inline uintptr_t emp_fault_stack_pointer(const void *context)
{
    const ucontext_t *const at = context;

    return (uintptr_t)at->uc_mcontext.gregs[REG_RSP];
}

/* Whether an instruction made the fault: a general protection fault has no address either. */
static inline bool emp_fault_is_by_instruction(const void *context)
{
    const ucontext_t *const at = context;

    return at->uc_mcontext.gregs[REG_TRAPNO] == 13;
}

#endif
