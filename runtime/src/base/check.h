/*
 * Purpose: assertions. emp_check is always live, emp_assert only when EMP_DEBUG is 1; a failure is
 *          a bug of ours or damage done to us, so it never returns.
 * Owner:   base. The hook that prints belongs to the room that can write; without one: a trap.
 * Threads: any; async-signal-safe.
 * Design:  [base.req.check]
 * Cost:    emp_check is one predicted branch; emp_assert nothing in a release build.
 */
#ifndef EMP_BASE_CHECK_H
#define EMP_BASE_CHECK_H

#include "base/compiler.h"
#include "base/config.h"

#ifndef __FILE_NAME__
#define __FILE_NAME__ __FILE__
#endif
#define EMP_CHECK_TEXT_(x) #x
#define EMP_CHECK_TEXT(x)  EMP_CHECK_TEXT_(x)

/* Holds in every build, or the process ends with a message that names the condition. */
#define emp_check(condition)                                                          \
    do {                                                                              \
        if (emp_unlikely(!(condition))) {                                             \
            emp_check_failed(#condition, __FILE_NAME__ ":" EMP_CHECK_TEXT(__LINE__)); \
        }                                                                             \
    } while (0)

/* The same in debug builds; in others the condition is compiled but never evaluated. */
#define emp_assert(condition)     \
    do {                          \
        if (EMP_DEBUG) {          \
            emp_check(condition); \
        }                         \
    } while (0)

/* Receives the text of the condition and "file.c:line"; must not return. */
typedef void emp_check_hook(const char *what, const char *where);

/* Sets the hook, once, before threads start; NULL: trap. */
void emp_check_set_hook(emp_check_hook *hook);

/* Ends the process by way of the hook. */
EMP_NORETURN EMP_COLD void emp_check_failed(const char *what, const char *where);

#endif
