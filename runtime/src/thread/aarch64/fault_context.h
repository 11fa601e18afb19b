/*
 * Purpose: where the stack of a thread was when a signal came, on aarch64.
 * Owner:   thread; no state. Threads: a handler of a signal.
 * Design:  [thread.proto.fault]
 * Source:  ucontext.h of the C library.
 */
#ifndef EMP_THREAD_AARCH64_FAULT_CONTEXT_H
#define EMP_THREAD_AARCH64_FAULT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* The stack pointer that the signal has interrupted. */
static inline uintptr_t emp_fault_stack_pointer(const void *context)
{
    const ucontext_t *const at = context;

    return (uintptr_t)at->uc_mcontext.sp;
}

/* Whether an instruction made the fault: those have an address here. */
static inline bool emp_fault_is_by_instruction(const void *context)
{
    (void)context;
    return false;
}

#endif
