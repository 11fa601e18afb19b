/*
 * Purpose: fault_context.h on aarch64.
 * Owner:   thread; no state. Threads: a handler of a signal.
 * Design:  [thread.proto.fault]
 * Source:  ucontext.h of the C library.
 */
#include "thread/fault_context.h"

#include <ucontext.h>

uintptr_t emp_fault_stack_pointer(const void *context)
{
    const ucontext_t *const at = context;

    return (uintptr_t)at->uc_mcontext.sp;
}

/* Every fault of an instruction has an address here. */
bool emp_fault_is_by_instruction(const void *context)
{
    (void)context;
    return false;
}
