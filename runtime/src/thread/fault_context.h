/*
 * Purpose: what a handler of signals learns from the registers that the signal has interrupted; one
 *          file per processor.
 * Owner:   thread; no state. Threads: a handler of a signal.
 * Design:  [thread.proto.fault]
 */
#ifndef EMP_THREAD_FAULT_CONTEXT_H
#define EMP_THREAD_FAULT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

/* The stack pointer that the signal has interrupted. */
uintptr_t emp_fault_stack_pointer(const void *context);

/* Whether an instruction made a fault that has no address. */
bool emp_fault_is_by_instruction(const void *context);

#endif
