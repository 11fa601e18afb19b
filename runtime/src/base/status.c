/*
 * Purpose: the table of status texts.
 * Owner:   base; constants.
 * Threads: any.
 * Design:  [base.req.status]
 */
#include "base/status.h"

static const char *const status_texts[EMP_STATUS_COUNT] = {
#define EMP_STATUS(code, text) [EMP_STATUS_INDEX_##code] = (text),
#include "base/status.def"
#undef EMP_STATUS
};

const char *emp_status_describe(unsigned code)
{
    return code < EMP_STATUS_COUNT ? status_texts[code] : "unknown status";
}
