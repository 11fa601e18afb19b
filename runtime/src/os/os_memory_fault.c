/*
 * Purpose: the counters and the plan behind os_fault.h. Empty unless EMP_FAULT is 1.
 * Owner:   os; the plan is written while no other thread is in the library.
 * Threads: any.
 * Design:  [os.proto.fault]
 * Cost:    two atomic additions per system call in fault builds.
 */
#include "os/os_fault.h"

#if EMP_FAULT

#include "base/check.h"
#include "sync/atomic.h"

/* What is to fail. */
struct fault_plan {
    uint32_t armed; /* atomic: os-fault. 1: the other fields are valid */
    uint32_t kind;  /* enum emp_os_call */
    uint32_t mode;  /* enum emp_os_fault_mode */
    int err;        /* errno value, or EMP_OS_FAULT_LIE */
    uint64_t nth;   /* counted from 1 */
};

static struct fault_plan plan;
static uint64_t seen[EMP_OS_CALL_COUNT + 1]; /* atomic, relaxed: counts; the last is ANY */
static uint64_t hits;                        /* atomic, relaxed: a count */

void emp_os_fault_arm(enum emp_os_call kind, uint64_t nth, enum emp_os_fault_mode mode, int err)
{
    emp_check(nth > 0);
    emp_os_fault_disarm();
    for (unsigned i = 0; i <= EMP_OS_CALL_ANY; i++) {
        /* order(os-fault): relaxed; published by the release of `armed` below */
        emp_store_relaxed(&seen[i], (uint64_t)0);
    }
    /* order(os-fault): relaxed; as above */
    emp_store_relaxed(&hits, (uint64_t)0);
    plan.kind = (uint32_t)kind;
    plan.mode = (uint32_t)mode;
    plan.err = err;
    plan.nth = nth;
    /* order(os-fault): release; the plan and the zeroed counts are visible before `armed` */
    emp_store_release(&plan.armed, 1u);
}

void emp_os_fault_disarm(void)
{
    /* order(os-fault): release; nothing to show, pairs with the acquire for symmetry */
    emp_store_release(&plan.armed, 0u);
}

uint64_t emp_os_fault_count(enum emp_os_call kind)
{
    emp_check(kind <= EMP_OS_CALL_ANY);
    /* order(os-fault): relaxed; a count */
    return emp_load_relaxed(&seen[kind]);
}

uint64_t emp_os_fault_hits(void)
{
    /* order(os-fault): relaxed; a count */
    return emp_load_relaxed(&hits);
}

/* Does the n-th call fail by the plan? */
static bool fault_is_due(uint64_t n)
{
    switch (plan.mode) {
    case EMP_OS_FAULT_ONCE:
        return n == plan.nth;
    case EMP_OS_FAULT_FROM_ON:
        return n >= plan.nth;
    default:
        return n >= plan.nth && (n - plan.nth) % 2 == 0;
    }
}

int emp_os_fault_check(enum emp_os_call kind)
{
    emp_check(kind < EMP_OS_CALL_COUNT);
    /* order(os-fault): relaxed; counts */
    const uint64_t of_kind = emp_fetch_add_relaxed(&seen[kind], (uint64_t)1) + 1;
    const uint64_t of_any = emp_fetch_add_relaxed(&seen[EMP_OS_CALL_ANY], (uint64_t)1) + 1;
    /* order(os-fault): acquire; the plan is read only after `armed` */
    if (emp_load_acquire(&plan.armed) == 0) {
        return -1;
    }
    const bool is_any = plan.kind == EMP_OS_CALL_ANY;
    if (!is_any && plan.kind != (uint32_t)kind) {
        return -1;
    }
    if (!fault_is_due(is_any ? of_any : of_kind)) {
        return -1;
    }
    /* order(os-fault): relaxed; a count */
    emp_fetch_add_relaxed(&hits, (uint64_t)1);
    return plan.err;
}

#endif
