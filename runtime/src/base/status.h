/*
 * Purpose: the texts of the result codes, from the one relation in status.def.
 * Owner:   base; constants. The enumerators themselves are public (base/status_code.h), in the
 *          order of status.def; core asserts that both have the same length.
 * Threads: any.
 * Design:  [base.req.status]
 */
#ifndef EMP_BASE_STATUS_H
#define EMP_BASE_STATUS_H

/* Number of codes: one per line of status.def, numbered from zero. */
enum emp_status_limits {
#define EMP_STATUS(code, text) EMP_STATUS_INDEX_##code,
#include "base/status.def"
#undef EMP_STATUS
    EMP_STATUS_COUNT
};

/* Text of a code; a number that is no code gives "unknown status". Never NULL, static storage. */
const char *emp_status_describe(unsigned code);

#endif
