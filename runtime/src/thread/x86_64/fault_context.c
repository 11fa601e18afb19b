/*
 * Purpose: fault_context.h on x86-64.
 * Owner:   thread; no state. Threads: a handler of a signal.
 * Design:  [thread.proto.fault]
 * Source:  ucontext.h of the C library; Intel SDM 6.15, vector 13.
 */
#define _GNU_SOURCE /* names of registers */
#include "thread/fault_context.h"

#include <ucontext.h>

#define GENERAL_PROTECTION 13

uintptr_t emp_fault_stack_pointer(const void *context)
{
    const ucontext_t *const at = context;

    return (uintptr_t)at->uc_mcontext.gregs[REG_RSP];
}

/* A general protection fault has no address. */
bool emp_fault_is_by_instruction(const void *context)
{
    const ucontext_t *const at = context;

    return at->uc_mcontext.gregs[REG_TRAPNO] == GENERAL_PROTECTION;
}
