/*
 * Purpose: the end of a failed assertion.
 * Owner:   base; one pointer, written before threads start.
 * Threads: any; async-signal-safe as far as the hook is.
 * Design:  [base.req.check]
 */
#include "base/check.h"

#include <stddef.h>

static emp_check_hook *check_hook; /* const after init */

void emp_check_set_hook(emp_check_hook *hook)
{
    check_hook = hook;
}

EMP_NORETURN void emp_check_failed(const char *what, const char *where)
{
    if (check_hook != NULL) {
        check_hook(what, where);
    }
    __builtin_trap();
}
