/*
 * Purpose: a handler for accesses that the processor refuses, on a stack of its own in every thread
 *          that asks for one, so that a stack overflow can be told.
 * Owner:   thread. One handler per process; what was there before gets all faults that are not
 *          ours.
 * States:  of a thread: unprepared --emp_fault_prepare_thread--> prepared --its end--> gone
 * Threads: any.
 * Design:  [thread.proto.fault]
 */
#ifndef EMP_THREAD_FAULT_H
#define EMP_THREAD_FAULT_H

#include <stdbool.h>

#include "base/compiler.h"

/* Whether the fault is one that the caller knows and has told. Async-signal-safe. */
typedef bool emp_fault_explain(const void *address);

/* Installs the handler, once; later calls change nothing. False: the system refused. */
bool emp_fault_init(emp_fault_explain *explain);

/* Gives the calling thread its stack for the handler. */
EMP_COLD void emp_fault_prepare_thread_slow(void);

/* Whether the calling thread has been through the above. */
extern EMP_TLS bool emp_fault_thread_is_prepared;

/* Called before a thread runs foreign stacks. */
static inline void emp_fault_prepare_thread(void)
{
    if (emp_unlikely(!emp_fault_thread_is_prepared)) {
        emp_fault_prepare_thread_slow();
    }
}

#endif
