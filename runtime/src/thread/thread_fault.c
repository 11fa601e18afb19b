/*
 * Purpose: the plan behind thread_fault.h. Empty unless EMP_FAULT is 1.
 * Owner:   thread. Threads: any.
 * Design:  [thread.req.fault]
 */
#include "thread/thread_fault.h"

#if EMP_FAULT

#include "sync/atomic.h"

static uint32_t refused; /* atomic, relaxed: a set of bits, nothing comes with it */
static uint64_t hits;    /* atomic, relaxed: a count */

void emp_thread_fault_arm(uint32_t calls)
{
    /* order(thread-fault): relaxed; a set of bits, nothing comes with it */
    emp_store_relaxed(&refused, calls);
}

uint64_t emp_thread_fault_hits(void)
{
    /* order(thread-fault): relaxed; a count */
    return emp_load_relaxed(&hits);
}

bool emp_thread_fault_check(enum emp_thread_call call)
{
    /* order(thread-fault): relaxed; a set of bits, nothing comes with it */
    const bool is_refused = (emp_load_relaxed(&refused) & (uint32_t)call) != 0;
    if (is_refused) {
        /* order(thread-fault): relaxed; a count */
        emp_fetch_add_relaxed(&hits, (uint64_t)1);
    }
    return is_refused;
}

#endif
