/*
 * Purpose: makes the n-th call to the operating system fail, so that every error return can be
 *          reached by a test. A call is one system call, counted by what it was made for.
 * Owner:   os. Builds with EMP_FAULT 0 have neither the functions nor the question.
 * Threads: any thread may call the system; one thread at a time arms and disarms.
 * Design:  [os.proto.fault]
 * Cost:    none with EMP_FAULT 0: the question is a constant.
 */
#ifndef EMP_OS_OS_FAULT_H
#define EMP_OS_OS_FAULT_H

#include <stdint.h>

#include "base/config.h"

/* What a system call is made for; one enumerator per line of os_call.def. */
enum emp_os_call {
#define EMP_OS_CALL(name, what) EMP_OS_CALL_##name,
#include "os/os_call.def"
#undef EMP_OS_CALL
    EMP_OS_CALL_COUNT,
    EMP_OS_CALL_ANY = EMP_OS_CALL_COUNT /* counts and fails calls of all kinds together */
};

/* Which calls fail, counted from the arming. */
enum emp_os_fault_mode {
    EMP_OS_FAULT_ONCE = 0,    /* the n-th */
    EMP_OS_FAULT_FROM_ON,     /* the n-th and all later ones */
    EMP_OS_FAULT_EVERY_SECOND /* the n-th, n+2nd, n+4th ... */
};

/* An `err` for PURGE only: the system says yes and does nothing (memory does not become zero). */
#define EMP_OS_FAULT_LIE 0

/*
 * Arms: the nth call (from 1) of that kind fails with errno value err. Zeroes the counts first.
 */
void emp_os_fault_arm(enum emp_os_call kind, uint64_t nth, enum emp_os_fault_mode mode, int err);

/* Lets all calls through; the counts stay readable. */
void emp_os_fault_disarm(void);

/* Calls of a kind (or ANY) seen since the last arming, failed ones included. */
uint64_t emp_os_fault_count(enum emp_os_call kind);

/* Calls that were made to fail since the last arming. */
uint64_t emp_os_fault_hits(void);

/* Counts the call. -1: let it through; otherwise the errno value to fail with. */
int emp_os_fault_check(enum emp_os_call kind);

/* The question every system call of the os room asks first. */
static inline int emp_os_fault_ask(enum emp_os_call kind)
{
    return EMP_FAULT ? emp_os_fault_check(kind) : -1;
}

#endif
