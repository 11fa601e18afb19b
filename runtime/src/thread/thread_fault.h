/*
 * Purpose: makes calls to the thread library fail, for tests (the sibling of os/os_fault.h).
 * Owner:   thread. Builds with EMP_FAULT 0 have neither the function nor the question.
 * Threads: any may ask; one arms.
 * Design:  [thread.req.fault]
 */
#ifndef EMP_THREAD_THREAD_FAULT_H
#define EMP_THREAD_THREAD_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"

/* Calls that can be refused, as bits. */
enum emp_thread_call {
    EMP_THREAD_CALL_KEY_CREATE = 1,   /* pthread_key_create */
    EMP_THREAD_CALL_SET_SPECIFIC = 2, /* pthread_setspecific */
    EMP_THREAD_CALL_ATFORK = 4,       /* pthread_atfork */
    EMP_THREAD_CALL_CREATE = 8,       /* pthread_create */
    EMP_THREAD_CALL_STACK = 16        /* mmap of the stack for the handler of faults */
};

/* From now on the calls in this set of bits are refused; 0: none. */
void emp_thread_fault_arm(uint32_t calls);

/* Calls refused since the start. */
uint64_t emp_thread_fault_hits(void);

/* True: refuse this call. */
bool emp_thread_fault_check(enum emp_thread_call call);

/* The question every fallible call asks first. */
static inline bool emp_thread_fault_ask(enum emp_thread_call call)
{
    return EMP_FAULT && emp_thread_fault_check(call);
}

#endif
